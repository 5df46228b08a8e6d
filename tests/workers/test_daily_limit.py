"""A day's allowance and people's messages: counted with the intent, and waited for where it is used up."""

import asyncio
from collections import Counter
from uuid import UUID

from sqlalchemy import text

from app.common.leases import Claim
from app.common.work import Doors
from app.conversations.domain.delivery import Reason
from app.conversations.infrastructure.courier import Courier
from app.conversations.infrastructure.pacing import used_up
from app.settings import Settings
from tests.fixtures.ledger import Desk
from tests.fixtures.senders import FakeSenders

LIMIT = "UPDATE channel_account SET daily_limit = :limit WHERE workspace_id = :workspace_id"
ATTEMPTS = "SELECT count(*) FROM delivery_attempt WHERE workspace_id = :workspace_id"
WAITS = (
    "SELECT bool_and(run_at > now() AND error = :error AND attempt = 0 AND token IS NULL) FROM delivery "
    "WHERE workspace_id = :workspace_id AND status = 'queued'"
)
NEXT_DAY = "UPDATE send_pace SET day = day - 1 WHERE workspace_id = :workspace_id"


async def desk_of(doors: Doors, settings: Settings, *, limit: int, messages: int) -> tuple[Desk, list[Claim]]:
    """Accepted for later, so that no worker of the run takes them; then claimed in one transaction."""
    desk = await Desk.opened(doors, settings, conversations=messages)
    await desk.sql(LIMIT, limit=limit)
    for number in range(messages):
        await desk.accept(number, is_scheduled=True)
    return desk, [await claim_by_hand(desk, id) for id in await desk.states()]


async def claim_by_hand(desk: Desk, message_id: UUID) -> Claim:
    async with desk.doors.open_system() as system:
        row = (
            await system.execute(
                text(
                    "UPDATE delivery SET status = 'claimed', token = gen_random_uuid(), attempt = attempt + 1,"
                    " lease_until = now() + interval '1 minute' WHERE message_id = :id RETURNING id, token, attempt"
                ),
                {"id": message_id},
            )
        ).one()
    return Claim(desk.workspace_id, row.id, row.token, row.attempt)


async def test_what_is_over_the_days_limit_waits_and_leaves_no_trace(
    doors: Doors, settings: Settings
) -> None:
    desk, claims = await desk_of(doors, settings, limit=2, messages=5)
    senders = FakeSenders()
    carrier = Courier(settings, senders)
    await asyncio.gather(*(carrier.deliver(doors, settings, claim, lambda: False) for claim in claims))
    assert len(senders.sender.calls) == 2
    states = (await desk.states()).values()
    assert Counter(row.status for row in states) == {"sent": 2, "queued": 3}
    assert Counter(row.shown for row in states) == {"SENT": 2, "SCHEDULED": 3}
    assert await desk.sql(ATTEMPTS) == 2
    assert await desk.sql(WAITS, error=Reason.DAILY_LIMIT)
    async with doors.open_reads(desk.workspace_id) as reads:
        assert await used_up(reads, desk.workspace_id, desk.account_id) is not None


async def test_with_the_next_day_it_goes(doors: Doors, settings: Settings) -> None:
    desk, claims = await desk_of(doors, settings, limit=1, messages=2)
    carrier = Courier(settings, FakeSenders())
    for claim in claims:
        assert await carrier.deliver(doors, settings, claim, lambda: False)
    await desk.sql(NEXT_DAY)
    (waiting,) = [id for id, row in (await desk.states()).items() if row.status == "queued"]
    assert await carrier.deliver(doors, settings, await claim_by_hand(desk, waiting), lambda: False)
    assert {row.status for row in (await desk.states()).values()} == {"sent"}
