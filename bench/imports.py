"""What importing a file costs: `python -m bench imports [--rows 100000] [--seconds 15]`, everything in one run.

On servers of its own, PostgreSQL as durable as in production, the real API and worker. The same clean rows (name,
e-mail, phone, company, title; nobody is known) by a bare COPY as the owner of the tables, in transactions of 20,000,
and by an import of a CSV of them, from the start to the end and without pacing: in turn, the median of `ROUNDS`. The
goal: the import at least 0.8 of the COPY. Then one import of `--rows` (the goal says 1000000) with the worker's
memory, what it is only to read such a file, and what the inbox costs those who look at it, at rest and while a paced
import goes on.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import UUID

import asyncpg

from app.imports.infrastructure.table_files import analyse, read_rows
from bench.bare_copy import HEADER, allow, copied, people
from bench.bulk_sends import LOOKS_PER_S, Inbox, p99, rss_mb
from bench.cpu import cpu_s
from tests.factories.accounts import Person
from tests.factories.csv_imports import start_csv, upload_csv
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Worker

ROUNDS = 3
ROUND_ROWS = 60_000
SAMPLES = 10
FLAT_FROM = 100_000
MAPPING = dict(zip(HEADER.strip().split(","), ("NAME", "EMAIL", "PHONE", "COMPANY", "TITLE"), strict=True))
PROGRESS = """
SELECT phase = 'RUN' AS is_running, processed_rows, status, error, counts ->> 'CREATED' AS created
FROM import_job WHERE workspace_id = $1 AND id = $2
"""
PACED = 0.25
"""`import_share` of the paced import."""
RESTING = ("COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED", "NEEDS_MAPPING")


async def run() -> None:
    options = parsed(sys.argv[2:])
    async with Installation.started(
        apis=1, workers=0, SALESPAD_IMPORT_LEASE_S="30", SALESPAD_WEB_REQUESTS_PER_MINUTE="1000000"
    ) as installation:
        await allow(installation)
        async with working(installation, share=1) as worker:
            await rounds(installation, worker, rows=min(options.rows, ROUND_ROWS))
            await whole(installation, worker, rows=options.rows)
        await reading(options.rows)
        await inbox(installation, seconds=options.seconds)


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench imports")
    parser.add_argument(
        "--rows", type=int, default=100_000, help="of the one large import; the goal says 1000000"
    )
    parser.add_argument("--seconds", type=float, default=15, help="for each look at the inbox")
    return parser.parse_args(arguments)


@asynccontextmanager
async def working(installation: Installation, *, share: float) -> AsyncIterator[Worker]:
    worker = installation.new_worker(SALESPAD_IMPORT_SHARE=str(share))
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


# ── against a bare COPY ───────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Took:
    whole_s: float
    running_s: float
    postgres_s: float
    worker_s: float = 0.0


async def rounds(installation: Installation, worker: Worker, *, rows: int) -> None:
    await imported(installation, worker, "warm", min(rows, 20_000))  # warms the caches
    bare, ours = [], []
    for number in range(ROUNDS):
        bare.append(await bare_copy(installation, f"b{number}", rows))
        ours.append(await imported(installation, worker, f"i{number}", rows))
    show_rounds(bare, ours, rows=rows)


async def bare_copy(installation: Installation, prefix: str, rows: int) -> Took:
    assert installation.postgres is not None
    async with installation.new_person() as person:
        before_s = cpu_s(installation.postgres.pid)
        took_s = await copied(installation, person, prefix, rows)
        return Took(took_s, took_s, cpu_s(installation.postgres.pid) - before_s)


async def imported(
    installation: Installation,
    worker: Worker,
    prefix: str,
    rows: int,
    told: Callable[[int], None] = lambda processed: None,
) -> Took:
    """`told` hears how many rows are settled whenever that changes."""
    assert installation.postgres is not None
    async with installation.new_person() as person, installation.connection() as looking:
        token = await upload_csv(person, file_of(prefix, rows))
        cpus = cpu_s(installation.postgres.pid), cpu_s(worker.pid)
        started = time.perf_counter()
        import_id = await start_csv(person, token, mapping=MAPPING)
        running = await until_over(looking, person, import_id, rows, told)
        over = time.perf_counter()
        return Took(
            over - started,
            over - running,
            cpu_s(installation.postgres.pid) - cpus[0],
            cpu_s(worker.pid) - cpus[1],
        )


async def until_over(
    looking: "asyncpg.Connection[asyncpg.Record]",
    person: Person,
    import_id: str,
    rows: int,
    told: Callable[[int], None],
) -> float:
    """When the first row could be written: the whole file had been read once."""
    running, last = 0.0, -1
    while True:
        row = await looking.fetchrow(PROGRESS, person.workspace_id, UUID(import_id))
        assert row is not None
        if row["is_running"] and not running:
            running = time.perf_counter()
        if row["processed_rows"] != last:
            last = row["processed_rows"]
            told(last)
        if row["status"] in RESTING:
            assert row["status"] == "COMPLETED", (row["status"], row["error"])
            assert int(row["created"]) == rows, "not everybody was written"
            return running
        await asyncio.sleep(0.02)


async def file_of(prefix: str, rows: int) -> AsyncIterator[bytes]:
    lines = [HEADER]
    for one in people(prefix, rows):
        lines.append(one.line())
        if len(lines) == 10_000:
            yield "".join(lines).encode()
            lines = []
    yield "".join(lines).encode()


def show_rounds(bare: list[Took], ours: list[Took], *, rows: int) -> None:
    one, five, fifteen = os.getloadavg()
    print(f"load average {one:.1f}, {five:.1f}, {fifteen:.1f}; only ratios of one run mean something")
    print(f"{f'{rows:,} rows, median of {ROUNDS}':<42} rows/s   of the COPY   CPU s: PostgreSQL, worker")
    lines = (
        ("a bare COPY", bare, bare, False),
        ("an import, from its start to its end", ours, bare, True),
        ("an import, once the file is read through", ours, bare, False),
    )
    for number, (name, found, held_against, has_goal) in enumerate(lines):
        seconds = [took.running_s if number == 2 else took.whole_s for took in found]
        ratio = median(theirs.whole_s / mine for mine, theirs in zip(seconds, held_against, strict=True))
        cpu = f"{median(t.postgres_s for t in found):8.2f} {median(t.worker_s for t in found):8.2f}"
        print(
            f"{name:<42} {rows / median(seconds):6,.0f}   {ratio:.2f} {'goal 0.80' if has_goal else '':<9} {cpu}"
        )
    sys.stdout.flush()


# ── a large one ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def whole(installation: Installation, worker: Worker, *, rows: int) -> None:
    print("      rows    seconds       rows/s   worker MB (goal 150 at most, and flat)", flush=True)
    started, step = time.perf_counter(), max(1, rows // SAMPLES)
    marks: list[tuple[int, float, float]] = [(0, started, rss_mb(worker.pid))]

    def told(processed: int) -> None:
        is_new = processed > marks[-1][0]
        if is_new and (processed - marks[-1][0] >= step or processed == rows):
            before, now = marks[-1], time.perf_counter()
            marks.append((processed, now, rss_mb(worker.pid)))
            rate = (processed - before[0]) / (now - before[1])
            print(f"{processed:10,} {now - started:10.1f} {rate:12,.0f} {marks[-1][2]:11.1f}", flush=True)

    took = await imported(installation, worker, "whole", rows, told)
    first = next((mark for mark in marks if mark[0] >= FLAT_FROM), marks[-1])
    print(
        f"{rows / took.whole_s:,.0f} rows/s in all; worker {first[2]:.1f} MB at {first[0]:,} rows, "
        f"{marks[-1][2]:.1f} MB at the end; CPU s PostgreSQL {took.postgres_s:.1f}, worker {took.worker_s:.1f}"
    )


async def reading(rows: int) -> None:
    """In this process, and nothing else with it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        with path.open("wb") as file:
            async for content in file_of("read", rows):
                file.write(content)
        size_mb = path.stat().st_size / 1e6
        started = time.perf_counter()
        analysis, _ = analyse(path, is_workbook=False, rewritten=Path(folder) / "rewritten")
        analysed = time.perf_counter()
        dialect = analysis.dialect
        read = sum(
            1 for _ in read_rows(path, dialect, len(analysis.columns), offset=dialect.data_offset, n=1)
        )
        over = time.perf_counter()
    assert read == analysis.total_rows == rows, (read, analysis.total_rows)
    print(
        f"{f'{rows:,} rows ({size_mb:.0f} MB) analysed, read':<42} {analysed - started:.2f} s, "
        f"{over - analysed:.2f} s: {rows / (over - analysed):,.0f} rows/s",
        flush=True,
    )


# ── what others feel ──────────────────────────────────────────────────────────────────────────────────────────────────
async def inbox(installation: Installation, *, seconds: float) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(working(installation, share=PACED))
        person = await stack.enter_async_context(installation.new_person())
        looking = await stack.enter_async_context(installation.connection())
        inbox = await Inbox.filled(installation, person)
        await inbox.look(2)  # warms what is kept between requests
        calm = await inbox.look(seconds)
        token = await upload_csv(person, file_of("paced", int(seconds * PACED_ROWS_PER_S)))
        import_id = await start_csv(person, token, mapping=MAPPING)
        before = await settled(looking, person, import_id)
        busy = await inbox.look(seconds)
        after = await settled(looking, person, import_id)
        if after == before:
            print("the import ended before the look at the inbox: no figure")
            return
    rate = (after - before) / seconds
    print(f"{f'inbox, {LOOKS_PER_S} requests a second':<42} p50 ms   p99 ms")
    for name, took in (("at rest", calm), (f"an import with a share of {PACED}: {rate:,.0f} rows/s", busy)):
        print(f"{name:<42} {median(took):6.1f}   {p99(took):6.1f}")
    print(f"{'p99 during / at rest':<42} {p99(busy) / p99(calm):15.2f}   goal 2 at most", flush=True)


PACED_ROWS_PER_S = 20_000
"""More than it manages: it is to be under way for as long as somebody looks."""


async def settled(looking: "asyncpg.Connection[asyncpg.Record]", person: Person, import_id: str) -> int:
    """Rows, once there are any."""
    async with asyncio.timeout(120):
        while True:
            row = await looking.fetchrow(PROGRESS, person.workspace_id, UUID(import_id))
            assert row is not None
            if row["processed_rows"]:
                return int(row["processed_rows"])
            await asyncio.sleep(0.1)
