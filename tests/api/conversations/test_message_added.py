"""messageAdded: every message, in order, each once; of one conversation or of all."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from app.settings import Settings
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import inbound, open_conversation, outbound
from tests.fixtures.feed import create_tags, feed_cursor, metric, seq_of
from tests.fixtures.graphql import GraphQLRefused, Socket, open_socket
from tests.fixtures.processes import Api, eventually
from tests.fixtures.tenants import in_process

ADDED = """
subscription ($id: ID, $after: String) {
  messageAdded(conversationId: $id, after: $after) {
    cursor message { id body direction conversation { id } }
  }
}
"""


class Listener:
    """A subscription on a socket of its own."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket

    async def begin(self, **variables: object) -> None:
        payload = {"query": ADDED, "variables": variables}
        await self.socket.send({"id": "1", "type": "subscribe", "payload": payload})

    async def take(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(20):
            messages = [await self.socket.receive() for _ in range(count)]
        return [message["payload"]["data"]["messageAdded"] for message in messages]


async def added(
    ws_url: str, person: Person, count: int, *, after: str, id: UUID | None = None
) -> list[dict[str, Any]]:
    async with open_socket(ws_url, person.token) as socket:
        listener = Listener(socket)
        await listener.begin(after=after, id=str(id) if id else None)
        return await listener.take(count)


def ids(items: list[dict[str, Any]]) -> list[UUID]:
    return [UUID(item["message"]["id"]) for item in items]


async def test_messages_of_both_directions_and_all_conversations(
    ana: Person, doors: Doors, api_server: Api
) -> None:
    one, two = await open_conversation(ana, doors), await open_conversation(ana, doors)
    after = await feed_cursor(ana)
    sent = [await inbound(ana, doors, one.id, body="Quero saber mais")]
    await create_tags(ana, ["something else"])
    sent.append(await outbound(ana, doors, two.id))
    sent.append(await inbound(ana, doors, one.id))
    items = await added(api_server.ws_url, ana, 3, after=after)
    assert ids(items) == sent
    assert items[0]["message"]["body"] == "Quero saber mais"
    assert [item["message"]["direction"] for item in items] == ["INBOUND", "OUTBOUND", "INBOUND"]
    assert [item["message"]["conversation"]["id"] for item in items] == [
        str(one.id),
        str(two.id),
        str(one.id),
    ]
    assert [seq_of(item["cursor"]) - seq_of(after) for item in items] == [1, 3, 4]
    assert ids(await added(api_server.ws_url, ana, 2, after=items[0]["cursor"])) == sent[1:]


async def test_one_conversations_messages_only(ana: Person, doors: Doors, api_server: Api) -> None:
    one, two = await open_conversation(ana, doors), await open_conversation(ana, doors)
    after = await feed_cursor(ana)
    await inbound(ana, doors, two.id)
    mine = [await inbound(ana, doors, one.id)]
    await outbound(ana, doors, two.id)
    mine.append(await outbound(ana, doors, one.id))
    assert ids(await added(api_server.ws_url, ana, 2, after=after, id=one.id)) == mine


async def test_without_a_cursor_it_begins_now(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    early = await inbound(ana, doors, opened.id)
    async with Api.started() as api, open_socket(api.ws_url, ana.token) as socket:
        listener = Listener(socket)
        await listener.begin(id=str(opened.id))

        async def has_begun() -> bool:
            return await metric(api.url, "salespad_subscribers") == 1

        await eventually(has_begun, what="the subscription")
        late = await inbound(ana, doors, opened.id)
        items = await listener.take(1)
    assert ids(items) == [late] != [early]


@pytest.mark.parametrize("id", ["nonsense", "", "0199a0b1-0000-7000-8000-00000000dead"])
async def test_an_unknown_conversation_is_not_found(ana: Person, api_server: Api, id: str) -> None:
    assert await refusal(api_server, ana, id=id) == "NOT_FOUND"


async def test_another_workspaces_conversation_is_not_found(
    ana: Person, eve: Person, doors: Doors, api_server: Api
) -> None:
    hers = await open_conversation(eve, doors)
    await inbound(eve, doors, hers.id)
    assert await refusal(api_server, ana, id=str(hers.id)) == "NOT_FOUND"
    after = await feed_cursor(ana)
    own = await open_conversation(ana, doors)
    listening = asyncio.create_task(added(api_server.ws_url, ana, 1, after=after))
    await inbound(eve, doors, hers.id)
    mine = await inbound(ana, doors, own.id)
    assert ids(await listening) == [mine]


async def test_cursors_are_judged_as_the_feeds(ana: Person, eve: Person, api_server: Api) -> None:
    assert await refusal(api_server, ana, after="nonsense") == "BAD_USER_INPUT"
    assert await refusal(api_server, ana, after=await feed_cursor(eve)) == "BAD_USER_INPUT"
    cursor = await feed_cursor(ana)
    ahead = f"1.{seq_of(cursor) + 1:016x}.{cursor[-8:]}"
    assert await refusal(api_server, ana, after=ahead) == "CURSOR_EXPIRED"


async def test_a_viewer_may_and_an_extension_may_not(ana: Person, doors: Doors, api_server: Api) -> None:
    opened = await open_conversation(ana, doors)
    after = await feed_cursor(ana)
    sent = await inbound(ana, doors, opened.id)
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert ids(await added(api_server.ws_url, viewer, 1, after=after)) == [sent]
    extension = await add_member(doors, ana, role=Role.OWNER, client=ClientKind.EXTENSION)
    assert await refusal(api_server, extension) == "FORBIDDEN"


@pytest.mark.parametrize("client", [ClientKind.WEB, ClientKind.EXTENSION])
async def test_the_feed_tells_an_extension_nothing_of_the_inbox(
    ana: Person, doors: Doors, api_server: Api, client: ClientKind
) -> None:
    """What it may not ask for it is not told either (words.md, Roles): neither what was, nor what comes."""
    document = "subscription ($after: String) { feed(after: $after) { kind message { body } } }"
    person = await add_member(doors, ana, role=Role.MEMBER, client=client)
    opened = await open_conversation(ana, doors)
    after = await feed_cursor(ana)
    await inbound(ana, doors, opened.id, body="Between us")
    kinds: list[str] = []
    async with asyncio.timeout(20), open_socket(api_server.ws_url, person.token) as socket:
        async for payload in socket.subscribe(document, {"after": after}):
            item = payload["data"]["feed"]
            kinds.append(item["kind"])
            if item["kind"] == "HEARTBEAT":
                await create_tags(ana, ["First"])
            elif item["kind"] == "TAG_CHANGED" and kinds.count("TAG_CHANGED") == 1:
                await inbound(ana, doors, opened.id, body="Between us again")
                await create_tags(ana, ["Second"])
            elif item["kind"] == "TAG_CHANGED":
                break
    told = [kind for kind in kinds if kind != "HEARTBEAT"]
    of_inbox = ["MESSAGE_ADDED"] if client is ClientKind.WEB else []
    assert told == [*of_inbox, "TAG_CHANGED", *of_inbox, "TAG_CHANGED"]


@pytest.mark.parametrize("shares", [True, False])
async def test_a_message_that_is_gone_is_passed_over(
    ana: Person, doors: Doors, settings: Settings, shares: bool
) -> None:
    opened = await open_conversation(ana, doors)
    after = await feed_cursor(ana)
    gone, there = await inbound(ana, doors, opened.id), await inbound(ana, doors, opened.id)
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(
            text("DELETE FROM message WHERE workspace_id = :workspace_id AND id = :id"),
            {"workspace_id": ana.workspace_id, "id": gone},
        )
    async with in_process(settings.model_copy(update={"share_execution": shares})) as server:
        assert ids(await added(server.ws_url, ana, 1, after=after)) == [there]


async def refusal(api: Api, person: Person, **variables: object) -> str:
    async with asyncio.timeout(20), open_socket(api.ws_url, person.token) as socket:
        try:
            async for payload in socket.subscribe(ADDED, variables):
                return str(payload["errors"][0]["extensions"]["code"])
        except GraphQLRefused as refused:
            return refused.code
    raise AssertionError("it was not refused")
