"""Mutations of tags: parse, call, return."""

from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, DeletedPayload, Info, given, mutation, parse_id
from app.tags.presentation.types import CreateTagInput, DeleteTagInput, Tag, TagPayload, UpdateTagInput
from app.tags.wiring import list_tags, tag_use_cases


@strawberry.type
class TagsMutation:
    @mutation(requires=Role.MEMBER, description="Makes a tag.")
    async def create_tag(self, info: Info, input: CreateTagInput) -> TagPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = tag_use_cases(work, actor.workspace_id)
            id = await use_cases.create_tag(name=input.name, color=input.color)
        return await _payload(info, id)

    @mutation(requires=Role.MEMBER, description="Renames or recolors a tag.")
    async def update_tag(self, info: Info, input: UpdateTagInput) -> TagPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = tag_use_cases(work, actor.workspace_id)
            id = await use_cases.update_tag(parse_id(input.id) or NO_ID, given(input, "name", "color"))
        return await _payload(info, id)

    @mutation(requires=Role.MEMBER, description="Deletes a tag and takes it off every lead.")
    async def delete_tag(self, info: Info, input: DeleteTagInput) -> DeletedPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await tag_use_cases(work, actor.workspace_id).delete_tag(parse_id(input.id) or NO_ID)
        return DeletedPayload(deleted_ids=[strawberry.ID(str(id))])


async def _payload(info: Info, id: UUID) -> TagPayload:
    """Read after the commit."""
    workspace_id = info.context.signed_in.workspace_id
    async with info.context.doors.open_reads(workspace_id) as reads:
        rows = await list_tags(reads, workspace_id)
    return TagPayload(tag=next((Tag.of(row) for row in rows if row["id"] == str(id)), None))
