"""Nothing is handed to a sender that canSend refuses, and what it allows is handed over: in random states."""

import random
from uuid import UUID

import pytest
from sqlalchemy import text

from app.common.leases import Claim
from app.common.work import Doors
from app.conversations.infrastructure.courier import Courier
from app.conversations.infrastructure.verdicts import verdicts
from app.settings import Settings
from tests.fixtures.ledger import Desk
from tests.fixtures.senders import FakeSenders

STEPS = {
    "address": "INSERT INTO suppression (workspace_id, value, reason) SELECT workspace_id, contact_address, 'OPT_OUT' "
    "FROM conversation WHERE workspace_id = :workspace_id",
    "domain": "INSERT INTO suppression (workspace_id, value, channel, reason) "
    "VALUES (:workspace_id, '@example.com', 'EMAIL', 'MANUAL')",
    "other channel": "INSERT INTO suppression (workspace_id, value, channel, reason) "
    "VALUES (:workspace_id, '@example.com', 'WHATSAPP', 'MANUAL')",
    "person": "INSERT INTO suppression (workspace_id, value, lead_id, reason) "
    "SELECT workspace_id, id::text, id, 'OPT_OUT' FROM lead WHERE workspace_id = :workspace_id",
    "deleted": "UPDATE lead SET deleted_at = now() WHERE workspace_id = :workspace_id",
    "disconnected": "UPDATE channel_account SET status = 'DISCONNECTED' WHERE workspace_id = :workspace_id",
    "degraded": "UPDATE channel_account SET status = 'DEGRADED', status_reason = 'Reading: away' "
    "WHERE workspace_id = :workspace_id",
    "quiet": "UPDATE workspace SET quiet_from = cast(now() AT TIME ZONE 'UTC' - interval '1 hour' as time), "
    "quiet_to = cast(now() AT TIME ZONE 'UTC' + interval '2 hours' as time), quiet_weekdays = '{1,2,3,4,5,6,7}', "
    "time_zone = 'UTC' WHERE id = :workspace_id",
    "far away": "UPDATE lead SET time_zone = 'Etc/GMT-12' WHERE workspace_id = :workspace_id",
    "answered": "UPDATE conversation SET last_inbound_at = now() - interval '1 hour' "
    "WHERE workspace_id = :workspace_id",
    "used up": "WITH a AS (UPDATE channel_account SET daily_limit = 1 WHERE workspace_id = :workspace_id "
    "RETURNING workspace_id, id) INSERT INTO send_pace (workspace_id, kind, key, day, day_count) "
    "SELECT a.workspace_id, 'ACCOUNT', a.id::text, (now() AT TIME ZONE w.time_zone)::date, 1 "
    "FROM a JOIN workspace w ON w.id = a.workspace_id",
    "something left": "UPDATE channel_account SET daily_limit = 5 WHERE workspace_id = :workspace_id",
}
"""What happens between acceptance and intent; the hours before the limit, for its day is of the workspace's zone."""
CLAIM = (
    "UPDATE delivery SET status = 'claimed', token = gen_random_uuid(), attempt = attempt + 1,"
    " lease_until = now() + interval '1 minute' WHERE message_id = :id RETURNING id, token, attempt"
)


async def is_allowed(desk: Desk) -> bool:
    async with desk.doors.open_reads(desk.workspace_id) as reads:
        (verdict,) = await verdicts(
            reads, desk.workspace_id, desk.user_id, [(desk.conversation_ids[0], None)]
        )
    assert verdict is not None
    assert verdict.is_allowed == (verdict.refusal is None)
    return verdict.is_allowed


async def calls(desk: Desk, message_id: UUID) -> int:
    """Of one turn of the worker's own courier."""
    senders = FakeSenders()
    async with desk.doors.open_system() as system:
        row = (await system.execute(text(CLAIM), {"id": message_id})).one()
    claim = Claim(desk.workspace_id, row.id, row.token, row.attempt)
    assert await Courier(desk.settings, senders).deliver(desk.doors, desk.settings, claim, lambda: False)
    return len(senders.sender.calls)


@pytest.mark.parametrize("seed", range(6))
async def test_what_can_send_refuses_is_never_handed_over(
    doors: Doors, settings: Settings, seed: int
) -> None:
    chance = random.Random(seed)
    for number in range(8):
        likely = chance.choice((0.1, 0.25))
        taken = [step for step in STEPS if chance.random() < likely]
        desk = await Desk.opened(doors, settings)
        message_id = await desk.accept(is_scheduled=True)  # no worker of the run takes it
        for step in taken:
            await desk.sql(STEPS[step])
        allowed = await is_allowed(desk)
        assert await calls(desk, message_id) == (1 if allowed else 0), (seed, number, taken)


@pytest.mark.parametrize("step", list(STEPS))
async def test_each_step_alone(doors: Doors, settings: Settings, step: str) -> None:
    desk = await Desk.opened(doors, settings)
    message_id = await desk.accept(is_scheduled=True)
    await desk.sql(STEPS[step])
    harmless = step in ("other channel", "degraded", "far away", "answered", "something left")
    assert await is_allowed(desk) == harmless
    assert await calls(desk, message_id) == (1 if harmless else 0)
