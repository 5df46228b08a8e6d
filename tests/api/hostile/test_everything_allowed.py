"""Whatever the schema allows, asked by schemathesis of a live API and worker: no answer is a server error.

Of the ids it makes up some are replaced by ids that are there, so that operations get past their first look-up. How
many did something is asserted: a run that is only ever refused proves nothing.
"""

import asyncio
import random
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLID,
    IntValueNode,
    NullValueNode,
    ObjectFieldNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    ValueNode,
    Visitor,
    get_named_type,
    parse,
    print_ast,
    visit,
)
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis.graphql import nodes
from schemathesis.specs.graphql.validation import is_client_error

from app.common.work import Doors
from app.graphql.cost import PAGE_ARGUMENTS
from app.graphql.schema import schema
from tests.api.hostile.target import FAULT, assert_no_leak
from tests.factories.accounts import PASSWORD, SIGN_IN, Person, sign_up
from tests.factories.conversations import inbound, make_lead, open_account, open_conversation
from tests.fixtures.feed import create_tags
from tests.fixtures.processes import Api, Worker

SDL = Path(__file__).resolve().parents[3] / "schema.graphql"
EXAMPLES = 5
"""Of one operation at a time."""
MOMENTS = ("2026-01-01T00:00:00Z", "2999-12-31T23:59:59+14:00", "0001-01-01T00:00:00Z")
REFUSED = frozenset({"FORBIDDEN", "QUERY_TOO_COMPLEX", "CURSOR_EXPIRED", "RATE_LIMITED"})
"""Codes that are no fault either; schemathesis knows those that all servers share."""
LEFT_OUT = frozenset({"leaveWorkspace"})
"""Who has done it has nothing left to be asked for."""
KINDS = {"owner": "user", "assignee": "user", "reply": "message"}
"""What an id is of, where its name does not say it."""


@dataclass
class Run:
    """One person who asks, and what came of it."""

    api: Api
    person: Person
    ids: dict[str, str]
    random: random.Random
    did: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    was_refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    token: str = ""

    def ask(self, label: str, document: str) -> None:
        """Raises AssertionError for an answer that is our fault."""
        types = TypeInfo(schema._schema)
        document = print_ast(visit(parse(document), TypeInfoVisitor(types, _Sense(self, types))))
        answer = self._post({"query": document})
        if answer.status_code == 401:  # it has ended its own session
            self._sign_in()
            answer = self._post({"query": document})
        body = answer.json()
        assert answer.status_code in (200, 429), (document, answer.text)
        assert_no_leak(answer.text)
        codes = {error["extensions"]["code"] for error in body.get("errors", ())}
        assert not body.get("errors") or codes <= REFUSED or is_client_error(body), (document, answer.text)
        (self.did if _did_something(label, body.get("data") or {}) else self.was_refused)[label] += 1

    def _post(self, body: Mapping[str, object]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        # What may be tried only so often is counted by address.
        headers["X-Forwarded-For"] = ".".join(str(self.random.randint(1, 250)) for _ in range(4))
        return httpx.post(f"{self.api.url}/graphql", json=body, headers=headers, timeout=30, trust_env=False)

    def _sign_in(self) -> None:
        given_ = {
            "email": self.person.email,
            "password": PASSWORD,
            "workspaceId": str(self.person.workspace_id),
        }
        self.token = ""
        answer = self._post({"query": SIGN_IN, "variables": {"input": given_}}).json()
        self.token = answer["data"]["signIn"]["session"]["accessToken"]

    def is_kept(self) -> bool:
        """Whether what was made up stays."""
        return self.random.random() < 0.2

    def id_for(self, name: str, root_field: str) -> str:
        """One that is there, of what its name or its operation's says."""
        words = (name.lower(), root_field.lower())
        kinds = {**{kind: kind for kind in self.ids}, **KINDS}
        found = next((kinds[kind] for word in words for kind in kinds if kind in word), None)
        return self.ids[found] if found else self.random.choice(list(self.ids.values()))


def _did_something(label: str, answered: dict[str, Any]) -> bool:
    payload = next(iter(answered.values()), None)
    if not isinstance(payload, dict) or label.startswith("Query."):
        return payload is not None
    brought = [value for name, value in payload.items() if name != "errors"]
    return not payload.get("errors") and (not brought or any(brought))


class _Sense(Visitor):
    """Puts ids that are there, page sizes that may be, and no cursor in the place of most that were made up."""

    def __init__(self, run: Run, types: TypeInfo) -> None:
        super().__init__()
        self._run, self._types, self._names, self._root = run, types, [""], ""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self._root = self._root or node.name.value

    def enter_argument(self, node: ArgumentNode | ObjectFieldNode, *_: Any) -> None:
        self._names.append(node.name.value)

    def leave_argument(self, *_: Any) -> None:
        self._names.pop()

    enter_object_field, leave_object_field = enter_argument, leave_argument

    def enter_int_value(self, node: IntValueNode, *_: Any) -> IntValueNode | None:
        is_size = self._names[-1] in PAGE_ARGUMENTS
        return IntValueNode(value="3") if is_size and not self._run.is_kept() else None

    def enter_string_value(self, node: StringValueNode, *_: Any) -> ValueNode | None:
        if self._run.is_kept():
            return None
        if self._names[-1] in ("after", "before"):
            return NullValueNode()
        is_id = get_named_type(self._types.get_input_type()) is GraphQLID
        return StringValueNode(value=self._run.id_for(self._names[-1], self._root)) if is_id else None


@pytest.fixture
async def generous(servers: None) -> AsyncIterator[Api]:
    """For one person who asks a lot."""
    async with Api.started(SALESPAD_WEB_REQUESTS_PER_MINUTE="1000000", SALESPAD_LOG_FORMAT="console") as api:
        yield api


@pytest.fixture
async def run(
    generous: Api, doors: Doors, worker: Worker, request: pytest.FixtureRequest
) -> AsyncIterator[Run]:
    async with httpx.AsyncClient(base_url=generous.url, timeout=30, trust_env=False) as client:
        person = await sign_up(client, name="Ana")
        account, lead = await open_account(person, doors), await make_lead(person)
        conversation = await open_conversation(person, doors)
        ids = {
            "user": person.user_id,
            "account": account,
            "conversation": conversation.id,
            "message": await inbound(person, doors, conversation.id),
            "lead": lead,
            "tag": (await create_tags(person, ["one"]))[0],
            "stage": (await person.run("{ stages { id } }"))["stages"][0]["id"],
        }
        number = secrets.randbelow(2**32)
        print(f"seed {number}")
        yield Run(
            generous,
            person,
            {name: str(id) for name, id in ids.items()},
            random.Random(number),
            token=person.token,
        )


def operations() -> Iterator[Any]:
    schemathesis.graphql.scalar("DateTime", st.sampled_from(MOMENTS).map(nodes.String))
    schemathesis.graphql.scalar("JSON", st.just(nodes.Object([])))
    with SDL.open() as text:
        found = [one.ok() for one in schemathesis.graphql.from_file(text).get_all_operations()]
    return (one for one in found if one.label.partition(".")[2] not in LEFT_OUT)


def ask_everything(run: Run, *, seconds: float) -> None:
    """Each operation a few times, and again until the time is over; at least once."""
    ends, asked = time.monotonic() + seconds, list(operations())
    while True:
        for operation in asked:
            _ask_some(run, operation)
        if time.monotonic() > ends:
            return


def _ask_some(run: Run, operation: Any) -> None:
    @hypothesis_settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @seed(run.random.randint(0, 2**32))
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        run.ask(operation.label, case.body)

    ask()


@pytest.mark.parametrize("seconds", [0, pytest.param(60, marks=pytest.mark.full)])
async def test_nothing_that_the_schema_allows_is_a_server_error(run: Run, seconds: float) -> None:
    await asyncio.to_thread(ask_everything, run, seconds=seconds)
    asked = {one.label for one in operations()}
    print(f"{sum(run.did.values())} did something, {sum(run.was_refused.values())} were refused")
    print("never did anything:", sorted(asked - set(run.did)))
    queries = {label for label in asked if label.startswith("Query.")}
    assert len(queries & set(run.did)) >= len(queries) * 0.7
    assert len(set(run.did)) >= len(asked) * 0.3
    assert [line for line in run.api.log().splitlines() if FAULT.search(line)] == []
