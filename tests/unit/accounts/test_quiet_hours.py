"""Quiet hours as a person gives them."""

from datetime import time

import pytest

from app.accounts.domain.quiet_hours import quiet_hours
from app.common.domain import Refusals


def refused(start: str, end: str, weekdays: list[int]) -> list[tuple[str, ...]]:
    with pytest.raises(Refusals) as caught:
        quiet_hours(start, end, weekdays, "quietHours")
    return [one.path for one in caught.value.refusals]


def test_they_may_span_midnight_and_name_the_days_in_any_order() -> None:
    assert quiet_hours("20:00", "08:30", [5, 1], "quietHours") == {
        "quiet_from": time(20),
        "quiet_to": time(8, 30),
        "quiet_weekdays": [1, 5],
    }


def test_equal_times_leave_the_weekdays_alone() -> None:
    assert quiet_hours("00:00", "00:00", [1, 2, 3, 4, 5])["quiet_from"] == time(0)
    assert refused("00:00", "00:00", [1, 2, 3, 4, 5, 6, 7]) == [("quietHours",)]


@pytest.mark.parametrize(
    "text", ["", "8:00", "24:00", "23:60", "20:00:00", "20h00", "٢٠:٠٠", " 20:00", "20:00\n"]
)
def test_a_time_is_written_in_one_way(text: str) -> None:
    assert refused(text, "08:00", [1]) == [("quietHours", "from")]
    assert refused("20:00", text, [1]) == [("quietHours", "to")]


@pytest.mark.parametrize("weekdays", [[], [0], [8], [-1], [1, 1], [1, 2**31 - 1]], ids=str)
def test_weekdays_are_iso_and_each_once(weekdays: list[int]) -> None:
    assert refused("20:00", "08:00", weekdays) == [("quietHours", "weekdays")]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert refused("x", "y", []) == [
        ("quietHours", "from"),
        ("quietHours", "to"),
        ("quietHours", "weekdays"),
    ]
