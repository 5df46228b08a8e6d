"""Queries of people."""

from collections.abc import Sequence
from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.graphql import Context, First, Info, page_size, query
from app.people.presentation.types import DuplicateGroup, Merge
from app.people.wiring import find_duplicates, merge_by_id, merges_into


@strawberry.type
class PeopleQuery:
    @query(
        requires=Role.VIEWER,
        description="Leads that may be one person, by the strength of the reason and then by name; names that more "
        "than 50 leads have tell nothing.",
    )
    async def duplicates(self, info: Info, first: First = 20) -> list[DuplicateGroup]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            rows = await find_duplicates(reads, workspace_id, first=page_size(first))
        ids = list({id for row in rows for id in row["ids"]})
        found = dict(zip(ids, await info.context.loader("leads").load_many(ids), strict=True))
        groups = [
            DuplicateGroup(
                reason=row["reason"],
                leads=[lead for id in row["ids"] if (lead := found[id]) and lead.deleted_at is None],
            )
            for row in rows
        ]
        return [group for group in groups if len(group.leads) > 1]


async def load_merges(context: Context, lead_ids: list[UUID]) -> Sequence[list[Merge]]:
    """Batches `Lead.merges`."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        found = await merges_into(reads, workspace_id, lead_ids)
    return [[Merge.of(row) for row in found[id]] for id in lead_ids]


async def load_merge(context: Context, merge_id: UUID) -> Merge | None:
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        row = await merge_by_id(reads, workspace_id, merge_id)
    return Merge.of(row) if row else None
