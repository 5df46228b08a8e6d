"""What a mail brings beside its words (files, HTML), and what mail servers say of mails of ours."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.common.domain import Channel
from app.common.work import Doors
from app.files.wiring import file_store, file_url
from app.leads.wiring import is_suppressed
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.inbound import letter, receive, report, rows, sent_message
from tests.factories.mail import Mailbox, add_mailbox
from tests.fixtures.processes import Worker

HOSTILE = """<p onclick="x()">Hello <b>you</b></p><script>alert(1)</script>
<a href="javascript:alert(2)">here</a><img src=x onerror="alert(3)"><svg onload="alert(4)"></svg>
<iframe src="https://example.org"></iframe><form action="https://example.org"><input name="password"></form>
<meta http-equiv="refresh" content="0;url=https://example.org"><base href="https://example.org">
<style>body { background: url(https://example.org/pixel) }</style>"""
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000a49444154789c6360000002000154a24f"
    "5d0000000049454e44ae426082"
)
DELIVERY = text(
    "INSERT INTO delivery (workspace_id, account_id, lead_id, origin_kind, origin_id, message_id, conversation_id, "
    "position, status, error) SELECT m.workspace_id, m.account_id, c.lead_id, 'message', m.id, m.id, c.id, m.position, "
    "'unknown', 'NO_ANSWER' "
    "FROM message m JOIN conversation c ON c.workspace_id = m.workspace_id AND c.id = m.conversation_id "
    "WHERE m.id = :id"
)


@pytest.fixture
async def mailbox(ana: Person, doors: Doors, worker: Worker) -> Mailbox:
    return await add_mailbox(doors, ana)


async def written(doors: Doors, person: Person, mailbox: Mailbox, status: str = "SENT") -> tuple[UUID, str]:
    """A message of ours to bia@example.org, who has written first; its id and Message-ID."""
    await receive(person, doors, mailbox, letter(mailbox.address))
    (talk,) = await rows(doors, person.workspace_id, "conversation")
    return await sent_message(doors, person.workspace_id, str(talk.id), status=status)


async def message(doors: Doors, person: Person, id: UUID) -> Any:
    return next(one for one in await rows(doors, person.workspace_id, "message") if one.id == id)


async def told(doors: Doors, person: Person) -> list[Any]:
    async with doors.open_system() as system:
        return list(
            await system.execute(
                text(
                    "SELECT entity_ids, before::text, after::text FROM feed_event "
                    "WHERE workspace_id = :id AND kind = 'message.updated' ORDER BY seq"
                ),
                {"id": person.workspace_id},
            )
        )


async def suppressed(doors: Doors, person: Person, address: str = "bia@example.org") -> bool:
    async with doors.open_reads(person.workspace_id) as reads:
        return await is_suppressed(reads, person.workspace_id, address, Channel.EMAIL)


# ── bounces ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_hard_bounce_marks_its_message_and_suppresses_the_address(
    ana: Person, eve: Person, doors: Doors, mailbox: Mailbox
) -> None:
    id, message_id = await written(doors, ana, mailbox)
    again = report(mailbox.address, message_id=message_id)
    events = await receive(ana, doors, mailbox, report(mailbox.address, message_id=message_id), again)
    assert [(one.status, one.error) for one in events[1:]] == [("done", "BOUNCED"), ("done", "BOUNCE_NOTED")]
    bounced = await message(doors, ana, id)
    assert (bounced.status, bounced.error) == ("BOUNCED", "HARD_BOUNCE 5.1.1")
    (event,) = await told(doors, ana)
    assert (event.entity_ids, event.before) == ([id], '{"status": "SENT"}')
    assert f'"conversationId": "{bounced.conversation_id}"' in event.after
    assert await suppressed(doors, ana)
    assert not await suppressed(doors, eve)
    (why,) = await rows(doors, ana.workspace_id, "suppression")
    assert (why.reason, why.channel, why.created_by) == ("HARD_BOUNCE", "EMAIL", None)
    (talk,) = await rows(doors, ana.workspace_id, "conversation")
    assert talk.inbound_count == 1, "a report is no message"
    (lead,) = await rows(doors, ana.workspace_id, "lead")
    assert lead.engagement == "REPLIED"


async def test_a_soft_bounce_suppresses_nobody(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    id, message_id = await written(doors, ana, mailbox)
    await receive(ana, doors, mailbox, report(mailbox.address, message_id=message_id, status="4.4.7"))
    bounced = await message(doors, ana, id)
    assert (bounced.status, bounced.error) == ("BOUNCED", "SOFT_BOUNCE 4.4.7")
    assert not await suppressed(doors, ana)


async def test_a_delay_is_only_noted(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    id, message_id = await written(doors, ana, mailbox)
    late = report(mailbox.address, message_id=message_id, status="4.4.1", action="delayed")
    events = await receive(ana, doors, mailbox, late)
    assert (events[-1].status, events[-1].error) == ("done", "BOUNCE_NOTED")
    assert (await message(doors, ana, id)).status == "SENT"


async def test_a_bounce_of_nothing_of_ours_is_kept_and_makes_nobody_a_lead(
    ana: Person, eve: Person, doors: Doors, mailbox: Mailbox
) -> None:
    """Also one of another workspace's message: it is none of this one's."""
    hers = await add_mailbox(doors, eve)
    id, message_id = await written(doors, eve, hers)
    events = await receive(
        ana,
        doors,
        mailbox,
        report(mailbox.address, message_id="<unknown@example.com>"),
        report(mailbox.address, message_id=message_id),
    )
    assert [(one.status, one.error) for one in events] == [("done", "BOUNCE_OF_NOTHING")] * 2
    assert await rows(doors, ana.workspace_id, "lead") == []
    assert (await message(doors, eve, id)).status == "SENT"
    assert not await suppressed(doors, eve)


async def test_a_forged_bounce_suppresses_nobody_else(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    id, message_id = await written(doors, ana, mailbox)
    forged = report(mailbox.address, message_id=message_id, recipient="rival@example.com")
    await receive(ana, doors, mailbox, forged)
    assert (await message(doors, ana, id)).status == "BOUNCED"
    assert not await suppressed(doors, ana, "rival@example.com")
    assert not await suppressed(doors, ana)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SENDING", "BOUNCED"),
        ("DELIVERED", "BOUNCED"),
        ("READ", "READ"),
        ("FAILED", "FAILED"),
        ("CANCELED", "CANCELED"),
    ],
)
async def test_a_bounce_keeps_to_the_ranks(
    ana: Person, doors: Doors, mailbox: Mailbox, before: str, after: str
) -> None:
    id, message_id = await written(doors, ana, mailbox, before)
    await receive(ana, doors, mailbox, report(mailbox.address, message_id=message_id))
    assert (await message(doors, ana, id)).status == after
    assert len(await told(doors, ana)) == (before != after)
    assert await suppressed(doors, ana), "the address is gone, whatever the message shows"


async def test_what_bounces_did_go_out(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    """An unknown delivery is settled: it must not be offered to be sent again as if it had perhaps not left."""
    id, message_id = await written(doors, ana, mailbox, "UNKNOWN")
    async with doors.open_system() as system:
        await system.execute(DELIVERY, {"id": id})
    await receive(ana, doors, mailbox, report(mailbox.address, message_id=message_id))
    assert (await message(doors, ana, id)).status == "BOUNCED"
    (delivery,) = await rows(doors, ana.workspace_id, "delivery")
    assert (delivery.status, delivery.error) == ("sent", None)


# ── what a mail brings ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_attachments_come_in_and_open_by_their_link(
    ana: Person, doors: Doors, mailbox: Mailbox, settings: Settings, http: httpx.AsyncClient
) -> None:
    brought = [
        ("foto.png", "image/png", PNG),
        ("lies.png", "image/png", b"%PDF-1.7 no picture"),
        ("a.txt", "text/plain", b"a"),
    ]
    raw = letter(mailbox.address, files=brought)
    await receive(ana, doors, mailbox, raw)
    files = {one.id: one for one in await rows(doors, ana.workspace_id, "file")}
    attached = sorted(await rows(doors, ana.workspace_id, "attachment"), key=lambda one: one.position)
    assert [files[one.file_id].name for one in attached] == ["foto.png", "lies.png", "a.txt"]
    assert all(one.used_at and one.stored_at for one in files.values())
    for one, (_, _, content) in zip(attached, brought, strict=True):
        link = file_url(settings, ana.workspace_id, one.file_id)
        answer = await http.get(link.removeprefix(settings.base_url))
        assert (answer.status_code, answer.content) == (200, content)
    types = [files[one.file_id].media_type for one in attached]
    assert types[0] == "image/png"
    assert types[1] != "image/png", "what it is, not what it says"


async def test_the_same_mail_through_two_doors_is_one_message(
    ana: Person, doors: Doors, mailbox: Mailbox, settings: Settings
) -> None:
    """A forwarding rule beside IMAP: other external ids, the same mail."""
    raw = letter(mailbox.address, files=[("a.txt", "text/plain", b"a")])
    await receive(ana, doors, mailbox, raw)
    async with doors.open_system() as system:
        await system.execute(
            text(
                "INSERT INTO inbound_event (workspace_id, provider, account_id, external_id, raw, status) "
                "VALUES (:workspace_id, 'email', :account_id, 'imap:1:7', :raw, 'queued')"
            ),
            {"workspace_id": ana.workspace_id, "account_id": mailbox.id, "raw": raw},
        )
    events = await receive(ana, doors, mailbox, b"Received: from elsewhere\r\n" + raw)
    assert sorted((one.status, one.error) for one in events if one.error) == [("done", "DUPLICATE")] * 2
    (talk,) = await rows(doors, ana.workspace_id, "conversation")
    assert (talk.message_count, talk.inbound_count) == (1, 1)
    assert len(await rows(doors, ana.workspace_id, "file")) == 1
    stored = file_store(settings).path(ana.workspace_id, talk.id).parent
    assert len(list(stored.iterdir())) == 1


async def test_html_is_clean_before_it_is_stored(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    await receive(ana, doors, mailbox, letter(mailbox.address, html=HOSTILE))
    (stored,) = await rows(doors, ana.workspace_id, "message")
    assert "<b>you</b>" in stored.html_body
    for trace in (
        "script",
        "alert",
        "onclick",
        "onerror",
        "javascript:",
        "svg",
        "iframe",
        "form",
        "meta",
        "base",
        "style",
    ):
        assert trace not in stored.html_body.lower(), trace
    assert stored.body == "Quero saber mais."


async def test_quoted_text_is_folded_away(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    body = (
        "Yes, please.\n\nOn Mon, 16 Nov 2026 at 10:00, Vendas <v@example.com> wrote:\n> Shall I call you?\n"
    )
    await receive(ana, doors, mailbox, letter(mailbox.address, body=body))
    (stored,) = await rows(doors, ana.workspace_id, "message")
    assert stored.body == "Yes, please."
    assert "Shall I call you?" in stored.quoted_text


async def test_a_message_is_found_by_its_words(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    await receive(ana, doors, mailbox, letter(mailbox.address, body="Promoção de maçãs"))
    (stored,) = await rows(doors, ana.workspace_id, "message")
    assert "macas" in stored.lexemes
