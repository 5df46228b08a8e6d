"""Root mutations of onboarding."""

import strawberry

from app.accounts.domain.user import cleaned
from app.accounts.domain.workspace import WORKSPACE
from app.accounts.presentation.types import (
    SessionPayload,
    Workspace,
    WorkspacePayload,
    accounts,
    caller,
    check_cookie,
)
from app.accounts.wiring import read_workspace
from app.common.domain import Role
from app.common.graphql import Info, mutation
from app.onboarding.domain import Registration
from app.onboarding.presentation.types import CreateWorkspaceInput, SignUpInput
from app.onboarding.wiring import onboarding_use_cases


@strawberry.type
class OnboardingMutation:
    @mutation(
        requires=None,
        description="Founds a workspace with its default stages, and opens a session in it. An address that has an "
        "account and belongs to no workspace any more gives its password.",
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

    @mutation(
        requires=Role.VIEWER,
        personal=True,
        description="Founds another workspace of the viewer's, with its default stages. Go there with switchWorkspace.",
    )
    async def create_workspace(self, info: Info, input: CreateWorkspaceInput) -> WorkspacePayload:
        chosen = {"name": input.name, "locale": input.locale, "time_zone": input.time_zone}
        fields = cleaned({field: text for field, text in chosen.items() if text is not None}, WORKSPACE)
        onboarding = onboarding_use_cases(info.context.doors, accounts(info.context))
        workspace_id = await onboarding.create_workspace(info.context.signed_in, fields)
        row = await read_workspace(info.context.doors, workspace_id)
        return WorkspacePayload(workspace=Workspace.of(row) if row else None)
