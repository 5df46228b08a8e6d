"""When a batch would end: a timetable by its limits, before anything is sent. Pure.

It goes by the rule by which a worker takes what is due, as a flow: what is due longest goes first, and those that came
in together go mixed; who is in quiet hours goes back in line for their end; rates are buckets of tokens; a day's limits
are of the workspace's day. What goes before it, of other batches, is the caller's to say.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

HORIZON_S = 10 * 366 * 86_400
"""What takes longer does not end."""
UNLIMITED_PER_S = 25.0
"""What a worker hands over where no rate is given."""
EPSILON = 1e-6
DAYS_AHEAD = 9
"""In which a week's pattern repeats, whatever the hour."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When nobody is written to, in their own time: between the two times, which may span midnight, and on all days
    but these ISO weekdays. As `quiet_until()` in the database."""

    start: time | None = None
    end: time | None = None
    weekdays: frozenset[int] | None = None

    def is_quiet(self, local: datetime) -> bool:
        if self.weekdays is not None and local.isoweekday() not in self.weekdays:
            return True
        if self.start is None or self.end is None or self.start == self.end:
            return False
        at = local.time()
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    def changes_at(self, at: float, zone: ZoneInfo) -> tuple[bool, float]:
        """Whether it is quiet at a moment (seconds since the epoch), and when that ends; infinity: never."""
        local = datetime.fromtimestamp(at, zone).replace(tzinfo=None)
        is_quiet = self.is_quiet(local)
        midnight = datetime.combine(local.date(), time())
        for day in range(DAYS_AHEAD):
            for edge in sorted({time(), self.start or time(), self.end or time()}):
                then = datetime.combine((midnight + timedelta(days=day)).date(), edge)
                moment = then.replace(tzinfo=zone).timestamp()
                if moment > at and self.is_quiet(then) != is_quiet:
                    return is_quiet, moment
        return is_quiet, float("inf")


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` messages may leave at once; None: a second's worth, at least 1."""

    per_minute: int
    burst: int | None = None

    @property
    def per_s(self) -> float:
        return self.per_minute / 60

    @property
    def size(self) -> float:
        return float(self.burst or max(1, self.per_minute // 60))


@dataclass(frozen=True, slots=True)
class DailyLimit:
    limit: int
    used: int = 0
    """On the day of `Limits.used_at`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    zone: str
    """The workspace's: its days are counted, and who has no zone of their own is in it."""
    rates: Sequence[Rate] = ()
    daily: Sequence[DailyLimit] = ()
    used_at: datetime
    quiet: QuietHours = QuietHours()


@dataclass(frozen=True, slots=True)
class PlannedDay:
    date: date
    messages: int


@dataclass(frozen=True, slots=True)
class Timetable:
    finish_at: datetime | None
    """None: not within the horizon."""
    days: Sequence[PlannedDay]
    """In the workspace's zone, those on which something leaves."""


def timetable(recipients: Mapping[str, int], *, start: datetime, limits: Limits) -> Timetable:
    """`recipients`: how many, by their time zones."""
    flow = _Flow({zone: float(count) for zone, count in recipients.items() if count}, start, limits)
    finish = flow.run()
    finish_at = None if finish is None else datetime.fromtimestamp(finish, UTC)
    return Timetable(finish_at, _whole(flow.sent))


def _whole(sent: Mapping[date, float]) -> list[PlannedDay]:
    """Whole messages that add up to what the fractions do."""
    days, total, told = [], 0.0, 0
    for day in sorted(sent):
        total += sent[day]
        messages = round(total) - told
        told += messages
        if messages:
            days.append(PlannedDay(day, messages))
    return days


class _Flow:
    """`lines`: who waits, by the moment since when they are due, then by zone. Moments are seconds since the epoch."""

    def __init__(self, recipients: dict[str, float], start: datetime, limits: Limits) -> None:
        self.now = start.timestamp()
        self.limits, self.zone = limits, ZoneInfo(limits.zone)
        self.lines: dict[float, dict[str, float]] = {self.now: recipients} if recipients else {}
        self.sent: dict[date, float] = defaultdict(float)
        self.rates = [(rate.per_s, rate.size) for rate in limits.rates] or [(UNLIMITED_PER_S, 1.0)]
        self.tokens = [size for _, size in self.rates]
        self.states: dict[str, tuple[bool, float]] = {}
        self.used_on = limits.used_at.astimezone(self.zone).date()
        self._begin_day()

    def run(self) -> float | None:
        """When the last one has left; None: not within the horizon."""
        if min((per_s for per_s, _ in self.rates), default=1.0) <= 0:
            return None if self.lines else self.now
        until = self.now + HORIZON_S
        while self.lines:
            due = min(self.lines)
            if max(due, self.now) > until:
                return None
            if due > self.now:
                self._wait(due)
            elif (left := self._left_today()) < EPSILON:
                self._wait(self.day_end)
            else:
                self._take(due, left)
        return self.now

    def _take(self, due: float, left: float) -> None:
        """Goes along the line of those that are due longest, until something changes."""
        line = self.lines[due]
        quiet_until = {zone: end for zone in line for is_quiet, end in [self._quiet(zone)] if is_quiet}
        waiting = sum(count for zone, count in line.items() if zone not in quiet_until)
        if waiting < EPSILON:
            share, took, count = 1.0, 0.0, 0.0
        else:
            count = min(waiting, left)
            took = self._time_for(count)
            edge = min(self.day_end, *(self._quiet(zone)[1] for zone in line)) - self.now
            if took > edge:
                took, count = edge, min(count, self._count_in(edge))
            share = min(1.0, count / waiting)
        for zone, end in quiet_until.items():
            self.lines.setdefault(end, {}).setdefault(zone, 0.0)
            self.lines[end][zone] += line[zone] * share
        rest = {zone: n * (1 - share) for zone, n in line.items() if n * (1 - share) > EPSILON}
        self.sent[self.today] += count
        self.tokens = [tokens - count for tokens in self.tokens]
        self._wait(self.now + took)
        if rest:
            self.lines[due] = rest
        else:
            del self.lines[due]

    def _time_for(self, count: float) -> float:
        return max(
            max(0.0, count - tokens) / per_s
            for (per_s, _), tokens in zip(self.rates, self.tokens, strict=True)
        )

    def _count_in(self, took: float) -> float:
        return max(
            0.0,
            min(tokens + per_s * took for (per_s, _), tokens in zip(self.rates, self.tokens, strict=True)),
        )

    def _wait(self, until: float) -> None:
        passed = until - self.now
        self.tokens = [
            min(size, tokens + per_s * passed)
            for (per_s, size), tokens in zip(self.rates, self.tokens, strict=True)
        ]
        self.now = until
        if self.now >= self.day_end:
            self._begin_day()

    def _begin_day(self) -> None:
        self.today = datetime.fromtimestamp(self.now, self.zone).date()
        tomorrow = datetime.combine(self.today + timedelta(days=1), time(), self.zone)
        self.day_end = tomorrow.timestamp()

    def _left_today(self) -> float:
        is_used = self.today == self.used_on
        return min(
            (one.limit - (one.used if is_used else 0) - self.sent[self.today] for one in self.limits.daily),
            default=float("inf"),
        )

    def _quiet(self, zone: str) -> tuple[bool, float]:
        """Whether it is quiet there now, and until when it is so."""
        state = self.states.get(zone)
        if state is None or state[1] <= self.now:
            state = self.states[zone] = self.limits.quiet.changes_at(self.now, ZoneInfo(zone))
        return state
