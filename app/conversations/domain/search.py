"""What a message is found by, and what a search asks for: words without case, accents and signs."""

import re
from collections.abc import Sequence

from app.common.domain import folded
from app.leads.domain.search import checked_search

MAX_SEARCH_TEXT = 100_000
"""Characters of one message that can be found: more would not fit PostgreSQL's tsvector of 1 MB."""
_SIGNS = re.compile(r"[\W_]+")


def search_text(
    *,
    body: str,
    subject: str | None = None,
    contact_name: str | None = None,
    contact_address: str | None = None,
    file_names: Sequence[str] = (),
) -> str:
    """What `message_lexemes` takes for a message. An address and a file's name are found by each of their parts."""
    parts = [subject, contact_name, contact_address, *file_names, body]
    text = " ".join(part for part in parts if part)[:MAX_SEARCH_TEXT]
    return _SIGNS.sub(" ", folded(text))[:MAX_SEARCH_TEXT].strip()


def search_terms(search: str) -> list[str]:
    """The words of a search, in their order, each once. Raises Invalid for a search of no length to search by."""
    return list(dict.fromkeys(_SIGNS.sub(" ", folded(checked_search(search))).split()))
