"""The three doors to the database under everything that may happen to them: whatever it is, no connection goes back to
the pool with a tenant or a transaction in it, and nothing is told that was not committed."""

# ruff: noqa: PT012 - a door is left by the very error that is raised within it

import asyncio
import gc
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import app.common.work
from app.common.database import Statement
from app.common.work import Doors, Unavailable, Work
from app.settings import Settings
from tests.fixtures.doors import POOL, Bells, SomethingChanged, backend, check_pool, kill, new_workspace
from tests.fixtures.processes import eventually

TENANT = Statement(text("SELECT current_setting('app.workspace_id', true) AS id"))
TENANT_AFTER_A_WHILE = Statement(
    text("SELECT pg_sleep(0.002), current_setting('app.workspace_id', true) AS id")
)
EVENTS = Statement(text("SELECT seq FROM feed_event ORDER BY seq"))
HEAD = Statement(text("SELECT seq FROM feed_head"))
SLEEP = Statement(text("SELECT pg_sleep(30)"))
RENAME = Statement(text("UPDATE workspace SET name = :name"))
NAME = Statement(text("SELECT name FROM workspace"))


Open = Callable[..., Awaitable[Doors]]


@pytest.fixture
async def open_doors(settings: Settings) -> AsyncIterator[Open]:
    """Doors with a pool so small that each connection is used again and again."""
    made: list[Doors] = []

    async def make(**changes: Any) -> Doors:
        changed = settings.model_copy(
            update={"pool_size": POOL, "system_pool_size": 2, "pool_wait_s": 30} | changes
        )
        made.append(Doors(changed, Bells()))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
async def small(open_doors: Open) -> Doors:
    return await open_doors()


@pytest.fixture
async def workspace_id(doors: Doors) -> UUID:
    return await new_workspace(doors)


async def name_of(doors: Doors, workspace_id: UUID) -> str:
    async with doors.open_reads(workspace_id) as reads:
        row = await reads.fetch_one(NAME)
    assert row is not None
    return str(row["name"])


# ── cancelled, killed, forgotten ──────────────────────────────────────────────────────────────────────────────────────
async def test_a_storm_of_cancelled_operations_leaves_no_tenant_behind(doors: Doors, small: Doors) -> None:
    dice = random.Random(20261122)
    workspaces = [await new_workspace(doors) for _ in range(8)]
    ended = {"done": 0, "canceled": 0}
    await check_pool(small)  # connected

    async def operate(workspace_id: UUID) -> None:
        seen: list[str] = []
        try:
            async with asyncio.timeout(dice.uniform(0, 0.04)):
                open_door = small.open_work if dice.random() < 0.5 else small.open_reads
                async with open_door(workspace_id) as door:
                    for _ in range(dice.randint(1, 3)):
                        seen += [row["id"] for row in await door.fetch(TENANT_AFTER_A_WHILE)]
                    if isinstance(door, Work):
                        door.announce(SomethingChanged(entity_ids=[workspace_id]))
            ended["done"] += 1
        except TimeoutError:
            ended["canceled"] += 1
        assert set(seen) <= {str(workspace_id)}

    async def keep_operating() -> None:
        for _ in range(50):
            await operate(dice.choice(workspaces))

    await asyncio.gather(*(keep_operating() for _ in range(8)))
    assert ended["canceled"] > 50, ended
    assert ended["done"] > 10, ended
    await check_pool(small)
    for workspace_id in workspaces:
        async with small.open_reads(workspace_id) as reads:
            seqs = [row["seq"] for row in await reads.fetch(EVENTS)]
            (head,) = await reads.fetch(HEAD)
        assert seqs == list(range(1, head["seq"] + 1)), "a gap in the feed"


@pytest.mark.parametrize("door", ["open_work", "open_reads"])
async def test_a_killed_connection_is_an_outage_and_is_replaced(
    settings: Settings, small: Doors, workspace_id: UUID, door: str
) -> None:
    with pytest.raises(Unavailable):
        async with getattr(small, door)(workspace_id) as reads:
            await kill(settings, await backend(reads))
            await reads.fetch(TENANT)
    await check_pool(small)
    assert await name_of(small, workspace_id) == "before"


async def test_a_commit_on_a_lost_connection_is_never_taken_for_done(
    settings: Settings, small: Doors, workspace_id: UUID
) -> None:
    with pytest.raises(Unavailable):
        async with small.open_work(workspace_id) as work:
            await work.fetch(RENAME, name="after")
            work.wake("import_job", workspace_id)
            await kill(settings, await backend(work))
    assert small.bells.due == []  # type: ignore[attr-defined]
    assert await name_of(small, workspace_id) == "before"
    await check_pool(small)


async def test_a_connection_killed_while_idle_costs_one_request_at_most(
    settings: Settings, small: Doors, workspace_id: UUID
) -> None:
    async with small.open_reads(workspace_id) as reads:
        pid = await backend(reads)
    await kill(settings, pid)

    async def works() -> bool:
        with suppress(Unavailable):
            return await name_of(small, workspace_id) == "before"
        return False

    await eventually(works, timeout_s=5)
    await check_pool(small)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("door", ["open_work", "open_reads"])
async def test_a_door_that_was_forgotten_gives_its_connection_back(
    small: Doors, workspace_id: UUID, door: str
) -> None:
    async def forget() -> None:
        opened = getattr(small, door)(workspace_id)
        reads = await opened.__aenter__()
        if isinstance(reads, Work):
            await reads.fetch(RENAME, name="forgotten")
            reads.announce(SomethingChanged(entity_ids=[workspace_id]))

    for _ in range(POOL + 1):
        await forget()
        gc.collect()
    await check_pool(small)
    assert small.bells.feed == []  # type: ignore[attr-defined]
    assert await name_of(small, workspace_id) == "before"


async def test_a_rollback_that_hangs_costs_its_connection_and_not_the_caller(
    small: Doors, workspace_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.common.work, "ROLLBACK_WAIT_S", 0.2)
    pid = 0
    try:
        async with asyncio.timeout(5):
            with pytest.raises(KeyError):
                async with small.open_work(workspace_id) as work:
                    pid = await backend(work)
                    os.kill(pid, signal.SIGSTOP)
                    raise KeyError("a bug")
            assert await name_of(small, workspace_id) == "before"
    finally:
        os.kill(pid, signal.SIGCONT)
    await check_pool(small)


# ── side by side and inside each other ────────────────────────────────────────────────────────────────────────────────
async def test_a_door_within_a_door_has_a_tenant_of_its_own(doors: Doors, small: Doors) -> None:
    outer_id, inner_id = await new_workspace(doors), await new_workspace(doors)
    async with small.open_work(outer_id) as outer:
        async with small.open_reads(inner_id) as inner:
            assert [row["id"] for row in await inner.fetch(TENANT)] == [str(inner_id)]
        async with small.open_system() as system:
            assert [row["id"] or "" for row in await system.fetch(TENANT)] == [""]
        assert [row["id"] for row in await outer.fetch(TENANT)] == [str(outer_id)]


async def test_reads_cannot_write(small: Doors, workspace_id: UUID) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with small.open_reads(workspace_id) as reads:
            await reads.fetch(RENAME, name="after")
    await check_pool(small)


async def test_what_fails_in_a_savepoint_is_undone_alone(small: Doors, workspace_id: UUID) -> None:
    async with small.open_work(workspace_id) as work:
        await work.fetch(RENAME, name="kept")
        with pytest.raises(DBAPIError):
            async with work.savepoint():
                await work.fetch(RENAME, name="undone")
                await work.execute(text("SELECT 1 / 0"))
    assert await name_of(small, workspace_id) == "kept"


async def test_a_swallowed_error_is_not_taken_for_done(small: Doors, workspace_id: UUID) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK, and no error, when a statement before it failed."""
    with pytest.raises(RuntimeError, match="rolled back"):
        async with small.open_work(workspace_id) as work:
            await work.fetch(RENAME, name="after")
            work.wake("import_job", workspace_id)
            with suppress(DBAPIError):
                await work.execute(text("SELECT 1 / 0"))
    assert small.bells.due == []  # type: ignore[attr-defined]
    assert await name_of(small, workspace_id) == "before"
    await check_pool(small)


# ── unavailable ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_full_pool_is_waited_for_and_then_unavailable(open_doors: Open, workspace_id: UUID) -> None:
    doors = await open_doors(pool_size=1, pool_wait_s=0.2)
    loop = asyncio.get_running_loop()
    async with doors.open_reads(workspace_id):
        began = loop.time()
        with pytest.raises(Unavailable):
            async with doors.open_reads(workspace_id):
                pass
        assert 0.15 < loop.time() - began < 5
    assert await name_of(doors, workspace_id) == "before"


async def test_a_statement_that_takes_too_long_is_unavailable(open_doors: Open, workspace_id: UUID) -> None:
    doors = await open_doors(statement_timeout_s=0.2)
    for door in (doors.open_work, doors.open_reads):
        with pytest.raises(Unavailable):
            async with door(workspace_id) as reads:
                await reads.fetch(SLEEP)
    with pytest.raises(Unavailable):
        async with doors.open_work(workspace_id) as work:
            await work.execute(text("SELECT pg_sleep(30)"))
    await check_pool(doors)


async def test_a_database_that_is_away_is_unavailable(settings: Settings) -> None:
    doors = Doors(settings.model_copy(update={"database_url": "postgresql://nobody:none@127.0.0.1:1/none"}))
    for door in (doors.open_system(), doors.open_work(uuid4()), doors.open_reads(uuid4())):
        with pytest.raises(Unavailable):
            async with door:
                pass
    await doors.close()


# ── the feed ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_what_is_announced_is_appended_last(small: Doors, workspace_id: UUID) -> None:
    """Between `announce` and the end of the body another writer gets the head: it is locked for the commit only."""
    async with asyncio.timeout(5), small.open_work(workspace_id) as work:
        work.announce(SomethingChanged(entity_ids=[workspace_id]))
        assert await work.fetch(EVENTS) == []
        async with small.open_work(workspace_id) as other:
            other.announce(SomethingChanged(entity_ids=[workspace_id]))
            other.announce(SomethingChanged(entity_ids=[workspace_id]))
        assert [row["seq"] for row in await work.fetch(EVENTS)] == [1, 2]
        assert small.bells.feed == [(workspace_id, 2)]  # type: ignore[attr-defined]
    assert small.bells.feed == [(workspace_id, 2), (workspace_id, 3)]  # type: ignore[attr-defined]


async def test_a_body_that_fails_announces_nothing_and_wakes_nobody(small: Doors, workspace_id: UUID) -> None:
    with pytest.raises(KeyError):
        async with small.open_work(workspace_id) as work:
            work.announce(SomethingChanged(entity_ids=[workspace_id]))
            work.wake("import_job", workspace_id)
            raise KeyError("a bug")
    async with small.open_reads(workspace_id) as reads:
        assert await reads.fetch(EVENTS) == []
        assert [row["seq"] for row in await reads.fetch(HEAD)] == [0]
    assert small.bells.feed == small.bells.due == []  # type: ignore[attr-defined]


async def test_the_system_door_cannot_announce(small: Doors, workspace_id: UUID) -> None:
    with pytest.raises(AssertionError, match="no workspace of its own"):
        async with small.open_system() as system:
            system.announce(SomethingChanged(entity_ids=[workspace_id]))


async def test_sixteen_writers_leave_no_gap_and_no_reader_sees_one(
    doors: Doors, open_doors: Open, workspace_id: UUID, request: pytest.FixtureRequest
) -> None:
    """F17 of the fault tests: seq is the order of commits, 1 to the number committed, whatever was rolled back."""
    rounds = 200 if request.config.getoption("--full") else 15
    writing = await open_doors(pool_size=10)
    dice = random.Random(17)
    committed = 0

    async def write() -> None:
        nonlocal committed
        for _ in range(rounds):
            events, fails = dice.randint(1, 3), dice.random() < 0.3
            with suppress(KeyError):
                async with writing.open_work(workspace_id) as work:
                    await work.fetch(TENANT)
                    for _ in range(events):
                        work.announce(SomethingChanged(entity_ids=[workspace_id]))
                    if fails:
                        raise KeyError("a bug")
                committed += events

    async def read_until(writers: "asyncio.Future[Any]") -> int:
        looks = 0
        while not writers.done():
            async with doors.open_reads(workspace_id) as reads:
                seqs = [row["seq"] for row in await reads.fetch(EVENTS)]
                (head,) = await reads.fetch(HEAD)
            assert seqs == list(range(1, len(seqs) + 1)), "n + 1 was seen before n"
            assert head["seq"] >= len(seqs)
            looks += 1
        return looks

    writers = asyncio.gather(*(write() for _ in range(16)))
    looks = await read_until(writers)
    await writers
    assert looks > 3
    async with doors.open_reads(workspace_id) as reads:
        assert [row["seq"] for row in await reads.fetch(EVENTS)] == list(range(1, committed + 1))
        assert [row["seq"] for row in await reads.fetch(HEAD)] == [committed]
    assert max(seq for _, seq in writing.bells.feed) == committed  # type: ignore[attr-defined]
