"""Root mutations of accounts."""

import strawberry

from app.accounts.presentation.types import (
    RefreshSessionInput,
    SessionPayload,
    SignInInput,
    SignOutInput,
    accounts,
    caller,
    check_cookie,
)
from app.common.graphql import NO_ID, Info, OkPayload, mutation, parse_id


@strawberry.type
class AccountsMutation:
    @mutation(requires=None, description="Opens a session. Five tries a minute for an address.")
    async def sign_in(self, info: Info, input: SignInInput) -> SessionPayload:
        check_cookie(info.context, input.cookie)
        opened = await accounts(info.context).sessions.sign_in(
            input.email,
            input.password,
            workspace_id=parse_id(input.workspace_id) or NO_ID if input.workspace_id else None,
            client=input.client,
            caller=caller(info.context),
        )
        return await SessionPayload.of(info.context, opened, cookie=input.cookie)

    @mutation(
        requires=None, description="Trades a refresh token for fresh tokens. Used twice, it ends its session."
    )
    async def refresh_session(self, info: Info, input: RefreshSessionInput) -> SessionPayload:
        sessions = accounts(info.context).sessions
        opened = await sessions.refresh_session(input.refresh_token, caller(info.context))
        return await SessionPayload.of(info.context, opened)

    @mutation(
        requires=None, description="Ends a session, its access tokens too. Done already, it does nothing."
    )
    async def sign_out(self, info: Info, input: SignOutInput) -> OkPayload:
        await accounts(info.context).sessions.sign_out(input.refresh_token, caller(info.context))
        return OkPayload(ok=True)
