"""A new password by mail: mutations."""

import strawberry

from app.accounts.presentation.types import accounts, caller
from app.common.graphql import Info, OkPayload, mutation


@strawberry.input(description="Whose password.")
class RequestPasswordResetInput:
    email: str = strawberry.field(description="The address of the account.")


@strawberry.input(description="A reset's link, and the new password.")
class ResetPasswordInput:
    token: str = strawberry.field(description="What stands after the # of the link.")
    new_password: str = strawberry.field(description="8 to 1,000 characters of any kind.")


@strawberry.type
class ResetsMutation:
    @mutation(
        requires=None,
        description="Sends a link for a new password, good for one hour, to an address that has an account. The answer "
        "is the same for one that has none.",
    )
    async def request_password_reset(self, info: Info, input: RequestPasswordResetInput) -> OkPayload:
        await accounts(info.context).resets.request_password_reset(input.email, caller(info.context))
        return OkPayload(ok=True)

    @mutation(
        requires=None,
        description="Sets a new password by a link, once. Every session of the person is over: sign in again.",
    )
    async def reset_password(self, info: Info, input: ResetPasswordInput) -> OkPayload:
        resets = accounts(info.context).resets
        await resets.reset_password(input.token, input.new_password, caller(info.context))
        return OkPayload(ok=True)
