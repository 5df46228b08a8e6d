"""Claims of batches beside all else: nothing deadlocks, nothing is claimed twice, people's claims do not see them."""

import asyncio
import re
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import text

from app.channels.infrastructure.limits import look_again
from app.conversations.infrastructure.pacing import BatchClaims, GivenBack, brake, refund, spend
from app.conversations.wiring import deliveries
from app.settings import Settings
from tests.fixtures.paced import Paced, paced_doors
from tests.fixtures.processes import eventually

FASTER = """
UPDATE channel_account SET rate_per_minute = NULL, burst = NULL WHERE workspace_id = :workspace_id AND id = :id
"""
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE cast(:pid as int) = ANY (pg_blocking_pids(pid))"
SWITCH = "UPDATE send_batch SET status = :status WHERE workspace_id = :workspace_id AND id = :batch_id"


@pytest.fixture
async def paced(settings: Settings) -> AsyncIterator[Paced]:
    async with paced_doors(settings) as doors:
        yield await Paced.opened(doors)


# ── at once ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_nothing_deadlocks_and_no_row_is_claimed_twice(paced: Paced) -> None:
    """Claims, people, refunds, switches and changed limits, all at once."""
    accounts = [await paced.account(daily_limit=10_000, rate=600_000, burst=10_000) for _ in range(2)]
    batches = [(account, await paced.batch(account, 300)) for account in accounts for _ in range(2)]
    taken: list[UUID] = []

    async def claimer() -> None:
        claims = BatchClaims()
        for turn in range(40):
            found = await paced.claim(claims, limit=9)
            if found and turn % 3 == 0:
                async with paced.doors.open_system() as system:
                    await claims.give_back(system, found[5:])
                found = found[:5]
            taken.extend(one.id for one in found)

    async def person(number: int) -> None:
        for _ in range(30):
            async with paced.doors.open_work(paced.workspace_id) as work:
                await spend(work, paced.workspace_id, accounts[number % 2])

    async def switcher() -> None:
        for turn in range(30):
            account_id, batch_id = batches[turn % 4]
            async with paced.doors.open_work(paced.workspace_id) as work:
                await work.execute(
                    text(SWITCH),
                    {
                        "workspace_id": paced.workspace_id,
                        "batch_id": batch_id,
                        "status": "PAUSED" if turn % 2 else "RUNNING",
                    },
                )
                await brake(work, paced.workspace_id, account_id, 0)
            await paced.sql(SWITCH, status="RUNNING", batch_id=batch_id)
            await paced.start(batch_id)

    await asyncio.gather(*(claimer() for _ in range(3)), *(person(n) for n in range(3)), switcher())
    assert len(taken) == len(set(taken))
    taken += [one.id for one in await paced.drain()]
    assert len(set(taken)) == 1200


async def test_starts_refunds_and_people_do_not_deadlock(paced: Paced) -> None:
    """Refunds of several batches at once, as of a worker that died."""
    accounts = [await paced.account() for _ in range(2)]
    batches = [(account, await paced.batch(account, 1)) for account in accounts for _ in range(2)]

    async def refunds() -> None:
        for turn in range(150):
            some = batches[turn % 3 : turn % 3 + 2]
            given_back = [GivenBack(paced.workspace_id, *one, count=1, held_s=1.0) for one in some]
            async with paced.doors.open_system() as system:
                await refund(system, given_back)

    async def starts(first: int) -> None:
        for turn in range(150):
            await paced.start(batches[(first + turn) % 4][1])

    async def person(number: int) -> None:
        for _ in range(50):
            async with paced.doors.open_work(paced.workspace_id) as work:
                await spend(work, paced.workspace_id, accounts[number])

    await asyncio.gather(*(refunds() for _ in range(2)), *map(starts, range(3)), *map(person, range(2)))


async def test_who_starts_a_batch_does_not_wait_for_who_changes_its_account_or_domain(paced: Paced) -> None:
    """Refunds change them and then wait for the batch, which a start holds: both would wait in a circle."""
    account_id = await paced.account()
    batch_id = await paced.batch(account_id, 1)
    async with paced.doors.open_work(paced.workspace_id) as work:
        assert await spend(work, paced.workspace_id, account_id) is None  # both are held until it commits
        await asyncio.wait_for(paced.start(batch_id), 30)


async def test_a_limit_that_is_changed_while_a_claim_looks_is_looked_at_again(paced: Paced) -> None:
    """The claim still read the old one, and puts the batch off for as long as that one says."""
    account_id = await paced.account(rate=1, burst=1)
    batch_id = await paced.batch(account_id, 2)
    assert len(await paced.drain()) == 1
    await paced.start(batch_id)

    async def change() -> None:
        async with paced.doors.open_work(paced.workspace_id) as work:
            await work.execute(text(FASTER), {"workspace_id": paced.workspace_id, "id": account_id})
            await look_again(work, paced.workspace_id)

    async with paced.doors.open_system(plans_once=True) as system:
        assert await BatchClaims().claim(system, lease_s=60, limit=9) == []
        pid = (await system.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        changing = asyncio.create_task(change())

        async def is_over_or_waits() -> bool:
            return changing.done() or await paced.sql(WAITS, pid=pid) > 0

        await eventually(is_over_or_waits)
    await changing
    assert len(await paced.drain()) == 1


# ── people's claims ───────────────────────────────────────────────────────────────────────────────────────────────────
async def test_peoples_claims_do_not_see_what_batches_have_queued(paced: Paced) -> None:
    """Nor does what they cost grow with it."""
    await paced.batch(await paced.account(), 30_000)
    await paced.sql("ANALYZE delivery")
    claim = deliveries._claim_any
    arguments = claim.arguments({"limit": 10, "lease_s": 60.0})
    async with paced.doors.open_system(plans_once=True) as system:
        told = await system._driver.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {claim.sql}", *arguments)
    plan = "\n".join(row[0] for row in told).partition("Planning:")[0]
    assert re.search("ix_delivery_(due|account)", plan), plan
    assert "Rows Removed by Filter" not in plan, plan
    assert max(int(hits) for hits in re.findall(r"shared hit=(\d+)", plan)) < 50, plan
