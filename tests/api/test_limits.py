"""What one client may take: requests a minute, time, depth, size; and how each refusal looks."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest
from graphql import get_introspection_query
from sqlalchemy import text

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from app.settings import Settings
from tests.factories.accounts import Person, add_member
from tests.factories.imports import finished, import_leads, profile
from tests.fixtures.graphql import GraphQLRefused, open_socket
from tests.fixtures.processes import Api, Worker

pytestmark = pytest.mark.xdist_group("limits")
QUERY = "{ viewer { user { id } } }"
CREATE_TAG = "mutation ($name: String!) { createTag(input: {name: $name}) { tag { id } errors { code } } }"
WEB, EXTENSION = 12, 5


@pytest.fixture(scope="module")
async def tight(servers: None) -> AsyncIterator[Api]:
    """Little of everything."""
    async with Api.started(
        SALESPAD_WEB_REQUESTS_PER_MINUTE=str(WEB),
        SALESPAD_EXTENSION_REQUESTS_PER_MINUTE=str(EXTENSION),
        SALESPAD_POOL_SIZE="1",
        SALESPAD_POOL_WAIT_S="0.3",
        SALESPAD_OPERATION_TIMEOUT_S="3",
    ) as api:
        yield api


@asynccontextmanager
async def at(api: Api, person: Person) -> AsyncIterator[Person]:
    async with httpx.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as http:
        yield replace(person, http=http)


@asynccontextmanager
async def feed_locked(doors: Doors, person: Person) -> AsyncIterator[None]:
    """Whatever this workspace's people change waits, with its connection in hand."""
    async with doors.open_system() as system:
        lock = text("SELECT seq FROM feed_head WHERE workspace_id = :workspace_id FOR UPDATE")
        await system.execute(lock, {"workspace_id": person.workspace_id})
        yield


def is_unavailable(response: httpx.Response) -> bool:
    (error,) = response.json()["errors"]
    return (
        response.status_code == 503
        and error["extensions"] == {"code": "UNAVAILABLE"}
        and int(response.headers["Retry-After"]) >= 1
    )


# ── requests a minute ─────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_customers_limits_are_the_defaults() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert (defaults["web_requests_per_minute"], defaults["extension_requests_per_minute"]) == (600, 100)
    assert (defaults["pool_size"], defaults["pool_wait_s"]) == (20, 5)
    assert (defaults["statement_timeout_s"], defaults["operation_timeout_s"]) == (30, 10)


@pytest.mark.parametrize(("client", "limit"), [(ClientKind.WEB, WEB), (ClientKind.EXTENSION, EXTENSION)])
async def test_requests_beyond_the_limit_are_429(
    ana: Person, doors: Doors, tight: Api, client: ClientKind, limit: int
) -> None:
    member = await add_member(doors, ana, role=Role.MEMBER, client=client)
    async with at(tight, member) as person:
        for left in range(limit - 1, -1, -1):
            response = await person.post(QUERY)
            assert response.status_code == 200
            assert response.headers["RateLimit-Policy"] == f'"user";q={limit};w=60'
            assert response.headers["RateLimit"].startswith(f'"user";r={left};t=')
        response = await person.post(QUERY)
        assert response.status_code == 429
        assert response.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert 1 <= int(response.headers["Retry-After"]) <= 61
        assert response.headers["RateLimit-Policy"] == f'"user";q={limit};w=60'
        assert response.headers["RateLimit"].startswith('"user";r=0;t=')
        async with open_socket(tight.ws_url, person.token) as socket:
            with pytest.raises(GraphQLRefused) as refused:
                await anext(aiter(socket.subscribe(QUERY)))
        assert refused.value.code == "RATE_LIMITED"
    async with at(tight, ana) as other:
        assert (await other.post(QUERY)).status_code == 200


async def test_operations_of_a_socket_count_as_requests(ana: Person, tight: Api) -> None:
    async with open_socket(tight.ws_url, ana.token) as socket:
        for _ in range(WEB):
            payload = await anext(aiter(socket.subscribe(QUERY)))
            assert payload["data"]["viewer"]["user"]["id"] == str(ana.user_id)
            assert (await socket.receive())["type"] == "complete"
    async with at(tight, ana) as person:
        assert (await person.post(QUERY)).status_code == 429


# ── time and connections ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_full_pool_and_a_slow_operation_are_503(
    ana: Person, eve: Person, doors: Doors, tight: Api
) -> None:
    """The one connection waits for a lock: the other request waits 0.3 s for it, the operation itself ends at 3 s."""
    async with at(tight, ana) as slow, at(tight, eve) as other:
        async with feed_locked(doors, ana):
            started = time.monotonic()
            stuck = asyncio.create_task(slow.post(CREATE_TAG, {"name": "stuck"}))
            refused = await other.post("{ tags { id } }")
            while refused.status_code == 200:  # it came before the other one had the connection
                refused = await other.post("{ tags { id } }")
            assert is_unavailable(refused)
            assert not stuck.done()
            assert is_unavailable(await stuck)
            assert 2.9 < time.monotonic() - started < 15
        assert (await slow.run("{ tags { name } }"))["tags"] == []
        assert (await slow.run(CREATE_TAG, {"name": "stuck"}))["createTag"]["errors"] == []


async def test_a_slow_operation_over_a_socket_ends_in_time(ana: Person, doors: Doors, tight: Api) -> None:
    async with open_socket(tight.ws_url, ana.token) as socket:
        async with feed_locked(doors, ana):
            started = time.monotonic()
            with pytest.raises(GraphQLRefused) as refused:
                await anext(aiter(socket.subscribe(CREATE_TAG, {"name": "stuck"})))
            assert refused.value.code == "UNAVAILABLE"
            assert 2.9 < time.monotonic() - started < 15
        payload = await anext(aiter(socket.subscribe(CREATE_TAG, {"name": "stuck"})))
        assert payload["data"]["createTag"]["errors"] == []


async def test_a_statement_that_takes_too_long_is_503(ana: Person, doors: Doors) -> None:
    async with Api.started(SALESPAD_STATEMENT_TIMEOUT_S="0.3") as api, at(api, ana) as person:
        async with feed_locked(doors, ana):
            assert is_unavailable(await person.post(CREATE_TAG, {"name": "stuck"}))
        assert (await person.run("{ tags { name } }"))["tags"] == []


# ── documents ─────────────────────────────────────────────────────────────────────────────────────────────────────────
DEEP = "{ leads { edges { node { provenance { leadImport { rowErrors { row } } } } } } }"
TOO_COMPLEX = {
    "depth": "{ __typename " + "... { ... on Query { " * 3 + "a { b " * 13 + "}" * 13 + "} } " * 3 + "}",
    "introspection depth": "{ __schema { types " + "{ ofType " * 20 + "{ name }" + " }" * 20 + " } }",
    "aliases": "{ " + " ".join(f"a{n}: __typename" for n in range(31)) + " }",
    "directives": "{ " + " ".join("__typename @skip(if: false)" for n in range(21)) + " }",
    "root fields": "{ " + "__typename " * 21 + "}",
    "selections": "{ tags { " + "id " * 501 + "} }",
    "selections of fragments": "{ ...a } "
    + " ".join(f"fragment {x} on Query {{ {f'...{y} ' * 10} }}" for x, y in zip("abcd", "bcde", strict=True))
    + " fragment e on Query { __typename }",
    "characters": "{ __typename } #" + "x" * 100_000,
    "passwords": 'mutation { a: signIn(input: {email: "a", password: "b"}) { errors { code } } '
    'b: signIn(input: {email: "a", password: "c"}) { errors { code } } }',
}


@pytest.mark.parametrize("what", TOO_COMPLEX)
async def test_a_document_that_asks_for_too_much_is_refused(ana: Person, what: str) -> None:
    response = await ana.post(TOO_COMPLEX[what])
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    assert "data" not in response.json()


async def test_too_many_tokens_are_not_parsed(ana: Person) -> None:
    response = await ana.post("{ " + "a " * 2001 + "}")
    assert response.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"


async def test_what_people_ask_for_is_let_through(ana: Person) -> None:
    assert (await ana.run(DEEP))["leads"] == {"edges": []}
    assert (await ana.run("{ " + " ".join(f"a{n}: __typename" for n in range(20)) + " }"))["a7"] == "Query"


async def test_graphiqls_introspection_works(http: httpx.AsyncClient) -> None:
    query = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    )
    body = (await http.post("/graphql", json={"query": query, "operationName": "IntrospectionQuery"})).json()
    assert "errors" not in body
    assert body["data"]["__schema"]["subscriptionType"]["name"] == "Subscription"


# ── bodies and methods ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "",
    ],
)
async def test_a_body_that_is_not_json_is_415(http: httpx.AsyncClient, content_type: str) -> None:
    """A form of another site cannot send JSON without the browser asking us first."""
    response = await http.post(
        "/graphql", content='{"query": "{ __typename }"}', headers={"Content-Type": content_type}
    )
    assert response.status_code == 415


async def test_a_compressed_body_is_415(http: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await http.post("/graphql", content=b"\x1f\x8b", headers=headers)).status_code == 415


async def test_a_batch_is_refused(http: httpx.AsyncClient) -> None:
    response = await http.post("/graphql", json=[{"query": "{ __typename }"}] * 2)
    assert response.status_code == 400
    assert "one operation" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        "7",
        '"x"',
        "{}",
        '{"query": 7}',
        '{"query": "{ __typename }", "variables": []}',
        "[" * 100_000,
    ],
)
async def test_a_broken_body_is_400(http: httpx.AsyncClient, body: str) -> None:
    response = await http.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"]


async def test_queries_come_by_get_and_mutations_do_not(ana: Person) -> None:
    headers = {"Authorization": f"Bearer {ana.token}"}
    answer = await ana.http.get("/graphql", params={"query": "{ tags { id } }"}, headers=headers)
    assert answer.json() == {"data": {"tags": []}}
    mutation = 'mutation { createTag(input: {name: "By GET"}) { tag { id } } }'
    refused = await ana.http.get("/graphql", params={"query": mutation}, headers=headers)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
    assert "data" not in refused.json()
    assert (await ana.run("{ tags { id } }"))["tags"] == []


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("accept", "otherwise"),
    [
        ("application/json", 200),
        ("application/graphql-response+json", 200),
        ("*/*", 200),
        ("text/html", 406),
    ],
)
async def test_an_expired_token_is_401_whatever_is_accepted(
    ana: Person, settings: Settings, accept: str, otherwise: int
) -> None:
    claims = jwt.decode(ana.token, options={"verify_signature": False})
    key = {"kid": jwt.get_unverified_header(ana.token)["kid"]}
    assert settings.jwt_secret is not None
    for changes, status in (({}, otherwise), ({"exp": int(time.time()) - 1}, 401)):
        token = jwt.encode(claims | changes, settings.jwt_secret, algorithm="HS256", headers=key)
        headers = {"Authorization": f"Bearer {token}", "Accept": accept}
        response = await ana.http.post("/graphql", json={"query": QUERY}, headers=headers)
        assert response.status_code == status
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_no_token_is_for_the_fields_to_judge(http: httpx.AsyncClient) -> None:
    response = await http.post("/graphql", json={"query": "{ tags { id } }"})
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_an_error_of_ours_is_masked(ana: Person, doors: Doors, api_server: Api, worker: Worker) -> None:
    """A row that cannot be: its text stays out of the answer and out of the log."""
    secret = "hunter2-is-secret"
    import_id = await import_leads(ana, [profile("bia")])
    await finished(ana, import_id)
    async with doors.open_system() as system:
        await system.execute(
            text("UPDATE import_job SET counts = to_jsonb(cast(:secret as text)) WHERE id = :id"),
            {"secret": secret, "id": import_id},
        )
    response = await ana.post(
        "query ($id: ID!) { leadImport(id: $id) { status } tags { id } }", {"id": import_id}
    )
    async with doors.open_system() as system:  # where a wall is down it would spoil other workspaces' lists
        await system.execute(text("DELETE FROM import_job WHERE id = :id"), {"id": import_id})
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    (error,) = body["errors"]
    assert error["message"] == "Unexpected error."
    assert error["path"] == ["leadImport"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert body["data"] == {"leadImport": None, "tags": []}
    assert secret not in response.text
    log = api_server.log()
    assert error["extensions"]["errorId"] in log
    assert secret not in log
    assert ana.token not in log
