"""Where a person is in the day: the time zone that a phone number tells. Pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

# One winter day, one summer day: zones that agree on both keep the same clock.
PROBES = (datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 7, 15, 12, tzinfo=UTC))


BETTER_KNOWN = {"America/Noronha": "America/Recife"}
"""What the numbers' table says, and what holds for nearly all of them: +55 81 is Recife with all Pernambuco, of which
the table names the one island that keeps another clock."""


RENAMED = {
    "Africa/Asmera": "Africa/Asmara",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "America/Godthab": "America/Nuuk",
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Choibalsan": "Asia/Ulaanbaatar",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Rangoon": "Asia/Yangon",
    "Atlantic/Faeroe": "Atlantic/Faroe",
    "Pacific/Enderbury": "Pacific/Kanton",
    "Pacific/Ponape": "Pacific/Pohnpei",
    "Pacific/Truk": "Pacific/Chuuk",
}
"""Old names in the numbers' table, that a database may not know (`known_zone` would take it for UTC)."""


def zone_of_phone(phone: str | None) -> str | None:
    """Of a number with +country code. Where it may lie in several zones: one of them if they keep the same clock, else
    None."""
    try:
        number = phonenumbers.parse(phone or "")
    except phonenumbers.NumberParseException:
        return None
    return _one_clock(tuple(timezone.time_zones_for_number(number)))


def likely_zones(phones: Iterable[str]) -> dict[str, str | None]:
    """Of very many at once, by the area alone: it may know more than `zone_of_phone`, which asks whether such a number
    is given out and whether it moves about. For estimates."""
    return {phone: _zone_of_area(_area_of(phone)) for phone in phones}


def _area_of(phone: str) -> str:
    """The longest beginning of the number that stands in the table of zones."""
    for end in range(1 + TIMEZONE_LONGEST_PREFIX, 1, -1):
        if (digits := phone[1:end]) in TIMEZONE_DATA:
            return digits
    return ""


@cache
def _zone_of_area(area: str) -> str | None:
    return _one_clock(TIMEZONE_DATA.get(area, ()))


def _one_clock(zones: Sequence[str]) -> str | None:
    try:
        clocks = {tuple(at.astimezone(ZoneInfo(zone)).utcoffset() for at in PROBES) for zone in zones}
    except (ValueError, OSError, KeyError):  # a zone this machine has never heard of, Etc/Unknown first
        return None
    return {**RENAMED, **BETTER_KNOWN}.get(zones[0], zones[0]) if len(clocks) == 1 else None
