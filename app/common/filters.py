"""What filters of lists are read by: each list in one is capped."""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from app.common.graphql import NO_ID, bad_user_input, parse_id
from app.common.paging import PAGE_MAX

Item = TypeVar("Item")


def capped(items: Sequence[Item]) -> Sequence[Item]:
    """Raises the top-level BAD_USER_INPUT."""
    if len(items) > PAGE_MAX:
        raise bad_user_input(f"A list in a filter takes {PAGE_MAX} entries at most.")
    return items


def filter_ids(ids: Sequence[str] | None) -> list[UUID] | None:
    """A malformed one matches nothing."""
    return [parse_id(id) or NO_ID for id in capped(ids)] if ids is not None else None
