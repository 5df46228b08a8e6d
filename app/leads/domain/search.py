"""What a search for leads asks for, and in which orders they are listed.

The words of a search are folded where those of a lead are, in PostgreSQL (`folded`, `lead_query`); here is what people
mean: phone numbers as they write them.
"""

import re
from enum import StrEnum

from app.common.domain import Invalid, text_problem

MIN_SEARCH, MAX_SEARCH = 2, 100
MIN_NUMBER, TRUNK_NUMBER = 4, 10
"""Digits from which signs between them are a phone number's, and from which zeros before them are prefixes to dial."""
_NUMBER = re.compile(r"\+?[\d()./\- ]*", re.ASCII)


class LeadSort(StrEnum):
    NEWEST = "NEWEST"
    NAME = "NAME"
    SCORE = "SCORE"
    LAST_TOUCH = "LAST_TOUCH"


def checked_search(search: str) -> str:
    """The search, trimmed. Raises Invalid for one of no length to search by, and for what no text may hold."""
    trimmed = search.strip()
    if text_problem(search, max_length=MAX_SEARCH) or len(trimmed) < MIN_SEARCH:
        raise Invalid(f"Search for {MIN_SEARCH} to {MAX_SEARCH} characters.", path=("filter", "search"))
    return trimmed


def search_terms(search: str) -> list[str]:
    """What `lead_query` takes: a lead has a word that begins with each word of each. Raises Invalid."""
    search = checked_search(search)
    digits = re.sub(r"\D", "", search, flags=re.ASCII)
    if len(digits) < MIN_NUMBER or not _NUMBER.fullmatch(search):
        return [search]
    return [digits.lstrip("0") or digits if len(digits) >= TRUNK_NUMBER else digits]
