"""Server-sent events at /graphql: graphql-sse's distinct connections mode, with a socket's life and limits."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx
import jwt
import pytest
from sqlalchemy import text
from starlette.types import ASGIApp, Message

from app.common.work import Doors
from app.graphql import streams
from tests.factories.accounts import Person, sign_in, sign_up
from tests.fixtures.feed import CREATE_TAG, FEED, create_tags, feed_cursor, metric, seq_of
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api, eventually
from tests.fixtures.streams import Event, Stream, follow, open_stream

SIGN_OUT = "mutation ($token: String!) { signOut(input: {refreshToken: $token}) { ok } }"
COMPLETE = ("complete", None)


@pytest.fixture
async def stream(ana: Person) -> AsyncIterator[Stream]:
    """A live one, after its first heartbeat."""
    async with follow(ana, FEED) as stream:
        assert item(await stream.event())["kind"] == "HEARTBEAT"
        yield stream


def item(event: Event) -> dict[str, object]:
    name, payload = event
    assert name == "next", event
    assert "errors" not in payload, payload
    fed: dict[str, object] = payload["data"]["feed"]
    return fed


def code_of(event: Event) -> str:
    """Of a refusal: nothing was executed, so there is no `data`."""
    name, payload = event
    assert (name, list(payload)) == ("next", ["errors"])
    (error,) = payload["errors"]
    return str(error["extensions"]["code"])


async def test_a_subscription_streams_what_happens(ana: Person, stream: Stream) -> None:
    ids = await create_tags(ana, ["a", "b", "ç — “quoted”"])
    assert [item(await stream.event())["ids"] for _ in ids] == [[id] for id in ids]
    headers = stream.response.headers
    assert stream.response.status_code == 200
    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["Cache-Control"] == "no-store, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["RateLimit-Policy"]
    assert "Content-Length" not in headers


async def test_it_resumes_by_its_cursor(ana: Person) -> None:
    cursor = await feed_cursor(ana)
    ids = await create_tags(ana, ["a", "b", "c"])
    async with follow(ana, FEED, after=cursor) as stream:
        await stream.event()
        first = item(await stream.event())
    async with follow(ana, FEED, after=first["cursor"]) as stream:
        await stream.event()
        rest = [item(await stream.event())["ids"] for _ in range(2)]
    assert [first["ids"], *rest] == [[id] for id in ids]


async def test_a_query_and_a_mutation_are_one_next_and_complete(ana: Person) -> None:
    async with follow(ana, CREATE_TAG, name="By stream") as stream:
        (_, made), ended = await stream.rest()
    assert made["data"]["createTag"]["errors"] == []
    assert ended == COMPLETE
    async with follow(ana, "{ tags { id } }") as stream:
        assert await stream.rest() == [
            ("next", {"data": {"tags": [{"id": made["data"]["createTag"]["tag"]["id"]}]}}),
            COMPLETE,
        ]


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{ tags { ", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { feed { nothing } }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { feed { " + "kind " * 501 + "} }", {}, "QUERY_TOO_COMPLEX"),
        (
            "subscription a { feed { kind } } subscription b { feed { kind } }",
            {},
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (FEED, {"kinds": ["NONE"]}, "BAD_USER_INPUT"),
    ],
)
async def test_what_is_not_executed_is_told_in_the_stream(
    ana: Person, query: str, variables: dict[str, object], code: str
) -> None:
    """As the protocol asks: the client expects events, and browsers drop the body of an error."""
    async with follow(ana, query, **variables) as stream:
        assert stream.response.status_code == 200
        refused, ended = await stream.rest()
    assert (code_of(refused), ended) == (code, COMPLETE)


async def test_a_refused_position_is_told_as_on_the_socket(ana: Person) -> None:
    cursor = await feed_cursor(ana)
    ahead = f"1.{seq_of(cursor) + 1:016x}.{cursor[-8:]}"
    for after, code in (("nonsense", "BAD_USER_INPUT"), (ahead, "CURSOR_EXPIRED")):
        async with follow(ana, FEED, after=after) as stream:
            (name, payload), ended = await stream.rest()
        assert (name, payload["data"], ended) == ("next", None, COMPLETE)
        assert payload["errors"][0]["extensions"]["code"] == code


async def test_no_token_is_told_in_the_stream_and_a_bad_one_is_401(http: httpx.AsyncClient) -> None:
    async with open_stream(http, FEED) as stream:
        refused, ended = await stream.rest()
    assert (code_of(refused), ended) == ("UNAUTHENTICATED", COMPLETE)
    async with open_stream(http, FEED, token="nonsense") as stream:
        assert stream.response.status_code == 401
        assert stream.response.headers["Content-Type"].startswith("application/json")


# ── its end ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_it_ends_when_the_token_expires() -> None:
    async with (
        Api.started(SALESPAD_ACCESS_TOKEN_TTL_S="3") as api,
        httpx.AsyncClient(base_url=api.url, trust_env=False, timeout=30) as http,
    ):
        person = await sign_up(http)
        expires_at = jwt.decode(person.token, options={"verify_signature": False})["exp"]
        async with follow(person, FEED) as stream:
            await stream.event()
            refused, ended = await stream.rest()
            at = time.time()
    assert (code_of(refused), ended) == ("UNAUTHENTICATED", COMPLETE)
    assert 0 <= at - expires_at < 10


async def test_it_ends_when_its_session_does(ana: Person, stream: Stream) -> None:
    other_session = await sign_in(ana, workspace_id=ana.workspace_id)
    async with follow(other_session, FEED) as unharmed:
        await unharmed.event()
        assert (await ana.run(SIGN_OUT, {"token": ana.refresh_token}))["signOut"]["ok"]
        async with asyncio.timeout(10):
            refused, ended = await stream.rest()
        assert (code_of(refused), ended) == ("UNAUTHENTICATED", COMPLETE)
        (tag,) = await create_tags(other_session, ["after"])
        assert item(await unharmed.event())["ids"] == [tag]


async def test_a_client_that_leaves_leaves_nothing_behind(ana: Person) -> None:
    async with Api.started() as api, httpx.AsyncClient(base_url=api.url, trust_env=False) as http:
        for _ in range(3):
            async with AsyncExitStack() as stack:
                person = replace(ana, http=http)
                streams = [await stack.enter_async_context(follow(person, FEED)) for _ in range(20)]
                for stream in streams:
                    await stream.event()
                await eventually(lambda: _has(api, 20), what="twenty streams")
            await eventually(lambda: _has(api, 0), what="the end of twenty streams")
        assert "Traceback" not in api.log()
        assert "rror" not in api.log()


async def _has(api: Api, count: int) -> bool:
    return await metric(api.url, "salespad_subscribers") == count


async def test_a_quiet_one_is_kept_alive(app: ASGIApp, ana: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """And ends when the server is told that its client has gone."""
    monkeypatch.setattr(streams, "KEEP_ALIVE_S", 0.05)
    body = json.dumps({"query": FEED}).encode()
    headers = {
        b"host": b"127.0.0.1",
        b"accept": b"text/event-stream",
        b"content-type": b"application/json",
        b"authorization": f"Bearer {ana.token}".encode(),
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [*headers.items()],
    }
    given: asyncio.Queue[Message] = asyncio.Queue()
    answered: asyncio.Queue[Message] = asyncio.Queue()
    given.put_nowait({"type": "http.request", "body": body})
    serving = asyncio.ensure_future(app(scope, given.get, answered.put))
    async with asyncio.timeout(10):
        assert (await answered.get())["status"] == 200
        for _ in range(3):
            while (await answered.get())["body"] != b":\n\n":
                pass
        given.put_nowait({"type": "http.disconnect"})
        await serving


async def test_a_server_that_stops_does_not_wait_for_it(ana: Person) -> None:
    """Its client has no `complete`, so it comes back, to another process."""
    async with Api.started() as api, httpx.AsyncClient(base_url=api.url, trust_env=False) as http:
        async with follow(replace(ana, http=http), FEED) as stream:
            await stream.event()
            api.signal(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError):
                await stream.rest()
        assert api.process is not None
        async with asyncio.timeout(10):
            assert await api.process.wait() in (0, -signal.SIGTERM)
        assert "Traceback" not in api.log()
        assert "graceful shutdown exceeded" not in api.log()


# ── its limits ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_session_has_twenty_at_once(ana: Person) -> None:
    other_session = await sign_in(ana, workspace_id=ana.workspace_id)
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(follow(ana, FEED)) for _ in range(20)]
        for stream in opened:
            await stream.event()
        async with follow(ana, FEED) as stream:
            assert stream.response.status_code == 429
            assert int(stream.response.headers["Retry-After"]) >= 1
            await stream.response.aread()
            assert stream.response.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        async with follow(ana, "{ tags { id } }") as stream:
            assert (await stream.rest())[-1] == COMPLETE
        async with follow(other_session, FEED) as stream:
            assert item(await stream.event())["kind"] == "HEARTBEAT"
        await opened[0].response.aclose()

        async def has_room() -> bool:
            async with follow(ana, FEED) as stream:
                return stream.response.status_code == 200

        await eventually(has_room, what="room for another stream")


async def test_a_client_that_stops_reading_is_cut(ana: Person, doors: Doors) -> None:
    """Others do not wait for it, and its subscription goes."""
    async with Api.started(SALESPAD_SOCKET_STUCK_S="2", SALESPAD_WEB_REQUESTS_PER_MINUTE="100000") as api:
        query = (
            "subscription ($after: String) { feed(after: $after) { cursor "
            + " ".join(f"k{n}: kind" for n in range(29))
            + " } }"
        )
        cursor = await feed_cursor(ana)
        async with doors.open_system() as system:
            await system.execute(
                text(
                    "INSERT INTO feed_event (workspace_id, seq, kind, entity_ids, changed, before, after, actor_kind)"
                    " SELECT :workspace_id, seq + n, 'tag.changed', '{}', '{}', '{}', '{}', 'HUMAN'"
                    " FROM feed_head, generate_series(1, 30000) n WHERE workspace_id = :workspace_id"
                ),
                {"workspace_id": ana.workspace_id},
            )
            await system.execute(
                text("UPDATE feed_head SET seq = seq + 30000 WHERE workspace_id = :workspace_id"),
                {"workspace_id": ana.workspace_id},
            )
        async with httpx.AsyncClient(base_url=api.url, trust_env=False, timeout=30) as http:
            person = replace(ana, http=http)
            async with follow(person, query, after=cursor) as stuck:
                await stuck.event()
                await eventually(lambda: _has(api, 1), what="the subscription")
                await eventually(lambda: _has(api, 0), timeout_s=30, what="the cut")
                assert (await person.run("{ __typename }")) == {"__typename": "Query"}
        assert "Traceback" not in api.log()


async def test_what_is_executed_for_sockets_is_executed_for_streams_too(ana: Person, api_server: Api) -> None:
    """A socket and streams of one document: every one of them gets it."""
    async with AsyncExitStack() as stack:
        socket = await stack.enter_async_context(open_socket(api_server.ws_url, ana.token))
        told = socket.subscribe(FEED)
        await anext(told)
        streams = [await stack.enter_async_context(follow(ana, FEED)) for _ in range(3)]
        for stream in streams:
            await stream.event()
        (tag,) = await create_tags(ana, ["for all"])
        fed = [item(await stream.event()) for stream in streams]
        assert fed == [(await anext(told))["data"]["feed"]] * 3
    assert fed[0]["ids"] == [tag]


async def test_urqls_accept_header_asks_for_json(ana: Person) -> None:
    """It mentions event streams, as its last resort."""
    accept = (
        "application/graphql-response+json, application/graphql+json, application/json, text/event-stream"
    )
    headers = {"Accept": accept, "Authorization": f"Bearer {ana.token}"}
    response = await ana.http.post("/graphql", json={"query": "{ tags { id } }"}, headers=headers)
    assert response.json() == {"data": {"tags": []}}
