"""No operation shows or changes another workspace's rows, whatever id it is given, with either wall of the two down.

The probe walks the schema (`fixtures/probe.py`) and needs no edit for a new module; what has to be told is how a row of
a new tenant table comes about (`SEEDS` in `fixtures/tenants.py`): a table without a row in the other workspace fails.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from app.common.work import Doors
from app.graphql.schema import schema
from app.settings import Settings
from tests.factories.accounts import PASSWORD, Person
from tests.fixtures.databases import own_database
from tests.fixtures.graphql import GraphQLRefused, open_socket, post
from tests.fixtures.probe import Operation, Slot, comparable, named, plan
from tests.fixtures.processes import Worker
from tests.fixtures.tenants import (
    CREATE_TAG,
    SEEDS,
    UNNAMED,
    Server,
    Tenant,
    Walls,
    as_text,
    checksums,
    filled_workspace,
    in_process,
    tenant_tables,
    things,
)

OPERATIONS = plan(schema._schema)
REQUESTS = [operation for operation in OPERATIONS if operation.kind != "subscription"]
QUERIES = [operation for operation in OPERATIONS if operation.kind == "query"]
SUBSCRIPTIONS = [operation for operation in OPERATIONS if operation.kind == "subscription"]
HIDES_NOTHING = {"viewer", "sessions", "feedCursor"}
"""Queries that no missing wall can make tell of others: the system door's by user, and a number."""
ITEM_WAIT_S = 5


@dataclass
class Probe:
    """A's tokens against B's ids, through one API. `findings` is what must stay empty."""

    server: Server
    doors: Doors
    mine: Tenant
    theirs: Tenant
    foreign: Mapping[str, list[str]]
    findings: list[str] = field(default_factory=list)
    controls: dict[str, bool] = field(default_factory=dict)
    """By slot: whether A's own id was ever answered otherwise than an unknown one."""
    own: Mapping[str, list[str]] = field(default_factory=dict)
    """A's things, as they were when the slot's turn came: what an earlier operation deleted is gone."""
    sent_keys: set[str] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def between_two_workspaces(
        cls, http: httpx.AsyncClient, settings: Settings, doors: Doors
    ) -> AsyncIterator["Probe"]:
        """Both are filled through `http`, whose walls stand; the API that is probed is this process's."""
        mine = await filled_workspace(http, doors)
        theirs = await filled_workspace(http, doors)
        async with in_process(settings) as server:
            probe = cls(server, doors, mine, theirs, await things(doors, theirs.workspace_id))
            probe.check_foreign_ids()
            yield probe

    def check_foreign_ids(self) -> None:
        empty = [table for table, ids in self.foreign.items() if not ids]
        assert not empty, f"no row to probe in {empty}: add to SEEDS in tests/fixtures/tenants.py"

    # ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────
    async def run(self, person: Person, operations: Sequence[Operation]) -> None:
        for operation in operations:
            for slot in operation.slots:
                await self._try_slot(person, operation, slot)
            if not operation.slots:
                self._look_for_leaks(await self._ask(person, operation), operation.name, sent=None)

    async def _try_slot(self, person: Person, operation: Operation, slot: Slot) -> None:
        own_kind, where = slot.kind(self.foreign), _where(operation, slot)
        self.own = await things(self.doors, self.mine.workspace_id)
        unknown = await self._ask(person, operation, slot, str(uuid4()))
        before = await checksums(self.doors, self.theirs.workspace_id)
        others = sorted(kind for kind in self.foreign if kind != own_kind)
        wrong = max(others, key=lambda kind: len(self.foreign[kind]))
        for kind in (own_kind, wrong):
            foreign = self._foreign(person, kind, slot)
            answer = await self._ask(person, operation, slot, foreign)
            self._look_for_leaks(answer, f"{where} with a foreign {kind}", sent=foreign)
            if comparable(answer) != comparable(unknown):
                self.findings.append(
                    f"{where}: a foreign {kind} is answered otherwise than an unknown id: {answer}"
                )
            after = await checksums(self.doors, self.theirs.workspace_id)
            changed = [table for table in before if before[table] != after[table]]
            if changed:
                self.findings.append(f"{where}: with a foreign {kind} it changed {changed}")
            before = after
        if person is self.mine.owner:
            await self._control(person, operation, slot, comparable(unknown))

    async def _control(self, person: Person, operation: Operation, slot: Slot, unknown: str) -> None:
        """One of A's own ids is answered otherwise; but one of a kind that is said to have no slot, never."""
        where, own = _where(operation, slot), self.own
        named_ids = {id for kind in named(OPERATIONS, own) for id in own[kind]}
        unnamed = {kind: id for kind in UNNAMED for id in own[kind] if id not in named_ids}
        for kind, id in unnamed.items():
            answer = await self._ask(person, operation, slot, id)
            if comparable(answer) != unknown:
                self.findings.append(f"{where}: takes an own {kind}, which is in UNNAMED: {answer}")
        for id in reversed(own[slot.kind(own)]):  # a stage may hold no lead, and a key be another operation's
            answer = await self._ask(person, operation, slot, id)
            self._look_for_leaks(answer, f"{where} with an own id", sent=None)
            self.controls[where] = comparable(answer) != unknown
            if self.controls[where]:
                break

    async def _ask(
        self, person: Person, operation: Operation, slot: Slot | None = None, value: object = None
    ) -> str:
        variables = operation.variables(_own_id(self.own), slot, value)
        if operation.name == "signIn":
            variables["input"] |= {"email": person.email, "password": PASSWORD}  # type: ignore[operator]
        response = await post(self.server.http, operation.document, variables, person.token)
        assert response.status_code == 200, (
            f"{operation.name} {variables}: {response.status_code} {response.text}"
        )
        assert "INTERNAL_SERVER_ERROR" not in response.text, f"{operation.name} {variables}: {response.text}"
        assert "GRAPHQL_VALIDATION_FAILED" not in response.text, f"{operation.name}: {response.text}"
        return as_text(await self._opened(response.json()))

    async def _opened(self, answer: Any) -> Any:
        """What a link gives, in the link's place: that itself holds what was sent, and no row."""
        if link := (answer.get("data") or {}).get("leadsExportUrl"):
            url = urlsplit(link)
            answer["data"]["leadsExportUrl"] = (await self.server.http.get(f"{url.path}?{url.query}")).text
        return answer

    def _foreign(self, person: Person, kind: str, slot: Slot) -> str:
        """Their newest. As an idempotency key one that was not sent yet: in a workspace a key is fresh but once."""
        ids = self.foreign[kind]
        if slot.kind(self.foreign) != "idempotency" or person is self.mine.viewer:  # who may not send any
            return ids[-1]
        fresh = next(id for id in reversed(ids) if id not in self.sent_keys)
        self.sent_keys.add(fresh)
        return fresh

    def _look_for_leaks(self, answer: str, where: str, *, sent: str | None) -> None:
        if self.theirs.marker in answer:
            self.findings.append(f"{where}: shows a text of theirs")
        shown = [table for table, ids in self.foreign.items() for id in ids if id != sent and id in answer]
        if shown:
            self.findings.append(f"{where}: shows an id of their {sorted(set(shown))}")

    # ── subscriptions ─────────────────────────────────────────────────────────────────────────────────────────────
    async def follow(self, person: Person) -> None:
        """Every subscription, with every id, while both write; it ends when A's feed has shown A's own write."""
        self.own = await things(self.doors, self.mine.workspace_id)
        followed: list[asyncio.Task[list[str]]] = []
        for operation in SUBSCRIPTIONS:
            for slot in operation.slots:
                await self._compare_streams(person, operation, slot)
            followed.append(asyncio.create_task(self._stream(person, operation)))
        feed = asyncio.create_task(self._until_own_write(person))
        for seed in SEEDS:
            await seed(self.theirs.owner, self.theirs.marker)
        self.foreign = await things(self.doors, self.theirs.workspace_id)
        await self._until_told(feed)
        for operation, task in zip(SUBSCRIPTIONS, followed, strict=True):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            for item in self._heard.pop(task.get_name(), []):
                self._look_for_leaks(item, f"{operation.name} while they write", sent=None)
        for item in feed.result():
            self._look_for_leaks(item, "the feed while they write", sent=None)

    _heard: dict[str, list[str]] = field(default_factory=dict)

    async def _until_told(self, feed: "asyncio.Task[list[str]]") -> None:
        """Writes until the feed tells of it: the subscription may have begun after the first write."""
        while not feed.done():
            name = f"{self.mine.marker} {secrets.token_hex(4)}"
            await self.mine.owner.run(CREATE_TAG, {"input": {"name": name}})
            await asyncio.wait([feed], timeout=0.5)

    async def _until_own_write(self, person: Person) -> list[str]:
        operation = next(one for one in SUBSCRIPTIONS if one.name == "feed")
        heard: list[str] = []
        async with open_socket(self.server.ws_url, person.token) as socket, asyncio.timeout(30):
            async for item in socket.subscribe(operation.document):
                heard.append(as_text(item))
                if item["data"]["feed"]["kind"] == "TAG_CHANGED":
                    break
        return heard

    async def _stream(self, person: Person, operation: Operation) -> list[str]:
        task = asyncio.current_task()
        assert task is not None
        heard = self._heard.setdefault(task.get_name(), [])
        variables = operation.variables(_own_id(self.own))
        async with open_socket(self.server.ws_url, person.token) as socket:
            with suppress(GraphQLRefused):
                async for item in socket.subscribe(operation.document, variables):
                    heard.append(as_text(item))
        return heard

    async def _compare_streams(self, person: Person, operation: Operation, slot: Slot) -> None:
        kind, where = slot.kind(self.foreign), _where(operation, slot)
        own, foreign = self.own[kind][-1], self._foreign(person, kind, slot)
        first = {
            value: await self._first(person, operation, slot, value) for value in (foreign, str(uuid4()), own)
        }
        theirs, unknown, mine = first.values()
        self._look_for_leaks(theirs, f"{where} with a foreign {kind}", sent=foreign)
        if comparable(theirs) != comparable(unknown):
            self.findings.append(
                f"{where}: a foreign {kind} is answered otherwise than an unknown id: {theirs}"
            )
        if person is self.mine.owner:
            self.controls[where] = comparable(mine) != comparable(unknown)

    async def _first(self, person: Person, operation: Operation, slot: Slot, value: str) -> str:
        """The first item, the refusal, or nothing: that it ended, or lives and has nothing to tell yet.

        What can resume begins before the first write, and so has something to tell.
        """
        variables = operation.variables(_own_id(self.own), slot, value)
        if "after" in operation.types:
            variables["after"] = self.mine.beginning
        async with open_socket(self.server.ws_url, person.token) as socket:
            try:
                async with asyncio.timeout(ITEM_WAIT_S):
                    async for item in socket.subscribe(operation.document, variables):
                        return as_text(item)
            except GraphQLRefused as refused:
                return as_text(refused.errors)
            except TimeoutError:
                return as_text("silent")
        return as_text("ended")


def _where(operation: Operation, slot: Slot) -> str:
    return f"{operation.name} {'.'.join(map(str, slot.path))}"


def _own_id(own: Mapping[str, list[str]]) -> Callable[[Slot], object]:
    """A's oldest id for a required sibling, for that has most to it; a key that makes a request its own is always a
    fresh one.
    """

    def find(slot: Slot) -> object:
        kind = slot.kind(own)
        return str(uuid4()) if kind == "idempotency" or not own[kind] else own[kind][0]

    return find


@pytest.fixture
def walls(monkeypatch: pytest.MonkeyPatch) -> Walls:
    return Walls(monkeypatch)


@pytest.fixture
def standing(request: pytest.FixtureRequest, walls: Walls) -> Walls:
    """The walls as the parameter says: `both`, only `row security`, only the `filter`."""
    if request.param == "row security":
        walls.take_down_filter()
    if request.param == "filter":
        walls.take_down_row_security()
    return walls


STANDING = pytest.mark.parametrize("standing", ["both", "row security", "filter"], indirect=True)


@STANDING
async def test_no_request_reaches_another_workspace(
    standing: Walls, http: httpx.AsyncClient, settings: Settings, doors: Doors, worker: Worker
) -> None:
    async with Probe.between_two_workspaces(http, settings, doors) as probe:
        for person in (probe.mine.owner, probe.mine.viewer, probe.mine.extension):
            await probe.run(person, REQUESTS)
        assert not probe.findings, "\n".join(sorted(set(probe.findings)))
        vacuous = [where for where, has_differed in probe.controls.items() if not has_differed]
        assert not vacuous, (
            f"an own id is answered like an unknown one at {vacuous}: nothing was tested there"
        )


@STANDING
async def test_no_subscription_tells_of_another_workspace(
    standing: Walls, http: httpx.AsyncClient, settings: Settings, doors: Doors, worker: Worker
) -> None:
    async with Probe.between_two_workspaces(http, settings, doors) as probe:
        for person in (probe.mine.owner, probe.mine.viewer, probe.mine.extension):
            await probe.follow(person)
        assert not probe.findings, "\n".join(sorted(set(probe.findings)))
        assert all(probe.controls.values()), probe.controls


async def test_the_probe_sees_a_hole(walls: Walls, settings: Settings) -> None:
    """With no wall at all it must find something in each query, or it would find nothing anywhere.

    In a database of its own: in the run's, a hundred newer rows of other tests may fill a list's first page.
    """
    async with own_database(settings) as own:
        walls.take_down_filter()
        walls.take_down_row_security()
        async with Probe.between_two_workspaces(own.http, own.settings, own.doors) as probe:
            await probe.run(probe.mine.owner, QUERIES)
            found = "\n".join(probe.findings)
    missed = [one.name for one in QUERIES if one.name not in HIDES_NOTHING and one.name not in found]
    assert missed == [], found
    assert walls.rewritten
    assert walls.missed == [], "the filter stood in these"


async def test_every_tenant_table_has_a_row_to_protect(
    http: httpx.AsyncClient, settings: Settings, doors: Doors, worker: Worker
) -> None:
    tenant = await filled_workspace(http, doors)
    counts = await checksums(doors, tenant.workspace_id)
    empty = [table for table in await tenant_tables(doors) if counts[table][0] == 0]
    assert empty == [], f"add to SEEDS in tests/fixtures/tenants.py how a row of {empty} comes about"


async def test_every_kind_of_id_has_a_slot_or_a_reason(doors: Doors) -> None:
    kinds = set(await things(doors, uuid4()))
    taken = named(OPERATIONS, kinds)
    assert taken & set(UNNAMED) == set(), (
        "an operation takes these: they leave UNNAMED in fixtures/tenants.py"
    )
    assert kinds - taken == set(UNNAMED), "no operation takes these: they need a reason in UNNAMED"


def test_every_root_field_is_planned() -> None:
    assert len({(operation.kind, operation.name) for operation in OPERATIONS}) == len(OPERATIONS)
    assert {operation.name for operation in OPERATIONS} == {
        name
        for root in (
            schema._schema.query_type,
            schema._schema.mutation_type,
            schema._schema.subscription_type,
        )
        if root is not None
        for name in root.fields
    }
