"""What providers and mail servers tell of a bulk send's mails: flags, counts, suppressions, and the pause."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.api.channels.test_ses import served
from tests.factories.channels import update
from tests.factories.feedback import Amazon, SendGrid, bounce_of, complaint_of, event, mail_of
from tests.factories.inbound import receive, report, worked_on
from tests.factories.mailings import Mailing, fast, slow
from tests.factories.people import mailbox
from tests.factories.sending import Outlet
from tests.factories.unsubscribing import opt_outs
from tests.fixtures.amazon import SnsHost
from tests.fixtures.batch_rows import add_leads

AMAZON, SENDGRID = Amazon(), SendGrid()
FLAGS = """SELECT ARRAY[has_bounced, has_complained] FROM delivery
WHERE workspace_id = :workspace_id AND origin_id = cast(:id as uuid) AND lead_id = cast(:lead_id as uuid)"""
LEADS = "{ leads(first: 100) { edges { node { id email } } } }"
HARD = {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 The account does not exist."}
Tell = Callable[[str, Any], Awaitable[None]]


@dataclass
class Told:
    """A way in which it is told of a mail to an address that it came back, or was reported as spam."""

    outlet: Outlet
    bounced: Tell
    complained: Tell | None = None
    """None: mail servers do not tell of that."""


async def sendgrid(outlet: Outlet) -> Told:
    answer = await update(
        outlet.person, id=str(outlet.account_id), feedbackProvider="SENDGRID", feedbackKey=SENDGRID.key
    )
    assert answer["errors"] == [], answer
    token = (await mailbox(outlet)).token

    async def tell(kind: str, address: str, mail: Any, **fields: str) -> None:
        told = event(kind, mail["Message-ID"], email=address, **fields)
        assert (await SENDGRID.post(outlet.person.http, token, [told])).status_code == 200
        await worked_on(outlet.doors, outlet.person.workspace_id)

    return Told(
        outlet,
        bounced=lambda address, mail: tell("bounce", address, mail, **HARD),
        complained=lambda address, mail: tell("spamreport", address, mail),
    )


async def ses(outlet: Outlet, http: httpx.AsyncClient) -> Told:
    answer = await update(
        outlet.person, id=str(outlet.account_id), feedbackProvider="SES", feedbackKey=AMAZON.topic
    )
    assert answer["errors"] == [], answer
    token = (await mailbox(outlet)).token

    async def tell(message: dict[str, Any]) -> None:
        taken = await http.post(f"/webhooks/ses/{token}", content=AMAZON.told(message))
        assert taken.status_code == 200, taken.text
        await worked_on(outlet.doors, outlet.person.workspace_id)

    return Told(
        outlet,
        bounced=lambda address, mail: tell(bounce_of(mail_of(mail["Message-ID"]), address=address)),
        complained=lambda address, mail: tell(complaint_of(mail_of(mail["Message-ID"]), address=address)),
    )


async def reports(outlet: Outlet) -> Told:
    box = await mailbox(outlet)

    async def tell(address: str, mail: Any) -> None:
        raw = report(box.address, message_id=mail["Message-ID"], recipient=address)
        await receive(outlet.person, outlet.doors, box, raw)

    return Told(outlet, bounced=tell)


@pytest.fixture(params=["SENDGRID", "SES", "DSN"])
async def told(request: pytest.FixtureRequest, outlet: Outlet) -> AsyncIterator[Told]:
    if request.param == "SES":
        async with (
            SnsHost.started(AMAZON) as host,
            served(outlet.settings, outlet.doors, host) as http,
        ):
            yield await ses(outlet, http)
    else:
        yield await (sendgrid if request.param == "SENDGRID" else reports)(outlet)


async def flags(mailing: Mailing, address: str) -> list[bool]:
    found: list[bool] = await mailing.outlet.sql(FLAGS, id=mailing.id, lead_id=mailing.leads[address])
    return found


async def suppressed(outlet: Outlet) -> list[tuple[str, str]]:
    return [(row.value, row.reason) for row in await opt_outs(outlet.doors, outlet.person)]


async def test_what_comes_back_is_counted_and_written_to_no_more(outlet: Outlet, told: Told) -> None:
    first = await Mailing.midway(outlet, 3, leave=1)
    second = await Mailing.launched(outlet, first.leads)
    await second.until(counts={"queued": 3})
    (address,) = await first.standing("SENT")
    for _ in range(2):
        await told.bounced(address, first.mails(address)[0])
    assert await flags(first, address) == [True, False]
    recipient = await first.of(address)
    assert (recipient["status"], recipient["message"]["status"]) == ("SENT", "BOUNCED")
    assert recipient["reason"].startswith("HARD_BOUNCE: ")
    assert await suppressed(outlet) == [(address, "HARD_BOUNCE")]
    await fast(outlet)
    await first.ended(sent=3, bounced=1, complained=0, replied=0)
    await second.ended(sent=2, canceled=1, bounced=0)
    assert (await second.of(address))["reason"].startswith("SUPPRESSED: ")
    assert len(first.mails(address)) == 1


@pytest.mark.parametrize("told", ["SENDGRID", "SES"], indirect=True)
async def test_what_is_reported_as_spam_is_counted_and_written_to_no_more(outlet: Outlet, told: Told) -> None:
    first = await Mailing.midway(outlet, 3, leave=1)
    second = await Mailing.launched(outlet, first.leads)
    await second.until(counts={"queued": 3})
    (address,) = await first.standing("SENT")
    assert told.complained is not None
    await told.complained(address, first.mails(address)[0])
    assert await flags(first, address) == [False, True]
    assert (await first.of(address))["reason"].startswith("COMPLAINT: ")
    assert await suppressed(outlet) == [(address, "COMPLAINT")]
    await fast(outlet)
    await first.ended(sent=3, bounced=0, complained=1)
    await second.ended(sent=2, canceled=1)
    assert len(first.mails(address)) == 1


async def test_it_tells_of_one_that_ended_too(outlet: Outlet, told: Told) -> None:
    mailing = await Mailing.midway(outlet, 2, leave=2)
    await mailing.ended(sent=2)
    address = next(iter(mailing.leads))
    await told.bounced(address, mailing.mails(address)[0])
    await mailing.ended(sent=2, bounced=1)


async def test_too_many_that_come_back_pause_it_and_nothing_more_leaves(outlet: Outlet) -> None:
    """Of 50 that were handed over more than 5 %: three."""
    domain = "many.example"
    await add_leads(outlet.doors, outlet.person.workspace_id, count=60, domain=domain)
    found = (await outlet.person.run(LEADS))["leads"]["edges"]
    leads = {edge["node"]["email"]: edge["node"]["id"] for edge in found}
    by = await sendgrid(outlet)
    await slow(outlet, leave=50)
    mailing = await Mailing.launched(outlet, leads)
    await mailing.until(status="RUNNING", counts={"sent": 50, "queued": 10})
    sent = await mailing.standing("SENT")
    for address in sent[:2]:
        await by.bounced(address, mailing.mails(address)[-1])
    await mailing.until(status="RUNNING", counts={"bounced": 2})
    await by.bounced(sent[2], mailing.mails(sent[2])[-1])
    paused = await mailing.until(status="PAUSED", counts={"bounced": 3, "sent": 50, "queued": 10})
    assert paused["pauseReason"].startswith("BOUNCE_RATE: 3 de 50 ")
    await fast(outlet)
    other = await Mailing.launched(outlet, leads)
    await other.ended(sent=57, excluded=3)
    assert (await mailing.until(status="PAUSED"))["counts"] == paused["counts"], "while another one went by"
    await mailing.move("resume")
    await mailing.ended(sent=60, bounced=3)
