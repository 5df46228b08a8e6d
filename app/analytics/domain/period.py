"""The time that figures are about."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.common.domain import Invalid

MAX_DAYS = 3_660
"""Ten years, each day of which is a line of an answer."""
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` on, up to and without `until`. The two may be one moment: then it holds nothing."""

    since: datetime
    until: datetime


def period(since: datetime, until: datetime) -> Period:
    """Raises Invalid."""
    if until < since:
        raise Invalid("`from` comes before `to`.")
    if since < EARLIEST or until > LATEST:
        raise Invalid(f"The years {EARLIEST.year} to {LATEST.year - 1} can be asked for.")
    if until - since > timedelta(days=MAX_DAYS):
        raise Invalid(f"At most {MAX_DAYS:,} days can be asked for at once.")
    return Period(since, until)
