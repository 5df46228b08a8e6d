"""The list of conversations: its order, its filters, and its pages while rows move."""

import base64
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.paging import CURSOR_VERSION
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import (
    Opened,
    change,
    inbound,
    make_lead,
    open_account,
    open_conversation,
    outbound,
)
from tests.fixtures.feed import seq_of
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api

PAGE = """query ($filter: ConversationFilter, $first: Int! = 20, $after: String) {
  conversations(filter: $filter, first: $first, after: $after) {
    edges { cursor node { id status unreadCount draft lead { id } lastMessage { body } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } feedCursor } }"""
MOVED = """subscription ($after: String) {
  feed(after: $after, kinds: [MESSAGE_ADDED]) { ids message { conversation { id } } } }"""


async def page(person: Person, **variables: Any) -> dict[str, Any]:
    return (await person.run(PAGE, variables))["conversations"]  # type: ignore[no-any-return]


def ids(found: dict[str, Any]) -> list[str]:
    return [edge["node"]["id"] for edge in found["edges"]]


async def several(person: Person, doors: Doors, count: int) -> list[Opened]:
    """Empty conversations with one lead over as many accounts' addresses, oldest first."""
    lead_id, account_id = await make_lead(person), await open_account(person, doors)
    return [
        await open_conversation(person, doors, lead_id=lead_id, account_id=account_id) for _ in range(count)
    ]


async def test_newest_activity_comes_first(ana: Person, eve: Person, doors: Doors) -> None:
    first, second, third = await several(ana, doors, 3)
    await several(eve, doors, 1)
    await inbound(ana, doors, first.id, body="Oi")
    found = await page(ana)
    assert ids(found) == [str(first.id), str(third.id), str(second.id)]
    assert found["edges"][0]["node"]["lastMessage"] == {"body": "Oi"}
    assert found["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": found["edges"][0]["cursor"],
        "endCursor": found["edges"][-1]["cursor"],
    }


async def test_an_empty_list_has_a_feed_cursor(ana: Person) -> None:
    found = await page(ana)
    assert (found["edges"], seq_of(found["feedCursor"])) == ([], 0)


async def test_a_page_is_one_statement_however_long_it_is(ana: Person, doors: Doors) -> None:
    for one in await several(ana, doors, 30):
        await inbound(ana, doors, one.id)

    async def statements() -> float:
        told = (await ana.http.get("/metrics")).text
        line = next(line for line in told.splitlines() if line.startswith("salespad_sql_statements_total"))
        return float(line.split()[1])

    async def cost(query: str) -> float:
        """The least of five: polls come on top now and then."""
        spent = []
        for _ in range(5):
            before = await statements()
            await ana.run(query)
            spent.append(await statements() - before)
        return min(spent)

    around = await cost("{ __typename }")  # the readings' own
    plain = (
        "{ conversations(first: 30) "
        "{ edges { node { unreadCount lead { name } lastMessage { author { id } } } } } }"
    )
    assert await cost(plain) - around < 5
    nested = (
        "{ conversations(first: 30) { edges { node { messages(last: 2) "
        "{ edges { node { conversation { id } } } } } } } }"
    )
    assert await cost(nested) - around < 10


async def test_pages_stay_right_while_conversations_move(ana: Person, doors: Doors, api_server: Api) -> None:
    """None twice, none missed that stayed, and those that moved are told after the first page's position."""
    opened = [str(one.id) for one in await several(ana, doors, 12)]
    newest_first = opened[::-1]
    first = await page(ana, first=4)
    moved = [newest_first[1], newest_first[6], newest_first[9]]  # seen already, and yet to come
    seen, cursor = ids(first), first["pageInfo"]["endCursor"]
    for step in moved:
        await inbound(ana, doors, UUID(step))
        following = await page(ana, first=4, after=cursor)
        seen += ids(following)
        cursor = following["pageInfo"]["endCursor"] or cursor
    assert len(seen) == len(set(seen))
    assert set(newest_first) - set(seen) <= set(moved)
    assert [id for id in seen if id not in moved] == [id for id in newest_first if id not in moved]
    async with open_socket(api_server.ws_url, ana.token) as socket:
        told = []
        async for item in socket.subscribe(MOVED, {"after": first["feedCursor"]}):
            if item["data"]["feed"]["message"]:
                told.append(item["data"]["feed"]["message"]["conversation"]["id"])
            if len(told) == len(moved):
                break
    assert told == moved


async def test_equal_times_are_paged_by_id(ana: Person, doors: Doors) -> None:
    opened = await several(ana, doors, 7)
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    for one in opened:
        await change(ana, doors, one.id, activity_at=moment)
    seen: list[str] = []
    cursor = None
    while True:
        found = await page(ana, first=3, after=cursor)
        seen += ids(found)
        if not found["pageInfo"]["hasNextPage"]:
            break
        cursor = found["pageInfo"]["endCursor"]
    assert seen == sorted((str(one.id) for one in opened), reverse=True)


async def test_filters(ana: Person, doors: Doors) -> None:
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    mine, his, closed, free = await several(ana, doors, 4)
    other = await open_conversation(ana, doors)
    await change(ana, doors, mine.id, assignee_id=ana.user_id)
    await change(ana, doors, his.id, assignee_id=bruno.user_id)
    await change(ana, doors, closed.id, status="CLOSED")
    await inbound(ana, doors, free.id)

    async def by(**filter: Any) -> set[str]:
        return set(ids(await page(ana, filter=filter)))

    everything = {str(one.id) for one in (mine, his, closed, free, other)}
    assert await by() == everything
    assert await by(statuses=["CLOSED"]) == {str(closed.id)}
    assert await by(statuses=["CLOSED", "OPEN"]) == everything
    assert await by(statuses=[]) == set()
    assert await by(channels=["EMAIL"]) == everything
    assert await by(assigneeIds=[str(ana.user_id), str(bruno.user_id)]) == {str(mine.id), str(his.id)}
    assert await by(assigneeIds=["nonsense"]) == set()
    assert await by(leadIds=[str(other.lead_id)]) == {str(other.id)}
    assert await by(unassigned=True) == everything - {str(mine.id), str(his.id)}
    assert await by(unassigned=False) == {str(mine.id), str(his.id)}
    assert await by(unread=True) == {str(free.id)}
    assert await by(unread=False) == everything - {str(free.id)}
    assert await by(unread=True, statuses=["CLOSED"]) == set()
    nulls = dict.fromkeys(
        ("statuses", "channels", "assigneeIds", "leadIds", "unassigned", "unread", "search")
    )
    assert await by(**nulls) == everything
    too_many = {"filter": {"leadIds": [str(other.lead_id)] * 101}}
    assert await ana.refused(PAGE, too_many) == "BAD_USER_INPUT"


async def test_dormant_ones_are_shown_to_who_asks_for_them(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    await outbound(ana, doors, opened.id, body="Promotion")
    await change(ana, doors, opened.id, status="CLOSED", is_dormant=True)
    assert ids(await page(ana)) == []
    assert ids(await page(ana, filter={"unassigned": True})) == []
    for filter in ({"statuses": ["CLOSED"]}, {"leadIds": [str(opened.lead_id)]}, {"search": "promotion"}):
        assert ids(await page(ana, filter=filter)) == [str(opened.id)]


async def test_a_deleted_leads_conversations_are_hidden(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(text("UPDATE lead SET deleted_at = now() WHERE id = :id"), {"id": opened.lead_id})
    assert ids(await page(ana)) == []
    query = "query ($id: ID!) { conversation(id: $id) { lead { id deletedAt } } }"
    found = (await ana.run(query, {"id": str(opened.id)}))["conversation"]
    assert found["lead"]["id"] == str(opened.lead_id)
    assert found["lead"]["deletedAt"] is not None


async def test_unread_is_the_viewers_own(ana: Person, doors: Doors) -> None:
    bruno = await add_member(doors, ana, role=Role.VIEWER)
    opened = await open_conversation(ana, doors)
    await inbound(ana, doors, opened.id)
    read = "INSERT INTO conversation_read VALUES (:workspace, :user, :id, 1)"
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(text(read), {"workspace": ana.workspace_id, "user": ana.user_id, "id": opened.id})
    assert [edge["node"]["unreadCount"] for edge in (await page(ana))["edges"]] == [0]
    assert [edge["node"]["unreadCount"] for edge in (await page(bruno))["edges"]] == [1]


@pytest.mark.parametrize("first", [0, -1, 101])
async def test_a_page_has_1_to_100(ana: Person, first: int) -> None:
    assert await ana.refused(PAGE, {"first": first}) == "BAD_USER_INPUT"


@pytest.mark.parametrize("after", ["", "garbage", "AWltcG9ydHN8eHx5"])
async def test_what_is_no_cursor_of_this_list_is_refused(ana: Person, after: str) -> None:
    assert await ana.refused(PAGE, {"after": after}) == "BAD_USER_INPUT"


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_cursor_of_a_moment_that_is_none_in_utc_is_refused(ana: Person, at: str) -> None:
    raw = f"conversations|{at}|{uuid4()}".encode()
    after = base64.urlsafe_b64encode(CURSOR_VERSION + raw).rstrip(b"=").decode()
    assert await ana.refused(PAGE, {"after": after}) == "BAD_USER_INPUT"
