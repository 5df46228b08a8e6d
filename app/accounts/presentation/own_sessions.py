"""A person's own sessions: the list, ending one, going to another workspace with one."""

import strawberry

from app.accounts.infrastructure.reads import read_sessions
from app.accounts.presentation.types import (
    SessionInfo,
    SessionInput,
    SessionPayload,
    SwitchWorkspaceInput,
    accounts,
)
from app.common.domain import Role
from app.common.graphql import NO_ID, Info, OkPayload, mutation, parse_id, query


@strawberry.type
class OwnSessionsQuery:
    @query(
        requires=Role.VIEWER,
        personal=True,
        description="The viewer's sessions in all their workspaces, the one used last first; at most 100.",
    )
    async def sessions(self, info: Info) -> list[SessionInfo]:
        actor = info.context.signed_in
        rows = await read_sessions(info.context.doors, actor.user_id)
        return [SessionInfo.of(row, actor.session_id) for row in rows]


@strawberry.type
class OwnSessionsMutation:
    @mutation(
        requires=Role.VIEWER,
        personal=True,
        description="Ends one of the viewer's sessions, its access tokens too. The one in use: that is signing out.",
    )
    async def revoke_session(self, info: Info, input: SessionInput) -> OkPayload:
        own = accounts(info.context).own_sessions
        await own.revoke_session(info.context.signed_in, parse_id(input.id) or NO_ID)
        return OkPayload(ok=True)

    @mutation(
        requires=Role.VIEWER,
        personal=True,
        description="Takes this session to another of the viewer's workspaces. Its refresh token goes on, and the next "
        "refresh is there; the access token lives no longer than the one that asks.",
    )
    async def switch_workspace(self, info: Info, input: SwitchWorkspaceInput) -> SessionPayload:
        moved = await accounts(info.context).own_sessions.switch_workspace(
            info.context.signed_in, parse_id(input.workspace_id) or NO_ID
        )
        return await SessionPayload.of(info.context, moved)
