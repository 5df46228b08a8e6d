"""A lead filter as JSON, for what is done by it later: `LeadConditions` there and back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from app.leads.infrastructure.reads import LeadConditions

IDS = frozenset({"tag_ids", "stage_ids", "owner_ids"})
MOMENTS = frozenset({"created_after", "created_before", "touched_before"})


def stored_filter(conditions: LeadConditions) -> dict[str, object]:
    """What is not filtered by is left out."""
    return {name: _stored(value) for name, value in conditions.values.items()}


def _stored(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(one) for one in value]
    return value


def conditions_of(stored: Mapping[str, object]) -> LeadConditions:
    given: dict[str, object] = {}
    for name, value in stored.items():
        if name in IDS:
            given[name] = [UUID(one) for one in cast("Sequence[str]", value)]
        elif name in MOMENTS:
            given[name] = datetime.fromisoformat(cast("str", value))
        else:
            given[name] = value
    return LeadConditions(**given)  # type: ignore[arg-type]
