"""A change to many leads under kill -9 at each step, a stalled worker, an emptied Redis, and people who go on working:
each lead is changed once, and told of once."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from app.embedded.config import OFF
from tests.factories.accounts import Person
from tests.factories.bulk_changes import change_ended, change_leads, change_state
from tests.fixtures.fatal import FOLDER, arm, is_armed
from tests.fixtures.feed import create_tags
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Worker, eventually

pytestmark = pytest.mark.xdist_group("bulk change kills")
STEPS = ("taken", "picked", "changed", "counted", "told")
LEADS, CHUNK = 2000, 500
ADD = """
INSERT INTO lead (workspace_id, name, stage_id, rank, source, created_at)
SELECT $1, 'Bia', (SELECT id FROM stage WHERE workspace_id = $1 ORDER BY position LIMIT 1), 'i', 'MANUAL',
    now() - $3 * interval '1 minute'
FROM generate_series(1, $2::int) RETURNING id
"""
TOLD = """
SELECT unnest(entity_ids) AS id FROM feed_event
WHERE workspace_id = $1 AND kind = 'lead.updated' AND actor = $2 AND actor_kind = 'HUMAN'
"""
DELETE_LAST = """
UPDATE lead SET deleted_at = now() WHERE workspace_id = $1
    AND id IN (SELECT id FROM lead WHERE workspace_id = $1 ORDER BY id DESC LIMIT $2)
RETURNING id
"""


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(
        apis=1, workers=0, SALESPAD_BULK_CHANGE_CHUNK_LEADS=str(CHUNK)
    ) as installation:
        yield installation


@pytest.fixture
async def person(installation: Installation) -> AsyncIterator[Person]:
    async with installation.new_person() as person:
        yield person


def fatal_worker(installation: Installation, folder: Path, **given: str) -> Worker:
    return installation.new_worker("fatal", **{FOLDER: str(folder)} | given)


async def add_leads(
    installation: Installation, person: Person, count: int, *, minutes_ago: int = 1
) -> set[UUID]:
    return {row["id"] for row in await installation.sql(ADD, person.workspace_id, count, minutes_ago)}


async def killed_at(worker: Worker, folder: Path, name: str) -> None:
    arm(folder, name)
    started = asyncio.create_task(worker.start())
    await eventually(lambda: not is_armed(folder), timeout_s=60, what=f"the kill at {name}")
    await asyncio.gather(started, return_exceptions=True)
    await eventually(lambda: not worker.is_running(), what=f"the death at {name}")


async def check(installation: Installation, person: Person, bulk_id: str, leads: set[UUID]) -> dict[str, Any]:
    """It was done to these leads, once each, and to no other."""
    state = await change_ended(person, bulk_id, timeout_s=60)
    assert (state["status"], state["failure"]) == ("COMPLETED", None)
    assert state["done"] == state["total"] == state["changed"] == len(leads)
    once = dict.fromkeys(leads, 1)
    for table in ("interaction", "stage_change"):
        rows = await installation.sql(
            f"SELECT lead_id FROM {table} WHERE workspace_id = $1 AND cause = $2",
            person.workspace_id,
            f"bulk_change:{bulk_id}",
        )
        assert Counter(row["lead_id"] for row in rows) == once, table
    told = await installation.sql(TOLD, person.workspace_id, person.user_id)
    assert Counter(row["id"] for row in told) == once
    bumped = await installation.sql(
        "SELECT id, version FROM lead WHERE workspace_id = $1 AND version > 1", person.workspace_id
    )
    assert {row["id"]: row["version"] for row in bumped} == dict.fromkeys(leads, 2)
    seqs = await installation.sql(
        "SELECT seq FROM feed_event WHERE workspace_id = $1 ORDER BY seq", person.workspace_id
    )
    assert [row["seq"] for row in seqs] == list(range(1, await installation.head(person) + 1))
    return state


async def won(person: Person) -> str:
    stages = (await person.run("{ stages { id kind } }"))["stages"]
    return str(next(one["id"] for one in stages if one["kind"] == "WON"))


@pytest.mark.parametrize("steps", [STEPS[-2:], pytest.param(STEPS, marks=pytest.mark.full)])
async def test_killed_at_each_step(
    installation: Installation, person: Person, tmp_path: Path, steps: Sequence[str]
) -> None:
    """Without Redis. The worker dies in the first chunk, at last before its commit, and once after that chunk."""
    leads = await add_leads(installation, person, LEADS)
    bulk_id = await change_leads(person, {"stageId": await won(person)})
    worker, done = fatal_worker(installation, tmp_path, SALESPAD_REDIS_URL=OFF), []
    try:
        for name in steps:
            await killed_at(worker, tmp_path, name)
            done.append((await change_state(person, bulk_id))["done"])
        await worker.start()
        await check(installation, person, bulk_id, leads)
    finally:
        await worker.stop()
    assert done == [0] * (len(steps) - 1) + [CHUNK], (
        "before its commit nothing is there, after it all of the chunk"
    )
    print(f"bulk change killed at {', '.join(steps)}: {LEADS} leads, done {done}, at the end each once")


async def test_a_worker_that_stalled_between_two_chunks_writes_nothing_more(
    installation: Installation, person: Person, tmp_path: Path
) -> None:
    leads = await add_leads(installation, person, LEADS)
    bulk_id = await change_leads(person, {"stageId": await won(person)})
    stalled, other = (fatal_worker(installation, tmp_path, SALESPAD_REDIS_URL=OFF) for _ in range(2))
    arm(tmp_path, "told", signal.SIGSTOP)
    try:
        await stalled.start()
        await eventually(lambda: not is_armed(tmp_path), what="the stop")
        await other.start()
        await check(installation, person, bulk_id, leads)
        stalled.signal(signal.SIGCONT)
        tag_id = (await create_tags(person, ["VIP"]))[0]
        await change_ended(person, await change_leads(person, {"removeTagId": tag_id}))
        await check(installation, person, bulk_id, leads)
    finally:
        stalled.signal(signal.SIGCONT)
        await stalled.stop()
        await other.stop()


async def test_who_comes_and_goes_meanwhile(
    installation: Installation, person: Person, tmp_path: Path
) -> None:
    """The worker dies after its first chunk, Redis forgets everything; leads are made and deleted before it goes on."""
    leads = await add_leads(installation, person, LEADS)
    bulk_id = await change_leads(person, {"stageId": await won(person)})
    worker = fatal_worker(installation, tmp_path)
    try:
        await killed_at(worker, tmp_path, "told")
        async with Redis.from_url(installation.environment["SALESPAD_REDIS_URL"]) as redis:
            await redis.flushall()
        gone = {row["id"] for row in await installation.sql(DELETE_LAST, person.workspace_id, CHUNK + 10)}
        await add_leads(installation, person, 20, minutes_ago=-1)
        await worker.start()
        state = await check(installation, person, bulk_id, leads - gone)
    finally:
        await worker.stop()
    assert len(gone) == CHUNK + 10
    print(f"bulk change of {LEADS} leads, {len(gone)} deleted and 20 made meanwhile: done {state['done']}")
