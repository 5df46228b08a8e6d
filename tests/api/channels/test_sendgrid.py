"""POST /webhooks/sendgrid/{token}: what SendGrid signed is taken once, in any order; anything else is not."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.common.domain import Channel
from app.common.work import Doors
from app.leads.wiring import is_suppressed
from tests.factories.accounts import Person
from tests.factories.feedback import SendGrid, event, handed_over, listening, state_of
from tests.factories.inbound import letter, receive, rows, sent_message
from tests.factories.mail import Mailbox, stored_mails
from tests.factories.unsubscribing import opt_outs, told_on_timeline
from tests.fixtures.processes import Worker, eventually

SENDGRID = SendGrid()
BIA = "bia@example.org"


@pytest.fixture
async def mailbox(ana: Person, doors: Doors, worker: Worker) -> Mailbox:
    return await listening(doors, ana, "SENDGRID", SENDGRID.key)


async def written(
    doors: Doors, person: Person, mailbox: Mailbox, *, status: str = "SENT", **delivery: Any
) -> tuple[UUID, str]:
    """A message of ours to Bia that SendGrid has taken, or may have; its id and Message-ID."""
    await receive(person, doors, mailbox, letter(mailbox.address))
    (talk,) = await rows(doors, person.workspace_id, "conversation")
    id, message_id = await sent_message(doors, person.workspace_id, str(talk.id), status=status)
    await handed_over(doors, person, id, **{"status": status.lower(), **delivery})
    return id, message_id


async def settled(doors: Doors, person: Person) -> list[Any]:
    """What became of each event, the oldest first, once the worker is done with them."""

    async def errors() -> list[Any] | None:
        found = await rows(doors, person.workspace_id, "inbound_event")
        told = [row for row in found if row.provider == "sendgrid"]
        is_open = any(row.status != "done" and row.error != "FEEDBACK_OF_NOTHING" for row in told)
        return None if is_open else [row.error for row in told]

    await eventually(_is_not_none(errors), what="the worker")
    return await errors() or []


def _is_not_none(read: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[bool]]:
    async def is_there() -> bool:
        return await read() is not None

    return is_there


async def told(doors: Doors, person: Person, mailbox: Mailbox, *events: dict[str, Any]) -> list[Any]:
    assert (await SENDGRID.post(person.http, mailbox.token, list(events))).status_code == 200
    return await settled(doors, person)


async def suppressed(doors: Doors, person: Person) -> bool:
    async with doors.open_reads(person.workspace_id) as reads:
        return await is_suppressed(reads, person.workspace_id, BIA, Channel.EMAIL)


async def reasons(doors: Doors, person: Person) -> list[str]:
    return [row.reason for row in await opt_outs(doors, person)]


async def test_delivered(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    id, message_id = await written(doors, ana, mailbox)
    assert await told(doors, ana, mailbox, event("delivered", message_id)) == ["FEEDBACK_TAKEN"]
    assert await state_of(doors, ana, id) == ("sent", "DELIVERED", None, False, False)


HARD = {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 The account does not exist."}


async def test_a_hard_bounce(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    id, message_id = await written(doors, ana, mailbox)
    await told(doors, ana, mailbox, event("bounce", message_id, **HARD))
    assert await state_of(doors, ana, id) == ("sent", "BOUNCED", "HARD_BOUNCE 5.1.1", True, False)
    assert await reasons(doors, ana) == ["HARD_BOUNCE"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("deferred", {"response": "400 try again later", "attempt": "5"}),
        ("bounce", {"type": "blocked", "status": "5.7.1", "reason": "550 blocked"}),
        ("bounce", {"type": "bounce", "status": "4.4.7"}),
        ("bounce", {"type": "bounce", "status": "5.2.2", "bounce_classification": "Mailbox Unavailable"}),
        ("dropped", {"reason": "Spam Content"}),
    ],
    ids=["deferred", "blocked", "4xx", "full", "content"],
)
async def test_what_may_pass_is_noted(
    ana: Person, doors: Doors, mailbox: Mailbox, kind: str, fields: dict[str, str]
) -> None:
    id, message_id = await written(doors, ana, mailbox)
    assert await told(doors, ana, mailbox, event(kind, message_id, **fields)) == ["FEEDBACK_NOTED"]
    assert await state_of(doors, ana, id) == ("sent", "SENT", None, False, False)
    assert not await suppressed(doors, ana)


@pytest.mark.parametrize(
    ("kind", "fields", "reason", "flags"),
    [
        ("spamreport", {}, "COMPLAINT", (False, True)),
        ("unsubscribe", {}, "OPT_OUT", (False, False)),
        ("group_unsubscribe", {"asm_group_id": 7}, "OPT_OUT", (False, False)),
        ("dropped", {"reason": "Spam Reporting Address"}, "COMPLAINT", (False, True)),
        ("dropped", {"reason": "Unsubscribed Address"}, "OPT_OUT", (False, False)),
    ],
    ids=["spamreport", "unsubscribe", "group", "dropped-spam", "dropped-unsubscribed"],
)
async def test_who_wants_no_more(
    ana: Person,
    doors: Doors,
    mailbox: Mailbox,
    kind: str,
    fields: dict[str, Any],
    reason: str,
    flags: tuple[bool, bool],
) -> None:
    id, message_id = await written(doors, ana, mailbox)
    await told(doors, ana, mailbox, event(kind, message_id, **fields))
    assert await state_of(doors, ana, id) == ("sent", "SENT", None, *flags)
    assert await reasons(doors, ana) == [reason]
    (talk,) = await rows(doors, ana.workspace_id, "conversation")
    assert len(await told_on_timeline(ana, talk.lead_id)) == (reason == "OPT_OUT")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_in_any_order_and_doubled(
    ana: Person, doors: Doors, mailbox: Mailbox, order: tuple[int, ...]
) -> None:
    id, message_id = await written(doors, ana, mailbox)
    events = [
        event("delivered", message_id),
        event("bounce", message_id, **HARD),
        event("spamreport", message_id),
    ]
    for number in order:
        for _ in range(2):
            await told(doors, ana, mailbox, events[number])
    assert len(await settled(doors, ana)) == 3
    assert await state_of(doors, ana, id) == ("sent", "BOUNCED", "HARD_BOUNCE 5.1.1", True, True)
    (reason,) = await reasons(doors, ana)
    assert sorted(reason.split(", ")) == ["COMPLAINT", "HARD_BOUNCE"]


@pytest.mark.parametrize(
    ("kind", "fields", "shown"),
    [
        ("delivered", {}, "DELIVERED"),
        ("bounce", HARD, "BOUNCED"),
        ("deferred", {}, "SENT"),
        ("spamreport", {}, "SENT"),
    ],
    ids=["delivered", "bounce", "deferred", "spamreport"],
)
async def test_what_stood_in_doubt_did_go_out(
    ana: Person, doors: Doors, mailbox: Mailbox, kind: str, fields: dict[str, str], shown: str
) -> None:
    id, message_id = await written(doors, ana, mailbox, status="UNKNOWN")
    await told(doors, ana, mailbox, event(kind, message_id, **fields))
    assert (await state_of(doors, ana, id))[:2] == ("sent", shown)


async def test_found_by_the_providers_own_id(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    id, _ = await written(doors, ana, mailbox, provider_id="u8zoLQtqQmqDKWt2KVdEIg")
    sent = event(
        "delivered", "<other@geopod-ismtpd-1>", sg_message_id="u8zoLQtqQmqDKWt2KVdEIg.filterdrecv-p3-1.0"
    )
    await told(doors, ana, mailbox, sent)
    assert (await state_of(doors, ana, id))[1] == "DELIVERED"


async def test_of_an_unknown_message_nothing_is_done(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    id, _ = await written(doors, ana, mailbox)
    nothing = [event(kind, "<nobody@example.com>", **HARD) for kind in ("bounce", "spamreport", "delivered")]
    assert await told(doors, ana, mailbox, *nothing) == ["FEEDBACK_OF_NOTHING"] * 3
    assert await state_of(doors, ana, id) == ("sent", "SENT", None, False, False)
    assert not await suppressed(doors, ana)


async def test_another_accounts_message_is_unknown(
    ana: Person, eve: Person, doors: Doors, mailbox: Mailbox
) -> None:
    hers = await listening(doors, eve, "SENDGRID", SENDGRID.key)
    id, message_id = await written(doors, ana, mailbox)
    await told(doors, eve, hers, event("bounce", message_id, **HARD))
    assert (await state_of(doors, ana, id))[1] == "SENT"


async def test_a_replay_is_answered_and_does_nothing(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    id, message_id = await written(doors, ana, mailbox)
    raw = json.dumps([event("bounce", message_id, **HARD)]).encode()
    headers = SENDGRID.signed(raw)
    posts = (
        ana.http.post(f"/webhooks/sendgrid/{mailbox.token}", content=raw, headers=headers) for _ in range(20)
    )
    assert {answer.status_code for answer in await asyncio.gather(*posts)} == {200}
    assert await settled(doors, ana) == ["FEEDBACK_TAKEN"]
    assert len(await reasons(doors, ana)) == 1
    assert (await state_of(doors, ana, id))[1] == "BOUNCED"


@pytest.mark.parametrize("place", [0, 20, -1])
async def test_one_byte_changed(ana: Person, doors: Doors, mailbox: Mailbox, place: int) -> None:
    raw = bytearray(json.dumps([event("spamreport", "<x@example.com>")]).encode())
    headers = SENDGRID.signed(bytes(raw))
    raw[place] ^= 1
    answer = await ana.http.post(f"/webhooks/sendgrid/{mailbox.token}", content=bytes(raw), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert await stored_mails(doors, ana.workspace_id) == []


SIGNATURE, TIMESTAMP = "X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"


@pytest.mark.parametrize(
    "change",
    [
        {SIGNATURE: ""}, {SIGNATURE: "AAAA"}, {SIGNATURE: "%%%"}, {TIMESTAMP: ""}, {TIMESTAMP: "1"},
        {TIMESTAMP: "-1"}, {TIMESTAMP: "9" * 400}, {TIMESTAMP: "x"},
    ],
    ids=repr,
)  # fmt: skip
async def test_headers_that_will_not_do(
    ana: Person, doors: Doors, mailbox: Mailbox, change: dict[str, str]
) -> None:
    raw = json.dumps([event("spamreport", "<x@example.com>")]).encode()
    answer = await ana.http.post(
        f"/webhooks/sendgrid/{mailbox.token}", content=raw, headers=SENDGRID.signed(raw) | change
    )
    assert answer.status_code == 401
    assert await stored_mails(doors, ana.workspace_id) == []


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (timedelta(hours=1), 200),
        (timedelta(days=2), 200),
        (timedelta(days=4), 400),
        (timedelta(days=-1), 400),
        (timedelta(days=9000), 400),
    ],
    ids=["hour", "two-days", "four-days", "tomorrow", "ages"],
)
async def test_how_old_it_may_be(
    ana: Person, doors: Doors, mailbox: Mailbox, age: timedelta, status: int
) -> None:
    id, message_id = await written(doors, ana, mailbox)
    at = datetime.now(UTC) - age
    answer = await SENDGRID.post(ana.http, mailbox.token, [event("bounce", message_id, **HARD)], at=at)
    assert answer.status_code == status
    await settled(doors, ana)
    assert (await state_of(doors, ana, id))[1] == ("BOUNCED" if status == 200 else "SENT")


async def test_another_key_another_provider_no_key(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    other = await SendGrid().post(ana.http, mailbox.token, [event("spamreport", "<x@example.com>")])
    assert other.status_code == 401
    keyless = await listening(doors, ana, "SENDGRID", None)
    ses = await listening(doors, ana, "SES", "arn:aws:sns:sa-east-1:123456789012:x")
    plain = await SENDGRID.post(ana.http, keyless.token, [])
    assert plain.status_code == 401
    for token in (ses.token, "nobody", "a" * 3000):
        assert (await SENDGRID.post(ana.http, token, [])).status_code == 404


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{}", b"1", b"null", b"[" * 5000, b"[1,null,[],{}]", b"\xff\xfe"], ids=repr
)
async def test_no_signed_body_is_an_error_of_ours(
    ana: Person, doors: Doors, mailbox: Mailbox, body: bytes
) -> None:
    answer = await ana.http.post(
        f"/webhooks/sendgrid/{mailbox.token}", content=body, headers=SENDGRID.signed(body)
    )
    assert answer.status_code in (200, 401)
    assert await stored_mails(doors, ana.workspace_id) == []


async def test_a_body_beyond_measure(ana: Person, mailbox: Mailbox) -> None:
    raw = b"[" + b" " * 1_000_001
    answer = await ana.http.post(
        f"/webhooks/sendgrid/{mailbox.token}", content=raw, headers=SENDGRID.signed(raw)
    )
    assert answer.status_code == 413


async def test_opens_and_clicks_are_not_kept(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    kinds = ("processed", "open", "click", "group_resubscribe", "strange")
    answer = await SENDGRID.post(
        ana.http, mailbox.token, [event(kind, "<x@example.com>", useragent="x") for kind in kinds]
    )
    assert answer.status_code == 200
    assert await stored_mails(doors, ana.workspace_id) == []


STRANGE: list[dict[str, Any]] = [
    {"event": "bounce", "smtp-id": 7, "email": ["x"], "status": {}, "sg_message_id": None},
    {"event": "bounce", "smtp-id": "<" * 900, "email": "@" * 900, "sg_event_id": "x" * 5000},
    {"event": "delivered", "smtp-id": "\x00<a@b>\r\n", "email": "a\x00b@c.de", "sg_event_id": "a\x00b"},
    {"event": "spamreport"},
]


async def test_strange_events_come_to_an_end(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    assert await told(doors, ana, mailbox, *STRANGE) == ["FEEDBACK_OF_NOTHING"] * 4


async def test_who_was_told_under_another_address_is_not_suppressed(
    ana: Person, doors: Doors, mailbox: Mailbox
) -> None:
    id, message_id = await written(doors, ana, mailbox)
    await told(doors, ana, mailbox, event("bounce", message_id, email="somebody@else.example", **HARD))
    assert (await state_of(doors, ana, id))[1] == "BOUNCED"
    assert not await suppressed(doors, ana)


async def test_of_a_disconnected_account_it_is_heard(ana: Person, doors: Doors, mailbox: Mailbox) -> None:
    _, message_id = await written(doors, ana, mailbox)
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(
            text("UPDATE channel_account SET status = 'DISCONNECTED' WHERE id = :id"), {"id": mailbox.id}
        )
    await told(doors, ana, mailbox, event("spamreport", message_id))
    assert await reasons(doors, ana) == ["COMPLAINT"]


async def test_a_stranger_is_not_even_read(http: httpx.AsyncClient) -> None:
    answer = await http.post("/webhooks/sendgrid/nobody", content=b"x" * 2_000_000)
    assert answer.status_code == 404
