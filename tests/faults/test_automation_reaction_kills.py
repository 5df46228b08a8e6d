"""The worker is killed at each step of the rules' reaction, with Redis off: each event starts each rule once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from app.automations.domain.rule import Action, ActionKind, Condition, ConditionField, ConditionOp
from app.common.work import Doors
from app.embedded.config import OFF
from app.leads.domain.lead import LeadSource, created
from tests.factories.accounts import Person
from tests.factories.automation_rows import add_rule, rule
from tests.fixtures.fatal import FOLDER, arm, is_armed
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually

pytestmark = pytest.mark.xdist_group("reaction kills")
STEPS = ("held", "asked", "started", "moved", "reacted")
CHUNK, CHUNKS = 600, 3
"""Leads of an event, of which two are more than one transaction takes."""
GIVE = """
INSERT INTO lead (workspace_id, name, stage_id, rank, source)
SELECT $1, 'Bia', (SELECT id FROM stage WHERE workspace_id = $1 ORDER BY position LIMIT 1), 'i', 'CSV'
FROM generate_series(1, $2::int) RETURNING id
"""
RUNS = "SELECT lead_id, status, reason FROM automation_run WHERE workspace_id = $1 AND automation_id = $2"
NOTES = "SELECT lead_id FROM interaction WHERE workspace_id = $1 AND type = 'NOTE'"


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(apis=1, workers=0) as installation:
        yield installation


async def import_told(installation: Installation, doors: Doors, owner: Person) -> list[UUID]:
    """Leads as an import makes them: so many in each event."""
    rows = await installation.sql(GIVE, owner.workspace_id, CHUNK * CHUNKS)
    ids = [row["id"] for row in rows]
    async with doors.open_work(owner.workspace_id) as work:
        for start in range(0, len(ids), CHUNK):
            work.announce(created(ids[start : start + CHUNK], LeadSource.CSV))
    return ids


async def test_killed_at_each_step(installation: Installation, tmp_path: Path) -> None:
    """Until its commit nothing is there, after it all that its transaction took; at the end each lead has one run of
    each rule, and one note of the rule that acts."""
    worker = installation.new_worker("fatal", **{FOLDER: str(tmp_path), "SALESPAD_REDIS_URL": OFF})
    note = Action(ActionKind.ADD_NOTE, text="Olá")
    never = Condition(ConditionField.SCORE, ConditionOp.GT, "100")
    async with installation.new_person() as owner:
        async with installation.doors() as doors:
            acts = await add_rule(owner, doors, rule(note), name="acts")
            not_met = await add_rule(owner, doors, rule(note, conditions=[never]), name="not met")
            lead_ids = await import_told(installation, doors, owner)
        of = owner.workspace_id
        counts = []
        try:
            for name in STEPS:
                arm(tmp_path, name)
                started = asyncio.create_task(worker.start())
                await eventually(lambda: not is_armed(tmp_path), timeout_s=60, what=f"the kill at {name}")
                await asyncio.gather(started, return_exceptions=True)
                await eventually(lambda: not worker.is_running(), what=f"the death at {name}")
                counts.append(len(await installation.sql(RUNS, of, acts)))
            await worker.start()

            async def is_done() -> bool:
                rows = await installation.sql(RUNS, of, acts)
                return len(rows) == len(lead_ids) and {row["status"] for row in rows} == {"SUCCEEDED"}

            await eventually(is_done, timeout_s=60, what="the end of all runs")
        finally:
            await worker.stop()
        assert counts == [0, 0, 0, 0, CHUNK], "before its commit nothing is there, after it all of the chunk"
        once = dict.fromkeys(lead_ids, 1)
        assert Counter(row["lead_id"] for row in await installation.sql(RUNS, of, acts)) == once
        assert Counter(row["lead_id"] for row in await installation.sql(NOTES, of)) == once
        skipped = await installation.sql(RUNS, of, not_met)
        assert Counter(row["lead_id"] for row in skipped) == once
        assert {(row["status"], row["reason"]) for row in skipped} == {("SKIPPED", "CONDITION")}
    print(
        f"rules' reaction killed at {', '.join(STEPS)}: {len(lead_ids)} leads, {counts} runs, at the end each once"
    )
