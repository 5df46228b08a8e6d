"""When a bulk send would end: by each limit, by all together, and against the rule by which rows are claimed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.outreach.domain.plan import (
    DailyLimit,
    Limits,
    PlannedDay,
    QuietHours,
    Rate,
    Timetable,
    timetable,
)

SAO_PAULO, NEW_YORK, TOKYO = "America/Sao_Paulo", "America/New_York", "Asia/Tokyo"
MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""09:00 in São Paulo."""
NIGHTS = QuietHours(time(20), time(8))
OFFICE = QuietHours(time(18), time(9), frozenset({1, 2, 3, 4, 5}))


def planned(recipients: Mapping[str, int], **limits: object) -> Timetable:
    start = limits.pop("start", MONDAY)
    assert isinstance(start, datetime)
    given = {"zone": SAO_PAULO, "used_at": start, **limits}
    return timetable(recipients, start=start, limits=Limits(**given))  # type: ignore[arg-type]


def test_a_rate_alone() -> None:
    found = planned({SAO_PAULO: 600}, rates=[Rate(60)])
    assert found.finish_at == MONDAY + timedelta(seconds=599)
    assert found.days == [PlannedDay(date(2026, 3, 2), 600)]


def test_a_burst_leaves_at_once() -> None:
    assert planned({SAO_PAULO: 10}, rates=[Rate(6, burst=10)]).finish_at == MONDAY
    assert planned({SAO_PAULO: 11}, rates=[Rate(6, burst=10)]).finish_at == MONDAY + timedelta(seconds=10)


def test_the_slower_rate_decides() -> None:
    found = planned({SAO_PAULO: 601}, rates=[Rate(600, burst=1), Rate(60, burst=1)])
    assert found.finish_at == MONDAY + timedelta(seconds=600)


def test_the_lower_daily_limit_decides_less_what_is_used_up_today() -> None:
    found = planned(
        {SAO_PAULO: 250}, rates=[Rate(6000)], daily=[DailyLimit(100, used=70), DailyLimit(1000, used=10)]
    )
    assert [day.messages for day in found.days] == [30, 100, 100, 20]
    assert found.finish_at is not None
    assert found.finish_at.astimezone(ZoneInfo(SAO_PAULO)).date() == date(2026, 3, 5)


def test_what_is_used_up_today_is_nothing_to_a_start_tomorrow() -> None:
    limits = {"daily": [DailyLimit(100, used=100)], "rates": [Rate(6000)]}
    found = planned({SAO_PAULO: 100}, start=MONDAY + timedelta(days=1), used_at=MONDAY, **limits)
    assert [day.messages for day in found.days] == [100]
    assert planned({SAO_PAULO: 100}, **limits).days[0].date == date(2026, 3, 3)


def test_quiet_hours_are_of_each_recipients_zone() -> None:
    """At 09:00 in São Paulo it is 21:00 in Tokyo: those wait until it is 08:00 there."""
    found = planned({SAO_PAULO: 60, TOKYO: 60}, rates=[Rate(60)], quiet=NIGHTS)
    assert found.finish_at is not None
    assert found.finish_at - datetime(2026, 3, 2, 23, tzinfo=UTC) == timedelta(seconds=59)


def test_a_weekend_is_waited_out() -> None:
    friday = datetime(2026, 3, 6, 20, 59, 30, tzinfo=UTC)
    found = planned({SAO_PAULO: 60}, start=friday, rates=[Rate(60)], quiet=OFFICE)
    assert [(day.date, day.messages) for day in found.days] == [
        (date(2026, 3, 6), 31),
        (date(2026, 3, 9), 29),
    ]
    assert found.finish_at == datetime(2026, 3, 9, 12, 0, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    "limits",
    [
        {"daily": [DailyLimit(0)]},
        {"quiet": QuietHours(weekdays=frozenset())},
        {"rates": [Rate(0)]},
        {"daily": [DailyLimit(1)], "rates": [Rate(60)]},
    ],
    ids=["nothing a day", "no weekday", "no rate", "ten years"],
)
def test_what_never_ends_says_so(limits: dict[str, object]) -> None:
    assert planned({SAO_PAULO: 100_000}, **limits).finish_at is None


def test_nobody_is_done_at_once() -> None:
    assert planned({}) == Timetable(MONDAY, [])


# ── against the rule by which rows are claimed ────────────────────────────────────────────────────────────────────────
POSTPONED_AT_ONCE = 5_000
"""Of those due longest, whoever sleeps is put off with the first sleeper that is met."""


@dataclass
class Bucket:
    """GCRA, as the database counts it."""

    rate: Rate
    free: float

    def earliest(self, now: float) -> float:
        interval = 60 / self.rate.per_minute
        return max(self.free, now) - (self.rate.size - 1) * interval

    def spend(self, now: float) -> None:
        self.free = max(self.free, now) + 60 / self.rate.per_minute


class Clock:
    """One message after the other, as a worker claims them; who sleeps is put off till it is allowed there."""

    def __init__(self, recipients: Mapping[str, int], start: datetime, limits: Limits) -> None:
        rows = [zone for zone, count in recipients.items() for _ in range(count)]
        Random(1).shuffle(rows)
        self.now, self.limits = start.timestamp(), limits
        self.queue = [(self.now, n, zone) for n, zone in enumerate(rows)]
        self.buckets = [Bucket(rate, 0.0) for rate in limits.rates]
        self.sent: Counter[date] = Counter()
        self.zone = ZoneInfo(limits.zone)

    def run(self) -> datetime:
        while self.queue:
            self.queue.sort()
            due, _, zone = self.queue[0]
            self.now = max(self.now, due, *(one.earliest(max(self.now, due)) for one in self.buckets))
            today = datetime.fromtimestamp(self.now, self.zone).date()
            used = self.limits.used_at.astimezone(self.zone).date()
            if any(
                one.limit - (one.used if today == used else 0) <= self.sent[today]
                for one in self.limits.daily
            ):
                self.now = datetime.combine(today + timedelta(days=1), time(), self.zone).timestamp()
                continue
            is_quiet, until = self.limits.quiet.changes_at(self.now, ZoneInfo(zone))
            if is_quiet:
                head, tail = self.queue[:POSTPONED_AT_ONCE], self.queue[POSTPONED_AT_ONCE:]
                put_off = [(until if z == zone and at <= self.now else at, n, z) for at, n, z in head]
                self.queue = put_off + tail
                continue
            del self.queue[0]
            self.sent[today] += 1
            for bucket in self.buckets:
                bucket.spend(self.now)
        return datetime.fromtimestamp(self.now, UTC)


CASES = {
    "one zone, nights": ({SAO_PAULO: 3000}, [Rate(4)], [], NIGHTS),
    "three zones, nights": ({SAO_PAULO: 800, NEW_YORK: 900, TOKYO: 700}, [Rate(2)], [], NIGHTS),
    "three zones, office": ({SAO_PAULO: 800, NEW_YORK: 300, TOKYO: 700}, [Rate(3, 20)], [], OFFICE),
    "a daily limit": ({SAO_PAULO: 1500, TOKYO: 500}, [Rate(10)], [DailyLimit(210, used=30)], NIGHTS),
    "two rates, two limits": (
        {SAO_PAULO: 900, NEW_YORK: 900},
        [Rate(60, 50), Rate(7)],
        [DailyLimit(400), DailyLimit(350, used=100)],
        OFFICE,
    ),
    "no quiet hours": ({SAO_PAULO: 2000}, [Rate(45)], [DailyLimit(900)], QuietHours()),
}


@pytest.mark.parametrize("case", CASES, ids=list(CASES))
def test_it_agrees_with_a_clock_within_a_hundredth(case: str) -> None:
    recipients, rates, daily, quiet = CASES[case]
    limits = Limits(zone=SAO_PAULO, rates=rates, daily=daily, quiet=quiet, used_at=MONDAY)
    found = timetable(recipients, start=MONDAY, limits=limits)
    clock = Clock(recipients, MONDAY, limits)
    finished = clock.run()
    assert found.finish_at is not None
    took, said = finished - MONDAY, found.finish_at - MONDAY
    assert abs(said - took) <= took / 100, (said, took)
    assert {day.date for day in found.days} == set(clock.sent)
    for day in found.days:
        assert abs(day.messages - clock.sent[day.date]) <= sum(recipients.values()) / 100, day


@settings(max_examples=60, deadline=None)
@given(
    recipients=st.dictionaries(
        st.sampled_from([SAO_PAULO, NEW_YORK, TOKYO]), st.integers(0, 400), max_size=3
    ),
    rate=st.integers(1, 60),
    burst=st.one_of(st.none(), st.integers(1, 30)),
    limit=st.one_of(st.none(), st.integers(20, 300)),
    quiet=st.sampled_from([QuietHours(), NIGHTS, OFFICE, QuietHours(weekdays=frozenset({3}))]),
    minute=st.integers(0, 7 * 24 * 60),
)
def test_days_add_up_and_keep_to_their_limit(
    recipients: dict[str, int],
    rate: int,
    burst: int | None,
    limit: int | None,
    quiet: QuietHours,
    minute: int,
) -> None:
    start = MONDAY + timedelta(minutes=minute)
    daily = [] if limit is None else [DailyLimit(limit)]
    found = planned(recipients, start=start, rates=[Rate(rate, burst)], daily=daily, quiet=quiet)
    assert sum(day.messages for day in found.days) == sum(recipients.values())
    assert all(0 < day.messages <= (limit or day.messages) for day in found.days)
    assert [day.date for day in found.days] == sorted({day.date for day in found.days})
    assert found.finish_at is not None
    if found.days:
        assert found.days[-1].date == found.finish_at.astimezone(ZoneInfo(SAO_PAULO)).date()
