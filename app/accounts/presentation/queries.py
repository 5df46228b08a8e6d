"""Root queries of accounts."""

import strawberry

from app.accounts.infrastructure.reads import read_memberships
from app.accounts.presentation.types import Member, Viewer
from app.accounts.wiring import list_members
from app.common.domain import Role
from app.common.graphql import Info, query, unauthenticated


@strawberry.type
class AccountsQuery:
    @query(requires=Role.VIEWER, extension=True, description="Who is signed in, and in which workspace.")
    async def viewer(self, info: Info) -> Viewer:
        actor = info.context.signed_in
        viewer = Viewer.of(await read_memberships(info.context.doors, actor.user_id), actor.workspace_id)
        if viewer is None:
            raise unauthenticated("You are no member of this workspace any more: sign in again.")
        return viewer

    @query(requires=Role.VIEWER, description="Who belongs to the workspace, by name.")
    async def members(self, info: Info) -> list[Member]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            return [Member.of(row) for row in await list_members(reads, workspace_id)]
