"""Conversations and what is in them. Messages are written as rows, behind the API: what a test of the inbox reads needs
no provider; how they really come about is tested where they are sent and received."""

import secrets
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from app.common.work import Doors
from app.conversations.domain.events import MessageCreated
from app.conversations.domain.search import search_text
from app.conversations.infrastructure.search import LEXEMES
from tests.factories.accounts import Person

CREATE_LEAD = """mutation ($input: CreateLeadInput!) {
  createLead(input: $input) { lead { id } errors { code message path } } }"""

ACCOUNT = text(
    "INSERT INTO channel_account (workspace_id, channel, name, address, inbound_token) "
    "VALUES (:workspace_id, 'EMAIL', :name, :address, :token) RETURNING id"
)
CONVERSATION = text(
    "INSERT INTO conversation (workspace_id, lead_id, account_id, channel, contact_address, subject) "
    "VALUES (:workspace_id, :lead_id, :account_id, 'EMAIL', :address, :subject) RETURNING id"
)
MESSAGE = text(
    f"""
    WITH bumped AS (
        UPDATE conversation SET message_count = message_count + 1,
            inbound_count = inbound_count + :inbound,
            activity_at = greatest(activity_at, clock_timestamp()), last_message_at = clock_timestamp(),
            last_message_id = :id,
            status = CASE WHEN :inbound = 1 THEN 'OPEN' ELSE status END
        WHERE workspace_id = :workspace_id AND id = :conversation_id
        RETURNING id, account_id, lead_id, message_count, inbound_count
    )
    INSERT INTO message (workspace_id, id, conversation_id, position, account_id, direction, author_kind, author_id,
        subject, body, status, inbound_count, sent_at, lexemes)
    SELECT :workspace_id, :id, id, message_count, account_id, :direction, :author_kind, :author_id, :subject, :body,
        :status, inbound_count, now(), {LEXEMES}
    FROM bumped
    RETURNING position, (SELECT lead_id FROM bumped) AS lead_id
    """
)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A conversation with whom it is and over which account."""

    id: UUID
    lead_id: UUID
    account_id: UUID
    address: str


async def make_lead(person: Person, *, name: str = "Bia", **fields: object) -> UUID:
    """Through the API; with an e-mail address unless told otherwise (`email=None`)."""
    given = {"name": name, "email": f"{secrets.token_hex(6)}@example.com"} | fields
    answer = (await person.run(CREATE_LEAD, {"input": given}))["createLead"]
    assert answer["errors"] == [], answer
    return UUID(answer["lead"]["id"])


async def open_account(person: Person, doors: Doors, *, address: str | None = None) -> UUID:
    """A connected e-mail account, in the local mailbox."""
    async with doors.open_work(person.workspace_id) as work:
        row = await work.execute(
            ACCOUNT,
            {
                "workspace_id": person.workspace_id,
                "name": "Sales",
                "address": address or f"sales-{secrets.token_hex(6)}@example.com",
                "token": secrets.token_hex(16),
            },
        )
        id: UUID = row.scalar_one()
    return id


async def open_conversation(
    person: Person,
    doors: Doors,
    *,
    lead_id: UUID | None = None,
    account_id: UUID | None = None,
    address: str | None = None,
    subject: str | None = None,
) -> Opened:
    """An empty one, with a new lead over a new account unless given."""
    address = address or f"{secrets.token_hex(6)}@example.com"
    lead_id = lead_id or await make_lead(person, email=address)
    account_id = account_id or await open_account(person, doors)
    async with doors.open_work(person.workspace_id) as work:
        row = await work.execute(
            CONVERSATION,
            {
                "workspace_id": person.workspace_id,
                "lead_id": lead_id,
                "account_id": account_id,
                "address": address,
                "subject": subject,
            },
        )
        id: UUID = row.scalar_one()
    return Opened(id=id, lead_id=lead_id, account_id=account_id, address=address)


async def inbound(
    person: Person, doors: Doors, conversation_id: UUID, *, body: str = "Olá!", subject: str | None = None
) -> UUID:
    """A message of the lead's; its id."""
    return await _add(person, doors, conversation_id, is_inbound=True, body=body, subject=subject)


async def outbound(
    person: Person, doors: Doors, conversation_id: UUID, *, body: str = "Bom dia!", subject: str | None = None
) -> UUID:
    """A message of the person's that was sent; its id."""
    return await _add(person, doors, conversation_id, is_inbound=False, body=body, subject=subject)


async def _add(
    person: Person, doors: Doors, conversation_id: UUID, *, is_inbound: bool, body: str, subject: str | None
) -> UUID:
    id = UUID(bytes=secrets.token_bytes(16), version=4)
    values = {
        "workspace_id": person.workspace_id,
        "id": id,
        "conversation_id": conversation_id,
        "inbound": int(is_inbound),
        "direction": "INBOUND" if is_inbound else "OUTBOUND",
        "author_kind": "CONTACT" if is_inbound else "HUMAN",
        "author_id": None if is_inbound else person.user_id,
        "subject": subject,
        "body": body,
        "search_text": search_text(body=body, subject=subject),
        "status": "RECEIVED" if is_inbound else "SENT",
    }
    async with doors.open_work(person.workspace_id) as work:
        row = (await work.execute(MESSAGE, values)).one()
        after = {
            "direction": values["direction"],
            "conversationId": str(conversation_id),
            "leadId": str(row.lead_id),
            "position": row.position,
            "authorKind": values["author_kind"],
            "status": values["status"],
        }
        work.announce(MessageCreated(entity_ids=[id], after=after))
    return id


async def change(person: Person, doors: Doors, conversation_id: UUID, **columns: object) -> None:
    """Sets columns of a conversation behind the API."""
    settings = ", ".join(f"{name} = :{name}" for name in columns)
    statement = f"UPDATE conversation SET {settings} WHERE workspace_id = :of AND id = :id"
    async with doors.open_work(person.workspace_id) as work:
        changed = await work.execute(
            text(statement), {"of": person.workspace_id, "id": conversation_id, **columns}
        )
        assert changed.rowcount == 1
