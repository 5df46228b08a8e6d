"""POST /webhooks/ses/{token}: what Amazon SNS signed for the account's topic is taken once; nothing else is fetched."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette

from app.channels.domain.feedback import FeedbackAccount, FeedbackProvider
from app.channels.infrastructure.sns import SnsVerifier, confirm_subscription
from app.channels.presentation.webhooks import webhook_routes
from app.common.https import CannotFetch
from app.common.work import Doors
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.feedback import (
    CERTIFICATE_PATH,
    HOST,
    Amazon,
    bounce_of,
    complaint_of,
    delivery_of,
    handed_over,
    listening,
    mail_of,
    state_of,
)
from tests.factories.inbound import letter, receive, rows, sent_message, worked_on
from tests.factories.mail import Mailbox, stored_mails
from tests.factories.unsubscribing import opt_outs
from tests.fixtures.amazon import SnsHost
from tests.fixtures.processes import Worker

AMAZON = Amazon()
SUBSCRIBE = f"https://{HOST}/?Action=ConfirmSubscription&Token=2336412f37"


@dataclass(frozen=True)
class Site:
    """The webhooks, in this process, so that SNS's host can be played."""

    person: Person
    doors: Doors
    mailbox: Mailbox
    host: SnsHost
    http: httpx.AsyncClient

    async def post(self, raw: bytes, token: str | None = None) -> httpx.Response:
        return await self.http.post(
            f"/webhooks/ses/{token or self.mailbox.token}",
            content=raw,
            headers={"Content-Type": "text/plain"},
        )

    async def tell(self, message: Any, **options: Any) -> Any:
        """What became of it."""
        answer = await self.post(AMAZON.told(message, **options))
        assert answer.status_code == 200, answer.text
        return (await worked_on(self.doors, self.person.workspace_id))[-1]

    async def written(self, *, status: str = "SENT", provider_id: str | None = None) -> tuple[UUID, str]:
        """A message of ours to Bia that SES has taken, or may have; its id and Message-ID."""
        person = self.person
        await receive(person, self.doors, self.mailbox, letter(self.mailbox.address))
        (talk,) = await rows(self.doors, person.workspace_id, "conversation")
        id, message_id = await sent_message(self.doors, person.workspace_id, str(talk.id), status=status)
        await handed_over(self.doors, person, id, status=status.lower(), provider_id=provider_id)
        return id, message_id

    async def state(self, id: UUID) -> tuple[Any, ...]:
        return await state_of(self.doors, self.person, id)

    async def reasons(self) -> list[str]:
        return [row.reason for row in await opt_outs(self.doors, self.person)]

    async def stored(self) -> list[Any]:
        kept = await stored_mails(self.doors, self.person.workspace_id)
        return [row for row in kept if row.provider == "ses"]


@asynccontextmanager
async def served(settings: Settings, doors: Doors, host: SnsHost) -> AsyncIterator[httpx.AsyncClient]:
    verifier = SnsVerifier(host.egress, host.context)

    async def verify(account: FeedbackAccount, _: Mapping[str, str], raw: bytes) -> Mapping[str, bytes]:
        return {await verifier.verified(account, raw): raw}

    routes = webhook_routes(settings, doors, {FeedbackProvider.SES: verify})
    transport = httpx.ASGITransport(Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


@pytest.fixture
async def site(ana: Person, doors: Doors, settings: Settings, worker: Worker) -> AsyncIterator[Site]:
    mailbox = await listening(doors, ana, "SES", AMAZON.topic)
    async with SnsHost.started(AMAZON) as host, served(settings, doors, host) as http:
        yield Site(ana, doors, mailbox, host, http)


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_hard_bounce(site: Site, version: str) -> None:
    id, message_id = await site.written()
    row = await site.tell(bounce_of(mail_of(message_id)), version=version, Subject="Amazon SES")
    assert (row.status, row.error) == ("done", "FEEDBACK_TAKEN")
    assert await site.state(id) == ("sent", "BOUNCED", "HARD_BOUNCE 5.1.1", True, False)
    assert await site.reasons() == ["HARD_BOUNCE"]


@pytest.mark.parametrize("kind", ["Transient", "Undetermined"])
async def test_a_soft_bounce_is_noted(site: Site, kind: str) -> None:
    id, message_id = await site.written()
    assert (await site.tell(bounce_of(mail_of(message_id), kind))).error == "FEEDBACK_NOTED"
    assert await site.state(id) == ("sent", "SENT", None, False, False)
    assert await site.reasons() == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_in_any_order_and_doubled(site: Site, order: tuple[int, ...]) -> None:
    id, message_id = await site.written()
    mail = mail_of(message_id)
    notes = [AMAZON.told(told(mail)) for told in (delivery_of, bounce_of, complaint_of)]
    for number in order:
        for _ in range(2):
            assert (await site.post(notes[number])).status_code == 200
            await worked_on(site.doors, site.person.workspace_id)
    assert len(await site.stored()) == 3
    assert await site.state(id) == ("sent", "BOUNCED", "HARD_BOUNCE 5.1.1", True, True)


@pytest.mark.parametrize(
    ("told", "shown"),
    [(delivery_of, "DELIVERED"), (bounce_of, "BOUNCED"), (complaint_of, "SENT")],
    ids=["delivery", "bounce", "complaint"],
)
async def test_what_stood_in_doubt_did_go_out(site: Site, told: Any, shown: str) -> None:
    id, message_id = await site.written(status="UNKNOWN")
    await site.tell(told(mail_of(message_id)))
    assert (await site.state(id))[:2] == ("sent", shown)


async def test_found_by_the_providers_own_id(site: Site) -> None:
    provider_id = "010201812e4fd1b7-3f2c6f5e-000000"
    id, _ = await site.written(provider_id=provider_id)
    await site.tell(complaint_of(mail_of(provider_id=provider_id)))
    assert await site.state(id) == ("sent", "SENT", None, False, True)
    assert await site.reasons() == ["COMPLAINT"]


async def test_a_replay_is_answered_and_does_nothing(site: Site) -> None:
    _, message_id = await site.written()
    raw = AMAZON.told(bounce_of(mail_of(message_id)))
    answers = await asyncio.gather(*(site.post(raw) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    await worked_on(site.doors, site.person.workspace_id)
    assert (len(await site.stored()), await site.reasons()) == (1, ["HARD_BOUNCE"])
    assert site.host.asked == [CERTIFICATE_PATH], "it is fetched once"


@pytest.mark.parametrize(
    "name", ["Message", "MessageId", "Timestamp", "TopicArn", "Type", "Signature", "Subject"]
)
async def test_one_byte_changed(site: Site, name: str) -> None:
    note = json.loads(AMAZON.told(bounce_of(mail_of("<x@example.com>")), Subject="Amazon SES"))
    place = len(note[name]) // 2
    other = "A" if note[name][place] != "A" else "B"
    raw = json.dumps(note | {name: note[name][:place] + other + note[name][place + 1 :]}).encode()
    assert (await site.post(raw)).status_code == 401
    assert await site.stored() == []


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (timedelta(hours=1), 200),
        (timedelta(days=2), 200),
        (timedelta(days=4), 400),
        (timedelta(days=-1), 400),
    ],
    ids=["hour", "two-days", "four-days", "tomorrow"],
)
async def test_how_old_it_may_be(site: Site, age: timedelta, status: int) -> None:
    id, message_id = await site.written()
    raw = AMAZON.told(bounce_of(mail_of(message_id)), at=datetime.now(UTC) - age)
    assert (await site.post(raw)).status_code == status
    await worked_on(site.doors, site.person.workspace_id)
    assert (await site.state(id))[1] == ("BOUNCED" if status == 200 else "SENT")


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}{CERTIFICATE_PATH}",
        f"https://{HOST}.evil.example{CERTIFICATE_PATH}",
        f"https://evil.example/{HOST}{CERTIFICATE_PATH}",
        f"https://{HOST}@evil.example{CERTIFICATE_PATH}",
        f"https://evil.example#{HOST}{CERTIFICATE_PATH}",
        f"https://{HOST}:8443{CERTIFICATE_PATH}",
        "https://s3.sa-east-1.amazonaws.com/bucket/key.pem",
        "https://sns.amazonaws.com/key.pem",
        "https://sns.evil.example.amazonaws.com/key.pem",
        "https://sns.sa-east-1.amazonaws.com.br/key.pem",
        f"https://{HOST}/key.txt",
        f"https://{HOST}/?key.pem",
        f"https://{HOST}\\@evil.example/key.pem",
        "https://127.0.0.1/key.pem",
        "file:///etc/passwd.pem",
        "https://[::1/key.pem",
        "",
    ],
)
async def test_a_certificate_from_elsewhere_is_not_fetched(site: Site, url: str) -> None:
    raw = AMAZON.told(bounce_of(mail_of("<x@example.com>")), SigningCertURL=url)
    assert (await site.post(raw)).status_code == 401
    assert (site.host.asked, site.host.resolved, await site.stored()) == ([], [], [])


async def test_a_foreign_topic_or_signer(site: Site) -> None:
    """Anybody may have Amazon sign for a topic of theirs; and nobody else signs for ours."""
    theirs = Amazon(private=AMAZON.private)
    assert (await site.post(theirs.told("x"))).status_code == 401
    assert site.host.asked == [], "the topic is looked at first"
    forged = Amazon(topic=AMAZON.topic)
    assert (await site.post(forged.told("x"))).status_code == 401
    assert await site.stored() == []


async def test_a_certificate_that_has_run_out(ana: Person, doors: Doors, settings: Settings) -> None:
    old = Amazon(lasts=timedelta(days=-1))
    mailbox = await listening(doors, ana, "SES", old.topic)
    async with SnsHost.started(old) as host, served(settings, doors, host) as http:
        answer = await http.post(f"/webhooks/ses/{mailbox.token}", content=old.told("x"))
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 No\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nno certificate",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000,
        b"nonsense",
        b"",
    ],
    ids=["500", "redirect", "short", "chunks", "text", "long", "nonsense", "nothing"],
)
async def test_without_the_certificate_it_is_to_come_again(site: Site, answer: bytes) -> None:
    id, message_id = await site.written()
    raw = AMAZON.told(bounce_of(mail_of(message_id)))
    site.host.answers[CERTIFICATE_PATH] = answer
    refused = await site.post(raw)
    assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
    del site.host.answers[CERTIFICATE_PATH]
    assert (await site.post(raw)).status_code == 200
    await worked_on(site.doors, site.person.workspace_id)
    assert (await site.state(id))[1] == "BOUNCED"


async def test_a_certificate_in_chunks(site: Site) -> None:
    pem = AMAZON.certificate
    chunks = b"%x\r\n%s\r\n%x;x=y\r\n%s\r\n0\r\n\r\n" % (9, pem[:9], len(pem) - 9, pem[9:])
    site.host.answers[CERTIFICATE_PATH] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    assert (await site.post(AMAZON.told("x"))).status_code == 200


async def test_a_subscription_is_confirmed_at_sns_alone(site: Site) -> None:
    host = site.host
    assert await confirm_subscription(AMAZON.asks_to_confirm(SUBSCRIBE), host.egress, context=host.context)
    assert host.asked == ["/?Action=ConfirmSubscription&Token=2336412f37"]
    for url in (
        "https://evil.example/",
        f"http://{HOST}/",
        f"https://{HOST}.evil.example/",
        "https://127.0.0.1/",
    ):
        assert not await confirm_subscription(AMAZON.asks_to_confirm(url), host.egress, context=host.context)
    left = AMAZON.asks_to_confirm(SUBSCRIBE, Type="UnsubscribeConfirmation")
    assert not await confirm_subscription(left, host.egress, context=host.context)
    assert len(host.asked) == 1
    host.answers["/?Action=ConfirmSubscription&Token=2336412f37"] = b"HTTP/1.1 500 No\r\n\r\n"
    with pytest.raises(CannotFetch):
        await confirm_subscription(AMAZON.asks_to_confirm(SUBSCRIBE), host.egress, context=host.context)


async def test_only_a_request_for_our_topic_is_stored_to_be_confirmed(site: Site) -> None:
    theirs = Amazon(private=AMAZON.private)
    assert (await site.post(theirs.asks_to_confirm(SUBSCRIBE))).status_code == 401
    elsewhere = AMAZON.asks_to_confirm("https://evil.example/")
    assert (await site.post(elsewhere)).status_code == 200
    (row,) = await worked_on(site.doors, site.person.workspace_id)
    assert (row.status, row.error) == ("done", "FEEDBACK_NOTED")


@pytest.mark.parametrize(
    "message",
    ["", "no JSON", "[]", "1", {}, {"notificationType": "Bounce"}, {"eventType": "Open", "mail": {}},
     {"notificationType": "Bounce", "bounce": [], "mail": 7}, {"eventType": "Delivery", "mail": {"headers": {}}}],
    ids=repr,
)  # fmt: skip
async def test_whatever_amazon_signs_comes_to_an_end(site: Site, message: Any) -> None:
    raw = AMAZON.told(message)
    assert (await site.post(raw)).status_code == 200
    assert [row.raw for row in await site.stored()] == [raw]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"[" * 5000, b"\xff", b'{"Type": 1}'], ids=repr)
async def test_what_is_no_notification(site: Site, body: bytes) -> None:
    assert (await site.post(body)).status_code == 401
    assert await site.stored() == []


async def test_strangers_and_too_much(site: Site) -> None:
    assert (await site.post(b"{}", "nobody")).status_code == 404
    assert (await site.post(b" " * 1_000_001)).status_code == 413
    plain = await listening(site.doors, site.person, "SENDGRID", None)
    assert (await site.post(AMAZON.told("x"), plain.token)).status_code == 404
