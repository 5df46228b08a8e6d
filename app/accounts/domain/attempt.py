"""How often one may try: at passwords, at what sends mails, at what costs us work.

Counted before anything is looked at; a refused attempt does not count. An attempt counts against its subject (an
account, whoever tries it), against the address range it comes from, and at signing in against everybody's together.
A place where somebody has had a session is judged by its own count: others who try an account's password from
elsewhere keep its owner out of nothing (docs/decisions/0015).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.accounts.domain.session import Caller
from app.accounts.domain.user import clean_email
from app.common.domain import Invalid

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
KEPT = HOUR
"""The longest window: older attempts are of no use."""
SLOWED_TO = 5
"""While everybody together tries too much, strangers have a fifth of their attempts."""
LOOPBACK = frozenset({"127.0.0.0/24", "::/64"})


@dataclass(frozen=True, slots=True)
class Window:
    attempts: int
    length: timedelta


Windows = tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one thing that may be tried."""

    name: str
    refusal: str
    per_subject: Windows = ()
    per_ip_prefix: Windows = ()
    overall: Windows = ()
    counts_loopback: bool = True
    """Not where it would only keep whoever runs this machine from working."""


SIGN_IN = Limits(
    name="sign in",
    refusal="Too many attempts to sign in: wait a little, then try again.",
    per_subject=(Window(5, MINUTE), Window(20, HOUR)),
    per_ip_prefix=(Window(30, MINUTE),),
    overall=(Window(300, MINUTE),),
)
CHANGE_PASSWORD = Limits(
    name="change password",
    refusal="Too many attempts to change the password: wait a little, then try again.",
    per_subject=(Window(5, MINUTE), Window(20, HOUR)),
)
REQUEST_RESET = Limits(
    name="request reset",
    refusal="Too many requests for a new password: look for the mail, or wait a little and try again.",
    per_subject=(Window(2, MINUTE), Window(5, HOUR)),
    per_ip_prefix=(Window(30, HOUR),),
)
USE_LINK = Limits(
    name="use link",
    refusal="Too many attempts from where you are: wait a little, then follow the link again.",
    per_ip_prefix=(Window(30, MINUTE),),
)
"""Of a mail: an invitation accepted, a password reset."""
INVITE = Limits(
    name="invite",
    refusal="Too many invitations within an hour: wait a little, then go on.",
    per_subject=(Window(100, HOUR),),
)
INVITED = Limits(
    name="invited",
    refusal="This address was invited several times within an hour: wait a little, then invite it again.",
    per_subject=(Window(5, HOUR),),
)
"""By whichever workspaces: nobody's mailbox is filled."""


def sign_up_limits(per_hour: int) -> Limits:
    return Limits(
        name="sign up",
        refusal="Too many people signed up from where you are: wait a little, then try again.",
        per_ip_prefix=(Window(per_hour, HOUR),),
        counts_loopback=False,
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """What one attempt counts against, and which of that it is judged by."""

    windows: dict[bytes, Windows] = field(default_factory=dict)
    judges: set[bytes] = field(default_factory=set)
    overall: bytes | None = None
    is_at_home: bool = False

    @classmethod
    def of(cls, limits: Limits, caller: Caller, *, subject: str = "", is_at_home: bool = False) -> "Tally":
        """`is_at_home`: the subject has had a session where the caller is."""
        place = caller.ip_prefix
        is_at_home = is_at_home and bool(place)
        tally = cls(overall=_key(limits, "all") if limits.overall else None, is_at_home=is_at_home)
        if subject:
            tally._count(subject_key(limits, subject), limits.per_subject, is_judge=not is_at_home)
            if place:
                tally._count(subject_key(limits, subject, place), limits.per_subject, is_judge=is_at_home)
        if place and (limits.counts_loopback or place not in LOOPBACK):
            tally._count(_key(limits, "ip", place), limits.per_ip_prefix, is_judge=True)
        if tally.overall:
            tally._count(tally.overall, limits.overall, is_judge=False)
        return tally

    def _count(self, key: bytes, windows: Windows, *, is_judge: bool) -> None:
        if windows:
            self.windows[key] = windows
            if is_judge:
                self.judges.add(key)

    def next_allowed(self, attempts: Mapping[bytes, Sequence[datetime]], now: datetime) -> datetime | None:
        """When it may be tried; None: now."""
        is_slow = (
            self.overall is not None
            and not self.is_at_home
            and next_allowed(attempts[self.overall], self.windows[self.overall], now) is not None
        )
        waits = [
            next_allowed(attempts[key], slowed(self.windows[key]) if is_slow else self.windows[key], now)
            for key in self.judges
        ]
        return max((wait for wait in waits if wait), default=None)

    def counted(
        self, attempts: Mapping[bytes, Sequence[datetime]], now: datetime
    ) -> dict[bytes, list[datetime]]:
        """The attempts of each key with this one; not more of them than its windows ask about."""
        return {
            key: [*attempts[key], now][-max(window.attempts for window in windows) :]
            for key, windows in self.windows.items()
        }


def next_allowed(attempts: Sequence[datetime], windows: Windows, now: datetime) -> datetime | None:
    """When the next attempt is allowed; None: now."""
    waits = []
    for window in windows:
        within = sorted(at for at in attempts if at > now - window.length)
        if len(within) >= window.attempts:
            waits.append(within[-window.attempts] + window.length)
    return max(waits, default=None)


def slowed(windows: Windows) -> Windows:
    return tuple(Window(max(1, window.attempts // SLOWED_TO), window.length) for window in windows)


def subject_key(limits: Limits, subject: str, place: str = "") -> bytes:
    """One for an account, however its address is typed; also for what is no address."""
    with suppress(Invalid):
        subject = clean_email(subject)
    return _key(limits, "subject", subject, place)


def _key(limits: Limits, *parts: str) -> bytes:
    """Neither addresses nor IP prefixes are stored."""
    return hashlib.sha256(json.dumps([limits.name, *parts]).encode()).digest()
