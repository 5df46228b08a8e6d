"""A batch of events looks up the runs of its own rules and leads alone, however many runs there have been."""

from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from app.automations.domain.rule import Trigger
from app.automations.infrastructure.reacting import ACTED_IN, STANDINGS
from app.common.work import Doors
from app.settings import Settings
from tests.factories.automation_rows import rule
from tests.fixtures.plans import Given, check_rows_alone
from tests.fixtures.ruled import Ruled

LARGE = {"automation_run"}
RUNS = """
INSERT INTO automation_run (workspace_id, automation_id, version_id, lead_id, trigger_seq, status, finished_at,
    started_at)
SELECT l.workspace_id, v.automation_id, v.id, l.id, n, 'SUCCEEDED', now(), now()
FROM lead l, automation_version v, generate_series(1, :runs) AS n
WHERE l.workspace_id = :workspace_id AND v.workspace_id = :workspace_id
"""


async def ran(ruled: Ruled, leads: int, runs: int) -> None:
    await ruled.add(rule(trigger=Trigger.LEAD_CREATED))
    await ruled.leads(leads)
    async with ruled.doors.open_work(ruled.workspace_id) as work:
        await work.execute(text(RUNS), {"workspace_id": ruled.workspace_id, "runs": runs})


@pytest.mark.parametrize("learnt", ["nothing", "small workspaces", "everything"])
async def test_runs_are_looked_up_pair_by_pair(own: tuple[Settings, Doors], learnt: str) -> None:
    settings, doors = own
    if learnt == "small workspaces":
        for _ in range(40):
            await ran(await Ruled.founded(doors, settings), leads=2, runs=1)
        await analyze(settings)
    ruled = await Ruled.founded(doors, settings)
    await ran(ruled, leads=2000, runs=5)
    if learnt == "everything":
        await analyze(settings)
    async with doors.open_work(ruled.workspace_id) as work:
        for statement in (STANDINGS, ACTED_IN):
            await check_rows_alone(work, statement, Given(ruled.workspace_id), LARGE)


async def analyze(settings: Settings) -> None:
    owner: Any = await asyncpg.connect(settings.database_url)
    for table in sorted(LARGE):
        await owner.execute(f"ANALYZE {table}")
    await owner.close()
