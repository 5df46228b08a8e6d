"""A workspace, and what is acceptable in each of its fields."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

import phonenumbers

from app.accounts.domain.quiet_hours import NONE, quiet_hours
from app.accounts.domain.user import REGIONS, Clean, clean_locale, cleaned
from app.common.domain import Invalid, LimitReached, Refusals, SalesPadError, clean_text

MAX_OWNED = 50
"""Workspaces one person may own: a bound for who makes them by program."""
_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)


class TooManyWorkspaces(LimitReached):
    def __init__(self) -> None:
        super().__init__(
            f"One person may own {MAX_OWNED} workspaces: leave one, or make somebody else its owner."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorkspace:
    name: str
    locale: str
    time_zone: str
    phone_region: str

    @classmethod
    def of(cls, *, name: str, locale: str, time_zone: str | None = None) -> Self:
        """Cleaned fields; what is left out follows from the locale."""
        usual_zone, phone_region = REGIONS[locale]
        return cls(name=name, locale=locale, time_zone=time_zone or usual_zone, phone_region=phone_region)


def clean_time_zone(time_zone: str, *path: str) -> str:
    """An IANA name, spelled as there. Raises Invalid at `path`."""
    try:
        if not _ZONE.fullmatch(time_zone):
            raise ValueError(time_zone)
        ZoneInfo(time_zone)
    except (ValueError, OSError, KeyError):
        raise Invalid("Choose a time zone by its IANA name, such as America/Sao_Paulo.", path=path) from None
    return time_zone


def clean_phone_region(region: str, *path: str) -> str:
    """Raises Invalid at `path`."""
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise Invalid("Choose a country by its two capital letters, such as BR.", path=path)
    return region


WORKSPACE: Mapping[str, Clean] = {
    "name": clean_text,
    "locale": clean_locale,
    "time_zone": clean_time_zone,
    "phone_region": clean_phone_region,
}


@dataclass(frozen=True, slots=True)
class GivenHours:
    """Quiet hours as a person gives them: "HH:MM", and ISO weekdays."""

    start: str
    end: str
    weekdays: Sequence[int]


def workspace_changes(
    texts: Mapping[str, str | None], hours: Mapping[str, GivenHours | None]
) -> dict[str, object]:
    """The columns that change: of what was given in `texts`, and of `quietHours`, the one key of `hours` (None removes
    them; left out, they stay). Raises Refusals, one for each field that cannot be taken."""
    refusals: list[SalesPadError] = []
    changes: dict[str, object] = {}
    try:
        changes |= cleaned(texts, WORKSPACE)
    except Refusals as refused:
        refusals += refused.refusals
    for path, given in hours.items():
        try:
            changes |= quiet_hours(given.start, given.end, given.weekdays, path) if given else NONE
        except Refusals as refused:
            refusals += refused.refusals
    if refusals:
        raise Refusals(refusals)
    return changes
