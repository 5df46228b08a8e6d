"""The door to channels: their accounts, the senders, and what comes in.

What reads, writes and carries mails is imported where it is first used: the API starts without it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from secrets import token_urlsafe
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from app.accounts.domain.audit import Author
from app.accounts.domain.user import clean_email
from app.accounts.wiring import record_audit
from app.channels.application.accounts import AccountUseCases
from app.channels.application.limits import LimitUseCases
from app.channels.domain.account import ChannelAccountStatus, MailboxStart, Side
from app.channels.domain.feedback import FEEDBACK, Feedback, FeedbackAccount, FeedbackProvider
from app.channels.domain.inbound import EMAIL, IMAP, INBOUND, digest_id, is_token
from app.channels.domain.mail import Mail
from app.channels.infrastructure.erasing import empty_mail, erase_mails
from app.channels.infrastructure.inbound import (
    accept_feedback,
    accept_mail,
    account_by_token,
    feedback_account,
    local_accounts,
)
from app.channels.infrastructure.limits import LimitsRepository, list_sending_domains, sent_today
from app.channels.infrastructure.reads import (
    accounts_by_id,
    imap_server,
    list_accounts,
    secret_box,
    sending_account,
)
from app.channels.infrastructure.repository import AccountRepository, renew_secrets, report_account
from app.channels.infrastructure.senders import Senders, senders
from app.channels.infrastructure.tables import imap_mailboxes, inbound_events
from app.common.domain import Actor, Invalid
from app.common.egress import Egress
from app.common.jobs import create_bells
from app.common.mail_servers import MailServer
from app.common.work import Doors, Work
from app.settings import Settings

if TYPE_CHECKING:
    from ssl import SSLContext

    from app.channels.infrastructure.following import MailboxFollower
    from app.channels.infrastructure.sns import SnsVerifier


def account_use_cases(work: Work, settings: Settings, actor: Actor) -> AccountUseCases:
    repository = AccountRepository(work, secret_box(settings))
    record = partial(record_audit, work)
    return AccountUseCases(
        actor.workspace_id, Author.of(actor), repository, work, record, lambda: token_urlsafe(32)
    )


def limit_use_cases(work: Work, actor: Actor) -> LimitUseCases:
    return LimitUseCases(
        actor.workspace_id, Author.of(actor), LimitsRepository(work), work, partial(record_audit, work)
    )


async def seal_anew(doors: Doors, settings: Settings, *, limit: int) -> None:
    """Every stored login under the first of the keys, some in each transaction. Repeated, it changes nothing."""
    rows, last = limit, UUID(int=0)
    while rows == limit:
        async with doors.open_system() as system:
            rows, last = await renew_secrets(system, secret_box(settings), limit=limit, after=last)


async def find_account_by_token(doors: Doors, token: str) -> tuple[UUID, UUID] | None:
    """Workspace and account whose inbound token it is, if that account is connected. Raises Unavailable."""
    if not is_token(token):
        return None
    async with doors.open_system() as system:
        return await account_by_token(system, token)


async def take_mail(doors: Doors, workspace_id: UUID, account_id: UUID, raw: bytes) -> None:
    """Stored and committed when it returns; the same bytes again change nothing. Raises Unavailable."""
    async with doors.open_work(workspace_id) as work:
        await accept_mail(
            work,
            workspace_id=workspace_id,
            account_id=account_id,
            provider=EMAIL,
            external_id=digest_id(raw),
            raw=raw,
        )


async def find_feedback_account(
    doors: Doors, token: str, provider: FeedbackProvider
) -> FeedbackAccount | None:
    """The account whose inbound token it is, if this provider is to tell of its mails. Raises Unavailable."""
    if not is_token(token):
        return None
    async with doors.open_system() as system:
        return await feedback_account(system, token, provider)


async def take_feedback(doors: Doors, account: FeedbackAccount, told: Mapping[str, bytes]) -> None:
    """Stored and committed when it returns; what came before changes nothing. Raises Unavailable."""
    if told:
        async with doors.open_work(account.workspace_id) as work:
            await accept_feedback(work, account, told)


def sns_verifier(settings: Settings) -> "SnsVerifier":
    """One a process."""
    from app.channels.infrastructure.sns import SnsVerifier

    return SnsVerifier(Egress.of(settings))


def verified_by_sendgrid(
    account: FeedbackAccount, headers: Mapping[str, str], raw: bytes
) -> Mapping[str, bytes]:
    """Each event of the batch by its id. Raises Forged, Stale."""
    from app.channels.infrastructure import sendgrid

    return sendgrid.verified(account, headers, raw)


def read_feedback(provider: str, raw: bytes) -> Feedback | None:
    """What a stored event says of a mail of ours; None: nothing. Never raises."""
    from app.channels.infrastructure import feedback

    return feedback.read_feedback(provider, raw)


async def confirm_subscription(
    settings: Settings, raw: bytes, *, egress: Egress | None = None, context: "SSLContext | None" = None
) -> bool:
    """Of a stored notification of SNS; False: it asks for none. Raises CannotFetch."""
    from app.channels.infrastructure import sns

    return await sns.confirm_subscription(raw, egress or Egress.of(settings), context=context)


async def take_local_mail(doors: Doors, addresses: Sequence[str], raw: bytes) -> set[str]:
    """Takes a mail in for those of the addresses that are connected accounts' own in the local mailbox, and returns
    them as they were given. Raises Unavailable.
    """
    given: dict[str, list[str]] = {}
    for address in addresses:
        with suppress(Invalid):  # what cannot be connected is nobody's
            given.setdefault(clean_email(address), []).append(address)
    async with doors.open_system() as system:
        accounts = await local_accounts(system, given)
    for account in accounts.values():
        await take_mail(doors, *account, raw)
    return {one for address in accounts for one in given[address]}


async def try_servers(
    settings: Settings, *, smtp: MailServer | None, imap: MailServer | None
) -> MailboxStart | None:
    """Both at once; where reading the mailbox begins. Raises Invalid or Refusals that say what to do."""
    from app.channels.infrastructure import trying

    return await trying.try_servers(settings, smtp=smtp, imap=imap)


def read_mail(raw: bytes) -> Mail:
    """Never raises: of a mail that cannot be read, the raw bytes are its attachment."""
    from app.channels.infrastructure import mime

    return mime.read_mail(raw)


def mailbox_follower(settings: Settings) -> "MailboxFollower":
    """One a worker process."""
    from app.channels.infrastructure import following

    return following.mailbox_follower(settings)


async def serve_local_mailbox(settings: Settings) -> None:
    """The SMTP server of the local mailbox, in this process, until a signal."""
    from app.embedded import mailbox
    from app.embedded.maildir import Maildir

    port = urlsplit(settings.mailbox_smtp_url or "").port
    if not port:
        raise SystemExit("SALESPAD_MAILBOX_SMTP_URL is not set: give it smtp://127.0.0.1:2525, say.")
    bells = create_bells(settings)
    doors = Doors(settings, bells)
    await bells.start()
    try:
        await mailbox.serve(
            mailbox.listen(port),
            lambda addresses, raw: take_local_mail(doors, addresses, raw),
            Maildir(settings.home / "mailbox"),
            max_bytes=settings.inbound_mail_max_bytes,
        )
    finally:
        await bells.stop()
        await doors.close()


__all__ = [
    "FEEDBACK",
    "IMAP",
    "INBOUND",
    "ChannelAccountStatus",
    "Senders",
    "Side",
    "accept_mail",
    "account_use_cases",
    "accounts_by_id",
    "confirm_subscription",
    "empty_mail",
    "erase_mails",
    "find_account_by_token",
    "find_feedback_account",
    "imap_mailboxes",
    "imap_server",
    "inbound_events",
    "limit_use_cases",
    "list_accounts",
    "list_sending_domains",
    "mailbox_follower",
    "read_feedback",
    "read_mail",
    "report_account",
    "seal_anew",
    "senders",
    "sending_account",
    "sent_today",
    "serve_local_mailbox",
    "sns_verifier",
    "take_feedback",
    "take_local_mail",
    "take_mail",
    "try_servers",
    "verified_by_sendgrid",
]
