"""Claiming due rows: no more than was asked for, whatever plan PostgreSQL makes of it."""

from contextlib import suppress

from sqlalchemy import text

from app.common.work import Doors
from app.imports.wiring import import_jobs
from app.settings import Settings
from tests.fixtures.doors import new_workspace

ADD = text(
    "INSERT INTO import_job (workspace_id, status, source, policy, tag_ids, total_rows) "
    "SELECT :workspace_id, 'QUEUED', 'API', 'UPSERT', '{}', 1 FROM generate_series(1, 20)"
)
AS_IF_SMALL = text(
    "SELECT set_config(name, 'off', true) FROM unnest("
    "'{enable_material,enable_hashagg,enable_hashjoin,enable_mergejoin,enable_sort}'::text[]) AS name"
)
"""Makes the plan of a table that held one row when it was analysed last."""


class Undone(Exception):
    """The other test is not to see these rows."""


async def test_a_claim_takes_no_more_than_its_limit(own: tuple[Settings, Doors]) -> None:
    _, doors = own
    workspace_id = await new_workspace(doors)
    claimed: list[int] = []
    with suppress(Undone):
        async with doors.open_system() as system:
            await system.execute(ADD, {"workspace_id": workspace_id})
            await system.execute(AS_IF_SMALL)
            claimed += [len(await import_jobs.claim(system, lease_s=60, limit=limit)) for limit in (1, 3)]
            raise Undone
    assert claimed == [1, 3]


async def test_what_was_claimed_and_not_begun_goes_back_as_it_was(own: tuple[Settings, Doors]) -> None:
    _, doors = own
    workspace_id = await new_workspace(doors)
    counts = []
    with suppress(Undone):
        async with doors.open_system() as system:
            await system.execute(ADD, {"workspace_id": workspace_id})
            claims = await import_jobs.claim(system, lease_s=60, limit=4)
            given_back = await import_jobs.give_back(system, claims[1:])
            late = await import_jobs.give_back(system, claims[1:])
            again = await import_jobs.claim(system, lease_s=60, limit=20)
            counts = [given_back, late, len(again), max(claim.attempt for claim in again)]
            raise Undone
    assert counts == [3, 0, 19, 1]
