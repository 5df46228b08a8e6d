"""When a workspace sends nothing by itself: between two times of the recipient's day, and on the other weekdays."""

import re
from collections.abc import Mapping, Sequence
from datetime import time

from app.common.domain import Invalid, Refusals, SalesPadError

WEEKDAYS = range(1, 8)
"""ISO: Monday is 1."""
TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
FIELDS = ("quiet_from", "quiet_to", "quiet_weekdays")
NONE: Mapping[str, object] = dict.fromkeys(FIELDS)


def quiet_hours(start: str, end: str, weekdays: Sequence[int], *path: str) -> dict[str, object]:
    """By the fields of `FIELDS`. Equal times leave every hour of the weekdays. Raises Refusals below `path`."""
    kept: dict[str, object] = {}
    refusals: list[SalesPadError] = []
    for field, key, text in (("quiet_from", "from", start), ("quiet_to", "to", end)):
        if found := TIME.fullmatch(text):
            kept[field] = time(int(found[1]), int(found[2]))
        else:
            refusals.append(Invalid("Write a time of the day as HH:MM, such as 20:00.", path=(*path, key)))
    if refusal := _refusal_of(weekdays):
        refusals.append(Invalid(refusal, path=(*path, "weekdays")))
    elif not refusals and kept["quiet_from"] == kept["quiet_to"] and len(weekdays) == len(WEEKDAYS):
        refusals.append(
            Invalid(
                "This leaves no quiet hour: choose two different times, or fewer weekdays; null removes them.",
                path=path,
            )
        )
    if refusals:
        raise Refusals(refusals)
    return kept | {"quiet_weekdays": sorted(weekdays)}


def _refusal_of(weekdays: Sequence[int]) -> str | None:
    if not weekdays:
        return "Choose at least one weekday on which sending is allowed: 1 is Monday, 7 is Sunday."
    if any(day not in WEEKDAYS for day in weekdays):
        return "Choose weekdays from 1 (Monday) to 7 (Sunday)."
    if len(set(weekdays)) < len(weekdays):
        return "Name each weekday once."
    return None
