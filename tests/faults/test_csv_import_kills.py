"""An import of a file with kills of its worker, an emptied and an absent Redis, a PostgreSQL that stops: what is in
the end is what there is without any of it, but for ids and times."""

import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from redis.asyncio import Redis

from tests.factories.accounts import Person
from tests.factories.csv_imports import at_rest
from tests.fixtures.csv_files import Dump, Watch, begun, check_ledger, differences, dumped, prepared
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Worker, eventually

pytestmark = pytest.mark.xdist_group("csv import kills")
ROWS, CHUNK_ROWS = 6_000, 200
AWAY_S = 1.0
SETTINGS = {
    "SALESPAD_IMPORT_CHUNK_ROWS": str(CHUNK_ROWS),
    "SALESPAD_WEB_REQUESTS_PER_MINUTE": "100000",
}


@asynccontextmanager
async def imported_whole(rows: int, **settings: str) -> AsyncIterator[tuple[Installation, Dump]]:
    """An installation with one worker, and what an import without any fault leaves in it."""
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(
            Installation.started(apis=1, workers=1, **SETTINGS | settings)
        )
        person = await stack.enter_async_context(installation.new_person())
        await prepared(installation, person, rows)
        state = await at_rest(person, await begun(person, rows), timeout_s=1200)
        assert state["status"] == "COMPLETED_WITH_ERRORS", state
        counts = await check_ledger(installation, person)
        assert set(counts) == {
            *("CREATED", "UPDATED", "UNCHANGED", "DUPLICATE_IN_FILE", "SUPPRESSED", "REJECTED")
        }, counts
        yield installation, await dumped(installation, person)


@pytest.fixture(scope="module")
async def whole() -> AsyncIterator[tuple[Installation, Dump]]:
    async with imported_whole(ROWS) as both:
        yield both


async def ended_like(installation: Installation, person: Person, import_id: str, whole: Dump) -> Dump:
    """The same as without a fault."""
    state = await at_rest(person, import_id, timeout_s=300)
    assert state["status"] == "COMPLETED_WITH_ERRORS", state
    await check_ledger(installation, person)
    found = await dumped(installation, person)
    assert differences(found, whole) == {}
    return found


async def killed(watch: Watch, worker: Worker, kills: int, rows: int, dice: random.Random) -> int:
    """At random moments, each life with something of the import in its hands; how many times, until it was over."""
    for number in range(kills):
        await watch.until((number + dice.random()) * rows / (kills + 1))
        await _pause(dice)
        if not await watch.is_under_way():
            assert number, "it was over before anybody died"
            return number
        await worker.kill()
        await watch.installation.restart(worker)
    return kills


async def _pause(dice: random.Random) -> None:
    """Up to about a chunk's time: not at the beat of our own looking."""
    started, takes_s = time.monotonic(), dice.random() / 10
    await eventually(lambda: time.monotonic() - started >= takes_s)


async def test_the_worker_is_killed_at_random_moments(whole: tuple[Installation, Dump]) -> None:
    installation, unkilled = whole
    await _killed_like(installation, unkilled, kills=4, rows=ROWS)


@pytest.mark.full
async def test_the_worker_is_killed_20_times_in_300000_rows() -> None:
    async with imported_whole(300_000, SALESPAD_IMPORT_CHUNK_ROWS="5000") as (installation, unkilled):
        await _killed_like(installation, unkilled, kills=20, rows=300_000)


async def _killed_like(installation: Installation, unkilled: Dump, *, kills: int, rows: int) -> None:
    seed = random.SystemRandom().randrange(10**6)
    (worker,) = installation.workers
    async with installation.new_person() as person:
        await prepared(installation, person, rows)
        import_id = await begun(person, rows)
        async with Watch.of(installation, person, import_id) as watch:
            died = await killed(watch, worker, kills, rows, random.Random(seed))
        found = await ended_like(installation, person, import_id, unkilled)
    counts = {name: sum(rows.values()) for name, rows in found.items()}
    print(f"{died} kills (seed {seed}) of an import of {rows:,} rows: as without, {counts}")


async def test_redis_is_emptied_in_the_middle_again_and_again(whole: tuple[Installation, Dump]) -> None:
    installation, calm = whole
    assert installation.keeper is not None
    async with AsyncExitStack() as stack:
        person = await stack.enter_async_context(installation.new_person())
        redis = await stack.enter_async_context(Redis.from_url(installation.keeper.url))
        await prepared(installation, person, ROWS)
        import_id, before = await begun(person, ROWS), 0
        watch = await stack.enter_async_context(Watch.of(installation, person, import_id))
        for number in range(5):
            await watch.until(number * ROWS / 6 + 1)
            before = before or len(watch.waits)
            await redis.flushall()
        await watch.until(ROWS)
        await ended_like(installation, person, import_id, calm)
    print(f"FLUSHALL x 5 in an import: longest wait for the next chunk {max(watch.waits[before:]):.2f} s")


async def test_redis_is_away_for_a_while(whole: tuple[Installation, Dump]) -> None:
    """Killed in the middle of one import; another comes while it is away, and one more when it is back."""
    installation, calm = whole
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(installation.new_person()) for _ in range(2)]
        for person in people:
            await prepared(installation, person, ROWS)
        first = await begun(people[0], ROWS)
        watch = await stack.enter_async_context(Watch.of(installation, people[0], first))
        await watch.until(ROWS / 10)
        await installation.kill_redis()
        assert await watch.is_under_way()
        before = len(watch.waits)
        await watch.until(ROWS / 3)
        longest_s = max(watch.waits[before:])
        second = await begun(people[1], ROWS)
        other = await stack.enter_async_context(Watch.of(installation, people[1], second))
        await other.until(1)
        await installation.start_redis()
        await watch.until(ROWS)
        await ended_like(installation, people[0], first, calm)
        await ended_like(installation, people[1], second, calm)
    print(
        f"Redis killed in an import: longest wait for the next chunk {longest_s:.2f} s, "
        f"an import begun without it had its first rows after {other.waits[-1]:.2f} s"
    )


async def test_postgresql_stops_at_once_in_the_middle(whole: tuple[Installation, Dump]) -> None:
    """Its immediate stop, twice: what was not committed is lost, with everything that belongs to it."""
    installation, calm = whole
    async with installation.new_person() as person:
        await prepared(installation, person, ROWS)
        import_id = await begun(person, ROWS)
        async with Watch.of(installation, person, import_id) as watch:
            for mark in (1, ROWS / 4):
                await watch.until(mark)
                await _pause(random.Random())
                assert await watch.is_under_way()
                await installation.kill_postgres(signal.SIGQUIT)
                await installation.start_postgres()
            await watch.until(ROWS)
        await ended_like(installation, person, import_id, calm)
    assert all(worker.is_running() for worker in installation.workers)
    print(f"PostgreSQL stopped twice in an import: longest wait for the next chunk {max(watch.waits):.2f} s")
