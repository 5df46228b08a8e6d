"""The dashboard of a workspace with 200,000 leads and 500,000 messages of two years, beside one of a tenth the size.

The goal: 300 ms for all figures at once. Measured is a request through the public door, one at a time, and each figure
in the database's doors; first as PostgreSQL leaves a table that was filled in one go, then as autovacuum has gone over
it, which is how a table is that was filled in two years. `SALESPAD_BENCH_EXPLAIN=1` prints the plans too.
"""

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from uuid import UUID

import asyncpg
import httpx

from app.analytics.domain.period import Period, period
from app.analytics.infrastructure import reads as statements
from app.analytics.wiring import Figures
from app.common.work import Doors
from app.settings import Settings
from bench.sockets import cpu_s
from tests.factories.accounts import Person, sign_up
from tests.factories.figures import DASHBOARD, asked
from tests.fixtures.processes import Api

LEADS = int(os.environ.get("SALESPAD_BENCH_LEADS", "200000"))
DAYS = 730
PERIODS = {"30 days": 30, "90 days": 90, "a year": 365, "two years": DAYS + 1}
ROUNDS = 25
FIGURES = {
    "by_stage": statements.BY_STAGE,
    "per_day": statements.PER_DAY,
    "deliveries": statements.DELIVERIES,
    "reply_rate": statements.REPLY_RATE,
    "median_first_response_s": statements.FIRST_RESPONSE,
    "runs": statements.RUNS,
}
TABLES = ("lead", "conversation", "message", "delivery", "automation_run")

# Of ten leads six are written to, of these a third replies. n goes with time, as ids do.
AT = f"now() - ({DAYS} * (1 - n::float / $2)) * interval '1 day'"
FILL: Sequence[str] = (
    """
    INSERT INTO channel_account (workspace_id, id, channel, name, address, inbound_token)
    VALUES ($1, $1, 'EMAIL', 'Sales', cast(cast($1 as uuid) as text) || '@example.com', cast($1 as uuid)::text)
    """,
    f"""
    INSERT INTO lead (workspace_id, id, name, email, company, stage_id, rank, source, created_at, engagement)
    SELECT $1, {{id}}, 'Lead ' || n, n || '@example.com', 'Company ' || n % 5000, stages[1 + n % 7], n::text, 'CSV',
        {AT}, 'NEW'
    FROM generate_series(1, $2::int) AS n,
        (SELECT array_agg(id ORDER BY position) FROM stage WHERE workspace_id = $1) AS s(stages)
    """,
    f"""
    INSERT INTO conversation (workspace_id, id, lead_id, account_id, channel, contact_address, created_at,
        last_inbound_at, message_count)
    SELECT $1, {{id}}, {{id}}, $1, 'EMAIL', n || '@example.com', {AT},
        CASE WHEN n % 3 = 0 THEN {AT} + interval '20 days' END, 5
    FROM generate_series(1, $2::int) AS n WHERE n % 10 < 6
    """,
    # 280,000 that went out and 240,000 that came in, at 200,000 leads.
    f"""
    INSERT INTO message (workspace_id, id, conversation_id, position, account_id, direction, author_kind, body, status,
        created_at, sent_at)
    SELECT $1, gen_random_uuid(), {{id}}, k, $1, CASE WHEN is_in THEN 'INBOUND' ELSE 'OUTBOUND' END,
        CASE WHEN is_in THEN 'CONTACT' ELSE 'HUMAN' END, repeat('So many words. ', 20),
        CASE WHEN is_in THEN 'RECEIVED' ELSE 'SENT' END, at, at
    FROM generate_series(1, $2::int) AS n, LATERAL generate_series(1, CASE WHEN n % 3 = 0 THEN 9 ELSE 2 END) AS k,
        LATERAL (SELECT n % 3 = 0 AND k > 3 AS is_in, {AT} + k * interval '2 days' AS at) AS said
    WHERE n % 10 < 6
    """,
    """
    INSERT INTO delivery (workspace_id, status, account_id, lead_id, origin_kind, origin_id, conversation_id,
        message_id, created_at, settled_at, answers_since)
    SELECT $1, CASE WHEN n % 50 = 0 THEN 'failed' WHEN n % 200 = 1 THEN 'unknown' ELSE 'sent' END, $1, c.lead_id,
        'MESSAGE', m.id, c.id, m.id, m.created_at, m.created_at,
        CASE WHEN n % 4 = 0 THEN m.created_at - n % 5000 * interval '1 minute' END
    FROM (
        SELECT *, row_number() OVER (ORDER BY created_at) AS n FROM message
        WHERE workspace_id = $1 AND direction = 'OUTBOUND'
    ) m JOIN conversation c ON (c.workspace_id, c.id) = (m.workspace_id, m.conversation_id)
    """,
    "INSERT INTO automation (workspace_id, id, name) VALUES ($1, $1, 'Rule')",
    """
    INSERT INTO automation_version (workspace_id, id, automation_id, number, rule)
    VALUES ($1, $1, $1, 1, '{}')
    """,
    f"""
    INSERT INTO automation_run (workspace_id, automation_id, version_id, lead_id, trigger_seq, status, started_at,
        finished_at)
    SELECT $1, $1, $1, {{id}}, n, CASE WHEN n % 3 = 0 THEN 'SKIPPED' ELSE 'SUCCEEDED' END,
        CASE WHEN n % 3 > 0 THEN {AT} END, {AT}
    FROM generate_series(1, $2::int) AS n
    """,
)
ID = "('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"


async def run() -> None:
    environment = {"SALESPAD_WEB_REQUESTS_PER_MINUTE": "1000000", "SALESPAD_LOG_LEVEL": "error"}
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(Api.started(**environment))
        client = httpx.AsyncClient(base_url=api.url, timeout=60, trust_env=False)
        http = await stack.enter_async_context(client)
        ours, others = await sign_up(http), await sign_up(http, name="Eve")
        began = time.perf_counter()
        await fill({ours.workspace_id: LEADS, others.workspace_id: LEADS // 10})
        print(f"{LEADS:,} leads and what is theirs written in {time.perf_counter() - began:.0f} s")
        for command, how in (("ANALYZE", "as filled"), ("VACUUM ANALYZE", "as vacuumed")):
            await tidy(command)
            await measure(ours, how)


async def fill(sizes: Mapping[UUID, int]) -> None:
    connection = await asyncpg.connect(os.environ["SALESPAD_DATABASE_URL"])
    try:
        await connection.execute("SET ROLE sp_system; SET synchronous_commit = off")
        for statement in FILL:
            sql = statement.replace("{id}", ID)
            for workspace_id, leads in sizes.items():
                values: tuple[object, ...] = (workspace_id, leads) if "$2" in sql else (workspace_id,)
                await connection.execute(sql, *values, timeout=600)
    finally:
        await connection.close()


async def tidy(command: str) -> None:
    connection = await asyncpg.connect(os.environ["SALESPAD_DATABASE_URL"])
    try:
        for table in TABLES:
            await connection.execute(f"{command} {table}", timeout=600)
    finally:
        await connection.close()


async def measure(person: Person, how: str) -> None:
    now = datetime.now(UTC)
    print(f"\n{how:<36}{'p50 ms':>8}{'p95 ms':>8}")
    for name, days in PERIODS.items():
        variables = asked(now - timedelta(days=days), now)

        async def request(given: object = variables) -> object:
            return await person.run(DASHBOARD, given)  # type: ignore[arg-type]

        tell(f"all figures, {name}", await timed(request))
    doors = Doors(Settings())
    try:
        for name, days in PERIODS.items():
            took = await cpu_ms(doors, person.workspace_id, period(now - timedelta(days=days), now))
            told = ", ".join(f"{figure} {ms:.0f}" for figure, ms in took.items())
            print(f"PostgreSQL's CPU ms, {name}: {sum(took.values()):.0f} ({told})")
        for figure in FIGURES:
            await measure_figure(doors, person.workspace_id, figure, now)
    finally:
        await doors.close()
    print(f"load {os.getloadavg()[0]:.1f}")


async def measure_figure(doors: Doors, workspace_id: UUID, name: str, now: datetime) -> None:
    whole = period(now - timedelta(days=DAYS + 1), now)

    async def read() -> object:
        async with doors.open_reads(workspace_id, one_snapshot=True) as reads:
            return await read_figure(Figures(reads, workspace_id, whole), name)

    tell(f"  {name}, two years", await timed(read))
    if os.environ.get("SALESPAD_BENCH_EXPLAIN"):
        statement = FIGURES[name]
        given = {"workspace_id": workspace_id, "since": whole.since, "until": whole.until}
        given |= {"statuses": ["failed", "unknown"]} if name == "deliveries" else {}
        async with doors.open_reads(workspace_id) as reads:
            explain = f"EXPLAIN (ANALYZE, BUFFERS) {statement.sql}"
            for row in await reads._driver.fetch(explain, *statement.arguments(given)):
                print("   ", row[0])


async def read_figure(figures: Figures, name: str) -> object:
    """As all of them together are asked for: what went out is in the days."""
    return await getattr(figures, name)(*(("failed", "unknown") if name == "deliveries" else ()))


async def cpu_ms(doors: Doors, workspace_id: UUID, asked: Period) -> dict[str, float]:
    """Of the one backend, for each figure: what parallel workers did for it is left out, so there are none."""
    took = {}
    async with doors.open_reads(workspace_id, one_snapshot=True) as reads:
        await reads._driver.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        pid = await reads._driver.fetchval("SELECT pg_backend_pid()")
        figures = Figures(reads, workspace_id, asked)
        for name in FIGURES:
            await read_figure(figures, name)
            before = cpu_s(pid)
            for _ in range(ROUNDS):
                await read_figure(figures, name)
            took[name] = (cpu_s(pid) - before) / ROUNDS * 1000
    return took


async def timed(act: Callable[[], Awaitable[object]]) -> list[float]:
    took = []
    for _ in range(ROUNDS + 2):
        began = time.perf_counter()
        await act()
        took.append((time.perf_counter() - began) * 1000)
    return took[2:]


def tell(title: str, took: list[float]) -> None:
    cuts = quantiles(took, n=20)
    print(f"{title:<36}{cuts[9]:8.0f}{cuts[18]:8.0f}")
