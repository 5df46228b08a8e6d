"""Quiet hours at the intent of people's messages, and the function in the database that tells when they end."""

import random
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text

from app.common.leases import Claim
from app.common.work import Doors
from app.conversations.infrastructure.courier import Courier
from app.settings import Settings
from tests.fixtures.ledger import Desk
from tests.fixtures.senders import FakeSenders

HOURS = (
    "UPDATE workspace SET time_zone = 'UTC', quiet_from = cast(now() AT TIME ZONE 'UTC' - interval '1 hour' as time), "
    "quiet_to = cast(now() AT TIME ZONE 'UTC' + interval '2 hours' as time), quiet_weekdays = '{1,2,3,4,5,6,7}' "
    "WHERE id = :workspace_id"
)
NO_HOURS = (
    "UPDATE workspace SET quiet_from = NULL, quiet_to = NULL, quiet_weekdays = NULL WHERE id = :workspace_id"
)
CLAIM = (
    "UPDATE delivery SET status = 'claimed', token = gen_random_uuid(), attempt = attempt + 1,"
    " lease_until = now() + interval '1 minute' WHERE message_id = :id AND status = 'queued'"
    " RETURNING id, token, attempt"
)
HELD = (
    "SELECT d.run_at > now() + interval '110 minutes' AND d.run_at = m.not_before AND d.attempt = 0 "
    "AND d.token IS NULL AND d.error IS NULL FROM delivery d JOIN message m ON m.id = d.message_id "
    "WHERE d.workspace_id = :workspace_id"
)
ATTEMPTS = "SELECT count(*) FROM delivery_attempt WHERE workspace_id = :workspace_id"
FAR = "UPDATE lead SET time_zone = 'Etc/GMT-12' WHERE workspace_id = :workspace_id"
HEARD = (
    "UPDATE conversation SET last_inbound_at = now() - interval '23 hours' WHERE workspace_id = :workspace_id"
)
DATABASE = text(
    "SELECT quiet_until(c.moment, c.zone, c.quiet_from, c.quiet_to, cast(c.weekdays as integer[])) AS until "
    "FROM unnest(cast(:moments as timestamptz[]), cast(:zones as text[]), cast(:starts as time[]), "
    "cast(:ends as time[]), cast(:weekdays as text[])) "
    "WITH ORDINALITY AS c(moment, zone, quiet_from, quiet_to, weekdays, n) ORDER BY c.n"
)


async def claimed(desk: Desk, message_id: UUID) -> Claim:
    """Accepted for later, so that no worker of the run takes it; then claimed by hand."""
    async with desk.doors.open_system() as system:
        row = (await system.execute(text(CLAIM), {"id": message_id})).one()
    return Claim(desk.workspace_id, row.id, row.token, row.attempt)


async def delivered(desk: Desk, message_id: UUID) -> tuple[int, str, str]:
    """How many calls one turn made, and where the message stands after it."""
    senders = FakeSenders()
    carrier = Courier(desk.settings, senders)
    assert await carrier.deliver(desk.doors, desk.settings, await claimed(desk, message_id), lambda: False)
    state = (await desk.states())[message_id]
    return len(senders.sender.calls), state.status, state.shown


async def test_what_comes_to_its_turn_in_quiet_hours_waits_for_their_end(
    doors: Doors, settings: Settings
) -> None:
    desk = await Desk.opened(doors, settings)
    message_id = await desk.accept(is_scheduled=True)
    await desk.sql("UPDATE message SET status = 'QUEUED' WHERE workspace_id = :workspace_id")
    await desk.sql(HOURS)
    assert await delivered(desk, message_id) == (0, "queued", "SCHEDULED")
    assert await desk.sql(HELD)
    assert await desk.sql(ATTEMPTS) == 0
    await desk.sql(NO_HOURS)
    assert await delivered(desk, message_id) == (1, "sent", "SENT")


async def test_where_it_is_day_it_goes_and_who_wrote_is_answered(doors: Doors, settings: Settings) -> None:
    for let_it in (FAR, HEARD):
        desk = await Desk.opened(doors, settings)
        message_id = await desk.accept(is_scheduled=True)
        await desk.sql(HOURS)
        await desk.sql(let_it)
        assert await delivered(desk, message_id) == (1, "sent", "SENT")


async def test_the_zone_it_was_accepted_with_counts_where_the_lead_has_none(
    doors: Doors, settings: Settings
) -> None:
    desk = await Desk.opened(doors, settings)
    await desk.sql("UPDATE lead SET phone = '+6444720000' WHERE workspace_id = :workspace_id")
    message_id = await desk.accept(is_scheduled=True)
    zone = "SELECT time_zone FROM delivery WHERE workspace_id = :workspace_id"
    assert await desk.sql(zone) == "Pacific/Auckland"
    await desk.sql(HOURS)
    assert await delivered(desk, message_id) == (1, "sent", "SENT")


# ── the function, against another way to work it out ─────────────────────────────────────────────────────────────────
ZONES = (
    *("UTC", "America/Sao_Paulo", "America/New_York", "Europe/Lisbon", "Australia/Lord_Howe", "Asia/Kolkata"),
    *("America/St_Johns", "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu"),
)
TURNS = (
    *(datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 29, 0, tzinfo=UTC)),
    *(datetime(2026, 10, 25, 0, tzinfo=UTC), datetime(2026, 11, 1, 4, tzinfo=UTC)),
    *(datetime(2026, 4, 4, 14, tzinfo=UTC), datetime(2026, 10, 3, 14, tzinfo=UTC)),
)
"""About when clocks are put forward or back in some of the zones."""
CASES = 600


def is_quiet(moment: datetime, case: Any) -> bool:
    local = moment.astimezone(ZoneInfo(case["zone"]))
    if local.isoweekday() not in case["weekdays"]:
        return True
    start, end, clock = case["start"], case["end"], local.time()
    if start <= end:
        return bool(start <= clock < end)
    return bool(clock >= start or clock < end)


def quiet_end(case: Any) -> datetime | None:
    """Minute by minute."""
    moment = case["moment"]
    if not is_quiet(moment, case):
        return None
    while is_quiet(moment, case):
        moment += timedelta(minutes=1)
    found: datetime = moment
    return found


def some_case(chance: random.Random) -> dict[str, Any]:
    is_near = chance.random() < 0.6
    begin = chance.choice(TURNS) - timedelta(hours=18) if is_near else datetime(2026, 1, 1, tzinfo=UTC)
    clock = [time(chance.randrange(24), chance.choice((0, 15, 30, 59))) for _ in range(2)]
    return {
        "moment": begin + timedelta(minutes=chance.randrange((1 if is_near else 360) * 24 * 60)),
        "zone": chance.choice(ZONES),
        "start": clock[0],
        "end": clock[0] if chance.random() < 0.1 else clock[1],
        "weekdays": sorted(chance.sample(range(1, 8), chance.choice((1, 3, 5, 7, 7, 7)))),
    }


def clock_turns(case: Any, *moments: datetime) -> bool:
    """Whether the zone's clock is put forward or back around here."""
    zone = ZoneInfo(case["zone"])
    hours = [moments[0] + timedelta(hours=n) for n in range(-3, 4)]
    hours += [moment + timedelta(hours=n) for moment in moments for n in range(-3, 4)]
    return len({moment.astimezone(zone).utcoffset() for moment in hours}) > 1


async def test_the_database_and_a_walk_by_minutes_agree_on_when_quiet_hours_end(doors: Doors) -> None:
    chance = random.Random(20261122)
    cases = [some_case(chance) for _ in range(CASES)]
    async with doors.open_system() as system:
        rows = await system.execute(
            DATABASE,
            {
                "moments": [one["moment"] for one in cases],
                "zones": [one["zone"] for one in cases],
                "starts": [one["start"] for one in cases],
                "ends": [one["end"] for one in cases],
                "weekdays": ["{" + ",".join(map(str, one["weekdays"])) + "}" for one in cases],
            },
        )
        found = [row.until for row in rows]
    turned = 0
    for case, until in zip(cases, found, strict=True):
        end = quiet_end(case)
        assert (until is None) == (end is None), case
        if until is None or end is None:
            continue
        assert until > case["moment"], case
        if clock_turns(case, case["moment"], until, end):
            turned += 1
            assert abs(until - end) <= timedelta(hours=1), case
        else:
            assert until == end, case
    assert 5 <= turned < CASES / 2, "some of them lie where clocks are turned"


async def test_without_quiet_hours_nothing_is_quiet(doors: Doors) -> None:
    async with doors.open_system() as system:
        row = await system.execute(text("SELECT quiet_until(now(), 'UTC', NULL, NULL, NULL)"))
        assert row.scalar_one() is None
