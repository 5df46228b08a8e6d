"""bulkSendProgress and the feed: what is told of a bulk send, to whom, and who may move it."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.bulk_sends import ALL, CREATE, MOVES, UPDATE, asked, drafted, leads, moved, state
from tests.factories.channels import connected
from tests.fixtures.feed import feed_cursor
from tests.fixtures.graphql import GraphQLRefused, open_socket
from tests.fixtures.processes import Api, Worker

PROGRESS = """
subscription ($id: ID!) { bulkSendProgress(id: $id) { id status finishedAt counts { eligible queued canceled } } }
"""
FEED = """
subscription ($after: String) {
  feed(after: $after, kinds: [BULK_SEND_PROGRESSED]) { kind ids bulkSend { id status } }
}
"""
NEVER = (datetime.now(UTC) + timedelta(days=30)).isoformat()


async def progress(api: Api, person: Person, id: str) -> list[dict[str, Any]]:
    """The states told, until the server completes the subscription."""
    states = []
    async with asyncio.timeout(60), open_socket(api.ws_url, person.token) as socket:
        async for payload in socket.subscribe(PROGRESS, {"id": id}):
            if "errors" in payload:
                raise GraphQLRefused(payload["errors"])
            states.append(payload["data"]["bulkSendProgress"])
            if len(states) == 1 and states[0]["status"] == "SCHEDULED":
                await moved(person, "cancel", id)
    return states


async def test_it_begins_with_now_and_ends_with_the_end(ana: Person, api_server: Api, worker: Worker) -> None:
    await leads(ana, 3)
    bulk_send = await drafted(ana, startAt=NEVER)
    await moved(ana, "launch", bulk_send["id"])
    states = await progress(api_server, ana, bulk_send["id"])
    assert (states[0]["status"], states[-1]["status"]) == ("SCHEDULED", "CANCELED")
    assert [one["finishedAt"] is not None for one in states] == [False] * (len(states) - 1) + [True]
    assert states[-1]["counts"]["queued"] == 0
    assert states[-1]["counts"]["eligible"] == states[-1]["counts"]["canceled"]
    assert len(await progress(api_server, ana, bulk_send["id"])) == 1, "what has ended is told once"


@pytest.mark.parametrize("id", ["nonsense", "019aa000-0000-7000-8000-000000000000"])
async def test_an_unknown_one_is_not_found(ana: Person, api_server: Api, id: str) -> None:
    with pytest.raises(GraphQLRefused) as refused:
        await progress(api_server, ana, id)
    assert refused.value.code == "NOT_FOUND"


async def test_another_workspaces_is_not_found(ana: Person, eve: Person, api_server: Api) -> None:
    bulk_send = await drafted(eve)
    with pytest.raises(GraphQLRefused) as refused:
        await progress(api_server, ana, bulk_send["id"])
    assert refused.value.code == "NOT_FOUND"


async def test_the_feed_tells_of_it(ana: Person, api_server: Api) -> None:
    cursor = await feed_cursor(ana)
    bulk_send = await drafted(ana)
    await moved(ana, "cancel", bulk_send["id"])
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(20), open_socket(api_server.ws_url, ana.token) as socket:
        async for payload in socket.subscribe(FEED, {"after": cursor}):
            item = payload["data"]["feed"]
            if item["kind"] != "HEARTBEAT":
                told.append(item)
            if len(told) == 2:
                break
    assert [one["ids"] for one in told] == [[bulk_send["id"]]] * 2
    assert told[-1]["bulkSend"] == {"id": bulk_send["id"], "status": "CANCELED"}


async def test_a_viewer_reads_and_an_extension_does_nothing(ana: Person, doors: Doors) -> None:
    bulk_send, input = await drafted(ana), await asked(ana)
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    extension = await add_member(doors, ana, role=Role.MEMBER, client=ClientKind.EXTENSION)
    assert await state(viewer, bulk_send["id"]) == bulk_send
    assert [one["id"] for one in (await viewer.run(ALL))["bulkSends"]] == [bulk_send["id"]]
    moves = {f"{how}BulkSend": (move, {"id": bulk_send["id"]}) for how, move in MOVES.items()}
    moves |= {
        "createBulkSend": (CREATE, input),
        "updateBulkSend": (UPDATE, {"id": bulk_send["id"], "name": "November"}),
    }
    for person in (viewer, extension):
        for name, (document, given) in moves.items():
            answer = (await person.run(document, {"input": given}))[name]
            assert [error["code"] for error in answer["errors"]] == ["FORBIDDEN"], name
    refused = (await extension.post(ALL)).json()
    assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await state(ana, bulk_send["id"]) == bulk_send


async def test_any_member_moves_it(ana: Person, doors: Doors) -> None:
    bulk_send = await drafted(ana)
    member = await add_member(doors, ana, role=Role.MEMBER)
    assert (await moved(member, "cancel", bulk_send["id"]))["status"] == "CANCELED"


async def test_counts_of_a_hundred_come_at_once(ana: Person) -> None:
    given = {"templateId": (await drafted(ana))["template"]["id"], "accountId": (await connected(ana))["id"]}
    for _ in range(2):
        await asyncio.gather(*(drafted(ana, name=secrets.token_hex(4), **given) for _ in range(50)))
    found = (await ana.run(ALL))["bulkSends"]
    assert len(found) == 100
    assert {one["template"]["id"] for one in found} == {given["templateId"]}
