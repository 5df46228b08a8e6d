"""Who unsubscribes or answers in the middle of bulk sends is written to no more by any of them."""

import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.api.outreach.test_plan_bulk_send import plan
from tests.factories.bulk_sends import template
from tests.factories.inbound import letter, receive
from tests.factories.mailings import Mailing, fast, people
from tests.factories.merging import merged
from tests.factories.people import mailbox
from tests.factories.sending import Outlet
from tests.factories.unsubscribing import one_click

INBOX = "{ conversations(first: 50) { edges { node { id status lead { id engagement } } } } }"
ENGAGEMENT = "query ($id: ID!) { lead(id: $id) { engagement } }"
AUTOMATIC = [{"Auto_Submitted": "auto-replied"}, {"X_Autoreply": "yes", "Precedence": "auto_reply"}]


async def inbox(outlet: Outlet) -> list[dict[str, Any]]:
    found = await outlet.person.run(INBOX)
    return [edge["node"] for edge in found["conversations"]["edges"]]


async def engagement(outlet: Outlet, lead_id: str) -> str:
    return (await outlet.person.run(ENGAGEMENT, {"id": lead_id}))["lead"]["engagement"]  # type: ignore[no-any-return]


def link_in(mail: Any) -> str:
    """As mail programs and people find it: the same in the header (RFC 8058) and below both texts."""
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    (url,) = re.fullmatch(r"<(https?://[^<>\s]+)>", mail["List-Unsubscribe"]).groups()  # type: ignore[union-attr]
    for kind in ("plain", "html"):
        assert url in mail.get_body((kind,)).get_content(), kind
    return str(urlsplit(url).path)


async def test_the_link_of_a_mail_stops_all_bulk_sends_to_that_person(
    outlet: Outlet, http: httpx.AsyncClient
) -> None:
    first = await Mailing.midway(outlet, 4, leave=1)
    second = await Mailing.launched(outlet, first.leads)
    await second.until(counts={"queued": 4})
    (address,) = await first.standing("SENT")
    (mail,) = first.mails(address)
    assert (await one_click(http, link_in(mail))).status_code == 200
    await fast(outlet)
    await first.ended(sent=4)
    await second.ended(sent=3, canceled=1)
    stopped = await second.of(address)
    assert (stopped["status"], stopped["reason"].partition(":")[0]) == ("CANCELED", "SUPPRESSED")
    assert stopped["message"] is None
    assert len(first.mails(address)) == 1
    assert first.times(set(first.leads) - {address}) == {2}
    found = await plan(
        outlet.person, templateId=await template(outlet.person), accountId=str(outlet.account_id)
    )
    assert (found["eligible"], found["exclusions"]) == (3, [{"reason": "SUPPRESSED", "count": 1}])


async def test_whoever_has_the_address_by_then_is_not_written_to_either(
    outlet: Outlet, http: httpx.AsyncClient
) -> None:
    mailing = await Mailing.midway(outlet, 3, leave=1)
    (address,) = await mailing.standing("SENT")
    heir, _ = await mailing.standing("QUEUED")
    for email, id in ((None, mailing.leads[address]), (address, mailing.leads[heir])):
        await outlet.sql(
            "UPDATE lead SET email = :email, version = version + 1 WHERE workspace_id = :workspace_id AND id = :id",
            email=email,
            id=id,
        )
    assert (await one_click(http, link_in(mailing.mails(address)[0]))).status_code == 200
    await fast(outlet)
    await mailing.ended(sent=2, canceled=1)
    assert (await mailing.of(heir))["reason"].startswith("SUPPRESSED: ")
    assert (len(mailing.mails(address)), len(mailing.mails(heir))) == (1, 0)


async def test_each_mail_has_a_link_of_its_own(outlet: Outlet) -> None:
    first = await Mailing.launched(outlet, await people(outlet, 3))
    second = await Mailing.launched(outlet, first.leads)
    await first.ended(sent=3)
    await second.ended(sent=3)
    assert len({link_in(mail) for address in first.leads for mail in first.mails(address)}) == 6


async def test_an_answer_opens_the_conversation_and_stops_the_rest(outlet: Outlet) -> None:
    first = await Mailing.midway(outlet, 3, leave=1)
    second = await Mailing.launched(outlet, first.leads)
    await second.until(counts={"queued": 3})
    (address,) = await first.standing("SENT")
    (mail,) = first.mails(address)
    assert await inbox(outlet) == [], "nobody's conversation is shown before they answer"
    assert await engagement(outlet, first.leads[address]) in ("NEW", "CONTACTED")
    box = await mailbox(outlet)
    answer = letter(box.address, sender=f"Bia <{address}>", In_Reply_To=mail["Message-ID"])
    await receive(outlet.person, outlet.doors, box, answer)
    (talk,) = await inbox(outlet)
    assert (talk["status"], talk["lead"]) == ("OPEN", {"id": first.leads[address], "engagement": "REPLIED"})
    stopped = await second.of(address)
    assert (stopped["status"], stopped["reason"].partition(":")[0]) == ("CANCELED", "REPLIED")
    await fast(outlet)
    found = await first.ended(sent=3, replied=1)
    assert found["counts"]["bounced"] == 0
    await second.ended(sent=2, canceled=1, replied=0)
    assert len(first.mails(address)) == 1
    assert [one["id"] for one in await inbox(outlet)] == [talk["id"]]


@pytest.mark.parametrize("headers", AUTOMATIC, ids=["rfc-3834", "older"])
async def test_an_automatic_answer_stops_nothing(outlet: Outlet, headers: dict[str, str]) -> None:
    first = await Mailing.midway(outlet, 2, leave=1)
    second = await Mailing.launched(outlet, first.leads)
    await second.until(counts={"queued": 2})
    (address,) = await first.standing("SENT")
    (mail,) = first.mails(address)
    box = await mailbox(outlet)
    away = letter(
        box.address, sender=address, subject="Out of office", In_Reply_To=mail["Message-ID"], **headers
    )
    await receive(outlet.person, outlet.doors, box, away)
    assert await inbox(outlet) == []
    assert await engagement(outlet, first.leads[address]) in ("NEW", "CONTACTED")
    await fast(outlet)
    await first.ended(sent=2, replied=0)
    await second.ended(sent=2, canceled=0, replied=0)


async def test_who_answers_from_another_address_in_the_thread_is_heard(outlet: Outlet) -> None:
    """A colleague, or an alias: the thread says whose answer it is."""
    first = await Mailing.midway(outlet, 2, leave=1)
    second = await Mailing.launched(outlet, first.leads)
    await second.until(counts={"queued": 2})
    (address,) = await first.standing("SENT")
    (mail,) = first.mails(address)
    box = await mailbox(outlet)
    answer = letter(
        box.address, sender="alias@elsewhere.example", In_Reply_To=mail["Message-ID"], subject="Re: Offer"
    )
    await receive(outlet.person, outlet.doors, box, answer)
    assert [one["lead"]["id"] for one in await inbox(outlet)] == [first.leads[address]]
    assert (await second.of(address))["status"] == "CANCELED"
    await fast(outlet)
    await first.ended(sent=2, replied=1)
    await second.ended(sent=1, canceled=1)


async def test_an_answer_after_a_merge_is_the_kept_leads(outlet: Outlet) -> None:
    first = await Mailing.midway(outlet, 4, leave=1)
    second = await Mailing.launched(outlet, first.leads)
    await second.until(counts={"queued": 4})
    (address,) = await first.standing("SENT")
    kept = (await first.standing("QUEUED"))[0]
    await merged(outlet.person, first.leads[kept], first.leads[address])
    (mail,) = first.mails(address)
    box = await mailbox(outlet)
    await receive(
        outlet.person, outlet.doors, box, letter(box.address, sender=address, In_Reply_To=mail["Message-ID"])
    )
    assert [one["lead"]["id"] for one in await inbox(outlet)] == [first.leads[kept]]
    for mailing in (first, second):
        assert (await mailing.of(kept))["reason"].startswith("REPLIED: ")
    await fast(outlet)
    await first.ended(sent=3, canceled=1, replied=1)
    await second.ended(sent=2, canceled=2)
    assert (len(first.mails(kept)), len(first.mails(address))) == (0, 1)
