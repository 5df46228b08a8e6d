"""Phone numbers in their normal form (E.164), by the tables of Google's libphonenumber.

Its parser looks for extensions, carriers, letters and prefixes in every number (50 us). What is plainly written, digits
and separators without any prefix, is read here by the same tables (5 us); anything else, and what these say no to, is
left to it. `tests/unit/leads/test_phone_number.py` holds both against each other.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberFormat

_PLAIN = re.compile(r"\+?[\d(][\d() .\-]{5,30}", re.ASCII)
_SEPARATORS = {ord(character): None for character in "() .-+"}
_KINDS = (
    *("mobile", "fixed_line", "toll_free", "premium_rate", "shared_cost"),
    *("voip", "personal_number", "pager", "uan", "voicemail"),
)
_NO_NUMBER = re.compile(r"(?!)")


class NotAPhoneNumber(ValueError):
    """No number that anybody could have."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a country's main region numbers its phones."""

    region: str
    country_code: str
    prefixes: re.Pattern[str]
    """What may stand before a national number: not plainly written then."""
    general: tuple[frozenset[int], re.Pattern[str]]
    kinds: tuple[tuple[frozenset[int], re.Pattern[str]], ...]

    def has(self, number: str) -> bool:
        length = len(number)
        lengths, pattern = self.general
        if (lengths and length not in lengths) or not pattern.fullmatch(number):
            return False
        return any(
            pattern.fullmatch(number) for lengths, pattern in self.kinds if not lengths or length in lengths
        )


def e164(text: str, region: str) -> str:
    """`region` (ISO 3166) reads a number without a country code. Raises NotAPhoneNumber."""
    return _plainly_written(text, region) or _parsed(text, region)


def _parsed(text: str, region: str) -> str:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise NotAPhoneNumber from None
    if not phonenumbers.is_valid_number(number):
        raise NotAPhoneNumber
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _plainly_written(text: str, region: str) -> str | None:
    """None: let the parser see."""
    if not _PLAIN.fullmatch(text):
        return None
    digits = text.translate(_SEPARATORS)
    if text[0] == "+":
        plan = _plan_of(digits[:1]) or _plan_of(digits[:2]) or _plan_of(digits[:3])
        number = digits[len(plan.country_code) :] if plan else ""
    else:
        plan, number = _plan_of_region(region), digits
        if plan and digits.startswith(plan.country_code):
            return None
    if plan is None or number[:1] in ("", "0") or plan.prefixes.match(number) or not plan.has(number):
        return None
    return f"+{plan.country_code}{number}"


@lru_cache(maxsize=512)
def _plan_of_region(region: str) -> _Plan | None:
    plan = _plan_of(str(phonenumbers.country_code_for_region(region)))
    return plan if plan and plan.region == region else None


@lru_cache(maxsize=2048)
def _plan_of(country_code: str) -> _Plan | None:
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(country_code or "0"), ())
    found = PhoneMetadata.metadata_for_region(regions[0], None) if regions else None
    if found is None or found.leading_digits is not None or country_code.startswith("0"):
        return None
    general, *kinds = (_description(getattr(found, kind)) for kind in ("general_desc", *_KINDS))
    if general is None:
        return None
    prefixes = [one for one in (found.national_prefix_for_parsing, found.international_prefix) if one]
    return _Plan(
        regions[0],
        country_code,
        re.compile("|".join(f"(?:{one})" for one in prefixes)) if prefixes else _NO_NUMBER,
        general,
        tuple(kind for kind in kinds if kind),
    )


def _description(
    kind: phonenumbers.PhoneNumberDesc | None,
) -> tuple[frozenset[int], re.Pattern[str]] | None:
    if kind is None or not kind.national_number_pattern:
        return None
    return frozenset(kind.possible_length), re.compile(kind.national_number_pattern)
