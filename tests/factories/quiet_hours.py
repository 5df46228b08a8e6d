"""Quiet hours that a test is in the midst of, or not, whatever the hour it runs at."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.factories.accounts import Person

UPDATE = """mutation ($input: UpdateWorkspaceInput!) {
  updateWorkspace(input: $input) { errors { code message path } } }"""
EVERY_DAY = list(range(1, 8))
FAR_AWAY = "Etc/GMT-12"
"""Where it is half a day later than in UTC."""


async def quiet_hours(owner: Person, *, from_h: float, to_h: float, zone: str = "UTC") -> datetime | None:
    """From and to so many hours from now, by the clock of UTC; when they end."""
    start, end = _in(from_h), _in(to_h)
    hours = {"from": f"{start:%H:%M}", "to": f"{end:%H:%M}", "weekdays": EVERY_DAY}
    await _update(owner, {"quietHours": hours, "timeZone": zone})
    return end


async def no_quiet_hours(owner: Person) -> None:
    await _update(owner, {"quietHours": None})


async def midday(owner: Person) -> None:
    """There, so that no day ends while a test counts what was sent on it."""
    await _update(owner, {"timeZone": f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"})


def _in(hours: float) -> datetime:
    return (datetime.now(UTC) + timedelta(hours=hours)).replace(second=0, microsecond=0)


async def _update(owner: Person, given: dict[str, Any]) -> None:
    answer = await owner.run(UPDATE, {"input": given})
    assert answer["updateWorkspace"]["errors"] == []
