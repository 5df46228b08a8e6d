"""What waits for the end of quiet hours goes on once they change: in batches, and of people."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from app.accounts.infrastructure.workspaces import WorkspaceRepository
from app.common.leases import Claim
from app.common.work import Doors
from app.conversations.infrastructure import releasing
from app.conversations.infrastructure.courier import Courier
from app.conversations.wiring import release_from_quiet_hours
from app.settings import Settings
from tests.fixtures.ledger import Desk
from tests.fixtures.paced import Paced, paced_doors
from tests.fixtures.senders import FakeSenders

CLOCK = "SELECT cast(now() AT TIME ZONE 'UTC' + cast(:hours as float) * interval '1 hour' as time)"
WAITING = "SELECT count(*) FROM delivery WHERE workspace_id = :workspace_id AND status = 'queued' AND run_at > now()"
WAKES = "SELECT max(run_at) - now() < interval '1 hour' FROM delivery WHERE workspace_id = :workspace_id"
LOOKED = "SELECT quiet_look_at FROM workspace WHERE id = :workspace_id"
LATER = (
    "UPDATE workspace SET quiet_changed_at = quiet_changed_at - interval '2 minutes', "
    "quiet_look_at = quiet_look_at - interval '2 minutes' WHERE id = :workspace_id"
)
LOOK_AT = (
    "SELECT bool_and(look_at <= now()) FROM send_pace WHERE workspace_id = :workspace_id AND kind = 'BATCH'"
)
RETRIED = (
    "UPDATE delivery SET run_at = now() + interval '90 minutes', error = 'TRY_LATER' WHERE id IN "
    "(SELECT id FROM delivery WHERE workspace_id = :workspace_id ORDER BY id LIMIT 3)"
)
CLAIM = (
    "UPDATE delivery SET status = 'claimed', token = gen_random_uuid(), attempt = attempt + 1,"
    " lease_until = now() + interval '1 minute' WHERE message_id = :id AND status = 'queued'"
    " RETURNING id, token, attempt"
)
SHOWN = (
    "SELECT d.run_at <= now() AND m.not_before = d.run_at AND m.status = 'SCHEDULED' FROM delivery d "
    "JOIN message m ON m.id = d.message_id WHERE d.message_id = :id"
)
TOLD = (
    "SELECT count(*) FROM feed_event WHERE workspace_id = :workspace_id AND kind = 'message.updated' "
    "AND before ->> 'status' = 'SCHEDULED' AND after ->> 'status' = 'SCHEDULED'"
)
ALL_DAYS = [1, 2, 3, 4, 5, 6, 7]
NO_HOURS: dict[str, Any] = {"quiet_from": None, "quiet_to": None, "quiet_weekdays": None}


@pytest.fixture(scope="module")
async def doors(settings: Settings) -> AsyncIterator[Doors]:
    """Of a database that no worker is on."""
    async with paced_doors(settings) as doors:
        yield doors


async def save(desk: Paced | Desk, **fields: object) -> None:
    async with desk.doors.open_work(desk.workspace_id) as work:
        await WorkspaceRepository(work).save(desk.workspace_id, fields)


async def quiet(desk: Paced | Desk, *, until_in_h: float = 3) -> None:
    """Since an hour ago, in UTC."""
    start, end = await desk.sql(CLOCK, hours=-1), await desk.sql(CLOCK, hours=until_in_h)
    await save(desk, time_zone="UTC", quiet_from=start, quiet_to=end, quiet_weekdays=ALL_DAYS)


async def asleep(doors: Doors, rows: int, *, zone: str | None = None) -> Paced:
    """A batch in quiet hours, and nothing more to look at."""
    paced = await Paced.opened(doors)
    await paced.sql("UPDATE send_pace SET look_at = NULL")  # of the tests before it
    await quiet(paced)
    await paced.batch(await paced.account(), rows, zone=zone)
    assert await paced.drain() == []
    assert await paced.sql(WAITING) == rows
    await release_from_quiet_hours(doors)
    assert await paced.sql(WAITING) == rows, "the hours are what they were"
    return paced


@pytest.mark.parametrize(
    "change",
    [NO_HOURS, {"time_zone": "Etc/GMT-12"}],
    ids=["removed", "zone"],
)
async def test_a_batch_goes_on_at_once(
    doors: Doors, change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releasing, "ROWS", 7)
    paced = await asleep(doors, 25)
    await save(paced, **change)
    assert await release_from_quiet_hours(doors) == 25
    assert await paced.sql(LOOK_AT)
    assert len(await paced.drain()) == 25


async def test_shortened_ones_are_waited_for_as_long_as_they_are(doors: Doors) -> None:
    paced = await asleep(doors, 10)
    assert not await paced.sql(WAKES)
    await quiet(paced, until_in_h=0.5)
    assert await release_from_quiet_hours(doors) == 10
    assert await paced.sql(WAKES)
    assert await paced.drain() == []
    assert await paced.sql(WAITING) == 10


async def test_who_has_a_zone_of_their_own_keeps_it(doors: Doors) -> None:
    paced = await asleep(doors, 5, zone="UTC")
    await save(paced, time_zone="Etc/GMT-12")
    assert await release_from_quiet_hours(doors) == 0
    assert await paced.sql(WAITING) == 5


async def test_what_waits_for_something_else_goes_on_waiting(doors: Doors) -> None:
    paced = await asleep(doors, 10)
    await paced.sql(RETRIED)
    await save(paced, **NO_HOURS)
    assert await release_from_quiet_hours(doors) == 7
    assert await paced.sql(WAITING) == 3


async def test_once_more_when_claims_of_that_moment_are_over(doors: Doors) -> None:
    """A claim that read the old hours may commit after the first look."""
    paced = await asleep(doors, 5)
    await save(paced, **NO_HOURS)
    assert await release_from_quiet_hours(doors) == 5
    late: datetime | None = await paced.sql(LOOKED)
    assert late is not None
    await paced.sql(
        "UPDATE delivery SET run_at = now() + interval '2 hours', quiet_until = now() + interval '2 hours' "
        "WHERE workspace_id = :workspace_id"
    )
    assert await release_from_quiet_hours(doors) == 0
    await paced.sql(LATER)
    assert await release_from_quiet_hours(doors) == 5
    assert await paced.sql(LOOKED) is None
    await save(paced, name="Another", locale="en")
    assert await paced.sql(LOOKED) is None, "a name puts nobody off"


async def test_hours_that_change_during_the_look_are_looked_at_again(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced = await asleep(doors, 5)
    await save(paced, **NO_HOURS)
    seen = releasing.quiet_change_seen

    async def after_another(*args: Any) -> None:
        await quiet(paced)
        await seen(*args)

    monkeypatch.setattr(releasing, "quiet_change_seen", after_another)
    assert await release_from_quiet_hours(doors) == 5
    assert await paced.sql("SELECT quiet_look_at <= now() FROM workspace WHERE id = :workspace_id")


async def test_two_workers_at_once(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releasing, "ROWS", 20)
    paced = await asleep(doors, 200)
    await save(paced, **NO_HOURS)
    await asyncio.gather(*(release_from_quiet_hours(doors) for _ in range(4)))
    assert await paced.sql(WAITING) == 0
    assert len(await paced.drain()) == 200


async def test_a_persons_message_goes_on_too_and_what_people_scheduled_stays(
    doors: Doors, settings: Settings
) -> None:
    desk = await Desk.opened(doors, settings)
    held, scheduled = await desk.accept(is_scheduled=True), await desk.accept(is_scheduled=True)
    await quiet(desk)
    async with doors.open_system() as system:
        row = (await system.execute(text(CLAIM), {"id": held})).one()
    claim = Claim(desk.workspace_id, row.id, row.token, row.attempt)
    assert await Courier(settings, FakeSenders()).deliver(doors, settings, claim, lambda: False)
    told = await desk.sql(TOLD)
    await save(desk, **NO_HOURS)
    assert await release_from_quiet_hours(doors) == 1
    assert await desk.sql(SHOWN, id=held)
    assert not await desk.sql(SHOWN, id=scheduled)
    assert await desk.sql(TOLD) == told + 1
    await release_from_quiet_hours(doors)
    assert await desk.sql(TOLD) == told + 1
