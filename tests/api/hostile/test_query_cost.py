"""How many objects a document may bring at once, whichever door it comes by: refused before any SQL."""

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import OperationDefinitionNode, get_introspection_query, parse

from app.graphql.cost import PLAIN_LIST
from app.graphql.limits import MAX_NODES, documents_of
from app.graphql.schema import schema
from tests.api.hostile.target import Target
from tests.factories.accounts import Person
from tests.fixtures.graphql import GraphQLRefused, open_socket
from tests.fixtures.streams import open_stream

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = documents_of(schema._schema)
MESSAGES = "messages(last: $last) { edges { node { id author { id } } } pageInfo { hasNextPage } }"
INBOX = (
    "($first: Int = 50, $last: Int! = 3) "
    f"{{ conversations(first: $first) {{ edges {{ node {{ id {MESSAGES} }} }} }} }}"
)
NESTED = "{ conversations(first: 100) { edges { node { messages(last: 100) { edges { node { id } } } } } } }"
NO_SIZES = (0, -1, 101, 10**11, None, "5", True, [], 5.5)


def nodes(document: str, variables: dict[str, Any] | None = None, operation: str = "") -> int:
    checked = DOCUMENTS.check(document)
    assert checked.errors == (), checked.errors
    return checked.terms[operation].count(variables or {})


@pytest.mark.parametrize(
    ("document", "variables", "expected"),
    [
        ("{ viewer { user { id } workspace { id } } }", {}, 3),
        ("{ tags { id } stages { id } }", {}, 2 * PLAIN_LIST),
        ("{ leads { totalCount edges { cursor node { id } } pageInfo { hasNextPage } } }", {}, 20),
        ("{ leads(first: 50) { edges { node { id stage { id } tags { id } } } } }", {}, 50 * (2 + PLAIN_LIST)),
        (f"query {INBOX}", {}, 50 * (1 + 3 * 2)),
        (f"query {INBOX}", {"first": 7, "last": 5}, 7 * (1 + 5 * 2)),
        (f"query {INBOX}", {"first": 100}, 100 * (1 + 3 * 2)),
        # What is no page size is refused by the field; until then it is the largest.
        *((f"query {INBOX}", {"first": wrong, "last": 1}, 100 * 3) for wrong in NO_SIZES),
        ("{ leads(first: 999) { edges { node { id } } } }", {}, 100),
        ("{ leads(first: 0) { edges { node { id } } } }", {}, 100),
        ("query ($n: Int = 999) { leads(first: $n) { edges { node { id } } } }", {}, 100),
        # The argument's own default, where the variable has none and is not sent.
        ("query ($n: Int) { leadImports(first: $n) { edges { node { id } } } }", {}, 20),
        ("{ a: leads(first: 2) { ...l } b: leads(first: 3) { ...l } } fragment l on LeadConnection "
         "{ ... on LeadConnection { edges { ...e } } } fragment e on LeadEdge { node { id owner { id } } }", {}, 10),
        ("{ leadImports(first: 10) { edges { node { rowErrors(first: 30) { row } counts { count } } } } }", {},
         10 * (1 + 30 + PLAIN_LIST)),
        ("{ leadImport(id: 1) { rowErrors { row } } }", {}, 101),
        ("subscription { feed { conversation { messages(last: 9) { edges { node { id } } } } } }", {}, 11),
    ],
)  # fmt: skip
def test_what_a_document_counts(document: str, variables: dict[str, Any], expected: int) -> None:
    assert nodes(document, variables) == expected


def test_each_operation_counts_for_itself() -> None:
    page = "{ edges { node { id } } }"
    both = f"query one {{ leads(first: 1) {page} }} query all {{ leads(first: 100) {page} }}"
    assert (nodes(both, operation="one"), nodes(both, operation="all")) == (1, 100)


def test_the_whole_schema_may_be_asked_for() -> None:
    everything = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    )
    assert DOCUMENTS.check(everything).refusals(None, None) == []
    deep = "__schema { types { fields { type { fields { name type { name } args { name } } } } } }"
    many = "{ " + " ".join(f"a{n}: {deep}" for n in range(20)) + " }"
    (refused,) = DOCUMENTS.check(many).refusals(None, None)
    assert (refused.extensions or {})["code"] == "QUERY_TOO_COMPLEX"


def documents_we_ship() -> dict[str, str]:
    """What README.md, GraphiQL's tabs and the demo show people; and every document of the tests."""
    found = {}
    operation = re.compile(r"^(?:query|mutation|subscription)\b[^{]*\{.*?^\}", re.MULTILINE | re.DOTALL)
    tabs = (ROOT / "web/src/graphiql/tabs").rglob("*.ts")
    sources = [ROOT / "README.md", *tabs, *(ROOT / "app").rglob("*.py")]
    for path in sources:
        for number, text in enumerate(operation.findall(path.read_text())):
            found[f"{path.name} {number}"] = text
    return found


def test_what_we_ship_is_let_through() -> None:
    shipped = documents_we_ship()
    assert len(shipped) > 10
    for name, text in shipped.items():
        checked = DOCUMENTS.check(text)
        assert checked.errors == (), name
        for operation in parse(text).definitions:
            assert isinstance(operation, OperationDefinitionNode)
            told = operation.name.value if operation.name else None
            largest = {"first": 100, "last": 30}
            refused = checked.refusals(largest if "Inbox" not in (told or "") else {"first": 50}, told)
            assert refused == [], (name, refused)


# ── the doors ─────────────────────────────────────────────────────────────────────────────────────────────────────────
BY_VARIABLES = f"query {INBOX}"
TOO_MANY = {"first": 100, "last": 100}


def assert_told(error: dict[str, Any], cost: int) -> None:
    assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX", "cost": cost, "limit": MAX_NODES}
    assert "Ask for fewer per page" in error["message"]


@pytest.mark.parametrize(
    ("document", "variables", "cost"), [(NESTED, {}, 10_100), (BY_VARIABLES, TOO_MANY, 20_100)]
)
async def test_too_much_over_http_reaches_no_database(
    victim: Person, target: Target, document: str, variables: dict[str, int], cost: int
) -> None:
    async with target.watched("nested pages") as watch:
        answer = await victim.post(document, variables)
    watch.assert_harmless()
    (error,) = answer.json()["errors"]
    assert_told(error, cost)
    assert "data" not in answer.json()
    async with target.watched("the same document, little of it") as watch:
        assert (await victim.run(BY_VARIABLES, {"first": 100, "last": 1}))["conversations"]["edges"] == []
    assert watch.statements > 0


async def test_too_much_over_a_socket_reaches_no_database(victim: Person, target: Target) -> None:
    live = "subscription ($last: Int!) { messageAdded { message { conversation { %s } } } }"
    many = live % MESSAGES.replace("author { id }", f"conversation {{ {MESSAGES} }}")
    async with (
        open_socket(target.api.ws_url, victim.token) as socket,
        target.watched("over a socket") as watch,
    ):
        for document, variables, cost in (
            (NESTED, {}, 10_100),
            (BY_VARIABLES, TOO_MANY, 20_100),
            (many, {"last": 100}, 3 + 100 * (2 + 200)),
        ):
            with pytest.raises(GraphQLRefused) as refused:
                await anext(aiter(socket.subscribe(document, variables)))
            (error,) = refused.value.errors
            assert_told(error, cost)
    watch.assert_harmless()
    assert nodes(live % MESSAGES, {"last": 100}) < MAX_NODES


async def test_too_much_over_a_stream_reaches_no_database(victim: Person, target: Target) -> None:
    for document, variables, cost in ((NESTED, {}, 10_100), (BY_VARIABLES, TOO_MANY, 20_100)):
        async with (
            target.watched("over a stream") as watch,
            open_stream(victim.http, document, variables, victim.token) as stream,
        ):
            told = await stream.rest()
        watch.assert_harmless()
        (name, payload), *end = told
        assert (name, end) == ("next", [("complete", None)])
        (error,) = payload["errors"]
        assert_told(error, cost)
        assert "data" not in payload
