"""What HTTP says of each refusal: the status, the code, the media type. The table is app/graphql/answers.py."""

import re
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from app.graphql.answers import STATUS_OF_CODE
from tests.factories.accounts import Person

JSON = {"Content-Type": "application/json"}
GRAPHQL_RESPONSE = "application/graphql-response+json"
TYPENAME = '{"query": "{ __typename }"}'
SAID = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Case:
    """A request, and what must come back for it."""

    status: int
    code: str
    method: str = "POST"
    content: str = TYPENAME
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] | None = None
    told: dict[str, str] = field(default_factory=dict)
    """Headers of the answer: patterns."""


def mutation_by_get(**params: str) -> Case:
    document = 'mutation a { createTag(input: {name: "By GET"}) { tag { id } } } query b { __typename }'
    allow = {"Allow": "POST"}
    return Case(405, "METHOD_NOT_ALLOWED", "GET", "", {}, {"query": document, **params}, allow)


REFUSED = {
    "PUT": Case(405, "METHOD_NOT_ALLOWED", "PUT", told={"Allow": "GET, POST"}),
    "DELETE": Case(405, "METHOD_NOT_ALLOWED", "DELETE", told={"Allow": "GET, POST"}),
    "OPTIONS": Case(405, "METHOD_NOT_ALLOWED", "OPTIONS", told={"Allow": "GET, POST"}),
    "a mutation by GET": mutation_by_get(operationName="a"),
    "a subscription by GET": Case(
        405, "METHOD_NOT_ALLOWED", "GET", "", {}, {"query": "subscription { feed { kind } }"}, {"Allow": "POST"}
    ),
    "nothing acceptable": Case(406, "NOT_ACCEPTABLE", headers={**JSON, "Accept": "text/html"}),
    "nothing wanted": Case(406, "NOT_ACCEPTABLE", headers={**JSON, "Accept": "*/*;q=0"}),
    "a form": Case(415, "UNSUPPORTED_MEDIA_TYPE", headers={"Content-Type": "text/plain"}),
    "compressed": Case(415, "UNSUPPORTED_MEDIA_TYPE", headers={**JSON, "Content-Encoding": "gzip"}),
    "not JSON": Case(400, "BAD_REQUEST", content="{", headers=JSON),
    "no query": Case(400, "BAD_REQUEST", content="{}", headers=JSON),
    "a query by GET without one": Case(400, "BAD_REQUEST", "GET", ""),
    "variables by GET that are none": Case(
        400, "BAD_REQUEST", "GET", "", {}, {"query": "{ __typename }", "variables": "[1]"}
    ),
    "too large": Case(413, "PAYLOAD_TOO_LARGE", content="x" * 5_000_001, headers=JSON),
    "a large query": Case(
        413, "PAYLOAD_TOO_LARGE", content=f'{{"query": "{{ __typename }}", "x": "{"x" * 1_000_000}"}}', headers=JSON
    ),
    "a bad token": Case(
        401, "UNAUTHENTICATED", headers={**JSON, "Authorization": "Bearer x"}, told={"WWW-Authenticate": "Bearer"}
    ),
    "another scheme": Case(
        401, "UNAUTHENTICATED", headers={**JSON, "Authorization": "Basic eDp5"}, told={"WWW-Authenticate": "Bearer"}
    ),
    "a subscription without a stream": Case(
        400, "BAD_REQUEST", content='{"query": "subscription { feed { kind } }"}', headers=JSON
    ),
}  # fmt: skip


async def answered(http: httpx.AsyncClient, case: Case) -> httpx.Response:
    return await http.request(
        case.method, "/graphql", content=case.content, headers=case.headers, params=case.params
    )


def check(response: httpx.Response, status: int, code: str, said: str = SAID) -> None:
    assert (response.status_code, response.headers["Content-Type"]) == (status, said)
    assert list(response.json()) == ["errors"]
    (error,) = response.json()["errors"]
    assert error["message"]
    assert error["extensions"] == {"code": code}
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Vary"] == "Accept, Origin"


@pytest.mark.parametrize("what", REFUSED)
async def test_a_refusal_has_its_status_and_says_why(http: httpx.AsyncClient, what: str) -> None:
    case = REFUSED[what]
    response = await answered(http, case)
    check(response, case.status, case.code)
    assert STATUS_OF_CODE[case.code] == case.status
    for name, pattern in case.told.items():
        assert re.fullmatch(pattern, response.headers[name])


OPERATIONS = {
    "{ tags { ": "GRAPHQL_PARSE_FAILED",
    "{ nothing }": "GRAPHQL_VALIDATION_FAILED",
    "query a { __typename } query b { __typename }": "GRAPHQL_VALIDATION_FAILED",
    "query ($id: ID!) { lead(id: $id) { id } }": "BAD_USER_INPUT",
    "{ " + "__typename " * 21 + "}": "QUERY_TOO_COMPLEX",
}


@pytest.mark.parametrize("query", OPERATIONS)
async def test_an_operation_that_is_not_executed_is_400_where_that_is_understood(
    ana: Person, query: str
) -> None:
    """Clients older than the media type read errors from a 200."""
    for accept, status, said in (
        (GRAPHQL_RESPONSE, 400, f"{GRAPHQL_RESPONSE}; charset=utf-8"),
        ("application/json", 200, SAID),
        ("*/*", 200, SAID),
    ):
        response = await ana.http.post("/graphql", json={"query": query}, headers={"Accept": accept})
        check(response, status, OPERATIONS[query], said)


async def test_an_operation_that_is_not_there_is_not_executed(http: httpx.AsyncClient) -> None:
    given = {"query": "query a { __typename }", "operationName": "b"}
    response = await http.post("/graphql", json=given, headers={"Accept": GRAPHQL_RESPONSE})
    check(response, 400, "GRAPHQL_VALIDATION_FAILED", f"{GRAPHQL_RESPONSE}; charset=utf-8")


@pytest.mark.parametrize("name", ["a", ""])
async def test_no_name_of_an_operation_brings_a_mutation_in_by_get(ana: Person, name: str) -> None:
    """With one operation or two, and with a name that is none."""
    headers = {"Authorization": f"Bearer {ana.token}"}
    only = 'mutation a { createTag(input: {name: "By GET"}) { tag { id } } }'
    for query in (only, f"{only} query b {{ __typename }}"):
        params = {"query": query, "operationName": name}
        response = await ana.http.get("/graphql", params=params, headers=headers)
        assert "data" not in response.json()
    assert (await ana.run("{ tags { id } }"))["tags"] == []


async def test_errors_beside_data_are_200(http: httpx.AsyncClient) -> None:
    """Executed, and refused by its fields."""
    headers = {"Accept": GRAPHQL_RESPONSE}
    response = await http.post("/graphql", json={"query": "{ tags { id } }"}, headers=headers)
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    assert body["data"] is None
    assert body["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("accept", "said"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*;q=0.5", "application/json"),
        ("application/graphql+json", "application/json"),
        ("APPLICATION/JSON", "application/json"),
        (f"{GRAPHQL_RESPONSE}, application/json", GRAPHQL_RESPONSE),
        (f"application/json, {GRAPHQL_RESPONSE}", "application/json"),
        (f"application/json;q=0.9, {GRAPHQL_RESPONSE}", GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE};q=0, application/json", "application/json"),
        ("text/html, */*;q=0.8", "application/json"),
        ("text/html;q=x, application/json", "application/json"),
        ("application/json, text/event-stream", "application/json"),
        (
            f"{GRAPHQL_RESPONSE}, application/graphql+json, application/json, text/event-stream, multipart/mixed",
            GRAPHQL_RESPONSE,
        ),
    ],
)
async def test_the_media_type_is_the_one_liked_best(http: httpx.AsyncClient, accept: str, said: str) -> None:
    response = await http.post("/graphql", content=TYPENAME, headers={**JSON, "Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == f"{said}; charset=utf-8"
    assert response.json() == {"data": {"__typename": "Query"}}
