"""sendMessage: what it accepts, what it refuses, and what arrives at the provider."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.common.domain import Role
from app.common.work import Doors, Work
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import inbound, open_conversation
from tests.factories.files import PDF, uploaded
from tests.factories.sending import Outlet, accepted, codes, messages, send, until_status
from tests.fixtures.processes import eventually
from tests.fixtures.tenants import in_process

LEAD = """query ($id: ID!) { lead(id: $id) { engagement } }"""


async def test_a_message_is_accepted_at_once_and_arrives(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    message = await accepted(outlet.person, opened.id, body="Olá, Bia!\n\nTudo bem?", subject="Proposta ção")
    assert (message["status"], message["direction"], message["authorKind"]) == ("QUEUED", "OUTBOUND", "HUMAN")
    assert message["author"] == {"id": str(outlet.person.user_id)}
    assert message["conversation"] == {"id": str(opened.id), "status": "OPEN"}
    sent = await until_status(outlet.person, message, "SENT")
    assert sent["sentAt"] is not None
    assert sent["error"] is None
    (mail,) = await outlet.mails(opened)
    assert mail["Subject"] == "Proposta ção"
    assert mail["To"].addresses[0].addr_spec == opened.address
    assert mail["From"].addresses[0].domain == "ours.example"
    assert mail["Message-ID"].endswith("@ours.example>")
    assert mail.get_body(("plain",)).get_content().split() == ["Olá,", "Bia!", "Tudo", "bem?"]
    lead = await outlet.person.run(LEAD, {"id": str(opened.lead_id)})
    assert lead["lead"]["engagement"] == "CONTACTED"


async def test_the_answer_is_queued_however_soon_the_message_leaves(
    outlet: Outlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, open_work = await outlet.conversation(), Doors.open_work

    @asynccontextmanager
    async def left_by_the_commit(*given: Any, **options: Any) -> AsyncIterator[Work]:
        async with open_work(*given, **options) as work:
            yield work
        await eventually(lambda: outlet.arrived(opened), what="the mail")

    async with in_process(outlet.settings) as server:
        monkeypatch.setattr(Doors, "open_work", left_by_the_commit)
        message = await accepted(replace(outlet.person, http=server.http), opened.id)
    assert message["status"] == "QUEUED"


async def test_a_reply_answers_what_came_and_the_next_one_the_reply(outlet: Outlet) -> None:
    opened = await outlet.conversation(subject="Preço")
    came = await inbound(outlet.person, outlet.doors, opened.id, body="Quanto?")
    await outlet.sql(
        "UPDATE message SET rfc_message_id = '<c@theirs>', thread_ids = '{<b@ours>,<a@theirs>}' "
        "WHERE workspace_id = :workspace_id AND id = :id RETURNING id",
        id=came,
    )
    first = await accepted(outlet.person, opened.id, subject=None)
    assert first["subject"] == "Re: Preço"
    (mail,) = await outlet.mails(opened)
    assert mail["In-Reply-To"] == "<c@theirs>"
    assert mail["References"].split() == ["<a@theirs>", "<b@ours>", "<c@theirs>"]
    await until_status(outlet.person, first, "SENT")
    second = await accepted(outlet.person, opened.id, subject=None)
    assert second["subject"] == "Re: Preço", "one Re: is enough"
    _, later = await outlet.mails(opened, 2)
    assert later["In-Reply-To"] == mail["Message-ID"]
    assert later["References"].split() == ["<a@theirs>", "<b@ours>", "<c@theirs>", mail["Message-ID"]]


async def test_a_subject_cannot_smuggle_a_header(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    await accepted(outlet.person, opened.id, subject="Hi\r\nBcc: eve@example.com\u2028X-Evil: 1")
    (mail,) = await outlet.mails(opened)
    assert mail["Subject"] == "Hi Bcc: eve@example.com X-Evil: 1"
    assert mail["Bcc"] is None
    assert mail["X-Evil"] is None


async def test_the_first_message_needs_a_subject_and_every_one_a_body(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    assert codes(await send(outlet.person, opened.id, subject=None)) == [("INVALID", ["subject"])]
    assert codes(await send(outlet.person, opened.id, subject="x" * 201)) == [("INVALID", ["subject"])]
    for body in ("", " \n", None, "x" * 100_001, "a\x00b"):
        assert codes(await send(outlet.person, opened.id, body=body)) == [("INVALID", ["body"])], body
    both = await send(outlet.person, opened.id, body="", subject="x" * 201)
    assert codes(both) == [("INVALID", ["body"]), ("INVALID", ["subject"])]
    assert await messages(outlet.person, opened.id) == {}
    message = await accepted(outlet.person, opened.id, body="x" * 100_000, subject="x" * 200)
    await until_status(outlet.person, message, "SENT")


async def test_attachments_arrive_once_and_foreign_ones_never(outlet: Outlet, eve: Person) -> None:
    opened = await outlet.conversation()
    token = (await uploaded(outlet.person, PDF, media_type="application/pdf", name="offer.pdf"))[
        "uploadToken"
    ]
    theirs = (await uploaded(eve, b"secret"))["uploadToken"]
    for tokens in ([token, theirs], [token, "nonsense"]):
        refused = await send(outlet.person, opened.id, attachmentTokens=tokens)
        assert codes(refused) == [("NOT_FOUND", ["attachmentTokens", "1"])]
    many = await send(outlet.person, opened.id, attachmentTokens=[token] * 21)
    assert codes(many) == [("INVALID", ["attachmentTokens"])]
    await accepted(outlet.person, opened.id, attachmentTokens=[token])
    (mail,) = await outlet.mails(opened)
    (file,) = mail.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("offer.pdf", PDF)
    again = await send(outlet.person, opened.id, attachmentTokens=[token])
    assert [error["path"] for error in again["errors"]] == [["attachmentTokens", "0"]]


async def test_files_of_more_than_25_mb_are_too_much(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    tokens = [(await uploaded(outlet.person, b"x" * 13_000_000))["uploadToken"] for _ in range(2)]
    refused = await send(outlet.person, opened.id, attachmentTokens=tokens)
    assert codes(refused) == [("INVALID", ["attachmentTokens"])]
    message = await accepted(outlet.person, opened.id, attachmentTokens=tokens[:1])
    await until_status(outlet.person, message, "SENT")


async def test_a_scheduled_message_waits_for_its_time(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    message = await accepted(outlet.person, opened.id, notBefore=soon)
    assert message["status"] == "SCHEDULED"
    later = await accepted(outlet.person, opened.id, notBefore="2020-01-01T00:00:00Z", body="now")
    assert (later["status"], later["notBefore"]) == ("QUEUED", None)
    await until_status(outlet.person, later, "SENT")
    assert (await messages(outlet.person, opened.id))[message["id"]]["status"] == "SCHEDULED"
    assert len(outlet.arrived(opened)) == 1, "one that waits for its time holds up nobody, and is not sent"
    far = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    assert codes(await send(outlet.person, opened.id, notBefore=far)) == [("INVALID", ["notBefore"])]
    await outlet.sql(
        "UPDATE delivery SET run_at = now() WHERE workspace_id = :workspace_id AND message_id = :id",
        id=message["id"],
    )
    await until_status(outlet.person, message, "SENT")


async def test_unknown_and_foreign_conversations_are_not_found(outlet: Outlet, eve: Person) -> None:
    theirs = await open_conversation(eve, outlet.doors)
    own = await outlet.conversation()
    for id in (theirs.id, theirs.lead_id, own.lead_id, outlet.account_id, "nonsense", ""):
        assert codes(await send(outlet.person, id)) == [("NOT_FOUND", ["conversationId"])], id
    assert await messages(eve, theirs.id) == {}


async def test_what_stands_in_the_way_is_said(outlet: Outlet) -> None:
    cut, stopped, gone = [await outlet.conversation() for _ in range(3)]
    await outlet.sql(
        "INSERT INTO suppression (workspace_id, value, channel, reason) "
        "VALUES (:workspace_id, :value, 'EMAIL', 'MANUAL')",
        value=stopped.address,
    )
    assert codes(await send(outlet.person, stopped.id)) == [("CONFLICT", ["conversationId"])]
    await outlet.sql(
        "UPDATE lead SET deleted_at = now() WHERE workspace_id = :workspace_id AND id = :id", id=gone.lead_id
    )
    assert codes(await send(outlet.person, gone.id)) == [("NOT_FOUND", ["conversationId"])]
    await outlet.sql(
        "UPDATE channel_account SET status = 'DISCONNECTED' WHERE workspace_id = :workspace_id AND id = :id",
        id=outlet.account_id,
    )
    assert codes(await send(outlet.person, cut.id)) == [("CONFLICT", ["conversationId"])]


async def test_a_viewer_may_not_send(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    viewer = await add_member(outlet.doors, outlet.person, role=Role.VIEWER)
    assert codes(await send(viewer, opened.id)) == [("FORBIDDEN", [])]


async def test_f11_one_key_20_times_at_once_is_one_message(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    answers = await asyncio.gather(
        *(send(outlet.person, opened.id, idempotencyKey="once") for _ in range(20))
    )
    assert [answer["errors"] for answer in answers] == [[]] * 20
    assert len({answer["message"]["id"] for answer in answers}) == 1
    await until_status(outlet.person, answers[0]["message"], "SENT")
    refused = await asyncio.gather(
        *(send(outlet.person, opened.id, idempotencyKey="once", body="other") for _ in range(5))
    )
    assert [codes(answer) for answer in refused] == [[("CONFLICT", ["idempotencyKey"])]] * 5
    assert len(await messages(outlet.person, opened.id)) == 1
    assert len(outlet.arrived(opened)) == 1
    print("F11: sendMessage 20 times at once with one key: 1 message, 1 mail; with another body: CONFLICT")


async def test_what_was_written_first_leaves_first(outlet: Outlet) -> None:
    opened = await outlet.conversation()
    sent = [await accepted(outlet.person, opened.id, body=f"number {n}") for n in range(12)]
    for message in sent:
        await until_status(outlet.person, message, "SENT")
    mails = await outlet.mails(opened, 12)
    bodies = [mail.get_body(("plain",)).get_content().strip() for mail in mails]
    assert bodies == [f"number {n}" for n in range(12)]
