"""Imports under kill -9, two workers, a stalled worker, a failing handler and each other: each row lands once."""

import asyncio
import random
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from app.common.leases import BACKOFF_S
from tests.factories.accounts import Person
from tests.factories.imports import STATE, profile
from tests.fixtures.feed import Follower, feed_cursor, metric
from tests.fixtures.installation import Installation, check_imports
from tests.fixtures.processes import Worker, eventually

pytestmark = pytest.mark.xdist_group("import kills")
A_DEAD_WORKERS = """
UPDATE import_job SET status = 'RUNNING', attempt = 1, token = gen_random_uuid(), lease_until = now() - interval '1 s'
WHERE id = $1
"""
DUE_NOW = "UPDATE import_job SET run_at = now() WHERE id = $1 AND attempt = $2"
HANDLED = "salespad_due_rows_handled_total"


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(apis=1, workers=2, SALESPAD_IMPORT_CHUNK_ROWS="10") as installation:
        yield installation


@pytest.fixture
async def person(installation: Installation) -> AsyncIterator[Person]:
    async with installation.new_person() as person:
        yield person


async def landed(installation: Installation, person: Person) -> int:
    (found,) = await installation.sql(
        "SELECT count(*) AS n FROM import_row WHERE workspace_id = $1 AND outcome IS NOT NULL",
        person.workspace_id,
    )
    return int(found["n"])


async def handled(worker: Worker, outcome: str) -> float:
    port = worker.environment["SALESPAD_WORKER_METRICS_PORT"]
    return await metric(f"http://127.0.0.1:{port}", f'{HANDLED}{{kind="import_job",outcome="{outcome}"}}')


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.full)])
async def test_f16_the_worker_is_killed_at_random_chunks(
    installation: Installation, person: Person, kills: int
) -> None:
    """A third of the rows are doubles of others, some within their chunk and some far away; a few are wrong."""
    worker, other = installation.workers
    await other.kill()
    distinct = 60 * kills
    rows = [profile(f"p{n}", email=f"p{n}@example.com") for n in range(distinct)]
    rows += [profile(f"p{random.randrange(distinct)}") for _ in range(distinct // 2)]
    rows += [profile(f"bad{n}", email="no address") for n in range(kills)]
    random.shuffle(rows)
    import_ids = [
        await installation.import_leads(person, rows[start : start + 500])
        for start in range(0, len(rows), 500)
    ]
    for number in range(kills):
        mark = (number + random.random()) * len(rows) / (kills + 1)
        await eventually(lambda mark=mark: _has_landed(installation, person, mark), timeout_s=60)  # type: ignore[misc]
        await worker.kill()
        await installation.restart(worker)
    await installation.ended(import_ids)
    counts = await check_imports(installation, person, leads=distinct, rows=len(rows))
    assert counts["REJECTED"] == kills
    await installation.restart(other)
    print(f"F16: {kills} kills, {len(rows)} rows, {distinct} distinct, {counts}")


async def _has_landed(installation: Installation, person: Person, rows: float) -> bool:
    return await landed(installation, person) >= rows


async def test_two_workers_share_many_imports(installation: Installation, person: Person) -> None:
    size, imports = 40, 12
    before = [await handled(worker, "done") for worker in installation.workers]
    import_ids = [
        await installation.import_leads(person, [profile(f"w{number}.{n}") for n in range(size)])
        for number in range(imports)
    ]
    await installation.ended(import_ids)
    await check_imports(installation, person, leads=size * imports, rows=size * imports)
    shares = [await handled(worker, "done") - before[n] for n, worker in enumerate(installation.workers)]
    print(f"two workers: {imports} imports, {size * imports} rows, shares {shares}, each row once")


@asynccontextmanager
async def stuck_at(installation: Installation, import_id: str, row: int) -> AsyncIterator[None]:
    """Holds up the worker inside the chunk of this row."""
    async with installation.transaction() as holding:
        await holding.execute(
            "SELECT FROM import_row WHERE import_id = $1 AND row = $2 AND outcome IS NULL FOR UPDATE",
            UUID(import_id),
            row,
        )
        await eventually(lambda: _waiting(installation, 1), what="a worker held up")
        yield


async def _waiting(installation: Installation, count: int) -> bool:
    """Lock requests that are not granted."""
    (found,) = await installation.sql("SELECT count(*) AS n FROM pg_locks WHERE NOT granted")
    return bool(found["n"] == count)


async def test_a_worker_that_stalled_past_its_lease_is_fenced(
    installation: Installation, person: Person
) -> None:
    """Stopped between two chunks; when it goes on, the import is another worker's, and it writes nothing."""
    stalled, other = installation.workers
    await other.kill()
    lost_before, imports, size = await handled(stalled, "lost"), 0, 400
    is_stalled = False
    while not is_stalled:
        assert imports < 20
        rows = [profile(f"s{imports}.{n}") for n in range(size)]
        import_id = await installation.import_leads(person, rows)
        imports += 1
        is_stalled = await _stall_between_chunks(installation, stalled, import_id)
    before = await landed(installation, person) - (imports - 1) * size
    await installation.restart(other)
    await installation.ended([import_id])
    stalled.signal(signal.SIGCONT)
    await eventually(lambda: _has_lost(stalled, lost_before), what="a lost lease")
    await check_imports(installation, person, leads=imports * size, rows=imports * size)
    print(f"stalled worker: fenced after {before} of {size} rows, {imports} imports, each row once")


async def _stall_between_chunks(installation: Installation, worker: Worker, import_id: str) -> bool:
    """Stops the worker where it holds the import's lease but no lock on it; False if the import ended before."""
    held = "SELECT FROM import_job WHERE id = $1 AND status = 'RUNNING'"
    async with installation.connection() as connection:
        await eventually(lambda: _exists(connection, f"{held} AND processed_rows > 0", import_id))
        while await connection.fetch(held, UUID(import_id)):
            worker.signal(signal.SIGSTOP)
            looks = [
                await connection.fetch(f"{held} FOR UPDATE SKIP LOCKED", UUID(import_id)) for _ in range(9)
            ]
            if all(looks):
                return True
            worker.signal(signal.SIGCONT)
            await asyncio.sleep(random.random() * 0.01)
    return False


async def _exists(connection: "asyncpg.Connection[asyncpg.Record]", query: str, import_id: str) -> bool:
    return bool(await connection.fetch(query, UUID(import_id)))


async def _has_lost(worker: Worker, before: float) -> bool:
    return await handled(worker, "lost") == before + 1


async def test_a_worker_that_stalls_inside_a_chunk_holds_up_nobody_else(
    installation: Installation, person: Person
) -> None:
    """Its open transaction locks its own import: reaping goes round it to another's, and no doorbell helps."""
    stalled, other = installation.workers
    await other.kill()
    await installation.kill_redis()
    rows = [profile(f"i{n}") for n in range(400)]
    import_id = await installation.import_leads(person, rows)
    async with stuck_at(installation, import_id, 390):
        stalled.signal(signal.SIGSTOP)
    try:
        await eventually(lambda: _is_lease_over(installation, import_id), what="the end of the lease")
        async with installation.new_person() as somebody:
            theirs = await installation.import_leads(somebody, [profile(f"o{n}") for n in range(50)])
            await installation.sql(A_DEAD_WORKERS, UUID(theirs))
            await installation.restart(other)
            started = time.monotonic()
            await installation.ended([theirs], timeout_s=10)
            waited_s = time.monotonic() - started
            await check_imports(installation, somebody, leads=50, rows=50)
    finally:
        stalled.signal(signal.SIGCONT)
    await installation.start_redis()
    await installation.ended([import_id])
    await check_imports(installation, person, leads=len(rows), rows=len(rows))
    print(f"stalled inside a chunk: another's import ended in {waited_s:.1f} s, and each row landed once")


async def _is_lease_over(installation: Installation, import_id: str) -> bool:
    query = "SELECT FROM import_job WHERE id = $1 AND lease_until < now() - interval '0.5 s'"
    return bool(await installation.sql(query, UUID(import_id)))


async def test_an_import_that_cannot_be_run_fails_with_a_reason(
    installation: Installation, person: Person
) -> None:
    """Its workspace has no stage, so the handler raises at every attempt; others' imports go on meanwhile."""
    await installation.sql("DELETE FROM stage WHERE workspace_id = $1", person.workspace_id)
    cursor = await feed_cursor(person)
    async with Follower.following(installation.ws_urls, person.token, cursor) as follower:
        import_id = await installation.import_leads(person, [profile("bia")])
        waits = []
        for attempt, wait_s in enumerate(BACKOFF_S[:-1], start=1):
            waits.append(await eventually(lambda attempt=attempt: _wait_s(installation, import_id, attempt)))  # type: ignore[misc]
            assert wait_s - 2 < waits[-1] <= wait_s  # type: ignore[operator]
            if attempt == 3:  # the wait is long enough for all of it
                async with installation.new_person() as somebody:
                    theirs = await installation.import_leads(somebody, [profile(f"o{n}") for n in range(20)])
                    await installation.ended([theirs], timeout_s=10)
            await installation.sql(DUE_NOW, UUID(import_id), attempt)
        await installation.ended([import_id])
        state = (await person.run(STATE, {"id": import_id}))["leadImport"]
        assert (state["status"], state["processedRows"]) == ("FAILED", 0)
        assert re.fullmatch(
            r"INTERNAL_ERROR: Unexpected error [0-9a-f]{12}: \w+\. O que entrou fica\. .+", state["failure"]
        )
        assert state["finishedAt"] is not None
        rows = await installation.sql("SELECT row FROM import_row WHERE import_id = $1", UUID(import_id))
        assert rows == [], "nobody needs what was sent any more"
        await follower.until(await installation.head(person))
    told = [(item["kind"], item["ids"]) for item in follower.items]
    assert told == [("IMPORT_PROGRESSED", [import_id])] * 2  # accepted, failed
    print(
        f"poison import: {len(BACKOFF_S)} attempts with waits {[round(float(wait), 1) for wait in waits]}, then FAILED"
    )  # type: ignore[arg-type]


async def _wait_s(installation: Installation, import_id: str, attempt: int) -> float | None:
    """Seconds until the next attempt, once this one has failed."""
    found = await installation.sql(
        """SELECT extract(epoch FROM run_at - clock_timestamp())::float AS wait_s FROM import_job
        WHERE id = $1 AND attempt = $2 AND status = 'QUEUED' AND error IS NOT NULL AND run_at > now()""",
        UUID(import_id),
        attempt,
    )
    return found[0]["wait_s"] if found else None


async def test_progress_is_told_at_most_once_a_second(installation: Installation, person: Person) -> None:
    """Accepted, then a hundred chunks, then the end."""
    import_id = await installation.import_leads(person, [profile(f"t{n}") for n in range(1000)])
    await installation.ended([import_id])
    told = await installation.sql(
        "SELECT at FROM feed_event WHERE workspace_id = $1 AND kind = 'import.progressed' ORDER BY seq",
        person.workspace_id,
    )
    seconds = (told[-1]["at"] - told[0]["at"]).total_seconds()
    # A second lies between the begins of two transactions that tell of progress; `at` is near their ends.
    assert len(told) <= seconds + 3, "more than its two ends, its first chunk and one each second"
    await check_imports(installation, person, leads=1000, rows=1000)
    print(f"progress: 100 chunks in {seconds:.1f} s, {len(told)} events")


@pytest.mark.parametrize("has_second_profiles", [False, True])
async def test_imports_of_the_same_people_in_other_orders_meet(
    installation: Installation, person: Person, has_second_profiles: bool
) -> None:
    """No deadlock and no identity with two leads, whoever comes first."""
    people, imports = 120, 8
    import_ids = []
    for number in range(imports):
        rows = [_row(n, number % 3 if has_second_profiles else number % 2) for n in range(people)]
        random.shuffle(rows)
        import_ids.append(await installation.import_leads(person, rows))
    await installation.ended(import_ids)
    leads = None if has_second_profiles else people
    counts = await check_imports(installation, person, leads=leads, rows=people * imports)
    (failed,) = await installation.sql(
        "SELECT count(*) AS n FROM import_job WHERE workspace_id = $1 AND error IS NOT NULL",
        person.workspace_id,
    )
    assert failed["n"] == 0, "an attempt failed and was repeated"
    print(f"the same {people} people in {imports} imports at once: {counts}")


def _row(n: int, variant: int) -> dict[str, object]:
    if variant == 0:
        return profile(f"m{n}")
    return profile(f"m{n}" if variant == 1 else f"second{n}", email=f"m{n}@example.com")
