"""Mutations of the workspace itself."""

import strawberry

from app.accounts.domain.workspace import GivenHours
from app.accounts.infrastructure.reads import read_workspace
from app.accounts.presentation.types import UpdateWorkspaceInput, Workspace, WorkspacePayload
from app.accounts.wiring import workspace_use_cases
from app.common.domain import Role
from app.common.graphql import Info, given, mutation


@strawberry.type
class WorkspacesMutation:
    @mutation(requires=Role.OWNER, description="Changes the workspace of this session.")
    async def update_workspace(self, info: Info, input: UpdateWorkspaceInput) -> WorkspacePayload:
        actor = info.context.signed_in
        texts = given(input, "name", "locale", "time_zone", "phone_region")
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            await workspace_use_cases(work, actor.workspace_id, actor).update_workspace(texts, _hours(input))
        row = await read_workspace(info.context.doors, actor.workspace_id)
        return WorkspacePayload(workspace=Workspace.of(row) if row else None)


def _hours(input: UpdateWorkspaceInput) -> dict[str, GivenHours | None]:
    if input.quiet_hours is strawberry.UNSET:
        return {}
    hours = input.quiet_hours
    return {"quietHours": GivenHours(hours.from_, hours.to, hours.weekdays) if hours else None}
