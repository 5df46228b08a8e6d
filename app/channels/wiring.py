"""The door to channels: their accounts, the senders, and what comes in."""

from uuid import UUID

from app.channels.domain.inbound import EMAIL, IMAP, INBOUND, digest_id, is_token
from app.channels.infrastructure.inbound import accept_mail, account_by_token
from app.channels.infrastructure.tables import imap_mailboxes, inbound_events
from app.common.work import Doors


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


__all__ = [
    "IMAP",
    "INBOUND",
    "accept_mail",
    "find_account_by_token",
    "imap_mailboxes",
    "inbound_events",
    "take_mail",
]
