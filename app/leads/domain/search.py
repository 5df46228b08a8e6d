"""What a search for leads asks for: words without case, accents and signs; phone numbers as people write them."""

import re

from app.common.domain import Invalid, folded

MIN_SEARCH, MAX_SEARCH = 2, 100
_SIGNS = re.compile(r"[\W_]+")
_NUMBER = re.compile(r"[+\d()./\- ]*\d[+\d()./\- ]*")


def search_terms(search: str) -> list[str]:
    """The words of a search, each once; a lead has one that begins with each. Raises Invalid for a search of no length
    to search by."""
    if not MIN_SEARCH <= len(search.strip()) <= MAX_SEARCH or "\x00" in search:
        raise Invalid(f"Search for {MIN_SEARCH} to {MAX_SEARCH} characters.", path=("filter", "search"))
    if _NUMBER.fullmatch(search.strip()):
        return [re.sub(r"\D", "", search)]
    return list(dict.fromkeys(_SIGNS.sub(" ", folded(search)).split()))
