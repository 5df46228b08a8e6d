"""A person as they stand in every module: imported, tagged, noted on, written to, answering with a file."""

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from tests.factories.accounts import Person
from tests.factories.files import uploaded
from tests.factories.imports import imported, profile
from tests.factories.inbound import letter, post_mail, worked_on
from tests.factories.mail import Mailbox
from tests.factories.sending import Outlet, accepted, until_status

TAG = "mutation ($input: CreateTagInput!) { createTag(input: $input) { tag { id } errors { code } } }"
CREATE = """mutation ($input: CreateLeadInput!) {
  createLead(input: $input) { lead { id } errors { code message path } } }"""
NOTE = (
    "mutation ($input: AddNoteInput!) { addNote(input: $input) { interaction { id } errors { code path } } }"
)


@dataclass(frozen=True)
class Known:
    """Whoever it is, by words that stand nowhere else."""

    word: str
    """In their name, addresses, handle, company and all that is said: what a scan looks for."""
    phone: str

    @classmethod
    def somebody(cls) -> "Known":
        return cls("q" + secrets.token_hex(6), f"+55119{secrets.randbelow(90_000_000) + 10_000_000}")

    @cached_property
    def name(self) -> str:
        return f"Zuleika {self.word.capitalize()}"

    @cached_property
    def email(self) -> str:
        return f"{self.word}@{self.word}.example"

    @cached_property
    def handle(self) -> str:
        return f"{self.word}.zu"

    @property
    def traces(self) -> tuple[str, ...]:
        return self.word, self.phone.lstrip("+")


async def created(person: Person, known: Known, **fields: Any) -> UUID:
    """Through createLead, with all that is known of them, and a tag."""
    tag = await person.run(TAG, {"input": {"name": f"Feira {secrets.token_hex(3)}"}})
    given = {
        "name": known.name,
        "email": known.email,
        "phone": known.phone,
        "instagram": known.handle,
        "company": f"{known.word} Ltda.",
        "title": f"Diretora {known.word}",
        "metadata": {"origin": known.word},
        "tagIds": [tag["createTag"]["tag"]["id"]],
        **fields,
    }
    answer = (await person.run(CREATE, {"input": given}))["createLead"]
    assert answer["errors"] == [], answer
    return UUID(answer["lead"]["id"])


async def noted(person: Person, known: Known, lead_id: UUID) -> None:
    answer = await person.run(NOTE, {"input": {"leadId": str(lead_id), "body": f"Ligar para {known.word}."}})
    assert answer["addNote"]["errors"] == []


async def talked(outlet: Outlet, known: Known) -> UUID:
    """They write with a file, and are answered with one; the conversation's id."""
    person = outlet.person
    file = f"the file of {known.word}".encode() * 50
    raw = letter(
        "sales@ours.example",
        sender=f"{known.name} <{known.email}>",
        subject=f"Pergunta de {known.word}",
        body=f"Sou {known.word}.",
        html=f"<p>Sou {known.word}.</p>",
        files=[(f"{known.word}.txt", "text/plain", file)],
    )
    await post_mail(person.http, await mailbox(outlet), raw)
    await worked_on(outlet.doors, person.workspace_id)
    conversation_id = await outlet.sql(
        "SELECT id FROM conversation WHERE workspace_id = :workspace_id AND contact_address = :address",
        address=known.email,
    )
    token = (await uploaded(person, file, name=f"proposta-{known.word}.txt"))["uploadToken"]
    sent = await accepted(
        person,
        conversation_id,
        subject=f"Para {known.word}",
        body=f"Bom dia, {known.word}!",
        attachmentTokens=[token],
    )
    await until_status(person, sent, "SENT")
    return UUID(str(conversation_id))


async def everywhere(outlet: Outlet, known: Known) -> UUID:
    """The lead's id, once it has rows in every module."""
    person = outlet.person
    lead_id = await created(person, known)
    await noted(person, known, lead_id)
    rows = [profile(known.handle, email=known.email, company=f"{known.word} S.A.")]
    state = await imported(person, rows, pageUrl=f"https://www.instagram.com/{known.handle}/")
    assert state["counts"] == {"UPDATED": 1}, state
    await talked(outlet, known)
    return lead_id


async def mailbox(outlet: Outlet) -> Mailbox:
    """Through which mails come in for the outlet's account."""
    of_account = "FROM channel_account WHERE workspace_id = :workspace_id AND id = :id"
    token = await outlet.sql(f"SELECT inbound_token {of_account}", id=outlet.account_id)
    address = await outlet.sql(f"SELECT address {of_account}", id=outlet.account_id)
    return Mailbox(outlet.person.workspace_id, outlet.account_id, address, token)
