"""startConversation, through HTTP."""

import asyncio
from typing import Any

from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import make_lead, open_account, open_conversation

START = """mutation ($input: StartConversationInput!) { startConversation(input: $input) {
  conversation { id status lead { id } unreadCount } errors { code message path } } }"""
EVENTS = text("SELECT changed FROM feed_event WHERE workspace_id = :id AND kind = 'conversation.updated'")


async def start(person: Person, lead_id: object, account_id: object) -> dict[str, Any]:
    given = {"input": {"leadId": str(lead_id), "accountId": str(account_id)}}
    return (await person.run(START, given))["startConversation"]  # type: ignore[no-any-return]


async def told(doors: Doors, person: Person) -> list[Any]:
    async with doors.open_work(person.workspace_id) as work:
        return list((await work.execute(EVENTS, {"id": person.workspace_id})).scalars())


async def test_a_new_one_then_the_same_one(ana: Person, doors: Doors) -> None:
    lead_id, account_id = await make_lead(ana), await open_account(ana, doors)
    made = await start(ana, lead_id, account_id)
    assert made["errors"] == []
    assert made["conversation"] | {"id": None} == {
        "id": None,
        "status": "OPEN",
        "lead": {"id": str(lead_id)},
        "unreadCount": 0,
    }
    assert await start(ana, lead_id, account_id) == made
    assert await told(doors, ana) == [["created"]]
    elsewhere = await start(ana, lead_id, await open_account(ana, doors))
    assert elsewhere["conversation"]["id"] != made["conversation"]["id"]


async def test_twenty_at_once_start_one(ana: Person, doors: Doors) -> None:
    lead_id, account_id = await make_lead(ana), await open_account(ana, doors)
    answers = await asyncio.gather(*(start(ana, lead_id, account_id) for _ in range(20)))
    assert all(answer["errors"] == [] for answer in answers)
    assert len({answer["conversation"]["id"] for answer in answers}) == 1
    assert await told(doors, ana) == [["created"]]


async def test_what_cannot_be_started(ana: Person, eve: Person, doors: Doors) -> None:
    lead_id, account_id = await make_lead(ana), await open_account(ana, doors)
    bare = await make_lead(ana, email=None, phone="+55 11 91234-5678")
    theirs = await open_conversation(eve, doors)
    gone = await make_lead(ana)
    closed = await open_account(ana, doors)
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(text("UPDATE lead SET deleted_at = now() WHERE id = :id"), {"id": gone})
        await work.execute(
            text("UPDATE channel_account SET status = 'DISCONNECTED' WHERE id = :id"), {"id": closed}
        )

    async def refused(lead: object, account: object) -> tuple[str, list[str]]:
        answer = await start(ana, lead, account)
        assert answer["conversation"] is None
        (error,) = answer["errors"]
        return error["code"], error["path"]

    assert await refused(bare, account_id) == ("INVALID", ["leadId"])
    assert await refused(lead_id, closed) == ("INVALID", ["accountId"])
    for lead in (theirs.lead_id, gone, "nonsense"):
        assert await refused(lead, account_id) == ("NOT_FOUND", ["leadId"])
    for account in (theirs.account_id, lead_id, "nonsense"):
        assert await refused(lead_id, account) == ("NOT_FOUND", ["accountId"])
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert (await start(viewer, lead_id, account_id))["errors"][0]["code"] == "FORBIDDEN"
    assert await told(doors, ana) == []
    assert (await start(ana, lead_id, account_id))["errors"] == []


async def test_a_conversation_follows_its_address_to_another_lead(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    async with doors.open_work(ana.workspace_id) as work:  # deleted: its identities are free
        await work.execute(text("UPDATE lead SET deleted_at = now() WHERE id = :id"), {"id": opened.lead_id})
        await work.execute(text("DELETE FROM lead_identity WHERE lead_id = :id"), {"id": opened.lead_id})
    again = await make_lead(ana, email=opened.address)
    found = (await start(ana, again, opened.account_id))["conversation"]
    assert (found["id"], found["lead"]["id"]) == (str(opened.id), str(again))
    assert await told(doors, ana) == [["lead"]]
