"""The pace of batches: how many may go, when, whose turn it is. Time passes as the database tells it."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.common.leases import Claim
from app.common.work import Doors
from app.conversations.infrastructure.pacing import (
    BatchClaims,
    GivenBack,
    brake,
    end_pace,
    refund,
    spend,
    used_up,
)
from app.settings import Settings
from tests.fixtures.paced import Paced, claim, paced_doors

NOW = "SELECT now()"
LOOK_AT = "SELECT look_at FROM send_pace WHERE workspace_id = :workspace_id AND kind = 'BATCH' AND key = :key"
SWITCH = "UPDATE send_batch SET status = :status WHERE workspace_id = :workspace_id AND id = :batch_id"
DAY_COUNT = (
    "SELECT day_count FROM send_pace WHERE workspace_id = :workspace_id AND kind = :kind AND key = :key"
)


@pytest.fixture(scope="module")
async def doors(settings: Settings) -> AsyncIterator[Doors]:
    async with paced_doors(settings) as doors:
        yield doors


@pytest.fixture
async def paced(doors: Doors) -> AsyncIterator[Paced]:
    """Nothing of it is claimed by another test's claims."""
    paced = await Paced.opened(doors)
    yield paced
    await paced.sql("UPDATE send_pace SET look_at = NULL")


async def look_at(paced: Paced, batch_id: UUID) -> datetime | None:
    found: datetime | None = await paced.sql(LOOK_AT, key=str(batch_id))
    return found


# ── rates ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("rate", "burst", "account_rate", "account_burst"),
    [
        (60, 1, None, None),
        (600, 10, None, None),
        (700, None, None, None),
        (6_000, 50, 900, 7),
        (None, None, 7, 3),
    ],
    ids=["one a second", "ten a second", "a second's worth", "the account's is slower", "an account's alone"],
)
async def test_no_window_sees_more_than_burst_and_rate(
    paced: Paced, rate: int | None, burst: int | None, account_rate: int | None, account_burst: int | None
) -> None:
    account_id = await paced.account(rate=account_rate, burst=account_burst)
    await paced.batch(account_id, 3_000, rate=rate, burst=burst)
    dice, claims, gone_by, seen = random.Random(7), BatchClaims(), 0.0, []
    for _ in range(60):
        before = (await paced.sql(NOW)).timestamp() + gone_by
        found = len(await paced.claim(claims, limit=dice.choice([1, 3, 100])))
        seen.append((before, (await paced.sql(NOW)).timestamp() + gone_by, found))
        step = dice.choice([0, 0.05, 0.3, 1, 4])
        await paced.passes(step)
        gone_by += step
    for limit, at_once in ((rate, burst), (account_rate, account_burst)):
        if limit is None:
            continue
        most = at_once or max(1, limit // 60)
        for first in range(len(seen)):
            taken = 0
            for _, until, count in seen[first:]:
                taken += count
                # Moments of the database's have microseconds.
                assert taken <= most + (until - seen[first][0] + 0.01) * limit / 60
    assert sum(count for *_, count in seen) >= 10, "a pace, not a standstill"


async def test_a_burst_goes_at_once_and_then_one_by_one(paced: Paced) -> None:
    batch_id = await paced.batch(await paced.account(), 50, rate=1, burst=5)
    claims = BatchClaims()
    assert len(await paced.drain()) == 5
    assert await paced.claim(claims) == []
    assert 0 < claims.wait_s <= 60
    await paced.passes(60)
    assert len(await paced.drain()) == 1
    await paced.passes(3600)
    assert len(await paced.drain()) == 5, "what was not used does not pile up"
    assert (await paced.counts(batch_id))["queued"] == 39


async def test_two_batches_share_their_accounts_rate(paced: Paced) -> None:
    account_id = await paced.account(rate=1, burst=1)
    one, other = await paced.batch(account_id, 40), await paced.batch(account_id, 40)
    for _ in range(20):
        assert len(await paced.drain()) <= 1
        await paced.passes(60)
    taken = [(await paced.counts(id)).get("claimed", 0) for id in (one, other)]
    assert sum(taken) == 20
    assert taken[0] == taken[1]


# ── days ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_four_claimers_at_once_keep_to_the_days_limits(paced: Paced) -> None:
    await paced.limit_domain(70)
    accounts = [await paced.account(daily_limit=50), await paced.account(daily_limit=45)]
    batches = [await paced.batch(account, 200) for account in accounts for _ in range(2)]

    async def claimer() -> list[Claim]:
        claims, taken = BatchClaims(), []
        for _ in range(60):
            taken += await paced.claim(claims, limit=7)
        return taken

    for _ in range(2):
        taken = [claim for found in await asyncio.gather(*(claimer() for _ in range(4))) for claim in found]
        assert len(taken) == len({claim.id for claim in taken}) == 70
        await paced.next_day()
    by_batch = [(await paced.counts(id))["claimed"] for id in batches]
    by_account = [sum(by_batch[:2]), sum(by_batch[2:])]
    assert by_account[0] <= 100
    assert by_account[1] <= 90
    assert sum(by_account) == 140


async def test_a_used_up_day_is_looked_at_again_when_the_next_begins(paced: Paced) -> None:
    await paced.sql("UPDATE workspace SET time_zone = 'America/Sao_Paulo' WHERE id = :workspace_id")
    account_id = await paced.account(daily_limit=3)
    batch_id = await paced.batch(account_id, 10)
    assert len(await paced.drain()) == 3
    midnight = await paced.sql(
        "SELECT ((now() AT TIME ZONE 'America/Sao_Paulo')::date + 1)::timestamp AT TIME ZONE 'America/Sao_Paulo'"
    )
    async with paced.doors.open_reads(paced.workspace_id) as reads:
        assert await used_up(reads, paced.workspace_id, account_id) == midnight
    found, now = await look_at(paced, batch_id), datetime.now(UTC)
    assert found is not None
    assert found >= min(midnight, now + timedelta(minutes=4))
    await paced.next_day()
    assert len(await paced.drain()) == 3


async def test_a_day_never_goes_back(paced: Paced) -> None:
    """A transaction that began before midnight and claims after another one did."""
    account_id = await paced.account(daily_limit=5)
    await paced.batch(account_id, 20)
    assert len(await paced.drain()) == 5
    await paced.sql("UPDATE send_pace SET day = day + 1, look_at = now() WHERE workspace_id = :workspace_id")
    assert await paced.drain() == []


# ── people's messages ─────────────────────────────────────────────────────────────────────────────────────────────────
async def test_peoples_messages_count_and_stop_at_the_limit(paced: Paced) -> None:
    account_id = await paced.account(daily_limit=6)
    batch_id = await paced.batch(account_id, 10)
    assert len(await paced.claim(BatchClaims(), limit=2)) == 2

    async def person() -> bool:
        async with paced.doors.open_work(paced.workspace_id) as work:
            return await spend(work, paced.workspace_id, account_id) is None

    went = await asyncio.gather(*(person() for _ in range(8)))
    assert sum(went) == 4
    assert await paced.drain() == []
    assert await paced.sql(DAY_COUNT, kind="DOMAIN", key="ours.example") == 6
    await paced.next_day()
    assert await person()
    await paced.start(batch_id)
    assert len(await paced.drain()) == 5


async def test_a_first_message_of_many_at_once_begins_the_count(paced: Paced) -> None:
    account_id = await paced.account(daily_limit=3, domain=None)

    async def person() -> bool:
        async with paced.doors.open_work(paced.workspace_id) as work:
            return await spend(work, paced.workspace_id, account_id) is None

    assert sum(await asyncio.gather(*(person() for _ in range(8)))) == 3


async def test_a_person_goes_first_and_batches_wait_for_it(paced: Paced) -> None:
    account_id = await paced.account(rate=1, burst=1)
    await paced.batch(account_id, 10)
    for _ in range(3):
        async with paced.doors.open_work(paced.workspace_id) as work:
            assert await spend(work, paced.workspace_id, account_id) is None
    for expected in (0, 0, 0, 1):
        assert len(await paced.drain()) == expected
        await paced.passes(60)


# ── quiet hours ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_who_sleeps_is_postponed_at_once_and_not_looked_at_again(paced: Paced) -> None:
    await paced.sql(
        "UPDATE workspace SET time_zone = 'UTC', quiet_from = (now() AT TIME ZONE 'UTC' - interval '1 hour')::time,"
        " quiet_to = (now() AT TIME ZONE 'UTC' + interval '1 hour')::time WHERE id = :workspace_id"
    )
    batch_id = await paced.batch(await paced.account(), 3_000)
    await paced.add(batch_id, 30, zone="Etc/GMT-12")  # half a day away: awake
    taken = await paced.drain(limit=10)
    taken += await paced.drain(limit=10)
    assert len(taken) == 30
    due = await paced.sql(
        "SELECT count(*) FROM delivery WHERE status = 'queued' AND run_at <= now()"
        " AND workspace_id = :workspace_id"
    )
    assert due == 0
    await paced.sql(
        "UPDATE delivery SET status = 'sent' WHERE status = 'claimed' AND workspace_id = :workspace_id"
    )
    await paced.start(batch_id)
    assert await paced.drain() == []
    wakes = await paced.sql(
        "SELECT min(run_at) FROM delivery WHERE status = 'queued' AND workspace_id = :workspace_id"
    )
    assert await paced.sql("SELECT :wakes > now() + interval '50 minutes'", wakes=wakes)
    found, now = await look_at(paced, batch_id), await paced.sql(NOW)
    assert found is not None
    assert now + timedelta(minutes=4) < found <= wakes


# ── turns ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_workspaces_accounts_and_batches_take_turns(doors: Doors, paced: Paced) -> None:
    other = await Paced.opened(doors)
    busy = await paced.account()
    batches = {await paced.batch(busy, 60): "busy" for _ in range(4)}
    batches[await paced.batch(await paced.account(), 60)] = "calm"
    batches[await other.batch(await other.account(), 60)] = "other"
    claims, served = BatchClaims(), Counter[str]()
    for _ in range(12):
        found = await claim(doors, claims, limit=5)
        assert len(found) == 5
        async with doors.open_system() as system:
            row = await system.execute(
                text("SELECT send_batch_id FROM delivery WHERE id = :id"), {"id": found[0].id}
            )
            served[batches[row.scalar_one()]] += 1
    assert served == {"busy": 3, "calm": 3, "other": 6}


# ── what is not claimed from ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE send_batch SET status = 'PAUSED' WHERE workspace_id = :workspace_id",
        "UPDATE channel_account SET status = 'DISCONNECTED' WHERE workspace_id = :workspace_id",
        "UPDATE channel_account SET status = 'NEEDS_REAUTH', status_reason = 'Sending: no', smtp_secret = 'x'"
        " WHERE workspace_id = :workspace_id",
    ],
    ids=["paused", "disconnected", "login refused"],
)
async def test_nothing_is_claimed_of_what_may_not_send(paced: Paced, change: str) -> None:
    batch_id = await paced.batch(await paced.account(), 10)
    await paced.sql(change)
    assert await paced.drain() == []
    await paced.sql(SWITCH, status="RUNNING", batch_id=batch_id)
    await paced.sql("UPDATE channel_account SET status = 'CONNECTED' WHERE workspace_id = :workspace_id")
    assert await paced.drain() == [], "whoever changes it says so"
    await paced.start(batch_id)
    assert len(await paced.drain()) == 10


async def test_one_that_reads_badly_sends_all_the_same(paced: Paced) -> None:
    await paced.batch(await paced.account(), 10)
    await paced.sql(
        "UPDATE channel_account SET status = 'NEEDS_REAUTH', status_reason = 'Reading: no', smtp_secret = 'x'"
        " WHERE workspace_id = :workspace_id"
    )
    assert len(await paced.drain()) == 10


async def test_an_ended_pace_is_not_looked_at(paced: Paced) -> None:
    batch_id = await paced.batch(await paced.account(), 10)
    async with paced.doors.open_work(paced.workspace_id) as work:
        await end_pace(work, paced.workspace_id, batch_id)
    assert await paced.drain() == []
    assert await look_at(paced, batch_id) is None


async def test_a_provider_that_says_wait_is_waited_for(paced: Paced) -> None:
    account_id = await paced.account()
    await paced.batch(account_id, 10)
    async with paced.doors.open_work(paced.workspace_id) as work:
        await brake(work, paced.workspace_id, account_id, 60)
        await brake(work, paced.workspace_id, account_id, 5)
    assert await paced.drain() == []
    await paced.passes(30)
    assert await paced.drain() == []
    await paced.passes(30)
    assert len(await paced.drain()) == 10


# ── what comes back ───────────────────────────────────────────────────────────────────────────────────────────────────
async def test_what_goes_back_unsent_uses_nothing_up(paced: Paced) -> None:
    account_id = await paced.account(daily_limit=10)
    batch_id = await paced.batch(account_id, 30, rate=60, burst=10)
    claims = BatchClaims()
    found = await paced.claim(claims)
    assert len(found) == 10
    async with paced.doors.open_system() as system:
        assert await claims.give_back(system, found[4:]) == 6
        assert await claims.give_back(system, found[4:]) == 0
    again = await paced.drain()
    assert len(again) == 6
    assert {row.attempt for row in again} == {1}
    assert await paced.drain() == []
    assert (await paced.counts(batch_id)) == {"queued": 20, "claimed": 10}


async def test_a_dead_workers_rows_go_back_and_the_day_with_them(paced: Paced) -> None:
    account_id = await paced.account(daily_limit=10)
    await paced.batch(account_id, 30)
    assert len(await paced.drain()) == 10
    await paced.sql(
        "UPDATE delivery SET lease_until = now() - interval '1 second' WHERE status = 'claimed'"
        " AND workspace_id = :workspace_id"
    )
    async with paced.doors.open_system() as system:
        assert await BatchClaims().reap(system) == 10
        assert await BatchClaims().reap(system) == 0
    assert len(await paced.drain()) == 10
    assert await paced.drain() == []


async def test_yesterdays_allowance_does_not_come_back_today(paced: Paced) -> None:
    account_id = await paced.account(daily_limit=10)
    batch_id = await paced.batch(account_id, 30)
    assert len(await paced.drain()) == 10
    await paced.next_day()
    async with paced.doors.open_work(paced.workspace_id) as work:
        await refund(work, [GivenBack(paced.workspace_id, account_id, batch_id, 10)])
    assert await paced.sql(DAY_COUNT, kind="ACCOUNT", key=str(account_id)) == 10, (
        "the row tells of yesterday still"
    )
    assert len(await paced.drain()) == 10
