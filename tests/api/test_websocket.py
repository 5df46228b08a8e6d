"""graphql-transport-ws as clients rely on it: the contract with the handler we build on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.typing import Origin, Subprotocol

from tests.factories.accounts import Person
from tests.fixtures.feed import FEED, create_tags, metric
from tests.fixtures.graphql import Socket, open_socket
from tests.fixtures.processes import Api, eventually

SUBSCRIBE = {"id": "1", "type": "subscribe", "payload": {"query": FEED}}


@asynccontextmanager
async def connection(api: Api, *protocols: str, **options: Any) -> AsyncIterator[ClientConnection]:
    wanted = [Subprotocol(name) for name in protocols or ("graphql-transport-ws",)]
    async with websockets.connect(api.ws_url, subprotocols=wanted, proxy=None, **options) as opened:
        yield opened


async def close_code(opened: ClientConnection) -> int:
    async with asyncio.timeout(10):
        await opened.wait_closed()
    assert opened.close_code is not None
    return opened.close_code


async def sent(api: Api, *messages: object) -> int:
    """The code a new connection is closed with after these messages."""
    async with connection(api) as opened:
        for message in messages:
            await opened.send(message if isinstance(message, str | bytes) else json.dumps(message))
        return await close_code(opened)


def init(person: Person) -> dict[str, Any]:
    return {"type": "connection_init", "payload": {"authorization": f"Bearer {person.token}"}}


@pytest.fixture
async def socket(ana: Person, api_server: Api) -> AsyncIterator[Socket]:
    async with open_socket(api_server.ws_url, ana.token) as socket:
        yield socket


async def test_ping_is_answered_with_its_payload(socket: Socket) -> None:
    await socket.send({"type": "ping", "payload": {"n": 1}})
    assert await socket.receive() == {"type": "pong", "payload": {"n": 1}}
    await socket.send({"type": "ping"})
    assert await socket.receive() == {"type": "pong"}
    await socket.send({"type": "pong"})
    await socket.send({"type": "ping", "payload": None})
    assert await socket.receive() == {"type": "pong"}


async def test_a_query_is_one_next_and_complete(socket: Socket) -> None:
    await socket.send({"id": "q", "type": "subscribe", "payload": {"query": "{ tags { id } }"}})
    assert await socket.receive() == {"id": "q", "type": "next", "payload": {"data": {"tags": []}}}
    assert await socket.receive() == {"id": "q", "type": "complete"}


async def test_a_mutation_works_and_its_refusals_are_data(socket: Socket) -> None:
    query = 'mutation { createTag(input: {name: ""}) { tag { id } errors { code path } } }'
    await socket.send({"id": "m", "type": "subscribe", "payload": {"query": query}})
    answer = (await socket.receive())["payload"]["data"]["createTag"]
    assert answer == {"tag": None, "errors": [{"code": "INVALID", "path": ["name"]}]}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ tags { ", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_VALIDATION_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { feed { nothing } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ " + "__typename " * 21 + "}", "QUERY_TOO_COMPLEX"),
    ],
)
async def test_a_document_that_is_wrong_is_an_error_and_the_rest_lives_on(
    ana: Person, socket: Socket, query: str, code: str
) -> None:
    await socket.send(SUBSCRIBE)
    assert (await socket.receive())["payload"]["data"]["feed"]["kind"] == "HEARTBEAT"
    await socket.send({"id": "bad", "type": "subscribe", "payload": {"query": query}})
    refused = await socket.receive()
    assert (refused["id"], refused["type"]) == ("bad", "error")
    assert refused["payload"][0]["extensions"]["code"] == code
    (tag,) = await create_tags(ana, ["still here"])
    alive = await socket.receive()
    assert (alive["id"], alive["payload"]["data"]["feed"]["ids"]) == ("1", [tag])


async def test_which_of_two_operations_must_be_said(socket: Socket) -> None:
    document = {"query": "query a { a: __typename } query b { b: __typename }"}
    await socket.send({"id": "1", "type": "subscribe", "payload": document})
    refused = await socket.receive()
    assert (refused["id"], refused["type"]) == ("1", "error")
    assert refused["payload"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    await socket.send({"id": "2", "type": "subscribe", "payload": {**document, "operationName": "b"}})
    assert (await socket.receive())["payload"] == {"data": {"b": "Query"}}


async def test_complete_ends_a_subscription_and_frees_its_id(ana: Person, socket: Socket) -> None:
    await socket.send(SUBSCRIBE)
    await socket.receive()
    await socket.send({"id": "1", "type": "complete"})
    await socket.send({"id": "unknown", "type": "complete"})
    await create_tags(ana, ["unheard"])
    await socket.send(SUBSCRIBE)
    heartbeat = (await socket.receive())["payload"]["data"]["feed"]
    assert heartbeat["kind"] == "HEARTBEAT"
    (tag,) = await create_tags(ana, ["heard"])
    assert (await socket.receive())["payload"]["data"]["feed"]["ids"] == [tag]


async def test_the_21st_operation_is_refused_and_the_others_live_on(ana: Person, socket: Socket) -> None:
    for number in range(20):
        await socket.send({**SUBSCRIBE, "id": f"s{number}"})
        assert (await socket.receive())["id"] == f"s{number}"
    await socket.send({**SUBSCRIBE, "id": "one too many"})
    refused = await socket.receive()
    assert (refused["id"], refused["type"]) == ("one too many", "error")
    assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
    (tag,) = await create_tags(ana, ["seen by all"])
    seen = [await socket.receive() for _ in range(20)]
    assert {message["id"] for message in seen} == {f"s{number}" for number in range(20)}
    assert {message["payload"]["data"]["feed"]["ids"][0] for message in seen} == {tag}
    await socket.send({"id": "s0", "type": "complete"})
    await socket.send({**SUBSCRIBE, "id": "again"})
    assert (await socket.receive())["type"] == "next"


async def test_five_hundred_subscriptions_on_one_socket(ana: Person, socket: Socket) -> None:
    """All at once: as many as may be are served, every other one is told so, and the socket lives on."""
    for number in range(500):
        await socket.send({**SUBSCRIBE, "id": f"s{number}"})
    answers = [await socket.receive() for _ in range(500)]
    served = {answer["id"] for answer in answers if answer["type"] == "next"}
    refused = {answer["id"] for answer in answers if answer["type"] == "error"}
    assert (len(served), len(refused), served & refused) == (20, 480, set())
    (tag,) = await create_tags(ana, ["seen by the twenty"])
    seen = [await socket.receive() for _ in range(20)]
    assert {message["id"] for message in seen} == served
    assert {message["payload"]["data"]["feed"]["ids"][0] for message in seen} == {tag}


async def test_two_operations_with_one_id_are_4409(ana: Person, api_server: Api) -> None:
    assert await sent(api_server, init(ana), SUBSCRIBE, SUBSCRIBE) == 4409


async def test_subscribe_before_the_acknowledgement_is_4401(api_server: Api) -> None:
    assert await sent(api_server, SUBSCRIBE) == 4401


async def test_a_second_init_is_4429(ana: Person, api_server: Api) -> None:
    assert await sent(api_server, init(ana), init(ana)) == 4429


async def test_no_init_within_3_s_is_4408(api_server: Api) -> None:
    started = asyncio.get_running_loop().time()
    assert await sent(api_server) == 4408
    assert 2.5 < asyncio.get_running_loop().time() - started < 6


@pytest.mark.parametrize(
    "message",
    [
        [],
        None,
        7,
        "not json",
        "{",
        b"{}",
        {},
        {"type": "nonsense"},
        {"type": ["subscribe"]},
        {"type": "subscribe"},
        {"type": "subscribe", "id": 7, "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": "1"},
        {"type": "subscribe", "id": "1", "payload": {"query": 7}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "variables": []}},
        {"type": "complete"},
        {"type": "connection_init", "payload": "x"},
    ],
)
async def test_a_message_of_a_wrong_shape_is_4400(ana: Person, api_server: Api, message: object) -> None:
    is_init = isinstance(message, dict) and message.get("type") == "connection_init"
    first = [] if is_init else [init(ana)]
    assert await sent(api_server, *first, message) == 4400


async def test_the_legacy_protocol_is_refused(api_server: Api) -> None:
    async with connection(api_server, "graphql-ws") as opened:
        assert opened.subprotocol is None
        assert await close_code(opened) == 4406


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_another_sites_page_may_not_connect(api_server: Api, origin: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connection(api_server, origin=Origin(origin)):
            pass
    assert refused.value.response.status_code == 403


async def test_our_own_page_may_connect(ana: Person, api_server: Api) -> None:
    async with open_socket(api_server.ws_url, ana.token, origin=Origin(api_server.url)) as socket:
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


async def test_a_socket_that_ends_is_a_line_of_the_log(ana: Person) -> None:
    async with Api.started() as api:
        async with open_socket(api.ws_url, ana.token):
            pass
        await eventually(lambda: "websocket closed" in api.log(), what="the line")
        assert " status=101\n" in api.log()


async def test_a_client_that_vanishes_leaves_nothing_behind(ana: Person) -> None:
    async with Api.started() as api:
        for _ in range(5):
            async with open_socket(api.ws_url, ana.token) as socket:
                await socket.send(SUBSCRIBE)
                await socket.receive()
                socket.connection.transport.abort()

        async def none_left() -> bool:
            return await metric(api.url, "salespad_subscribers") == 0

        await eventually(none_left, what="the end of five subscriptions")
