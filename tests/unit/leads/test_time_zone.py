"""The time zone that a phone number tells."""

from importlib.resources import files

import pytest
from phonenumbers.tzdata import TIMEZONE_DATA

from app.leads.domain.time_zone import likely_zones, zone_of_phone


@pytest.mark.parametrize(
    ("phone", "zone"),
    [
        ("+5511987654321", "America/Sao_Paulo"),
        ("+5592987654321", "America/Manaus"),
        ("+14155550100", "America/Los_Angeles"),
        ("+442071838750", "Europe/London"),
        ("+5581987654321", "America/Recife"),
        ("+919876543210", "Asia/Kolkata"),
        ("+541143211234", "America/Argentina/Buenos_Aires"),
    ],
    ids=["sao-paulo", "manaus", "california", "london", "recife", "india", "buenos-aires"],
)
def test_a_number_of_one_zone_tells_it(phone: str, zone: str) -> None:
    assert zone_of_phone(phone) == zone


@pytest.mark.parametrize(
    "phone",
    [None, "", "nonsense", "11987654321", "+79161234567", "+5511", "+80012345678", "+999123"],
    ids=[
        "none",
        "empty",
        "text",
        "no-country",
        "russia-has-eleven",
        "too-short",
        "freephone",
        "no-such-country",
    ],
)
def test_a_number_of_several_clocks_or_of_none_tells_nothing(phone: str | None) -> None:
    assert zone_of_phone(phone) is None


def test_zones_that_keep_one_clock_are_as_good_as_one() -> None:
    """Irish numbers are listed under London, Guernsey and the Isle of Man."""
    assert zone_of_phone("+35312345678") in ("Europe/London", "Europe/Guernsey", "Europe/Isle_of_Man")


def test_many_are_told_by_their_areas() -> None:
    numbers = [
        "+5511987654321",
        "+5592987654321",
        "+14155550100",
        "+442071838750",
        "+17005550100",
        "+12",
        "x",
        "",
    ]
    assert likely_zones(numbers) == {
        **{number: zone_of_phone(number) for number in numbers[:4]},
        **dict.fromkeys(numbers[4:]),
    }


def test_no_old_name_is_told() -> None:
    """Of those that stand for a place in the tz database: others a database may not know."""
    named = (files("tzdata") / "zoneinfo" / "zone.tab").read_text().splitlines()
    known = {line.split("\t")[2].strip() for line in named if not line.startswith("#")}
    links = (files("tzdata") / "zoneinfo" / "tzdata.zi").read_text().splitlines()
    old = {line.split()[2] for line in links if line.startswith("L ")} - known
    told = set(likely_zones(f"+{area}" for area in TIMEZONE_DATA).values())
    assert told & old == set()
