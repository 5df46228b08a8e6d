"""Queries of leads and stages."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.feed.cursor import encode_cursor
from app.common.graphql import (
    After,
    Context,
    First,
    Id,
    Info,
    page_info,
    page_size,
    parse_id,
    query,
    selects,
)
from app.leads.domain.search import LeadSort
from app.leads.presentation.types import (
    Lead,
    LeadConnection,
    LeadEdge,
    LeadFilter,
    Stage,
    lead_conditions,
)
from app.leads.wiring import count_leads, leads_by_id, list_leads, list_stages
from app.tags.presentation.types import tag_map


@strawberry.type
class LeadsQuery:
    @query(requires=Role.VIEWER, extension=True, description="The workspace's stages, in their order.")
    async def stages(self, info: Info) -> list[Stage]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            rows = await list_stages(reads, workspace_id)
        return [Stage.of(row) for row in rows]

    @query(
        requires=Role.VIEWER,
        description="A live lead by its id; null when there is none. Deleted ones: `leads(filter: {deleted: true})`.",
    )
    async def lead(self, info: Info, id: Id) -> Lead | None:
        key = parse_id(id)
        found = await load_leads(info.context, [key] if key else [])
        lead = found[0] if found else None
        return lead if lead and lead.deleted_at is None else None

    @query(requires=Role.VIEWER, description="Leads in an order, a page at a time.")
    async def leads(
        self,
        info: Info,
        filter: Annotated[LeadFilter | None, strawberry.argument(description="Which; null: all.")] = None,
        sort: Annotated[LeadSort, strawberry.argument(description="In which order.")] = LeadSort.NEWEST,
        first: First = 20,
        after: After = None,
    ) -> LeadConnection:
        workspace_id, conditions = info.context.signed_in.workspace_id, lead_conditions(filter)
        async with info.context.doors.open_reads(workspace_id) as reads:
            found = await list_leads(
                reads,
                workspace_id,
                conditions,
                sort=sort,
                first=page_size(first),
                after=after,
                with_identities=selects(info, "edges", "node", "identities"),
            )
            tags = await tag_map(reads, workspace_id, found.page.rows)
            counts = selects(info, "totalCount")
            total = await count_leads(reads, workspace_id, conditions) if counts else None
        return LeadConnection(
            edges=[
                LeadEdge(cursor=cursor, node=Lead.of(row, tags))
                for cursor, row in zip(found.cursors, found.page.rows, strict=True)
            ],
            page_info=page_info(found.page, found.cursors, after=after),
            total_count=total,
            feed_cursor=encode_cursor(workspace_id, found.feed_seq),
        )


async def load_leads(context: Context, ids: Sequence[UUID]) -> list[Lead | None]:
    """Leads in the order of `ids`, deleted ones with their `deletedAt`; None for unknown ones."""
    if not ids:
        return []
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        rows = await leads_by_id(reads, workspace_id, ids)
        tags = await tag_map(reads, workspace_id, list(rows.values()))
    return [Lead.of(rows[id], tags) if id in rows else None for id in ids]
