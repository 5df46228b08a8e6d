"""No operation shows or changes another workspace's rows, whatever id it is given, with either wall of the two down.

The probe (`fixtures/tenant_probe.py`) walks the schema and needs no edit for a new module; what has to be told is how a
row of a new tenant table comes about (`SEEDS` in `fixtures/tenant_seeds.py`): a table without a row in the other
workspace fails.
"""

from uuid import uuid4

import httpx
import pytest

from app.common.work import Doors
from app.graphql.limits import documents_of
from app.graphql.schema import schema
from app.settings import Settings
from tests.fixtures.databases import own_database
from tests.fixtures.probe import PAGE, named
from tests.fixtures.processes import Worker
from tests.fixtures.tenant_probe import OPERATIONS, Probe
from tests.fixtures.tenants import (
    UNNAMED,
    Walls,
    checksums,
    filled_workspace,
    tenant_tables,
    things,
)

REQUESTS = [operation for operation in OPERATIONS if operation.kind != "subscription"]
QUERIES = [operation for operation in OPERATIONS if operation.kind == "query"]
HIDES_NOTHING = {"viewer", "sessions", "feedCursor"}
"""Queries that no missing wall can make tell of others: the system door's by user, and a number."""


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
    assert empty == [], f"add to SEEDS in tests/fixtures/tenant_seeds.py how a row of {empty} comes about"


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


def test_no_planned_document_asks_for_too_much() -> None:
    """One that is refused for its size would reach no wall."""
    documents = documents_of(schema._schema)
    refused = {one.name: documents.check(one.document).refusals({"first": PAGE}, None) for one in OPERATIONS}
    assert {name: told for name, told in refused.items() if told} == {}
