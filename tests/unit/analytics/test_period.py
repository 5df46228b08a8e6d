"""Which periods can be asked for."""

from datetime import UTC, datetime, timedelta

import pytest

from app.analytics.domain.period import EARLIEST, LATEST, MAX_DAYS, Period, period
from app.common.domain import Invalid

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (NOON, NOON),
        (NOON, NOON + timedelta(days=MAX_DAYS)),
        (EARLIEST, EARLIEST + timedelta(days=1)),
        (LATEST - timedelta(days=1), LATEST),
    ],
    ids=["nothing", "ten years", "the first day", "the last day"],
)
def test_what_can_be_asked_for(since: datetime, until: datetime) -> None:
    assert period(since, until) == Period(since, until)


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        (NOON, NOON - timedelta(microseconds=1), "before"),
        (NOON, NOON + timedelta(days=MAX_DAYS, microseconds=1), "3,660 days"),
        (EARLIEST - timedelta(microseconds=1), EARLIEST, "2000"),
        (LATEST, LATEST + timedelta(microseconds=1), "2199"),
        (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), "2000"),
    ],
    ids=["backwards", "too long", "too early", "too late", "all of time"],
)
def test_what_cannot(since: datetime, until: datetime, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        period(since, until)
