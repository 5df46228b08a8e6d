"""The short way to a phone number's normal form agrees with libphonenumber's own parser, whatever is written."""

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.leads.domain.phone_number import NotAPhoneNumber, e164

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
EXAMPLES = [
    number
    for region in REGIONS
    for kind in range(11)
    if (number := phonenumbers.example_number_for_type(region, kind)) is not None
]
FORMATS = (
    phonenumbers.PhoneNumberFormat.E164,
    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.NATIONAL,
)


def parsed(text: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def read(text: str, region: str) -> str | None:
    try:
        return e164(text, region)
    except NotAPhoneNumber:
        return None


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str]:
    """A number of some region as people write it, often with a digit too many, too few or changed."""
    number = draw(st.sampled_from(EXAMPLES))
    text = list(phonenumbers.format_number(number, draw(st.sampled_from(FORMATS))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 1))] = draw(st.sampled_from([*"0123456789+()-. ", ""]))
    home = phonenumbers.region_code_for_country_code(number.country_code)
    return "".join(text), draw(st.sampled_from([home, "BR", "US", "GB", draw(st.sampled_from(REGIONS))]))


@settings(max_examples=500, deadline=None)
@given(number=written())
def test_what_is_written_is_read_as_the_parser_reads_it(number: tuple[str, str]) -> None:
    assert read(*number) == parsed(*number)


@settings(max_examples=300, deadline=None)
@given(
    text=st.text("0123456789+()-. /x#;,*~", max_size=20),
    region=st.sampled_from(["BR", "US", "AR", "MX", "IT"]),
)
@example(text="(55) 99911-2233", region="BR")
@example(text="55 55 99911-2233", region="BR")
@example(text="00 55 11 98765-4321", region="BR")
@example(text="+55 (0) 11 98765-4321", region="BR")
@example(text="(+55) 11 98765-4321", region="US")
@example(text="011 55 11 98765-4321", region="US")
def test_anything_else_is_read_as_the_parser_reads_it(text: str, region: str) -> None:
    assert read(text, region) == parsed(text, region)


@pytest.mark.parametrize("kind", [0, 1, 3])
def test_every_regions_example_is_read_in_every_form(kind: int) -> None:
    for region in REGIONS:
        if number := phonenumbers.example_number_for_type(region, kind):
            for form in FORMATS:
                text = phonenumbers.format_number(number, form)
                assert read(text, region) == parsed(text, region) is not None
