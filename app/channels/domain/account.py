"""What a channel account is, what may be changed of it, and what may be refused."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from app.accounts.domain.user import clean_email
from app.channels.domain.feedback import (
    NO_FEEDBACK,
    FeedbackProvider,
    FeedbackSetting,
    clean_feedback,
)
from app.common.domain import (
    Conflict,
    Event,
    Invalid,
    LimitReached,
    NotFound,
    Refusals,
    SalesPadError,
    clean_text,
)
from app.common.mail_servers import MailServer, Protocol, mail_server

MAX_ACCOUNTS = 200
MAX_REASON = 300
MAX_RATE_PER_MINUTE = 60_000
MAX_BURST = 10_000


class ChannelAccountStatus(StrEnum):
    CONNECTED = "CONNECTED"
    DEGRADED = "DEGRADED"
    DISCONNECTED = "DISCONNECTED"
    NEEDS_REAUTH = "NEEDS_REAUTH"


class Side(StrEnum):
    """Which half of an account a report is about: that one of them works says nothing of the other."""

    SENDING = "Sending"
    READING = "Reading"

    def reason(self, text: str) -> str:
        return f"{self}: {text}"[:MAX_REASON]


@dataclass(frozen=True, kw_only=True)
class AccountUpdated(Event):
    """`changed` says what: connected, disconnected, name, smtpUrl, imapUrl, dailyLimit, ratePerMinute, burst,
    domainLimit, feedbackProvider, status."""

    name: ClassVar[str] = "account.updated"


class AccountNotFound(NotFound):
    def __init__(self, *path: str) -> None:
        super().__init__("No such account: pick one of this workspace's accounts.", path=path or ("id",))


class AddressConnected(Conflict):
    def __init__(self) -> None:
        super().__init__("This address is connected already: change that account instead.", path=("address",))


class LocalAddressTaken(Conflict):
    def __init__(self, *path: str) -> None:
        super().__init__(
            "This address of the local mailbox is taken: choose another one, or give a smtpUrl.",
            path=path or ("address",),
        )


class AccountDisconnected(Conflict):
    def __init__(self) -> None:
        super().__init__("This account is disconnected: connect its address again first.", path=("id",))


class NoLocalMailbox(Invalid):
    def __init__(self) -> None:
        super().__init__(
            "This installation has no local mailbox: give the SMTP server to send through.", path=("smtpUrl",)
        )


class TooManyAccounts(LimitReached):
    def __init__(self) -> None:
        super().__init__(f"A workspace has at most {MAX_ACCOUNTS} accounts.")


@dataclass(frozen=True, slots=True)
class MailboxStart:
    """Where reading an IMAP mailbox begins: after everything that is in it today."""

    uid_validity: int
    uid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEmailAccount:
    """Cleaned; `smtp` None: the local mailbox. `start` belongs to `imap`."""

    name: str
    address: str
    smtp: MailServer | None
    imap: MailServer | None
    rate_per_minute: int | None = None
    burst: int | None = None
    start: MailboxStart | None = None
    feedback: FeedbackSetting = NO_FEEDBACK
    """Who tells of bounces by webhook, and what that is verified by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAccount:
    id: UUID
    name: str
    status: ChannelAccountStatus
    status_reason: str | None
    daily_limit: int | None
    rate_per_minute: int | None
    burst: int | None
    feedback: FeedbackSetting = NO_FEEDBACK

    def update(self, changes: Mapping[str, Any]) -> "tuple[ChannelAccount, AccountUpdated | None]":
        """`changes` holds what was given, cleaned: name, daily_limit, rate_per_minute, burst, feedback, smtp, imap
        (MailServer or None).

        New servers have been tried: what was wrong on their side is mended. Raises AccountDisconnected.
        """
        if self.status is ChannelAccountStatus.DISCONNECTED:
            raise AccountDisconnected
        plain = {name: changes[name] for name in PLAIN if name in changes}
        changed = replace(self, **plain)
        given = {side for name, side in SIDES.items() if name in changes}
        if given and not (self.status_reason or "").startswith(tuple(set(Side) - given)):
            changed = replace(changed, status=ChannelAccountStatus.CONNECTED, status_reason=None)
        names = [API_NAMES[name] for name in plain if getattr(self, name) != getattr(changed, name)]
        names += [API_NAMES[name] for name in ("smtp", "imap") if name in changes]
        names += ["status"] if self.status is not changed.status else []
        return changed, updated(self.id, names, self.status, changed.status) if names else None

    def disconnect(self) -> "tuple[ChannelAccount, AccountUpdated | None]":
        """Of one that is disconnected already: nothing happens."""
        status = ChannelAccountStatus.DISCONNECTED
        if self.status is status:
            return self, None
        return (
            replace(self, status=status, status_reason=None),
            updated(self.id, ["disconnected", "status"], self.status, status),
        )


SIDES = {"smtp": Side.SENDING, "imap": Side.READING}
PLAIN = ("name", "daily_limit", "rate_per_minute", "burst", "feedback")
API_NAMES = {
    "name": "name",
    "daily_limit": "dailyLimit",
    "rate_per_minute": "ratePerMinute",
    "burst": "burst",
    "feedback": "feedbackProvider",
    "smtp": "smtpUrl",
    "imap": "imapUrl",
}


def updated(
    id: UUID, changed: Sequence[str], before: ChannelAccountStatus | None, after: ChannelAccountStatus
) -> AccountUpdated:
    return AccountUpdated(
        entity_ids=[id],
        changed=changed,
        before={"status": before} if before else {},
        after={"status": after},
    )


def clean_name(name: str) -> str:
    """Goes into the From header. Raises Invalid."""
    cleaned = clean_text(name, "name")
    if any(unicodedata.category(character) == "Cc" for character in cleaned):
        raise Invalid("Write the name on one line.", path=("name",))
    return cleaned


def clean_address(address: str) -> str:
    """One spelling for each address, that of leads' identities. Raises Invalid."""
    return clean_email(address, "address")


def clean_smtp(url: str | None, *, has_local_mailbox: bool) -> MailServer | None:
    """None: the local mailbox, where there is one. Raises Invalid."""
    if url is None and not has_local_mailbox:
        raise NoLocalMailbox
    return mail_server(Protocol.SMTP, url, "smtpUrl") if url is not None else None


def clean_imap(url: str | None) -> MailServer | None:
    """Raises Invalid."""
    return mail_server(Protocol.IMAP, url, "imapUrl") if url is not None else None


def clean_daily_limit(limit: int | None) -> int | None:
    if limit is not None and limit < 1:
        raise Invalid(
            "Allow at least 1 message a day, or none at all by disconnecting.", path=("dailyLimit",)
        )
    return limit


def clean_rate(rate: int | None) -> int | None:
    if rate is not None and not 1 <= rate <= MAX_RATE_PER_MINUTE:
        raise Invalid(
            f"Give a rate from 1 to {MAX_RATE_PER_MINUTE:,} messages a minute; null is no limit.",
            path=("ratePerMinute",),
        )
    return rate


def clean_burst(burst: int | None) -> int | None:
    if burst is not None and not 1 <= burst <= MAX_BURST:
        raise Invalid(
            f"Let 1 to {MAX_BURST:,} messages leave at once; null is a second's worth.", path=("burst",)
        )
    return burst


def new_email_account(
    *,
    name: str,
    address: str,
    smtp_url: str | None,
    imap_url: str | None,
    has_local_mailbox: bool,
    rate_per_minute: int | None = None,
    burst: int | None = None,
    feedback_provider: FeedbackProvider | None = None,
    feedback_key: str | None = None,
) -> NewEmailAccount:
    """Every field cleaned; no server has been tried. Raises Invalid, or Refusals for several."""
    refusals: list[SalesPadError] = []
    new = NewEmailAccount(
        name=_or_note(refusals, "", lambda: clean_name(name)),
        address=_or_note(refusals, "", lambda: clean_address(address)),
        smtp=_or_note(refusals, None, lambda: clean_smtp(smtp_url, has_local_mailbox=has_local_mailbox)),
        imap=_or_note(refusals, None, lambda: clean_imap(imap_url)),
        rate_per_minute=_or_note(refusals, None, lambda: clean_rate(rate_per_minute)),
        burst=_or_note(refusals, None, lambda: clean_burst(burst)),
        feedback=_or_note(refusals, NO_FEEDBACK, lambda: clean_feedback(feedback_provider, feedback_key)),
    )
    raise_all(refusals)
    return new


def clean_changes(given: Mapping[str, Any], *, has_local_mailbox: bool) -> dict[str, Any]:
    """What was given of name, smtp_url, imap_url, the limits and feedback, as `ChannelAccount.update` takes it.

    Raises Invalid, or Refusals for several.
    """
    refusals: list[SalesPadError] = []
    cleaners: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
        "name": ("name", lambda name: clean_name(name or "")),
        "smtp_url": ("smtp", lambda url: clean_smtp(url, has_local_mailbox=has_local_mailbox)),
        "imap_url": ("imap", clean_imap),
        "daily_limit": ("daily_limit", clean_daily_limit),
        "rate_per_minute": ("rate_per_minute", clean_rate),
        "burst": ("burst", clean_burst),
    }
    changes = {
        cleaners[field][0]: _or_note(refusals, None, partial(cleaners[field][1], value))
        for field, value in given.items()
        if field in cleaners
    }
    if given.keys() & {"feedback_provider", "feedback_key"}:
        changes["feedback"] = _or_note(refusals, None, partial(_clean_feedback, given))
    raise_all(refusals)
    return changes


def _clean_feedback(given: Mapping[str, Any]) -> FeedbackSetting:
    """They change together: a key is good for one provider. Raises Invalid."""
    if "feedback_provider" not in given:
        raise Invalid("Say whose key it is: give the provider with it.", path=("feedbackProvider",))
    return clean_feedback(given["feedback_provider"], given.get("feedback_key"))


Cleaned = TypeVar("Cleaned")


def _or_note(refusals: list[SalesPadError], instead: Cleaned, clean: Callable[[], Cleaned]) -> Cleaned:
    try:
        return clean()
    except SalesPadError as refusal:
        refusals.append(refusal)
        return instead


def raise_all(refusals: Sequence[SalesPadError]) -> None:
    """Raises what there is, together."""
    if refusals:
        raise refusals[0] if len(refusals) == 1 else Refusals(refusals)
