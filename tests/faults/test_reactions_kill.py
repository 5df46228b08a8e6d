"""The worker is killed at each step of a reaction, with Redis off: each effect is there once, and told once."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from app.accounts.domain.events import MemberChanged
from app.common.domain import Role
from app.embedded.config import OFF
from tests.factories.accounts import Person, add_member
from tests.fixtures.fatal import FOLDER, arm, is_armed
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Worker, eventually
from tests.fixtures.reactions import remove_member

pytestmark = pytest.mark.xdist_group("reaction kills")
STEPS = ("held", "unassigned", "moved", "reacted")
LEADS = 3000
GIVE = """
INSERT INTO lead (workspace_id, name, stage_id, rank, owner_id, source)
SELECT $1, 'Bia', (SELECT id FROM stage WHERE workspace_id = $1 ORDER BY position LIMIT 1), 'i', $2, 'MANUAL'
FROM generate_series(1, $3::int) RETURNING id
"""
TOLD = """
SELECT unnest(entity_ids) AS id FROM feed_event
WHERE workspace_id = $1 AND kind = 'lead.updated' AND before ->> 'ownerId' = $2
"""
BEHIND = """
SELECT FROM feed_head h LEFT JOIN feed_consumer c ON c.workspace_id = h.workspace_id AND c.consumer = 'unassign'
WHERE h.workspace_id = $1 AND h.seq > coalesce(c.seq, 0)
"""


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(apis=1, workers=0) as installation:
        yield installation


def fatal_worker(installation: Installation, folder: Path) -> Worker:
    return installation.new_worker("fatal", **{FOLDER: str(folder), "SALESPAD_REDIS_URL": OFF})


async def given_leads(installation: Installation, owner: Person, count: int) -> tuple[Person, set[UUID]]:
    """A second member, and the leads that are theirs."""
    async with installation.doors() as doors:
        member = await add_member(doors, owner, role=Role.MEMBER)
    rows = await installation.sql(GIVE, owner.workspace_id, member.user_id, count)
    return member, {row["id"] for row in rows}


async def told(installation: Installation, member: Person) -> Counter[UUID]:
    rows = await installation.sql(TOLD, member.workspace_id, str(member.user_id))
    return Counter(row["id"] for row in rows)


async def has_caught_up(installation: Installation, person: Person) -> bool:
    return not await installation.sql(BEHIND, person.workspace_id)


async def check(installation: Installation, member: Person, leads: set[UUID]) -> None:
    await eventually(lambda: has_caught_up(installation, member), timeout_s=60, what="the reaction's end")
    left = "SELECT FROM lead WHERE workspace_id = $1 AND owner_id = $2"
    assert await installation.sql(left, member.workspace_id, member.user_id) == []
    assert await told(installation, member) == dict.fromkeys(leads, 1), "each once"
    causes = await installation.sql(
        """SELECT DISTINCT e.depth, c.kind FROM feed_event e
        JOIN feed_event c ON c.workspace_id = e.workspace_id AND c.seq = e.cause_seq
        WHERE e.workspace_id = $1 AND e.kind = 'lead.updated'""",
        member.workspace_id,
    )
    assert [tuple(row) for row in causes] == [(1, MemberChanged.name)]
    seqs = await installation.sql(
        "SELECT seq FROM feed_event WHERE workspace_id = $1 ORDER BY seq", member.workspace_id
    )
    assert [row["seq"] for row in seqs] == list(range(1, await installation.head(member) + 1))


async def test_killed_at_each_step(installation: Installation, tmp_path: Path) -> None:
    """3,000 leads are three chunks: the worker dies in the first of them, and again in what is left."""
    worker = fatal_worker(installation, tmp_path)
    async with installation.new_person() as owner:
        member, leads = await given_leads(installation, owner, LEADS)
        async with installation.doors() as doors:
            await remove_member(doors, owner.workspace_id, member.user_id)
        chunks = []
        try:
            for name in STEPS:
                arm(tmp_path, name)
                started = asyncio.create_task(worker.start())
                await eventually(lambda: not is_armed(tmp_path), timeout_s=60, what=f"the kill at {name}")
                await asyncio.gather(started, return_exceptions=True)
                await eventually(lambda: not worker.is_running(), what=f"the death at {name}")
                chunks.append(sum((await told(installation, member)).values()))
            await worker.start()
            await check(installation, member, leads)
        finally:
            await worker.stop()
    assert chunks == [0, 0, 0, 1000], "before its commit nothing is there, after it all of the chunk"
    print(f"reactions killed at {', '.join(STEPS)}: {LEADS} leads, told of {chunks}, at the end each once")


async def test_two_workers_of_which_one_is_stopped_in_a_reaction(
    installation: Installation, tmp_path: Path
) -> None:
    """It holds its workspace's cursor, and nobody waits for it: others' reactions go on; its own once it does."""
    stopped, other = (fatal_worker(installation, tmp_path) for _ in range(2))
    async with installation.new_person() as one, installation.new_person() as two:
        first, leads = await given_leads(installation, one, 1500)
        second, theirs = await given_leads(installation, two, 1500)
        arm(tmp_path, "unassigned", signal.SIGSTOP)
        try:
            await stopped.start()
            async with installation.doors() as doors:
                await remove_member(doors, one.workspace_id, first.user_id)
                await eventually(lambda: not is_armed(tmp_path), what="the stop")
                await other.start()
                await remove_member(doors, two.workspace_id, second.user_id)
            await check(installation, second, theirs)
            assert await told(installation, first) == {}
            stopped.signal(signal.SIGCONT)
            await check(installation, first, leads)
        finally:
            stopped.signal(signal.SIGCONT)
            await stopped.stop()
            await other.stop()
    print(
        "reactions, one worker stopped in a chunk: the other workspace's 1500 leads went on, each lead once"
    )
