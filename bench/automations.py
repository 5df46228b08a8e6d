"""What rules cost: `python -m bench automations [--leads 10000] [--seconds 15] [--events 100000]`, all in one run.

On servers of its own, PostgreSQL as durable as in production, the real API and one worker. Five rules wait for new
leads, each with one action, at 10,000 leads that were made one by one while the worker was away: from its start until
every run has ended. Beside it SAQ jobs that do nothing, likewise, by a SAQ worker: one for each lead, before and after.
Then how long after the event a run begins and ends: at rest, and while an import's runs are under way. Then a dry run
over 100,000 events (`dry_runs.py`).
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.common.domain import EVENT_IDS_MAX
from app.leads.domain.lead import LeadSource, created
from bench import dry_runs
from bench.bare_copy import analyse
from bench.bulk_sends import rss_mb
from bench.cpu import cpu_s
from bench.saq_noop import queue_of
from tests.factories.accounts import Person
from tests.factories.board import stage_ids
from tests.factories.conversations import make_lead
from tests.factories.dry_runs import enabled
from tests.factories.leads import new_tag
from tests.fixtures.batch_rows import add_leads
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Worker

RULES = 5
NEW_LEADS_PER_S = 10
IMPORTED = 10_000
TOLD_AT_ONCE = 500
"""Events of one transaction, each about one lead."""
ENDED = "status NOT IN ('WAITING', 'RUNNING')"
COUNTED = f"""
SELECT count(*) AS runs, count(*) FILTER (WHERE {ENDED}) AS ended, count(*) FILTER (WHERE status = 'SUCCEEDED') AS done
FROM automation_run WHERE workspace_id = $1
"""
LAGS = """
SELECT extract(epoch FROM r.started_at - e.at) * 1000 AS begun_ms,
    extract(epoch FROM r.finished_at - e.at) * 1000 AS ended_ms
FROM automation_run r JOIN feed_event e ON e.workspace_id = r.workspace_id AND e.seq = r.trigger_seq
WHERE r.workspace_id = $1 AND r.lead_id = ANY ($2::uuid[])
"""


async def run() -> None:
    options = parsed(sys.argv[2:])
    async with Installation.started(
        apis=1,
        workers=0,
        SALESPAD_POLL_S="2",
        SALESPAD_OPERATION_TIMEOUT_S="60",
        SALESPAD_WEB_REQUESTS_PER_MINUTE="1000000",
    ) as installation:
        before = await noops(installation, options.leads)
        whole = await backlog(installation, leads=options.leads)
        after = await noops(installation, options.leads)
        show(whole, before, after, jobs=options.leads)
        await lags(installation, seconds=options.seconds)
        await dry_runs.run(installation, events=options.events)


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench automations")
    parser.add_argument("--leads", type=int, default=10_000, help=f"made one by one, for {RULES} rules each")
    parser.add_argument("--seconds", type=float, default=15, help="for each look at the lag")
    parser.add_argument("--events", type=int, default=100_000, help="of the dry run's history")
    return parser.parse_args(arguments)


@asynccontextmanager
async def working(installation: Installation) -> AsyncIterator[Worker]:
    worker = installation.new_worker()
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


# ── rules, and leads for them ─────────────────────────────────────────────────────────────────────────────────────────
async def make_rules(person: Person) -> None:
    """Five that are switched on; none sets another one off."""
    stage = (await stage_ids(person))[1]
    actions: list[dict[str, Any]] = [
        {"addTag": await new_tag(person, "Novo")},
        {"addTag": await new_tag(person, "Site")},
        {"moveStage": stage},
        {"assign": str(person.user_id)},
        {"addNote": "Ligar em um dia."},
    ]
    manual = {"field": "SOURCE", "op": "EQ", "value": "MANUAL"}
    for number, action in enumerate(actions):
        await enabled(
            person, name=f"Rule {number}", trigger="LEAD_CREATED", conditions=[manual], actions=[action]
        )


async def tell(installation: Installation, person: Person, *, leads: int, at_once: int) -> None:
    """New leads, as rows, and the feed told of them: so many by each event."""
    async with installation.doors() as doors:
        await add_leads(doors, person.workspace_id, count=leads, domain=f"bench{at_once}.example")
        async with doors.open_work(person.workspace_id) as work:
            found = await work.execute(
                text("SELECT id FROM lead WHERE workspace_id = :id AND email LIKE :domain ORDER BY id"),
                {"id": person.workspace_id, "domain": f"%@bench{at_once}.example"},
            )
            ids: list[UUID] = list(found.scalars())
        step = at_once * TOLD_AT_ONCE
        for start in range(0, len(ids), step):
            async with doors.open_work(person.workspace_id) as work:
                for first in range(start, min(start + step, len(ids)), at_once):
                    work.announce(created(ids[first : first + at_once], LeadSource.MANUAL))
    await analyse(installation)


# ── a backlog ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Whole:
    runs: int
    reacted_s: float
    """Until every run was there."""
    ended_s: float
    postgres_s: float
    worker_s: float
    worker_mb: float


async def backlog(installation: Installation, *, leads: int) -> Whole:
    async with installation.new_person() as person:
        await make_rules(person)
        await tell(installation, person, leads=leads, at_once=1)
        started, before = time.perf_counter(), cpu_of(installation)
        async with working(installation) as worker:
            reacted = await ended(installation, person, leads * RULES)
            over = time.perf_counter()
            return Whole(
                leads * RULES,
                reacted - started,
                over - started,
                cpu_of(installation) - before,
                cpu_s(worker.pid),
                rss_mb(worker.pid),
            )


def cpu_of(installation: Installation) -> float:
    """PostgreSQL's, in seconds."""
    assert installation.postgres is not None
    return cpu_s(installation.postgres.pid)


async def ended(installation: Installation, person: Person, runs: int) -> float:
    """When every run was there; returns when every one of them has ended, as it should."""
    reacted = 0.0
    async with installation.connection() as connection, asyncio.timeout(900):
        while True:
            row = await connection.fetchrow(COUNTED, person.workspace_id)
            assert row is not None
            if row["runs"] >= runs and not reacted:
                reacted = time.perf_counter()
            if row["ended"] >= runs:
                assert row["done"] == row["runs"] == runs, dict(row)
                return reacted
            await asyncio.sleep(0.05)


async def noops(installation: Installation, jobs: int) -> float:
    """Jobs a second of a SAQ worker, of jobs that were there before it."""
    assert installation.keeper is not None
    queue = queue_of(installation.keeper.url)
    for first in range(0, jobs, TOLD_AT_ONCE):
        numbers = range(first, min(first + TOLD_AT_ONCE, jobs))
        await asyncio.gather(*(queue.enqueue("noop", number=number, ttl=-1) for number in numbers))
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.saq_noop", installation.keeper.url
    )
    try:
        while True:
            await asyncio.sleep(0.05)
            if not await queue.count("incomplete"):
                return jobs / (time.perf_counter() - started)
    finally:
        process.terminate()
        await process.wait()
        await queue.disconnect()


def show(whole: Whole, before: float, after: float, *, jobs: int) -> None:
    one, five, fifteen = os.getloadavg()
    rate, noop = whole.runs / whole.ended_s, (before + after) / 2
    print(f"load average {one:.1f}, {five:.1f}, {fifteen:.1f}; only ratios of one run mean something")
    print(f"{f'{jobs:,} SAQ jobs that do nothing, before and after':<52} {before:,.0f}, {after:,.0f} jobs/s")
    print(f"{f'{whole.runs:,} runs of {RULES} rules, from event to end':<52} {rate:,.0f} runs/s")
    print(f"{'of them until every run was there':<52} {whole.reacted_s:.1f} s of {whole.ended_s:.1f} s")
    print(f"{'runs / SAQ jobs that do nothing':<52} {rate / noop:.2f}")
    print(
        f"{'CPU for a run: PostgreSQL, worker':<52} {whole.postgres_s / whole.runs * 1e6:.0f}, "
        f"{whole.worker_s / whole.runs * 1e6:.0f} microseconds; worker {whole.worker_mb:.1f} MB",
        flush=True,
    )


# ── how long after ────────────────────────────────────────────────────────────────────────────────────────────────────
async def lags(installation: Installation, *, seconds: float) -> None:
    async with installation.new_person() as person, working(installation):
        await make_rules(person)
        print(
            f"{f'{NEW_LEADS_PER_S} new leads a second: from event to':<42} begun p50, p99 ms   ended p50, p99 ms"
        )
        await trickle(installation, person, seconds=2)
        show_lags("nothing else", await trickle(installation, person, seconds=seconds))
        await tell(installation, person, leads=IMPORTED, at_once=EVENT_IDS_MAX)
        found = await trickle(installation, person, seconds=seconds)
        row = (await installation.sql(COUNTED, person.workspace_id))[0]
        left = row["runs"] - row["ended"]
        show_lags(f"during an import of {IMPORTED:,} ({left:,} runs left then)", found)


async def trickle(installation: Installation, person: Person, *, seconds: float) -> list[tuple[float, float]]:
    """Leads at a steady beat through the API; of each of their runs how long after the event it began, and ended."""
    ids = []
    started = time.perf_counter()
    for number in range(int(seconds * NEW_LEADS_PER_S)):
        await asyncio.sleep(max(0, started + number / NEW_LEADS_PER_S - time.perf_counter()))
        ids.append(await make_lead(person))
    async with asyncio.timeout(300):
        while True:
            rows = await installation.sql(LAGS, person.workspace_id, ids)
            if len(rows) == len(ids) * RULES and all(row["ended_ms"] is not None for row in rows):
                return [(row["begun_ms"], row["ended_ms"]) for row in rows]
            await asyncio.sleep(0.2)


def show_lags(name: str, found: list[tuple[float, float]]) -> None:
    begun, over = (sorted(float(one[which]) for one in found) for which in (0, 1))
    figures = [f"{median(some):7.0f}, {some[int(len(some) * 0.99) - 1]:5.0f}" for some in (begun, over)]
    print(f"{name:<42} {figures[0]:>19} {figures[1]:>19}", flush=True)
