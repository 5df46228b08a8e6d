"""Mails as they arrive, and accounts that take them in."""

import secrets
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.common.work import Doors
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
