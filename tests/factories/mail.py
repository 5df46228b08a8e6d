"""Mails as they arrive, and accounts that take them in."""

import secrets
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.channels.infrastructure.reads import secret_box
from app.common.work import Doors
from app.settings import Settings
from tests.factories.accounts import Person

ADD_ACCOUNT = text(
    """
    INSERT INTO channel_account (workspace_id, channel, name, address, status, smtp_secret, inbound_token)
    VALUES (:workspace_id, 'EMAIL', 'Vendas', :address, :status, :smtp_secret, :token) RETURNING id
    """
)
STORED = text(
    "SELECT id, provider, account_id, external_id, raw, status FROM inbound_event "
    "WHERE workspace_id = :workspace_id ORDER BY created_at, id"
)


@dataclass(frozen=True)
class Mailbox:
    """An account of the local mailbox."""

    workspace_id: UUID
    id: UUID
    address: str
    token: str


async def add_mailbox(
    doors: Doors, person: Person, *, status: str = "CONNECTED", smtp_secret: bytes | None = None
) -> Mailbox:
    """Written behind the API: what takes mail in is tried without what connects accounts."""
    address, token = f"vendas-{secrets.token_hex(5)}@example.com", secrets.token_urlsafe(24)
    values = {"workspace_id": person.workspace_id, "address": address, "status": status, "token": token}
    async with doors.open_system() as system:
        added = await system.execute(ADD_ACCOUNT, values | {"smtp_secret": smtp_secret})
        return Mailbox(person.workspace_id, added.scalar_one(), address, token)


async def stored_mails(doors: Doors, workspace_id: UUID) -> list[Any]:
    """What came in for a workspace, the oldest first."""
    async with doors.open_system() as system:
        return list(await system.execute(STORED, {"workspace_id": workspace_id}))


def new_mail(
    to: str = "vendas@example.com", *, subject: str = "Olá", body: str = "Quero saber mais."
) -> bytes:
    mail = EmailMessage()
    mail["From"] = "Bia Souza <bia@example.org>"
    mail["To"] = to
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{secrets.token_hex(8)}@example.org>"
    mail.set_content(body)
    return mail.as_bytes(policy=SMTP)


FOLLOW = text(
    """
    WITH account AS (
        UPDATE channel_account SET imap_secret = :secret, smtp_secret = :secret
        WHERE workspace_id = :workspace_id AND id = :id RETURNING workspace_id, id
    )
    INSERT INTO imap_mailbox (workspace_id, id, status, uid_validity, uid)
    SELECT workspace_id, id, 'queued', :uid_validity, :uid FROM account
    ON CONFLICT (workspace_id, id) DO UPDATE SET status = 'queued', run_at = now(), attempt = 0, token = NULL
    """
)


async def follow_imap(
    doors: Doors, settings: Settings, mailbox: Mailbox, url: str, place: tuple[int | None, int]
) -> None:
    """As connecting does: reading begins after `place` (UIDVALIDITY and UID). Again: with another URL."""
    secret = secret_box(settings).seal(mailbox.workspace_id, "imap", url)
    values = {"workspace_id": mailbox.workspace_id, "id": mailbox.id, "secret": secret}
    async with doors.open_system() as system:
        await system.execute(FOLLOW, values | {"uid_validity": place[0], "uid": place[1]})
