"""graphql-transport-ws frame by frame: every rule of the protocol by its number, and a log that stays clean.

What a socket may take and how it ends: tests/api/test_websocket.py and tests/api/feed/test_socket_ends.py. The
reference client (W35): tests/clients.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import pytest
import websockets
from sqlalchemy import text
from websockets.asyncio.client import ClientConnection
from websockets.typing import Origin, Subprotocol

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.imports import finished, import_leads, profile
from tests.fixtures.feed import FEED
from tests.fixtures.processes import Api, Worker

PROTOCOL = "graphql-transport-ws"
INIT = {"type": "connection_init", "payload": {"authorization": "Bearer TOKEN"}}
ACK = {"type": "connection_ack"}
PING, PONG = {"type": "ping"}, {"type": "pong"}


class Closed(int):
    """The server closes with this code."""


class Error(str):
    """An `error` for the id 1, with this code."""


Step: TypeAlias = dict[str, Any] | list[Any] | str | bytes | Closed | Error
"""`told(...)`, Error and Closed are what must come; everything else is sent."""


class told(dict[str, Any]):
    """A message that must come."""


def subscribe(query: Any = "{ __typename }", id: Any = "1", **payload: Any) -> dict[str, Any]:
    return {"id": id, "type": "subscribe", "payload": {"query": query, **payload}}


def complete(id: str = "1") -> dict[str, Any]:
    return {"id": id, "type": "complete"}


def data(of: dict[str, Any], id: str = "1") -> told:
    return told(id=id, type="next", payload={"data": of})


BEAT = "subscription { feed(kinds: [HEARTBEAT]) { kind } }"
CREATE = 'mutation { createTag(input: {name: ""}) { errors { code } } }'
READY: list[Step] = [INIT, told(ACK)]
STILL_ALIVE: list[Step] = [PING, told(PONG)]
ASKED: list[Step] = [subscribe(), data({"__typename": "Query"}), told(complete())]
BEATING: list[Step] = [subscribe(BEAT), data({"feed": {"kind": "HEARTBEAT"}})]
NOT_PARSED: list[Step] = [subscribe("{"), Error("GRAPHQL_PARSE_FAILED")]
NOT_VALID: list[Step] = [subscribe("{ nothing }"), Error("GRAPHQL_VALIDATION_FAILED")]
CREATED: list[Step] = [
    subscribe(CREATE),
    data({"createTag": {"errors": [{"code": "INVALID"}]}}),
    told(complete()),
]
TWO_AT_ONCE: list[Step] = [
    subscribe(BEAT, "a"),
    data({"feed": {"kind": "HEARTBEAT"}}, "a"),
    subscribe(id="b"),
    data({"__typename": "Query"}, "b"),
    told(complete("b")),
    complete("a"),
]

RULES: dict[str, list[Step]] = {
    "W02 init is acknowledged": READY,
    "W03 no init within 3 s": [Closed(4408)],
    "W04 a second init": [*READY, INIT, Closed(4429)],
    "W05 subscribe before the acknowledgement": [subscribe(), Closed(4401)],
    "W06 one id twice": [*READY, *BEATING, subscribe(BEAT), Closed(4409)],
    "W07 an unknown type": [*READY, {"type": "nonsense"}, Closed(4400)],
    "W08 bad JSON": [*READY, "{", Closed(4400)],
    "W08 bad JSON before init": ["{", Closed(4400)],
    "W08 deeply nested JSON": [*READY, "[" * 100_000, Closed(4400)],
    "W09 a binary frame": [*READY, b'{"type": "ping"}', Closed(4400)],
    "W10 a list": [*READY, "[]", Closed(4400)],
    "W11 a number": [*READY, "1", Closed(4400)],
    "W12 no payload": [*READY, {"id": "1", "type": "subscribe", "payload": None}, Closed(4400)],
    "W13 no id": [*READY, {"type": "subscribe", "payload": {"query": "{ __typename }"}}, Closed(4400)],
    "W14 a list for id": [*READY, subscribe(id=["1"]), Closed(4400)],
    "W15 a number for query": [*READY, subscribe(7), Closed(4400)],
    "W16 a list for variables": [*READY, subscribe(variables=[]), Closed(4400)],
    "W17 ping": [*READY, *STILL_ALIVE],
    "W18 ping before init": [*STILL_ALIVE, *READY],
    "W19 a ping's payload comes back": [*READY, PING | {"payload": {"n": 1}}, told(PONG | {"payload": {"n": 1}})],
    "W20 a stray pong": [*READY, PONG, PONG | {"payload": {"n": 1}}, *STILL_ALIVE],
    "W21 a query": [*READY, *ASKED],
    "W22 a mutation": [*READY, *CREATED],
    "W23 a document that is not valid": [*READY, *NOT_VALID, *STILL_ALIVE],
    "W24 a document that does not parse": [*READY, *NOT_PARSED, *STILL_ALIVE],
    "W25 an id again, once it is free": [*READY, *ASKED, *ASKED],
    "W25 an id again, after an error": [*READY, *NOT_PARSED, *ASKED],
    "W26 complete ends it, and is not answered": [*READY, *BEATING, complete(), *STILL_ALIVE, *BEATING],
    "W27 complete of an unknown id": [*READY, complete("unknown"), *STILL_ALIVE],
    "W28 complete without an id": [*READY, {"type": "complete"}, Closed(4400)],
    "W29 init without a token": [{"type": "connection_init", "payload": None}, Closed(4403)],
    "W29 init with something else": [{"type": "connection_init", "payload": []}, Closed(4400)],
    "W31 two at once": [*READY, *TWO_AT_ONCE, *STILL_ALIVE],
    "W33 a frame beyond 256 KiB": [*READY, subscribe("#" + "x" * 262_144), Closed(1009)],
    "W33 a large frame": [*READY, subscribe(variables={"unused": "x" * 262_000}), *ASKED[1:]],
}  # fmt: skip


@pytest.fixture(scope="module")
async def api(servers: None) -> AsyncIterator[Api]:
    """One that nobody else logs to: whatever comes in, it has nothing to say of it."""
    async with Api.started(SALESPAD_WEB_REQUESTS_PER_MINUTE="100000") as api:
        yield api
        assert "Traceback" not in api.log()
        assert "websocket operation failed" not in api.log()


async def play(connection: ClientConnection, steps: list[Step], token: str) -> None:
    async with asyncio.timeout(10):
        for step in steps:
            if isinstance(step, Closed):
                await connection.wait_closed()
                assert connection.close_code == step
            elif isinstance(step, Error):
                message = json.loads(await connection.recv())
                assert (message["id"], message["type"]) == ("1", "error")
                assert [error["extensions"]["code"] for error in message["payload"]] == [step]
            elif isinstance(step, told):
                assert json.loads(await connection.recv()) == step
            else:
                frame = step if isinstance(step, str | bytes) else json.dumps(step)
                await connection.send(frame.replace("TOKEN", token) if isinstance(frame, str) else frame)


def connect(api: Api, protocol: str = PROTOCOL, **options: Any) -> websockets.connect:
    return websockets.connect(api.ws_url, subprotocols=[Subprotocol(protocol)], proxy=None, **options)


@pytest.mark.parametrize("rule", RULES)
async def test_rule(ana: Person, api: Api, rule: str) -> None:
    async with connect(api) as connection:
        await play(connection, RULES[rule], ana.token)


@pytest.mark.parametrize("protocol", ["nonsense", "graphql-ws"])
async def test_rule_w01_w36_another_protocol_is_refused(api: Api, protocol: str) -> None:
    async with connect(api, protocol) as connection:
        await play(connection, [Closed(4406)], "")
        assert connection.subprotocol is None


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_rule_w30_another_sites_page_is_refused(api: Api, origin: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(api, origin=Origin(origin))
    assert refused.value.response.status_code == 403


async def test_rule_w32_of_500_subscriptions_20_run(ana: Person, api: Api) -> None:
    async with connect(api) as connection:
        await play(connection, READY, ana.token)
        for number in range(500):
            await connection.send(json.dumps(subscribe(FEED, str(number))))
        answers = [json.loads(await connection.recv())["type"] for _ in range(500)]
        assert (answers.count("next"), answers.count("error")) == (20, 480)
        await play(connection, STILL_ALIVE, ana.token)


async def test_rule_w34_an_error_of_ours_is_masked(
    ana: Person, api: Api, doors: Doors, worker: Worker
) -> None:
    secret = "hunter2-is-secret"
    import_id = await import_leads(ana, [profile("bia")])
    await finished(ana, import_id)
    poison = text("UPDATE import_job SET counts = to_jsonb(cast(:secret as text)) WHERE id = :id")
    async with doors.open_system() as system:
        await system.execute(poison, {"secret": secret, "id": import_id})
    async with connect(api) as connection:
        await play(connection, READY, ana.token)
        query = f'{{ leadImport(id: "{import_id}") {{ status }} }}'
        await connection.send(json.dumps(subscribe(query)))
        answer = await connection.recv()
    async with doors.open_system() as system:  # where a wall is down it would spoil other workspaces' lists
        await system.execute(text("DELETE FROM import_job WHERE id = :id"), {"id": import_id})
    (error,) = json.loads(answer)["payload"]["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("Unexpected error.", "INTERNAL_SERVER_ERROR")
    assert secret not in str(answer)
    assert secret not in api.log()
    assert error["extensions"]["errorId"] in api.log()
