"""Mails that somebody writes to a mailbox of ours, and what has become of them."""

import secrets
from collections.abc import Sequence
from email.message import EmailMessage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.mime.text import MIMEText
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.mail import Mailbox
from tests.fixtures.processes import eventually

OPEN = text(
    "SELECT id FROM inbound_event WHERE workspace_id = :workspace_id AND status IN ('queued', 'claimed') LIMIT 1"
)
EVENTS = text(
    "SELECT status, error, attempt FROM inbound_event WHERE workspace_id = :workspace_id ORDER BY created_at, id"
)
OUTBOUND = text(
    """
    WITH talk AS (
        UPDATE conversation SET message_count = message_count + 1, last_outbound_at = now(), waiting_since = NULL
        WHERE workspace_id = :workspace_id AND id = :conversation_id
        RETURNING id, account_id, message_count
    )
    INSERT INTO message (workspace_id, conversation_id, position, account_id, direction, author_kind, body, status,
        rfc_message_id)
    SELECT :workspace_id, id, message_count, account_id, 'OUTBOUND', 'HUMAN', 'An answer.', :status, :message_id
    FROM talk RETURNING id
    """
)


def new_message_id(domain: str = "example.org") -> str:
    return f"<{secrets.token_hex(8)}@{domain}>"


def letter(
    to: str,
    *,
    sender: str = "Bia Souza <bia@example.org>",
    subject: str | None = "Olá",
    body: str = "Quero saber mais.",
    html: str | None = None,
    message_id: str | None = None,
    files: Sequence[tuple[str, str, bytes]] = (),
    **headers: str,
) -> bytes:
    """A mail; `files` are (name, media type, bytes), further headers with _ for -."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = to
    if subject is not None:
        mail["Subject"] = subject
    mail["Message-ID"] = message_id or new_message_id()
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(body)
    if html is not None:
        mail.add_alternative(html, subtype="html")
    for name, media_type, content in files:
        main, _, sub = media_type.partition("/")
        mail.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return mail.as_bytes()


def report(
    to: str,
    *,
    message_id: str,
    recipient: str = "bia@example.org",
    status: str = "5.1.1",
    action: str = "failed",
) -> bytes:
    """What a mail server says of a mail it could not deliver (RFC 3464)."""
    mail = MIMEMultipart("report", **{"report-type": "delivery-status"})
    mail["From"] = "Mail Delivery System <mailer-daemon@mx.example.org>"
    mail["To"] = to
    mail["Subject"] = "Undelivered Mail Returned to Sender"
    mail["Message-ID"] = new_message_id("mx.example.org")
    mail["Auto-Submitted"] = "auto-replied"
    mail.attach(MIMEText("I could not deliver it."))
    fields = EmailMessage()
    fields["Reporting-MTA"] = "dns; mx.example.org"
    per_recipient = EmailMessage()
    per_recipient["Final-Recipient"] = f"rfc822; {recipient}"
    per_recipient["Action"] = action
    per_recipient["Status"] = status
    notice = MIMENonMultipart("message", "delivery-status")
    notice.set_payload([fields, per_recipient])
    mail.attach(notice)
    returned = EmailMessage()
    returned["From"], returned["To"], returned["Message-ID"] = to, recipient, message_id
    returned["Subject"] = "Our offer"
    returned.set_content("An answer.")
    mail.attach(MIMEMessage(returned))
    return mail.as_bytes()


async def post_mail(http: httpx.AsyncClient, mailbox: Mailbox, raw: bytes) -> None:
    answer = await http.post(
        f"/webhooks/email/{mailbox.token}", content=raw, headers={"Content-Type": "message/rfc822"}
    )
    assert answer.status_code == 200, answer.text


async def worked_on(doors: Doors, workspace_id: UUID, *, timeout_s: float = 30) -> list[Any]:
    """What became of all that came in for a workspace, once nothing is left to do, the oldest first."""

    async def nothing_left() -> bool:
        async with doors.open_system() as system:
            return (await system.execute(OPEN, {"workspace_id": workspace_id})).first() is None

    await eventually(nothing_left, timeout_s=timeout_s, what="the end of all that came in")
    async with doors.open_system() as system:
        return list(await system.execute(EVENTS, {"workspace_id": workspace_id}))


async def receive(person: Person, doors: Doors, mailbox: Mailbox, *raws: bytes) -> list[Any]:
    """Posts mails one after the other, each worked on before the next; what became of them."""
    events: list[Any] = []
    for raw in raws:
        await post_mail(person.http, mailbox, raw)
        events = await worked_on(doors, person.workspace_id)
    return events


async def sent_message(
    doors: Doors, workspace_id: UUID, conversation_id: str, *, status: str = "SENT"
) -> tuple[UUID, str]:
    """A message of ours in a conversation, as sending leaves it; its id and its Message-ID."""
    message_id = new_message_id("ours.example.com")
    async with doors.open_system() as system:
        made = await system.execute(
            OUTBOUND,
            {
                "workspace_id": workspace_id,
                "conversation_id": conversation_id,
                "status": status,
                "message_id": message_id,
            },
        )
        return made.scalar_one(), message_id


async def rows(doors: Doors, workspace_id: UUID, table: str, columns: str = "*") -> list[Any]:
    """Of one workspace's table, in the order of their ids."""
    async with doors.open_system() as system:
        found = await system.execute(
            text(f"SELECT {columns} FROM {table} WHERE workspace_id = :workspace_id ORDER BY id"),
            {"workspace_id": workspace_id},
        )
        return list(found)
