"""What a bulk send is made of goes away while it is under way: its leads, its template, its account, its author."""

from dataclasses import replace
from typing import Any

import pytest

from app.common.domain import Role
from tests.factories.accounts import add_member
from tests.factories.bulk_sends import delete_template, move, moved, refusal, template
from tests.factories.channels import accounts, connected, disconnect, update
from tests.factories.mailings import BODY, Mailing, fast, people, slow
from tests.factories.merging import merged, unmerged
from tests.factories.sending import Outlet
from tests.fixtures.smtp import ScriptedSmtp

DELETE = "mutation ($ids: [ID!]!) { deleteLeads(input: {ids: $ids}) { errors { message } } }"
RESTORE = "mutation ($ids: [ID!]!) { restoreLeads(input: {ids: $ids}) { errors { message } } }"
ERASE = "mutation ($input: EraseLeadInput!) { eraseLead(input: $input) { errors { message } } }"
REMOVE = "mutation ($id: ID!) { removeMember(input: {userId: $id}) { errors { message } } }"
REFUSED_ARE_DUE = """UPDATE delivery SET run_at = now()
WHERE workspace_id = :workspace_id AND status = 'queued'"""
"""A minute later: so long the one waits that was refused with the login."""


async def done(outlet: Outlet, mutation: str, **variables: Any) -> None:
    (answer,) = (await outlet.person.run(mutation, variables)).values()
    assert answer["errors"] == [], answer


async def erase(outlet: Outlet, id: str, address: str) -> None:
    await done(outlet, ERASE, input={"id": id, "confirmEmailOrName": address})


async def test_a_deleted_lead_is_passed_over_and_a_restored_one_is_not(outlet: Outlet) -> None:
    mailing = await Mailing.midway(outlet, 4, leave=1)
    gone, back, _ = await mailing.standing("QUEUED")
    (sent,) = await mailing.standing("SENT")
    await done(outlet, DELETE, ids=[mailing.leads[one] for one in (gone, back, sent)])
    await done(outlet, RESTORE, ids=[mailing.leads[back]])
    await fast(outlet)
    await mailing.ended(sent=3, canceled=1, eligible=4)
    assert (await mailing.of(gone))["reason"].startswith("LEAD_DELETED")
    assert mailing.times([gone]) == {0}
    assert mailing.times(set(mailing.leads) - {gone}) == {1}


async def test_an_erased_lead_is_none_of_it_any_more(outlet: Outlet) -> None:
    mailing = await Mailing.midway(outlet, 4, leave=1)
    waiting, *_ = await mailing.standing("QUEUED")
    (sent,) = await mailing.standing("SENT")
    for address in (waiting, sent):
        await erase(outlet, mailing.leads[address], address)
    await mailing.until(counts={"eligible": 2, "queued": 2, "sent": 0})
    await fast(outlet)
    await mailing.ended(sent=2, eligible=2)
    assert mailing.times([waiting]) == {0}
    assert mailing.times(set(mailing.leads) - {waiting}) == {1}
    assert set(await mailing.recipients()) == {
        id for one, id in mailing.leads.items() if one not in (waiting, sent)
    }


async def test_merged_into_one_who_is_no_recipient_the_person_has_it_once(outlet: Outlet) -> None:
    mailing = await Mailing.midway(outlet, 3, leave=1)
    ((kept, kept_id),) = (await people(outlet, 1)).items()
    waiting, _ = await mailing.standing("QUEUED")
    await merged(outlet.person, kept_id, mailing.leads[waiting])
    await fast(outlet)
    await mailing.ended(sent=3, eligible=3)
    assert (mailing.times([kept]), mailing.times([waiting])) == ({1}, {0}), "at the kept lead's address"
    assert kept_id in await mailing.recipients()


@pytest.mark.parametrize(
    ("keeps", "merges"),
    [("SENT", "QUEUED"), ("QUEUED", "SENT"), ("QUEUED", "QUEUED")],
    ids=["kept-has-it", "merged-has-it", "neither-has-it"],
)
async def test_merged_with_another_recipient_the_person_has_it_once(
    outlet: Outlet, keeps: str, merges: str
) -> None:
    mailing = await Mailing.midway(outlet, 4, leave=1)
    kept = (await mailing.standing(keeps))[0]
    gone = next(one for one in await mailing.standing(merges) if one != kept)
    await merged(outlet.person, mailing.leads[kept], mailing.leads[gone])
    await fast(outlet)
    await mailing.ended(sent=3, canceled=1, eligible=4)
    assert len(mailing.mails(kept)) + len(mailing.mails(gone)) == 1
    (canceled,) = await mailing.standing("CANCELED")
    reason = (await mailing.of(canceled))["reason"].partition(":")[0]
    assert (canceled, reason) == ((kept, "SAME_PERSON") if merges == "SENT" else (gone, "LEAD_DELETED"))
    assert mailing.times(set(mailing.leads) - {kept, gone}) == {1}


async def test_merged_and_unmerged_each_has_it_once(outlet: Outlet) -> None:
    mailing = await Mailing.midway(outlet, 4, leave=1)
    kept, gone, _ = await mailing.standing("QUEUED")
    merge_id = await merged(outlet.person, mailing.leads[kept], mailing.leads[gone])
    await unmerged(outlet.person, merge_id)
    await fast(outlet)
    await mailing.ended(sent=4)
    assert mailing.times() == {1}


async def test_without_its_template_it_goes_on(outlet: Outlet) -> None:
    template_id = await template(outlet.person, BODY)
    mailing = await Mailing.midway(outlet, 3, leave=1, templateId=template_id)
    await delete_template(outlet.person, template_id)
    await fast(outlet)
    await mailing.ended(sent=3)
    assert mailing.times() == {1}


async def test_without_its_account_it_pauses_and_goes_on_once_that_is_back(outlet: Outlet) -> None:
    mailing = await Mailing.midway(outlet, 5, leave=2)
    (account,) = await accounts(outlet.person)
    await disconnect(outlet.person, account["id"])
    found = await mailing.until(status="PAUSED", counts={"sent": 2, "queued": 3})
    assert found["pauseReason"].startswith("ACCOUNT_DISCONNECTED: ")
    assert refusal(await move(outlet.person, "resume", mailing.id)) == ("CONFLICT", ["id"])
    again = await connected(outlet.person, address=account["address"], smtpUrl=outlet.smtp.url)
    assert again["id"] == account["id"]
    await fast(outlet)
    await mailing.until(status="PAUSED", counts={"sent": 2, "queued": 3})
    await mailing.move("resume")
    await mailing.ended(sent=5)
    assert mailing.times() == {1}


async def test_a_login_refused_in_the_middle_pauses_it_and_a_new_one_lets_the_rest_go(outlet: Outlet) -> None:
    """Whose turn it was when the login was refused has not failed."""
    with ScriptedSmtp.started(users={"ana@ours": "the first one"}) as server:
        account = await connected(outlet.person, smtpUrl=server.url, ratePerMinute=1, burst=2)
        own = replace(outlet, smtp=server, account_id=account["id"])
        mailing = await Mailing.launched(own, await people(own, 6))
        await mailing.until(counts={"sent": 2, "queued": 4})
        server.users["ana@ours"] = "the second one"
        for stage in ("RSET", "NOOP"):  # a kept connection would need no login
            server.always(stage, "421 4.4.2 Idle for too long")
        await fast(own)
        found = await mailing.until(status="PAUSED", counts={"failed": 0, "unknown": 0})
        assert found["pauseReason"].startswith("ACCOUNT_NEEDS_REAUTH: ")
        assert refusal(await move(own.person, "resume", mailing.id)) == ("CONFLICT", ["id"])
        answer = await update(own.person, id=account["id"], smtpUrl=server.url)
        assert (answer["errors"], answer["account"]["status"]) == ([], "CONNECTED")
        server.as_usual()
        await outlet.sql(REFUSED_ARE_DUE)
        await mailing.move("resume")
        await mailing.ended(sent=6)
        assert mailing.times() == {1}


async def test_without_its_author_it_goes_on(outlet: Outlet) -> None:
    member = await add_member(outlet.doors, outlet.person, role=Role.MEMBER)
    await slow(outlet, leave=1)
    by_member = replace(outlet, person=member)
    mailing = await Mailing.launched(by_member, await people(outlet, 3))
    mailing.outlet = outlet
    await mailing.until(counts={"sent": 1, "queued": 2})
    await done(outlet, REMOVE, id=str(member.user_id))
    await fast(outlet)
    await mailing.ended(sent=3)
    assert mailing.times() == {1}
    assert all(one["message"]["status"] == "SENT" for one in (await mailing.recipients()).values())


async def test_all_at_once_in_one_bulk_send(outlet: Outlet) -> None:
    """Nobody has it twice, and the counts add up."""
    mailing = await Mailing.midway(outlet, 8, leave=2)
    deleted, erased, merged_, *_ = await mailing.standing("QUEUED")
    (kept, _) = await mailing.standing("SENT")
    await done(outlet, DELETE, ids=[mailing.leads[deleted]])
    await erase(outlet, mailing.leads[erased], erased)
    await merged(outlet.person, mailing.leads[kept], mailing.leads[merged_])
    await moved(outlet.person, "pause", mailing.id)
    await fast(outlet)
    await mailing.until(status="PAUSED", counts={"eligible": 7, "sent": 2, "queued": 5})
    await mailing.move("resume")
    await mailing.ended(sent=5, canceled=2, eligible=7)
    assert mailing.times([deleted, erased, merged_]) == {0}
    assert mailing.times(set(mailing.leads) - {deleted, erased, merged_}) == {1}
