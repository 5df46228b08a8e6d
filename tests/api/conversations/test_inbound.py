"""A mail comes in: whose it becomes, what it opens, what it brings."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.common.work import Doors
from app.embedded.doctor.database import ask_database
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.inbound import letter, new_message_id, post_mail, receive, rows, sent_message, worked_on
from tests.factories.mail import Mailbox, add_mailbox
from tests.fixtures.processes import Worker, eventually

pytestmark = pytest.mark.usefixtures("worker")

CONVERSATION = """
query ($id: ID!) { conversation(id: $id) { status unreadCount snoozedUntil lastMessageAt
  lead { id name email source engagement }
  lastMessage { direction authorKind status subject body quotedText htmlBody createdAt sentAt } } }
"""
LEADS = "{ leads { edges { node { id name email engagement } } } }"
BIA = "Bia Souza <bia@example.org>"


@pytest.fixture
async def mailbox(ana: Person, doors: Doors, worker: Worker) -> Mailbox:
    return await add_mailbox(doors, ana)


async def only(doors: Doors, person: Person, table: str) -> Any:
    (row,) = await rows(doors, person.workspace_id, table)
    return row


async def shown(person: Person, id: object) -> dict[str, Any]:
    return (await person.run(CONVERSATION, {"id": str(id)}))["conversation"]  # type: ignore[no-any-return]


async def kinds(doors: Doors, person: Person) -> list[str]:
    async with doors.open_system() as system:
        found = await system.execute(
            text("SELECT kind FROM feed_event WHERE workspace_id = :id ORDER BY seq"),
            {"id": person.workspace_id},
        )
        return [row.kind for row in found]


async def change(doors: Doors, sql: str, **values: object) -> None:
    """Behind the API: states that other operations make."""
    async with doors.open_system() as system:
        await system.execute(text(sql), values)


async def test_a_strangers_mail_is_a_lead_a_conversation_and_a_message(
    ana: Person, doors: Doors, mailbox: Mailbox
) -> None:
    sent_at = "Mon, 16 Nov 2026 10:00:00 +0000"
    (event,) = await receive(
        ana, doors, mailbox, letter(mailbox.address, message_id="<one@example.org>", Date=sent_at)
    )
    assert (event.status, event.error, event.attempt) == ("done", None, 1)
    found = await only(doors, ana, "conversation")
    conversation = await shown(ana, found.id)
    assert (conversation["status"], conversation["unreadCount"]) == ("OPEN", 1)
    lead = conversation["lead"]
    assert (lead["name"], lead["email"]) == ("Bia Souza", "bia@example.org")
    assert (lead["source"], lead["engagement"]) == ("EMAIL", "REPLIED")
    message = conversation["lastMessage"]
    assert (message["direction"], message["authorKind"], message["status"]) == (
        "INBOUND",
        "CONTACT",
        "RECEIVED",
    )
    assert (message["subject"], message["body"]) == ("Olá", "Quero saber mais.")
    assert message["sentAt"].startswith("2026-11-16T10:00:00")
    assert conversation["lastMessageAt"] == message["createdAt"]
    assert (found.message_count, found.inbound_count, found.subject) == (1, 1, "Olá")
    assert found.waiting_since == found.last_inbound_at == found.activity_at
    assert await kinds(doors, ana) == [
        "lead.created",
        "conversation.updated",
        "message.created",
        "lead.updated",
    ]


async def test_a_known_leads_mail_is_theirs(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    created = await ana.run(
        'mutation { createLead(input: {name: "Beatriz", email: "bia@example.org"}) { lead { id } } }'
    )
    await receive(ana, doors, mailbox, letter(mailbox.address))
    found = await only(doors, ana, "conversation")
    assert str(found.lead_id) == created["createLead"]["lead"]["id"]
    assert (await shown(ana, found.id))["lead"]["name"] == "Beatriz"


async def test_more_mails_of_one_person_are_one_conversation(
    ana: Person, doors: Doors, mailbox: Mailbox
) -> None:
    mails = [letter(mailbox.address, subject=f"Oferta {n}", body=f"Mail {n}") for n in range(3)]
    await receive(ana, doors, mailbox, *mails)
    found = await only(doors, ana, "conversation")
    assert (found.message_count, found.inbound_count, found.subject) == (3, 3, "Oferta 2")
    messages = await rows(doors, ana.workspace_id, "message")
    assert [(one.position, one.inbound_count, one.body) for one in messages] == [
        (n + 1, n + 1, f"Mail {n}") for n in range(3)
    ]
    assert found.waiting_since == messages[0].created_at, "the first that nobody has answered"
    assert found.last_message_id == messages[2].id
    assert (await shown(ana, found.id))["lead"]["engagement"] == "ENGAGED"


async def test_a_place_that_is_taken_makes_no_mail_a_duplicate(
    ana: Person, doors: Doors, mailbox: Mailbox
) -> None:
    """A count that went wrong, by whatever bug: the mail is tried again, and comes in once that is mended."""
    await receive(ana, doors, mailbox, letter(mailbox.address))
    talk = await only(doors, ana, "conversation")
    await change(doors, "UPDATE conversation SET message_count = 0 WHERE id = :id", id=talk.id)
    await post_mail(ana.http, mailbox, letter(mailbox.address, body="The second"))

    async def failed_once() -> bool:
        events = await rows(doors, ana.workspace_id, "inbound_event")
        return events[1].status == "done" or (events[1].attempt >= 1 and events[1].error is not None)

    await eventually(failed_once, what="a first try")
    await change(doors, "UPDATE conversation SET message_count = 1 WHERE id = :id", id=talk.id)
    await worked_on(doors, ana.workspace_id)
    messages = await rows(doors, ana.workspace_id, "message")
    assert [(one.position, one.body) for one in messages][1:] == [(2, "The second")]


async def test_many_mails_of_one_stranger_at_once_are_one_lead_and_one_conversation(
    ana: Person, doors: Doors, mailbox: Mailbox
) -> None:
    mails = [letter(mailbox.address, body=f"Mail {n}") for n in range(12)]
    await asyncio.gather(*(post_mail(ana.http, mailbox, raw) for raw in mails))
    await worked_on(doors, ana.workspace_id)
    found = await only(doors, ana, "conversation")
    assert (found.message_count, found.inbound_count) == (12, 12)
    messages = await rows(doors, ana.workspace_id, "message")
    assert sorted(one.position for one in messages) == list(range(1, 13))
    assert len((await ana.run(LEADS))["leads"]["edges"]) == 1
    assert (await kinds(doors, ana)).count("message.created") == 12


async def test_a_colleague_who_answers_in_our_thread_stays_in_it(
    ana: Person, doors: Doors, mailbox: Mailbox
) -> None:
    await receive(ana, doors, mailbox, letter(mailbox.address))
    talk = await only(doors, ana, "conversation")
    _, ours = await sent_message(doors, ana.workspace_id, str(talk.id))
    answer = letter(
        mailbox.address,
        sender="Caio Lima <caio@example.org>",
        body="I take this over.",
        html="<p>I take this over.</p>",
        In_Reply_To=new_message_id(),
        References=f"{ours} {new_message_id()}",
    )
    await receive(ana, doors, mailbox, answer)
    found = await only(doors, ana, "conversation")
    assert (found.id, found.message_count, found.contact_address) == (talk.id, 3, "bia@example.org")
    message = (await shown(ana, talk.id))["lastMessage"]
    assert message["body"] == "From: Caio Lima <caio@example.org>\n\nI take this over."
    assert message["htmlBody"] is None
    assert len((await ana.run(LEADS))["leads"]["edges"]) == 1


async def test_a_thread_that_is_not_ours_gives_no_place_in_it(
    ana: Person, doors: Doors, mailbox: Mailbox
) -> None:
    """Message-IDs that leads gave may be known to anybody they wrote to."""
    theirs = new_message_id()
    await receive(ana, doors, mailbox, letter(mailbox.address, message_id=theirs))
    await receive(
        ana,
        doors,
        mailbox,
        letter(mailbox.address, sender="mallory@example.net", In_Reply_To=theirs, References=theirs),
    )
    found = await rows(doors, ana.workspace_id, "conversation")
    assert [one.contact_address for one in found] == ["bia@example.org", "mallory@example.net"]
    assert [one.message_count for one in found] == [1, 1]


@pytest.mark.parametrize(("before", "after"), [("CLOSED", "OPEN"), ("SNOOZED", "OPEN"), ("OPEN", "OPEN")])
async def test_a_reply_opens(ana: Person, doors: Doors, mailbox: Mailbox, before: str, after: str) -> None:
    await receive(ana, doors, mailbox, letter(mailbox.address))
    talk = await only(doors, ana, "conversation")
    await change(
        doors,
        "UPDATE conversation SET status = :status, is_dormant = :status = 'CLOSED', waiting_since = NULL, "
        "snoozed_until = CASE WHEN :status = 'SNOOZED' THEN now() + interval '1 day' END WHERE id = :id",
        status=before,
        id=talk.id,
    )
    await receive(ana, doors, mailbox, letter(mailbox.address))
    found = await only(doors, ana, "conversation")
    assert (found.status, found.snoozed_until, found.is_dormant) == (after, None, False)
    assert found.waiting_since == found.last_inbound_at
    assert (await kinds(doors, ana)).count("conversation.updated") == 1 + (before != after)


@pytest.mark.parametrize("status", ["CLOSED", "SNOOZED", "OPEN"])
async def test_an_auto_reply_is_shown_and_is_no_reply(
    ana: Person, doors: Doors, mailbox: Mailbox, status: str
) -> None:
    await receive(ana, doors, mailbox, letter(mailbox.address))
    talk = await only(doors, ana, "conversation")
    await change(
        doors,
        "UPDATE conversation SET status = :status, waiting_since = NULL, "
        "snoozed_until = CASE WHEN :status = 'SNOOZED' THEN now() + interval '1 day' END WHERE id = :id",
        status=status,
        id=talk.id,
    )
    before = await only(doors, ana, "conversation")
    away = letter(
        mailbox.address, subject="Out of office", body="Back on Monday.", Auto_Submitted="auto-replied"
    )
    await receive(ana, doors, mailbox, away)
    found = await only(doors, ana, "conversation")
    assert (found.status, found.snoozed_until) == (status, before.snoozed_until)
    assert (found.waiting_since, found.last_inbound_at) == (None, before.last_inbound_at)
    assert (found.message_count, found.inbound_count) == (2, 1)
    assert found.activity_at > before.activity_at
    conversation = await shown(ana, talk.id)
    assert conversation["lastMessage"]["body"] == "Back on Monday."
    assert conversation["unreadCount"] == 1
    assert conversation["lead"]["engagement"] == "REPLIED"


async def test_a_strangers_auto_reply_waits_for_nobody(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    await receive(ana, doors, mailbox, letter(mailbox.address, Auto_Submitted="auto-generated"))
    found = await only(doors, ana, "conversation")
    assert (found.status, found.is_dormant, found.waiting_since, found.inbound_count) == (
        "CLOSED",
        False,
        None,
        0,
    )
    assert (await shown(ana, found.id))["lead"]["engagement"] == "NEW"


async def test_our_own_mail_come_back_is_left(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    await receive(ana, doors, mailbox, letter(mailbox.address))
    talk = await only(doors, ana, "conversation")
    _, ours = await sent_message(doors, ana.workspace_id, str(talk.id))
    own = letter(mailbox.address, sender=f"Vendas <{mailbox.address.upper()}>")
    copy = letter(
        mailbox.address, sender="list@example.net", message_id=ours, files=[("a.txt", "text/plain", b"a")]
    )
    events = await receive(ana, doors, mailbox, own, copy)
    assert [(one.status, one.error) for one in events[1:]] == [("done", "OWN")] * 2
    assert (await only(doors, ana, "conversation")).message_count == 2
    assert await rows(doors, ana.workspace_id, "file") == []


async def test_a_forged_message_id_hides_nothing(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    same = new_message_id()
    first = letter(mailbox.address, message_id=same, body="The offer stands.")
    other = letter(mailbox.address, message_id=same, body="The offer is off.")
    await receive(ana, doors, mailbox, first, other, first)
    messages = await rows(doors, ana.workspace_id, "message")
    assert [one.body for one in messages] == ["The offer stands.", "The offer is off."]


async def test_a_mail_of_nobody_is_kept(
    ana: Person, doors: Doors, mailbox: Mailbox, settings: Settings
) -> None:
    (event,) = await receive(ana, doors, mailbox, b"Subject: Hello\r\n\r\nWho am I?\r\n")
    assert (event.status, event.error) == ("failed", "NO_SENDER")
    kept = await only(doors, ana, "inbound_event")
    assert kept.raw == b"Subject: Hello\r\n\r\nWho am I?\r\n"
    assert await rows(doors, ana.workspace_id, "conversation") == []
    assert (await ana.run(LEADS))["leads"]["edges"] == []
    assert settings.database_url
    (told,) = [one for one in await ask_database(settings.database_url) if one.subject == "mail in"]
    assert "could not be taken into the inbox" in told.text
    assert not told.fix


@pytest.mark.parametrize(
    "raw",
    [
        b"From: bia@example.org\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nno end",
        b"From: bia@example.org\r\nContent-Type: text/plain; charset=klingon\r\n\r\n\xff\xfe\x00broken",
        b"From: bia@example.org\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!not base64!!!",
        b"From: =?utf-8?q?B=00?= <bia@example.org>\r\nSubject: =?utf-8?b?/////w==?=\r\nDate: yesterday\r\n\r\n\x00",
    ],
)
async def test_broken_mails_come_in_as_far_as_they_can_be_read(
    ana: Person, doors: Doors, mailbox: Mailbox, raw: bytes
) -> None:
    (event,) = await receive(ana, doors, mailbox, raw)
    assert (event.status, event.error) == ("done", None)
    found = await only(doors, ana, "conversation")
    assert found.contact_address == "bia@example.org"
    assert (await shown(ana, found.id))["lastMessage"]["status"] == "RECEIVED"


async def test_a_deleted_leads_conversation_goes_over_to_the_new_one(
    ana: Person, doors: Doors, mailbox: Mailbox
) -> None:
    """While a lead is deleted its identities are free (words.md): whoever writes is a lead anew, with what was said."""
    await receive(ana, doors, mailbox, letter(mailbox.address))
    talk = await only(doors, ana, "conversation")
    await change(doors, "UPDATE lead SET deleted_at = now() WHERE id = :id", id=talk.lead_id)
    await change(doors, "DELETE FROM lead_identity WHERE lead_id = :id", id=talk.lead_id)
    _, ours = await sent_message(doors, ana.workspace_id, str(talk.id))
    await receive(ana, doors, mailbox, letter(mailbox.address, References=ours, body="Still there?"))
    found = await only(doors, ana, "conversation")
    assert (found.id, found.message_count) == (talk.id, 3)
    assert found.lead_id != talk.lead_id
    (lead,) = (await ana.run(LEADS))["leads"]["edges"]
    assert lead["node"]["id"] == str(found.lead_id)
    assert lead["node"]["engagement"] == "REPLIED", "a new person, who has written once"
    assert (await kinds(doors, ana)).count("lead.created") == 2


async def test_a_colleague_in_a_deleted_leads_thread_begins_anew(
    ana: Person, doors: Doors, mailbox: Mailbox
) -> None:
    await receive(ana, doors, mailbox, letter(mailbox.address))
    talk = await only(doors, ana, "conversation")
    _, ours = await sent_message(doors, ana.workspace_id, str(talk.id))
    await change(doors, "UPDATE lead SET deleted_at = now() WHERE id = :id", id=talk.lead_id)
    await receive(ana, doors, mailbox, letter(mailbox.address, sender="caio@example.org", In_Reply_To=ours))
    found = await rows(doors, ana.workspace_id, "conversation")
    assert [one.contact_address for one in found] == ["bia@example.org", "caio@example.org"]


async def test_what_was_taken_in_before_a_disconnect_is_worked_on(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    mailbox = await add_mailbox(doors, ana)
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(
            text(
                "INSERT INTO inbound_event (workspace_id, provider, account_id, external_id, raw, status, run_at) "
                "VALUES (:workspace_id, 'email', :account_id, 'x', :raw, 'queued', now() + interval '1 hour')"
            ),
            {
                "workspace_id": ana.workspace_id,
                "account_id": mailbox.id,
                "raw": letter(mailbox.address),
            },
        )
    await change(doors, "UPDATE channel_account SET status = 'DISCONNECTED' WHERE id = :id", id=mailbox.id)
    await change(doors, "UPDATE inbound_event SET run_at = now() WHERE account_id = :id", id=mailbox.id)
    (event,) = await worked_on(doors, ana.workspace_id)
    assert event.status == "done"
    assert (await only(doors, ana, "conversation")).message_count == 1


async def test_two_tenants_with_one_correspondent_do_not_meet(
    ana: Person, eve: Person, doors: Doors, mailbox: Mailbox
) -> None:
    hers = await add_mailbox(doors, eve)
    await receive(ana, doors, mailbox, letter(mailbox.address, body="To Ana"))
    talk = await only(doors, ana, "conversation")
    _, ours = await sent_message(doors, ana.workspace_id, str(talk.id))
    await receive(eve, doors, hers, letter(hers.address, body="To Eve", References=ours))
    for person, body in ((ana, "To Ana"), (eve, "To Eve")):
        found = await only(doors, person, "conversation")
        messages = await rows(doors, person.workspace_id, "message")
        assert [one.body for one in messages if one.direction == "INBOUND"] == [body]
        assert len((await person.run(LEADS))["leads"]["edges"]) == 1
        other = eve if person is ana else ana
        assert await shown(other, found.id) is None


async def test_another_accounts_conversation_is_another(
    ana: Person, doors: Doors, mailbox: Mailbox, http: httpx.AsyncClient
) -> None:
    second = await add_mailbox(doors, ana)
    await receive(ana, doors, mailbox, letter(mailbox.address))
    await receive(ana, doors, second, letter(second.address))
    found = await rows(doors, ana.workspace_id, "conversation")
    assert {one.account_id for one in found} == {mailbox.id, second.id}
    assert len({one.lead_id for one in found}) == 1
