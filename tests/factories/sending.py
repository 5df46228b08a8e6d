"""Messages on their way out: an account that sends through a test's SMTP server, and the mutations that send."""

import email.policy
import secrets
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.channels.infrastructure.reads import secret_box
from app.common.work import Doors
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.conversations import Opened, open_conversation
from tests.fixtures.processes import eventually
from tests.fixtures.smtp import Caught, ScriptedSmtp

MESSAGE_FIELDS = """id status error subject body notBefore sentAt direction authorKind
  author { id } conversation { id status }"""
SEND = f"""mutation ($input: SendMessageInput!) {{
  sendMessage(input: $input) {{ message {{ {MESSAGE_FIELDS} }} errors {{ code message path }} }} }}"""
CANCEL = f"""mutation ($input: MessageIdInput!) {{
  cancelMessage(input: $input) {{ message {{ {MESSAGE_FIELDS} }} errors {{ code message path }} }} }}"""
RESEND = f"""mutation ($input: MessageIdInput!) {{
  resendMessage(input: $input) {{ message {{ {MESSAGE_FIELDS} }} errors {{ code message path }} }} }}"""
LIST = f"""query ($id: ID!) {{ conversation(id: $id) {{
  messages(last: 50) {{ edges {{ node {{ {MESSAGE_FIELDS} }} }} }} }} }}"""

ACCOUNT = text(
    "INSERT INTO channel_account (workspace_id, channel, name, address, inbound_token, smtp_secret) "
    "VALUES (:workspace_id, 'EMAIL', 'Sales', :address, :token, :smtp_secret) RETURNING id"
)


async def smtp_account(person: Person, doors: Doors, settings: Settings, url: str) -> UUID:
    """A connected account whose mails leave through this server. Written behind the API, which would try it first."""
    async with doors.open_work(person.workspace_id) as work:
        row = await work.execute(
            ACCOUNT,
            {
                "workspace_id": person.workspace_id,
                "address": f"sales-{secrets.token_hex(6)}@ours.example",
                "token": secrets.token_hex(16),
                "smtp_secret": secret_box(settings).seal(person.workspace_id, "smtp", url),
            },
        )
        id: UUID = row.scalar_one()
    return id


async def send(person: Person, conversation_id: object, **fields: Any) -> dict[str, Any]:
    """The payload of sendMessage."""
    given = {
        "conversationId": str(conversation_id),
        "body": "Hello",
        "subject": "Offer",
        "idempotencyKey": secrets.token_hex(8),
        **fields,
    }
    return (await person.run(SEND, {"input": given}))["sendMessage"]  # type: ignore[no-any-return]


async def accepted(person: Person, conversation_id: object, **fields: Any) -> dict[str, Any]:
    """The message of a sendMessage that must not be refused."""
    answer = await send(person, conversation_id, **fields)
    assert answer["errors"] == [], answer
    message: dict[str, Any] = answer["message"]
    return message


async def cancel(person: Person, message_id: str) -> dict[str, Any]:
    return (await person.run(CANCEL, {"input": {"id": message_id}}))["cancelMessage"]  # type: ignore[no-any-return]


async def resend(person: Person, message_id: str) -> dict[str, Any]:
    return (await person.run(RESEND, {"input": {"id": message_id}}))["resendMessage"]  # type: ignore[no-any-return]


async def messages(person: Person, conversation_id: object) -> dict[str, dict[str, Any]]:
    """A conversation's, by id."""
    answer = await person.run(LIST, {"id": str(conversation_id)})
    return {edge["node"]["id"]: edge["node"] for edge in answer["conversation"]["messages"]["edges"]}


async def until_status(
    person: Person, message: dict[str, Any], *statuses: str, timeout_s: float = 20
) -> dict[str, Any]:
    """The message once it shows one of these."""
    conversation_id = message["conversation"]["id"]

    async def found() -> dict[str, Any] | None:
        now = (await messages(person, conversation_id))[message["id"]]
        return now if now["status"] in statuses else None

    return await eventually(found, timeout_s=timeout_s, what=" or ".join(statuses))  # type: ignore[return-value]


def parsed(caught: Caught) -> EmailMessage:
    message = BytesParser(policy=email.policy.default).parsebytes(caught.content)
    assert isinstance(message, EmailMessage)
    return message


def codes(answer: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in answer["errors"]]


@dataclass(frozen=True)
class Outlet:
    """Conversations of Ana's whose mails a test can read."""

    person: Person
    doors: Doors
    settings: Settings
    smtp: ScriptedSmtp
    account_id: Any

    async def conversation(self, **fields: Any) -> Opened:
        return await open_conversation(self.person, self.doors, account_id=self.account_id, **fields)

    def arrived(self, opened: Opened) -> list[Caught]:
        return [mail for mail in self.smtp.mails if mail.rcpt_tos == [opened.address]]

    async def mails(self, opened: Opened, count: int = 1) -> list[Any]:
        await eventually(lambda: len(self.arrived(opened)) >= count, what=f"{count} mails")
        return [parsed(mail) for mail in self.arrived(opened)]

    async def sql(self, statement: str, **values: object) -> Any:
        async with self.doors.open_work(self.person.workspace_id) as work:
            found = await work.execute(text(statement), {"workspace_id": self.person.workspace_id, **values})
            return found.scalar() if found.returns_rows else None
