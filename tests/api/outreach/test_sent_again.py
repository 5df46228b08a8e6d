"""resendMessage of a bulk send's message that nobody can say of: it leaves once, whatever its bulk send is doing."""

import asyncio
from typing import Any

import pytest

from tests.factories.bulk_sends import moved
from tests.factories.mailings import Mailing, fast, people, slow
from tests.factories.sending import Outlet, resend
from tests.fixtures.smtp import DROP


async def in_doubt(outlet: Outlet, mailing: Mailing) -> tuple[str, dict[str, Any]]:
    """The address and the recipient."""
    (address,) = await mailing.standing("UNKNOWN")
    return address, await mailing.of(address)


async def doubtful_midway(outlet: Outlet) -> Mailing:
    """One of the first two may have left; two more wait."""
    outlet.smtp.then("END", DROP)
    await slow(outlet, leave=2)
    mailing = await Mailing.launched(outlet, await people(outlet, 4))
    await mailing.until(counts={"sent": 1, "unknown": 1, "queued": 2})
    return mailing


async def test_while_it_runs(outlet: Outlet) -> None:
    mailing = await doubtful_midway(outlet)
    address, recipient = await in_doubt(outlet, mailing)
    answers = await asyncio.gather(*(resend(outlet.person, recipient["message"]["id"]) for _ in range(5)))
    assert sorted(len(answer["errors"]) for answer in answers) == [0, 1, 1, 1, 1]
    await mailing.until_of(address, "SENT")
    await mailing.until(status="RUNNING", counts={"sent": 2, "unknown": 0, "queued": 2})
    await fast(outlet)
    await mailing.ended(sent=4, unknown=0)
    assert len(mailing.mails(address)) == 2, "the one that nobody could say of, and this one"
    assert mailing.times(set(mailing.leads) - {address}) == {1}


async def test_after_it_has_ended(outlet: Outlet) -> None:
    outlet.smtp.then("END", DROP)
    mailing = await Mailing.launched(outlet, await people(outlet, 3))
    await mailing.ended(sent=2, unknown=1)
    address, recipient = await in_doubt(outlet, mailing)
    before = await mailing.ended()
    assert (await resend(outlet.person, recipient["message"]["id"]))["errors"] == []
    found = await mailing.ended(sent=3, unknown=0)
    assert found["finishedAt"] == before["finishedAt"]
    again = (await resend(outlet.person, recipient["message"]["id"]))["errors"]
    assert [error["code"] for error in again] == ["CONFLICT"]
    assert len(mailing.mails(address)) == 2


@pytest.mark.parametrize("how", ["pause", "cancel"])
async def test_while_it_stands_still(outlet: Outlet, how: str) -> None:
    """What a person sends is sent; nobody else's mail goes with it."""
    mailing = await doubtful_midway(outlet)
    address, recipient = await in_doubt(outlet, mailing)
    await moved(outlet.person, how, mailing.id)
    assert (await resend(outlet.person, recipient["message"]["id"]))["errors"] == []
    await mailing.until_of(address, "SENT")
    assert len(mailing.mails(address)) == 2
    if how == "cancel":
        await mailing.until(status="CANCELED", counts={"sent": 2, "unknown": 0, "canceled": 2, "queued": 0})
        return
    await fast(outlet)
    await mailing.until(status="PAUSED", counts={"sent": 2, "unknown": 0, "queued": 2})
    await mailing.move("resume")
    await mailing.ended(sent=4)
    assert len(mailing.mails(address)) == 2
    assert mailing.times(set(mailing.leads) - {address}) == {1}


async def test_who_unsubscribed_meanwhile_is_not_sent_to_again(outlet: Outlet) -> None:
    mailing = await doubtful_midway(outlet)
    address, recipient = await in_doubt(outlet, mailing)
    await outlet.sql(
        "INSERT INTO suppression (workspace_id, value, reason) VALUES (:workspace_id, :value, 'OPT_OUT')",
        value=address,
    )
    answer = await resend(outlet.person, recipient["message"]["id"])
    assert [(error["code"], error["path"]) for error in answer["errors"]] == [("CONFLICT", ["id"])]
    await fast(outlet)
    await mailing.ended(sent=3, unknown=1)
    assert len(mailing.mails(address)) == 1
