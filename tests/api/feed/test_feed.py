"""The feed over the websocket: from a snapshot on, everything, in order, once."""

import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.imports import finished, import_leads, imported, profile
from tests.fixtures.feed import FEED, Follower, create_tags, feed_cursor, metric, seq_of
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api, Worker, eventually

WITH_ENTITIES = """
subscription ($after: String) {
  feed(after: $after) { cursor kind ids lead { id name } leadImport { id status processedRows } }
}
"""


@dataclass(frozen=True)
class Door:
    """Where a person subscribes: each time over a socket of its own."""

    api: Api
    person: Person

    async def take(self, count: int, query: str = FEED, **variables: Any) -> list[dict[str, Any]]:
        """The first items of a new subscription."""
        items: list[dict[str, Any]] = []
        async with asyncio.timeout(20), open_socket(self.api.ws_url, self.person.token) as socket:
            async for payload in socket.subscribe(query, variables):
                assert "errors" not in payload, payload
                items.append(payload["data"]["feed"])
                if len(items) == count:
                    break
        return items

    async def refusal(self, **variables: Any) -> str:
        """The code of the error a subscription ends with."""
        async with asyncio.timeout(20), open_socket(self.api.ws_url, self.person.token) as socket:
            payload = await anext(aiter(socket.subscribe(FEED, variables)))
            assert payload["data"] is None
            ended = await socket.receive()
        assert ended["type"] == "complete"
        return str(payload["errors"][0]["extensions"]["code"])


@pytest.fixture
def door(ana: Person, api_server: Api) -> Door:
    return Door(api_server, ana)


async def test_the_first_item_is_the_position(ana: Person, door: Door) -> None:
    cursor = await feed_cursor(ana)
    assert re.fullmatch(r"1\.[0-9a-f]{16}\.[0-9a-f]{8}", cursor)
    assert cursor.endswith(ana.workspace_id.hex[-8:])
    assert await door.take(1) == [{"cursor": cursor, "kind": "HEARTBEAT", "ids": []}]
    await create_tags(ana, ["One"])
    assert seq_of(await feed_cursor(ana)) == seq_of(cursor) + 1
    assert await door.take(1, after=cursor) == [{"cursor": cursor, "kind": "HEARTBEAT", "ids": []}]


async def test_what_happened_since_and_what_happens_now_come_in_order(ana: Person, door: Door) -> None:
    cursor = await feed_cursor(ana)
    before = await create_tags(ana, ["a", "b", "c"])
    following = asyncio.create_task(door.take(7, after=cursor))
    after = await create_tags(ana, ["d", "e", "f"])
    items = (await following)[1:]
    assert [item["ids"] for item in items] == [[id] for id in before + after]
    assert {item["kind"] for item in items} == {"TAG_CHANGED"}
    assert [seq_of(item["cursor"]) - seq_of(cursor) for item in items] == [1, 2, 3, 4, 5, 6]


async def test_snapshot_then_subscribe_misses_nothing_and_doubles_nothing(
    ana: Person, api_server: Api, worker: Worker
) -> None:
    """Leads of the snapshot and leads of the items after its cursor are all leads, without overlap."""
    query = "{ leads(first: 100) { feedCursor edges { node { id } } } }"
    handles = [f"p{n}" for n in range(90)]
    sending = asyncio.gather(
        *(
            import_leads(ana, [profile(handle) for handle in handles[start : start + 6]])
            for start in range(0, 90, 6)
        )
    )
    snapshots = []

    async def look() -> bool:
        page = (await ana.run(query))["leads"]
        snapshots.append((page["feedCursor"], {edge["node"]["id"] for edge in page["edges"]}))
        return sending.done()

    await eventually(look, timeout_s=60, what="the end of sending")
    for id in await sending:
        await finished(ana, id)
    every = {edge["node"]["id"] for edge in (await ana.run(query))["leads"]["edges"]}
    head = seq_of(await feed_cursor(ana))
    assert len(every) == 90
    for cursor, known in snapshots:
        async with Follower.following(lambda: [api_server.ws_url], ana.token, cursor) as follower:
            if seq_of(cursor) < head:
                await follower.until(head)
            created = [id for item in follower.items if item["kind"] == "LEAD_CREATED" for id in item["ids"]]
        assert len(created) == len(set(created))
        assert known.isdisjoint(created)
        assert known | set(created) == every


async def test_kinds_are_chosen_and_the_position_moves_on(ana: Person, door: Door, worker: Worker) -> None:
    """After 100 items that were left out comes a heartbeat, at the last of them and not beyond."""
    cursor = await feed_cursor(ana)
    await create_tags(ana, [f"tag {n}" for n in range(150)])
    await imported(ana, [profile("bia")])
    first, beat, lead = await door.take(3, after=cursor, kinds=["LEAD_CREATED"])
    assert (first["kind"], first["cursor"]) == ("HEARTBEAT", cursor)
    assert (beat["kind"], seq_of(beat["cursor"])) == ("HEARTBEAT", seq_of(cursor) + 100)
    assert lead["kind"] == "LEAD_CREATED"
    assert len(lead["ids"]) == 1
    both = await door.take(152, after=cursor, kinds=["TAG_CHANGED", "LEAD_CREATED"])
    assert [item["kind"] for item in both[1:]] == ["TAG_CHANGED"] * 150 + ["LEAD_CREATED"]


async def test_ids_come_up_to_a_hundred(ana: Person, door: Door, worker: Worker) -> None:
    cursor = await feed_cursor(ana)
    await imported(ana, [profile(f"a{n}") for n in range(100)])
    await imported(ana, [profile(f"b{n}") for n in range(101)])
    items = await door.take(3, after=cursor, kinds=["LEAD_CREATED"])
    counts = [len(item["ids"]) for item in items if item["kind"] == "LEAD_CREATED"]
    assert counts == [100, 0]


async def test_one_lead_or_import_comes_along(ana: Person, door: Door, worker: Worker) -> None:
    cursor = await feed_cursor(ana)
    import_id = await import_leads(ana, [profile("bia", name="Bia")])
    await finished(ana, import_id)
    items = await door.take(4, WITH_ENTITIES, after=cursor)
    assert [item["kind"] for item in items] == [
        "HEARTBEAT",
        "IMPORT_PROGRESSED",
        "LEAD_CREATED",
        "IMPORT_PROGRESSED",
    ]
    assert items[0]["lead"] is items[0]["leadImport"] is None
    assert items[1]["leadImport"]["id"] == items[1]["ids"][0] == import_id
    assert items[2]["lead"] == {"id": items[2]["ids"][0], "name": "Bia"}
    assert items[2]["leadImport"] is None
    assert items[3]["leadImport"] == {"id": import_id, "status": "COMPLETED", "processedRows": 1}
    two = await feed_cursor(ana)
    await imported(ana, [profile("caio"), profile("davi")])
    created = (await door.take(3, WITH_ENTITIES, after=two))[2]
    assert (created["kind"], len(created["ids"]), created["lead"]) == ("LEAD_CREATED", 2, None)


async def test_a_cursor_is_good_at_every_process(ana: Person, door: Door) -> None:
    start = await feed_cursor(ana)
    ids = await create_tags(ana, ["a", "b", "c", "d"])
    here = await door.take(3, after=start)
    async with Api.started() as other:
        elsewhere = Door(other, ana)
        there = await elsewhere.take(3, after=here[-1]["cursor"])
        more = asyncio.create_task(elsewhere.take(2, after=there[-1]["cursor"]))
        ids += await create_tags(ana, ["e"])
        seen = here[1:] + there[1:] + (await more)[1:]
    assert [item["ids"] for item in seen] == [[id] for id in ids]


@pytest.mark.parametrize(
    "after",
    [
        "",
        "nonsense",
        "1.zz.00000000",
        "1.ffffffffffffffff.{tail}",
        "2.0000000000000000.{tail}",
        "１.0000000000000000.{tail}",
        "1.0000000000000000.{tail}\n",
    ],
)
async def test_what_is_no_cursor_is_bad_input(ana: Person, door: Door, after: str) -> None:
    assert await door.refusal(after=after.format(tail=ana.workspace_id.hex[-8:])) == "BAD_USER_INPUT"


async def test_another_workspaces_cursor_is_bad_input(ana: Person, eve: Person, door: Door) -> None:
    assert await door.refusal(after=await feed_cursor(eve)) == "BAD_USER_INPUT"


async def test_a_position_that_is_not_kept_has_expired(ana: Person, door: Door, doors: Doors) -> None:
    cursors = [await feed_cursor(ana)]
    for name in "abc":
        await create_tags(ana, [name])
        cursors.append(await feed_cursor(ana))
    floor = seq_of(cursors[1])
    async with doors.open_system() as system:
        await system.execute(
            text("UPDATE feed_head SET floor = :floor WHERE workspace_id = :workspace_id"),
            {"floor": floor, "workspace_id": ana.workspace_id},
        )
        await system.execute(
            text("DELETE FROM feed_event WHERE seq <= :floor AND workspace_id = :workspace_id"),
            {"floor": floor, "workspace_id": ana.workspace_id},
        )
    assert await door.refusal(after=cursors[0]) == "CURSOR_EXPIRED"
    assert len(await door.take(3, after=cursors[1])) == 3


async def test_a_position_whose_events_are_gone_has_expired(ana: Person, door: Door, doors: Doors) -> None:
    """Gone without the floor having risen: the subscription ends, it does not ask for them over and over."""
    cursor = await feed_cursor(ana)
    await create_tags(ana, ["a", "b"])
    async with doors.open_system() as system:
        await system.execute(
            text("DELETE FROM feed_event WHERE workspace_id = :workspace_id"),
            {"workspace_id": ana.workspace_id},
        )
    async with asyncio.timeout(10):
        with pytest.raises(AssertionError, match="CURSOR_EXPIRED"):
            await door.take(2, after=cursor)


async def test_a_position_ahead_of_the_feed_has_expired(ana: Person, door: Door) -> None:
    """A backup that was brought back is behind its clients: they fetch again."""
    cursor = await feed_cursor(ana)
    ahead = f"1.{seq_of(cursor) + 1:016x}.{cursor[-8:]}"
    assert await door.refusal(after=ahead) == "CURSOR_EXPIRED"


async def test_nobody_sees_another_workspaces_events(ana: Person, eve: Person, door: Door) -> None:
    following = asyncio.create_task(door.take(2))
    await create_tags(eve, ["theirs"] + [f"t{n}" for n in range(5)])
    (mine,) = await create_tags(ana, ["mine"])
    assert (await following)[1]["ids"] == [mine]


async def test_a_viewer_and_an_extension_may_follow(ana: Person, doors: Doors, api_server: Api) -> None:
    for role, client in ((Role.VIEWER, ClientKind.WEB), (Role.MEMBER, ClientKind.EXTENSION)):
        person = await add_member(doors, ana, role=role, client=client)
        assert (await Door(api_server, person).take(1))[0]["kind"] == "HEARTBEAT"


async def test_a_subscriber_that_stops_reading_gets_all_of_it_later(ana: Person) -> None:
    """More than the buffers and the ring hold: it comes from the database, in pages, and others do not wait for it."""
    total = 900
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(
            Api.started(SALESPAD_FEED_RING_SIZE="20", SALESPAD_WEB_REQUESTS_PER_MINUTE="100000")
        )
        cursor = await feed_cursor(ana)
        slow = await stack.enter_async_context(open_socket(api.ws_url, ana.token, max_queue=1))
        await slow.send(
            {
                "id": "1",
                "type": "subscribe",
                "payload": {"query": WITH_ENTITIES, "variables": {"after": cursor}},
            }
        )
        quick = await stack.enter_async_context(Follower.following(lambda: [api.ws_url], ana.token, cursor))
        names = [f"{'n' * 40}{n}" for n in range(total)]
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=api.url, trust_env=False, timeout=30)
        )
        sender = replace(ana, http=http)
        await asyncio.gather(*(create_tags(sender, names[start::8]) for start in range(8)))
        head = seq_of(cursor) + total
        await quick.until(head)
        seqs: list[int] = []
        async with asyncio.timeout(30):
            while not seqs or seqs[-1] < head:
                item = (await slow.receive())["payload"]["data"]["feed"]
                if item["kind"] != "HEARTBEAT":
                    seqs.append(seq_of(item["cursor"]))
    assert seqs == quick.seqs == list(range(seq_of(cursor) + 1, head + 1))


async def test_the_doorbell_is_what_is_heard_in_calm_times(ana: Person, door: Door) -> None:
    """Events of another process, so that no call within this one can have told."""
    async with Api.started() as other:
        cursor = await feed_cursor(ana)
        async with Follower.following(lambda: [other.ws_url], ana.token, cursor) as follower:
            for n in range(40):
                await create_tags(ana, [f"calm {n}"])
            await follower.until(seq_of(cursor) + 40)
        assert (
            await metric(other.url, "feed_found_by_poll_total") <= 1
        )  # a machine under load may be late once
        assert await metric(other.url, "salespad_redis_up") == 1
        await eventually(lambda: _no_subscribers(other), what="the end of the subscription")


async def _no_subscribers(api: Api) -> bool:
    return await metric(api.url, "salespad_subscribers") == 0


async def test_without_redis_the_poll_finds_it(ana: Person) -> None:
    async with Api.started(SALESPAD_REDIS_URL="off") as other:
        cursor = await feed_cursor(ana)
        async with Follower.following(lambda: [other.ws_url], ana.token, cursor) as follower:
            await create_tags(ana, ["a"])
            await follower.until(
                seq_of(cursor) + 1
            )  # by the poll, or by the look that a new subscriber takes
            found = await metric(other.url, "feed_found_by_poll_total")
            await create_tags(ana, ["b"])
            await follower.until(seq_of(cursor) + 2)

            async def has_counted() -> bool:
                return await metric(other.url, "feed_found_by_poll_total") == found + 1

            await eventually(has_counted, what="the poll's count")
        assert await metric(other.url, "salespad_redis_up") == 0
