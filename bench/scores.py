"""`python -m bench scores`: the sweep of a workspace of 200,000 leads with two replies each: when its rules have
changed, in an ordinary night, and in one in which nothing fades."""

import os
import time
from uuid import UUID

from sqlalchemy import text

from app.common.work import Doors
from app.leads.domain.scoring import DEFAULT_RULES, ScoreEventKind, ScoreRule
from app.leads.infrastructure.score_tables import score_sweeps
from app.leads.infrastructure.scoring import ScoreRuleRepository
from app.leads.wiring import score_rule_use_cases, stage_use_cases, sweep_scores
from app.settings import Settings
from bench.cpu import cpu_s

LEADS = int(os.environ.get("SALESPAD_BENCH_LEADS", "200000"))
PART = 10_000
WORKSPACE = """
WITH made AS (
    INSERT INTO workspace (name, locale, time_zone, phone_region) VALUES ('Bench', 'en', 'UTC', 'BR') RETURNING id
), headed AS (INSERT INTO feed_head (workspace_id) SELECT id FROM made)
SELECT id FROM made
"""
ADD = """
WITH made AS (
    INSERT INTO lead (workspace_id, name, email, phone, company, title, stage_id, rank, source, handles)
    SELECT :id, 'Bia ' || n, n || '@example.com', '+55119' || n, 'Acme ' || n % 1000, 'CEO',
        (SELECT id FROM stage WHERE workspace_id = :id ORDER BY position LIMIT 1), 'a' || n || 'i', 'CSV',
        array[n || '@example.com', '+55119' || n]
    FROM generate_series(cast(:from as int), cast(:to as int)) AS n RETURNING id
)
INSERT INTO score_event (workspace_id, lead_id, kind, channel, conversation_id, at)
SELECT :id, id, 'MESSAGE_RECEIVED', 'EMAIL', id, now() - random() * interval '40 days'
FROM made CROSS JOIN generate_series(1, 2)
"""
AGE = """
UPDATE score_sweep SET day = day - 1, last_day = last_day - 1, run_at = now() WHERE workspace_id = :id
"""
A_DAY_MORE = "UPDATE score_event SET at = at - interval '1 day' WHERE workspace_id = :id"
CHANGED = """
SELECT coalesce(sum(cardinality(entity_ids)), 0) FROM feed_event WHERE workspace_id = :id AND changed = '{score}'
"""


async def run() -> None:
    settings = Settings()
    doors = Doors(settings)
    workspace_id = await _filled(doors, settings)
    many = (
        *DEFAULT_RULES,
        ScoreRule(ScoreEventKind.TAG_ADDED, None, 10, 30),
        ScoreRule(ScoreEventKind.STAGE_CHANGED, None, 5, 30),
        ScoreRule(ScoreEventKind.MESSAGE_SENT, None, -2, 14),
        ScoreRule(ScoreEventKind.IMPORTED, None, 3, 30),
    )
    for name, rules in (("new rules", DEFAULT_RULES), ("nine rules instead", many)):
        async with doors.open_work(workspace_id) as work:
            await ScoreRuleRepository(work).replace(workspace_id, rules)
        await _sweep(doors, settings, workspace_id, name)
    await _sql(doors, A_DAY_MORE, workspace_id)
    await _sql(doors, AGE, workspace_id)
    await _sweep(doors, settings, workspace_id, "an ordinary night")
    await _sql(doors, AGE, workspace_id)
    await _sweep(doors, settings, workspace_id, "a night in which nothing fades")
    await doors.close()


async def _sql(doors: Doors, sql: str, workspace_id: UUID | None = None, **values: object) -> object:
    async with doors.open_system() as system:
        found = await system.execute(text(sql), {"id": workspace_id, **values})
        return found.scalar() if found.returns_rows else None


async def _filled(doors: Doors, settings: Settings) -> UUID:
    workspace_id = await _sql(doors, WORKSPACE)
    assert isinstance(workspace_id, UUID)
    async with doors.open_system() as system:
        await stage_use_cases(system).create_default_stages(workspace_id, "en")
        await score_rule_use_cases(system, settings).create_default_rules(workspace_id)
    for start in range(0, LEADS, PART):
        await _sql(doors, ADD, workspace_id, **{"from": start, "to": start + PART - 1})
    return workspace_id


async def _sweep(doors: Doors, settings: Settings, workspace_id: UUID, name: str) -> None:
    """As a worker does it, turn after turn."""
    before, busy, started = await _changed(doors, workspace_id), cpu_s(os.getpid()), time.perf_counter()
    while True:
        async with doors.open_system() as system:
            (claim,) = await score_sweeps.claim(system, lease_s=60, key=workspace_id)
        if await sweep_scores(doors, settings, claim, lambda: False):
            break
        async with doors.open_system() as system:
            await score_sweeps.retry_later(system, claim, error="", wait_s=0)
    took, busy = time.perf_counter() - started, cpu_s(os.getpid()) - busy
    changed = await _changed(doors, workspace_id) - before
    print(
        f"{name}: {LEADS:,} leads in {took:.1f} s ({busy:.1f} s of CPU), {changed:,} scores written",
        flush=True,
    )


async def _changed(doors: Doors, workspace_id: UUID) -> int:
    return int(str(await _sql(doors, CHANGED, workspace_id)))
