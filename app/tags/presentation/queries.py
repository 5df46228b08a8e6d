"""Queries of tags."""

import strawberry

from app.common.domain import Role
from app.common.graphql import Info, query
from app.tags.presentation.types import Tag
from app.tags.wiring import list_tags


@strawberry.type
class TagsQuery:
    @query(requires=Role.VIEWER, extension=True, description="The workspace's tags, by name.")
    async def tags(self, info: Info) -> list[Tag]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            return [Tag.of(row) for row in await list_tags(reads, workspace_id)]
