"""Making, renaming, moving and deleting stages."""

from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.graphql import NO_ID, DeletedPayload, Info, Payload, mutation, parse_id
from app.leads.domain.stage import StageKind
from app.leads.presentation.types import Stage
from app.leads.wiring import board_layout_use_cases, list_stages


@strawberry.input(description="A new stage.")
class CreateStageInput:
    name: str = strawberry.field(description="1 to 200 characters.")
    kind: StageKind = strawberry.field(description="What it means for the sale.", default=StageKind.OPEN)
    after_stage_id: strawberry.ID | None = strawberry.field(
        description="The stage to put it after; null: first. Left out: last.", default=strawberry.UNSET
    )


@strawberry.input(description="What to change of a stage.")
class UpdateStageInput:
    id: strawberry.ID = strawberry.field(description="The stage.")
    name: str | None = strawberry.field(
        description="1 to 200 characters; left out or null, it stays.", default=None
    )


@strawberry.input(description="Where to move a stage.")
class MoveStageInput:
    id: strawberry.ID = strawberry.field(description="The stage.")
    after_stage_id: strawberry.ID | None = strawberry.field(
        description="The stage to put it after; left out or null: first.", default=None
    )


@strawberry.input(description="The stage to delete, and where its leads go.")
class DeleteStageInput:
    id: strawberry.ID = strawberry.field(description="The stage.")
    move_leads_to_stage_id: strawberry.ID = strawberry.field(
        description="Another stage: its leads go to that one's end, in their order."
    )


@strawberry.type(description="The stage as it is now.")
class StagePayload(Payload):
    stage: Stage | None = strawberry.field(description="Null when it was refused.", default=None)


@strawberry.type
class StagesMutation:
    @mutation(requires=Role.ADMIN, description="Makes a stage.")
    async def create_stage(self, info: Info, input: CreateStageInput) -> StagePayload:
        actor, after = info.context.signed_in, input.after_stage_id
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await board_layout_use_cases(work, actor).create_stage(
                input.name, input.kind, after=_neighbour(after), is_last=after is strawberry.UNSET
            )
        return await _payload(info, id)

    @mutation(requires=Role.ADMIN, description="Renames a stage.")
    async def update_stage(self, info: Info, input: UpdateStageInput) -> StagePayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = board_layout_use_cases(work, actor)
            id = await use_cases.update_stage(parse_id(input.id) or NO_ID, input.name)
        return await _payload(info, id)

    @mutation(requires=Role.ADMIN, description="Moves a stage to another place on the board.")
    async def move_stage(self, info: Info, input: MoveStageInput) -> StagePayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = board_layout_use_cases(work, actor)
            id = await use_cases.move_stage(parse_id(input.id) or NO_ID, _neighbour(input.after_stage_id))
        return await _payload(info, id)

    @mutation(
        requires=Role.ADMIN,
        description="Deletes a stage; its leads, up to 5,000, go to another. The last one of its kind stays.",
    )
    async def delete_stage(self, info: Info, input: DeleteStageInput) -> DeletedPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await board_layout_use_cases(work, actor).delete_stage(
                parse_id(input.id) or NO_ID, parse_id(input.move_leads_to_stage_id) or NO_ID
            )
        return DeletedPayload(deleted_ids=[strawberry.ID(str(id))])


def _neighbour(id: strawberry.ID | None) -> UUID | None:
    return (parse_id(id) or NO_ID) if id else None


async def _payload(info: Info, id: UUID) -> StagePayload:
    """Read after the commit."""
    workspace_id = info.context.signed_in.workspace_id
    async with info.context.doors.open_reads(workspace_id) as reads:
        rows = await list_stages(reads, workspace_id)
    return StagePayload(stage=next((Stage.of(row) for row in rows if row["id"] == str(id)), None))
