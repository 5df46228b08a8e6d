"""Mutations of who belongs to a workspace."""

import strawberry

from app.accounts.presentation.types import (
    ChangeMemberRoleInput,
    Member,
    MemberInput,
    MemberPayload,
    SwitchWorkspaceInput,
)
from app.accounts.wiring import member_by_id, member_use_cases
from app.common.domain import Role
from app.common.graphql import NO_ID, Info, OkPayload, mutation, parse_id


@strawberry.type
class MembersMutation:
    @mutation(
        requires=Role.ADMIN,
        description="Gives a member another role; their tokens with the old one are void. Only an owner may make, "
        "change or unmake an owner.",
    )
    async def change_member_role(self, info: Info, input: ChangeMemberRoleInput) -> MemberPayload:
        actor, user_id = info.context.signed_in, parse_id(input.user_id) or NO_ID
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            await member_use_cases(work, actor.workspace_id, actor).change_member_role(user_id, input.role)
        async with info.context.doors.open_reads(actor.workspace_id) as reads:
            row = await member_by_id(reads, actor.workspace_id, user_id)
        return MemberPayload(member=Member.of(row) if row else None)

    @mutation(
        requires=Role.ADMIN,
        description="Ends a membership, with the member's sessions and API keys here. What was theirs is unassigned.",
    )
    async def remove_member(self, info: Info, input: MemberInput) -> OkPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = member_use_cases(work, actor.workspace_id, actor)
            await use_cases.remove_member(parse_id(input.user_id) or NO_ID)
        return OkPayload(ok=True)

    @mutation(
        requires=Role.VIEWER,
        personal=True,
        description="Ends one's own membership, with one's sessions there: to go on in another workspace, "
        "switchWorkspace first.",
    )
    async def leave_workspace(self, info: Info, input: SwitchWorkspaceInput) -> OkPayload:
        actor, workspace_id = info.context.signed_in, parse_id(input.workspace_id) or NO_ID
        async with info.context.doors.open_work(workspace_id, actor) as work:
            await member_use_cases(work, workspace_id, actor).leave_workspace()
        return OkPayload(ok=True)
