"""What screens and senders read of channel accounts."""

from collections.abc import Sequence
from functools import lru_cache
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, Uuid, any_, bindparam, cast, select

from app.channels.domain.account import ChannelAccountStatus
from app.channels.domain.ports import SendingAccount
from app.channels.infrastructure.tables import channel_account
from app.common.crypto import BadSecret, SecretBox
from app.common.database import Statement
from app.common.mail_servers import MailServer, Protocol, mail_server
from app.common.work import Reads
from app.settings import Settings

c = channel_account.c
SHOWN = (
    cast(c.id, Text).label("id"),
    c.channel,
    c.name,
    c.address,
    c.status,
    c.status_reason,
    c.daily_limit,
    c.rate_per_minute,
    c.burst,
    c.feedback_provider,
    c.inbound_token,
)
"""What `ChannelAccount.of` of presentation reads."""

LIST = Statement(select(*SHOWN).where(c.workspace_id == bindparam("workspace_id")).order_by(c.name, c.id))
BY_ID = Statement(
    select(*SHOWN).where(
        c.workspace_id == bindparam("workspace_id"), c.id == any_(bindparam("ids", type_=ARRAY(Uuid)))
    )
)
SECRETS = Statement(
    select(c.name, c.address, c.status, c.smtp_secret, c.imap_secret).where(
        c.workspace_id == bindparam("workspace_id"), c.id == bindparam("account_id")
    )
)

SMTP, IMAP = "smtp", "imap"
"""Kinds of secrets: each opens only as what it was sealed as."""


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> SecretBox:
    return SecretBox(keys)


def secret_box(settings: Settings) -> SecretBox:
    return _box(settings.credential_keys)


async def list_accounts(reads: Reads, workspace_id: UUID) -> list[asyncpg.Record]:
    """All of them, by name, the disconnected ones too: at most `MAX_ACCOUNTS`."""
    return await reads.fetch(LIST, workspace_id=workspace_id)


async def accounts_by_id(reads: Reads, workspace_id: UUID, ids: Sequence[UUID]) -> dict[str, asyncpg.Record]:
    return {row["id"]: row for row in await reads.fetch(BY_ID, workspace_id=workspace_id, ids=list(ids))}


async def sending_account(
    reads: Reads, settings: Settings, workspace_id: UUID, account_id: UUID
) -> SendingAccount | None:
    """With its login, decrypted; None for an unknown or disconnected one."""
    row = await _live(reads, workspace_id, account_id)
    if row is None:
        return None
    is_local = row["smtp_secret"] is None
    return SendingAccount(
        workspace_id=workspace_id,
        id=account_id,
        name=row["name"],
        address=row["address"],
        url=(settings.mailbox_smtp_url or "") if is_local else _opened(settings, workspace_id, row),
        is_local=is_local,
    )


async def imap_server(
    reads: Reads, settings: Settings, workspace_id: UUID, account_id: UUID
) -> MailServer | None:
    """Of an account whose mailbox is read; None for any other, and where no key opens the login."""
    row = await _live(reads, workspace_id, account_id)
    url = _opened(settings, workspace_id, row, IMAP) if row is not None and row["imap_secret"] else ""
    return mail_server(Protocol.IMAP, url) if url else None


async def _live(reads: Reads, workspace_id: UUID, account_id: UUID) -> asyncpg.Record | None:
    row = await reads.fetch_one(SECRETS, workspace_id=workspace_id, account_id=account_id)
    return None if row is None or row["status"] == ChannelAccountStatus.DISCONNECTED else row


def _opened(settings: Settings, workspace_id: UUID, row: asyncpg.Record, kind: str = SMTP) -> str:
    """Empty where no key opens it."""
    try:
        return secret_box(settings).open(workspace_id, kind, row[f"{kind}_secret"])
    except BadSecret:
        return ""
