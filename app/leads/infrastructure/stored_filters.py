"""A lead filter as JSON, for what is done by it later: `LeadConditions` there and back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import cast
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, bindparam, select

from app.common.database import Statement
from app.common.work import Reads
from app.leads.infrastructure.reads import LeadConditions, where
from app.leads.infrastructure.tables import lead

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


@cache
def _after_statement(used: frozenset[str], *, is_to_change: bool) -> Statement:
    found = (
        select(lead.c.id)
        .where(
            lead.c.workspace_id == bindparam("workspace_id"),
            lead.c.id > bindparam("after_id"),
            lead.c.created_at <= bindparam("made_until", type_=DateTime(timezone=True)),
            *where(used),
        )
        .order_by(lead.c.id)
        .limit(bindparam("limit", type_=BigInteger))
    )
    return Statement(found.with_for_update(key_share=True) if is_to_change else found)


async def leads_after(
    reads: Reads,
    workspace_id: UUID,
    stored: Mapping[str, object],
    *,
    after_id: UUID,
    made_until: datetime,
    limit: int,
    is_to_change: bool = False,
) -> list[UUID]:
    """The next leads that match, by their ids, of those made until then.

    `is_to_change`: locked until the commit, in the order in which everybody locks leads; one that has left the filter
    by the time it is locked is none of them.
    """
    conditions = conditions_of(stored)
    rows = await reads.fetch(
        _after_statement(conditions.used, is_to_change=is_to_change),
        workspace_id=workspace_id,
        after_id=after_id,
        made_until=made_until,
        limit=limit,
        **conditions.values,
    )
    return [row["id"] for row in rows]
