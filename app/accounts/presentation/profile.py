"""Mutations of a person's own profile."""

import strawberry

from app.accounts.presentation.types import (
    ChangePasswordInput,
    Member,
    UpdateProfileInput,
    UserPayload,
    accounts,
    caller,
)
from app.accounts.wiring import member_by_id
from app.common.domain import Role
from app.common.graphql import Info, OkPayload, given, mutation


@strawberry.type
class ProfileMutation:
    @mutation(
        requires=Role.VIEWER,
        personal=True,
        description="Changes the viewer's name or language, in all their workspaces.",
    )
    async def update_profile(self, info: Info, input: UpdateProfileInput) -> UserPayload:
        actor = info.context.signed_in
        await accounts(info.context).profiles.update_profile(actor, given(input, "name", "locale"))
        async with info.context.doors.open_reads(actor.workspace_id) as reads:
            row = await member_by_id(reads, actor.workspace_id, actor.user_id)
        return UserPayload(user=Member.of(row).user if row else None)

    @mutation(
        requires=Role.VIEWER,
        personal=True,
        description="Changes the viewer's password: their other sessions end, and a mail tells them.",
    )
    async def change_password(self, info: Info, input: ChangePasswordInput) -> OkPayload:
        await accounts(info.context).profiles.change_password(
            info.context.signed_in, input.current_password, input.new_password, caller(info.context)
        )
        return OkPayload(ok=True)
