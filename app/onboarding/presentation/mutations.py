"""Root mutations of onboarding."""

import strawberry

from app.accounts.presentation.types import SessionPayload, accounts, caller, check_cookie
from app.common.graphql import Info, mutation
from app.onboarding.domain import Registration
from app.onboarding.presentation.types import SignUpInput
from app.onboarding.wiring import onboarding_use_cases


@strawberry.type
class OnboardingMutation:
    @mutation(
        requires=None, description="Founds a workspace with its default stages, and opens a session in it."
    )
    async def sign_up(self, info: Info, input: SignUpInput) -> SessionPayload:
        check_cookie(info.context, input.cookie)
        registration = Registration.checked(
            email=input.email,
            password=input.password,
            name=input.name,
            workspace_name=input.workspace_name,
            locale=input.locale,
        )
        onboarding = onboarding_use_cases(info.context.doors, accounts(info.context))
        opened = await onboarding.sign_up(registration, caller(info.context))
        return await SessionPayload.of(info.context, opened, cookie=input.cookie)
