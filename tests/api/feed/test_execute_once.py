"""Execute once, send to all: who shares a frame, who must not, and what is pinned for it."""

import inspect
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import pytest
from graphql.execution import Executor
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.common.domain import Actor, ClientKind, Role
from app.common.work import Doors
from app.embedded.websockets import WRITE_TEXT as SERVED
from app.graphql import sharing
from app.graphql.limits import documents_of
from app.graphql.schema import schema
from app.graphql.sharing import read_document, share_key
from app.graphql.sockets import WRITE_TEXT
from app.settings import Settings
from tests.factories.accounts import Person, add_member
from tests.fixtures.feed import create_tags, feed_cursor, seq_of
from tests.fixtures.graphql import Socket, open_socket
from tests.fixtures.tenants import Server, in_process

FEED = (
    "subscription ($after: String, $kinds: [FeedKind!]) { feed(after: $after, kinds: $kinds) { cursor ids } }"
)
LEAD = """
subscription ($after: String, $with: Boolean!, $size: Int) {
  feed(after: $after) { cursor lead @include(if: $with) { id } }
}
"""


# ── over a socket ─────────────────────────────────────────────────────────────────────────────────────────────────────
class Counted:
    """What the API of this process executes for subscriptions."""

    def __init__(self) -> None:
        self.executed: list[Any] = []


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted, original = Counted(), sharing.execute_subscription_event

    def execute(executor: Any) -> Any:
        counted.executed.append(executor.root_value)
        return original(executor)

    monkeypatch.setattr(sharing, "execute_subscription_event", execute)
    return counted


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Server]:
    async with in_process(settings) as server:
        yield server


async def followed(
    server: Server, people: list[Person], document: str = FEED, **variables: Any
) -> list[list[dict[str, Any]]]:
    """The first two frames' items of a subscriber each: the heartbeat, then what `people[0]` makes."""
    async with AsyncExitStack() as stack:
        sockets: list[Socket] = []
        for person in people:
            sockets.append(await stack.enter_async_context(open_socket(server.ws_url, person.token)))
            payload = {"query": document, "variables": variables}
            await sockets[-1].send({"id": 'an "id"', "type": "subscribe", "payload": payload})
        first = [await socket.receive() for socket in sockets]
        await create_tags(people[0], [str(uuid4())])
        second = [await socket.receive() for socket in sockets]
        assert {message["id"] for message in first + second} == {'an "id"'}
        return [[m["payload"]["data"]["feed"] for m in pair] for pair in zip(first, second, strict=True)]


async def test_fifty_subscribers_one_execution(ana: Person, server: Server, counted: Counted) -> None:
    items = await followed(server, [ana] * 50, kinds=["TAG_CHANGED"])
    assert len({json.dumps(item[1]) for item in items}) == 1
    assert len(items[0][1]["ids"]) == 1
    assert len(counted.executed) == 51, "a heartbeat each, and the event once"


async def test_where_they_start_and_what_they_choose_does_not_part_them(
    ana: Person, server: Server, counted: Counted
) -> None:
    cursor = await feed_cursor(ana)
    async with AsyncExitStack() as stack:
        for variables in ({}, {"after": cursor}, {"kinds": ["TAG_CHANGED"]}, {"stray": 1}):
            socket = await stack.enter_async_context(open_socket(server.ws_url, ana.token))
            payload = {"query": FEED, "variables": variables}
            await socket.send({"id": "1", "type": "subscribe", "payload": payload})
            await socket.receive()
            stack.push_async_callback(socket.receive)
        await create_tags(ana, ["one"])
    assert len(counted.executed) == 5


async def test_roles_documents_and_operations_are_apart(
    ana: Person, doors: Doors, server: Server, counted: Counted
) -> None:
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    colleague = await add_member(doors, ana, role=Role.OWNER)
    await followed(server, [ana, viewer, colleague])
    assert len(counted.executed) == 3 + 2, "two roles"
    counted.executed.clear()
    named = "subscription a { feed { cursor ids } } subscription b { feed { ids cursor } }"
    async with open_socket(server.ws_url, ana.token) as socket:
        for name in ("a", "b"):
            payload = {"query": named, "operationName": name}
            await socket.send({"id": name, "type": "subscribe", "payload": payload})
            await socket.receive()
        await create_tags(ana, ["two operations"])
        answers = [await socket.receive() for _ in range(2)]
    assert [list(answer["payload"]["data"]["feed"]) for answer in answers] == [
        ["cursor", "ids"],
        ["ids", "cursor"],
    ]
    assert len(counted.executed) == 2 + 2


async def test_another_workspaces_subscribers_share_nothing(
    ana: Person, eve: Person, server: Server, counted: Counted
) -> None:
    async with open_socket(server.ws_url, eve.token) as hers:
        await hers.send({"id": "1", "type": "subscribe", "payload": {"query": FEED}})
        heartbeat = (await hers.receive())["payload"]["data"]["feed"]
        await followed(server, [ana, ana])
        (tag,) = await create_tags(eve, ["hers"])
        item = (await hers.receive())["payload"]["data"]["feed"]
    assert item["ids"] == [tag]
    assert seq_of(item["cursor"]) == seq_of(heartbeat["cursor"]) + 1


async def test_what_fails_is_logged_once_and_told_to_all(
    ana: Person, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[str] = []

    def fail(executor: Any) -> Any:
        failures.append("once")
        raise RuntimeError("a secret")

    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(open_socket(server.ws_url, ana.token)) for _ in range(5)]
        for socket in sockets:
            await socket.send({"id": "1", "type": "subscribe", "payload": {"query": FEED}})
            await socket.receive()
        monkeypatch.setattr(sharing, "execute_subscription_event", fail)
        await create_tags(ana, ["boom"])
        told = [(await socket.receive())["payload"] for socket in sockets]
        assert [(await socket.receive())["type"] for socket in sockets] == ["complete"] * 5
    assert failures == ["once"]
    assert len({payload["errors"][0]["extensions"]["errorId"] for payload in told}) == 1
    assert told[0]["errors"][0]["message"] == "Unexpected error."


async def test_switched_off_each_executes_for_itself(
    ana: Person, settings: Settings, counted: Counted
) -> None:
    async with in_process(settings.model_copy(update={"share_execution": False})) as server:
        items = await followed(server, [ana] * 3)
    assert counted.executed == [], "Strawberry's own pipeline"
    assert len({json.dumps(item[1]) for item in items}) == 1


# ── who shares with whom ──────────────────────────────────────────────────────────────────────────────────────────────
class Asked:
    operation_name: str | None = None

    def __init__(self, query: str, variables: dict[str, Any] | None = None) -> None:
        self.query, self.variables = query, variables


def actor(role: Role = Role.MEMBER) -> Actor:
    return Actor(WORKSPACE, uuid4(), role, ClientKind.WEB, uuid4(), 0.0)


WORKSPACE = uuid4()


def key(query: str, variables: dict[str, Any] | None = None, who: Actor | None = None) -> str:
    checked = documents_of(schema._schema).check(query)
    asked: Any = Asked(query, variables)
    return share_key(schema._schema, checked, asked, who or actor())[0]


def test_variables_below_the_root_field_part_subscribers() -> None:
    assert key(FEED, {"after": "a"}) == key(FEED, {"after": "b", "kinds": []}) == key(FEED)
    document = documents_of(schema._schema).check(LEAD).document
    assert read_document(schema._schema, document) == (False, frozenset({"with"}))
    assert key(LEAD, {"with": True}) != key(LEAD, {"with": False})
    assert key(LEAD, {"with": True, "after": "a"}) == key(LEAD, {"after": "b", "with": True})
    on_root = "subscription ($x: Boolean!) { feed @skip(if: $x) { ids } }"
    assert key(on_root, {"x": True}) != key(on_root, {"x": False})


def test_a_field_that_reads_the_viewer_is_shared_with_their_own_tabs_only() -> None:
    query = """subscription { feed { ...on FeedItem { ...inbox } } }
    fragment inbox on FeedItem { message { conversation { lead { name } %s } } }"""
    ana, bruno, vera = actor(), actor(), actor(Role.VIEWER)
    assert key(query % "", who=ana) == key(query % "", who=bruno) != key(query % "", who=vera)
    own = query % "unreadCount"
    assert key(own, who=ana) == key(own, who=ana) != key(own, who=bruno)


# ── what is pinned ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_pinned_insides_are_as_the_pipeline_expects() -> None:
    """Looked at again with each new version: then SALESPAD_SHARE_EXECUTION=false is the way back."""
    assert (version("strawberry-graphql"), version("graphql-core")) == ("0.341.2", "3.3.2")
    assert list(inspect.signature(Executor.build).parameters)[:6] == [
        "schema",
        "document",
        "root_value",
        "context_value",
        "raw_variable_values",
        "operation_name",
    ]
    assert list(inspect.signature(Executor.build_per_event_executor).parameters) == ["self", "payload"]
    assert list(inspect.signature(sharing.create_source_event_stream).parameters) == ["executor"]
    assert list(inspect.signature(sharing.execute_subscription_event).parameters) == ["executor"]
    assert issubclass(schema.execution_context_class, Executor)
    assert {"completed", "handler", "id", "operation_name", "query", "task", "variables"} <= set(
        Operation.__slots__
    )
    assert {"handshake_complete", "close_sent", "transport", "writable"} <= set(
        WebSocketsSansIOProtocol.__init__.__code__.co_names
    )
    assert version("uvicorn") == "0.54.0"
    assert WRITE_TEXT == SERVED
    for name in ("run_operation", "handle_task_exception", "forget_id"):
        assert callable(getattr(BaseGraphQLTransportWSHandler, name))
