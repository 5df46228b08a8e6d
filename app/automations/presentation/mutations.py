"""Mutations of automations: parse, call, return."""

from typing import cast

import strawberry

from app.automations.domain.automation import Given
from app.automations.domain.errors import AutomationStale
from app.automations.domain.rule import Match, Trigger
from app.automations.presentation.queries import load_automation
from app.automations.presentation.rules import (
    ActionInput,
    ConditionInput,
    CreateAutomationInput,
    actions_of,
    conditions_of,
)
from app.automations.presentation.types import AutomationPayload
from app.automations.wiring import automation_use_cases
from app.common.domain import Role
from app.common.graphql import NO_ID, DeletedPayload, Info, given, mutation, parse_id, user_error


@strawberry.input(description="What to change of an automation: what is left out stays.")
class UpdateAutomationInput:
    id: strawberry.ID = strawberry.field(description="The automation.")
    version: int = strawberry.field(
        description="As last read: where somebody changed it since, it is CONFLICT, with the automation as it is."
    )
    name: str | None = strawberry.field(
        description="1 to 200 characters; never cleared.", default=strawberry.UNSET
    )
    trigger: Trigger | None = strawberry.field(
        description="What it waits for; null: it stays.", default=strawberry.UNSET
    )
    no_reply_after_seconds: int | None = strawberry.field(
        description="As in createAutomation; left out with another trigger, it goes.",
        default=strawberry.UNSET,
    )
    once_per_lead: bool | None = strawberry.field(
        description="Null: as in createAutomation.", default=strawberry.UNSET
    )
    match: Match | None = strawberry.field(
        description="How its conditions go together; null: it stays.", default=strawberry.UNSET
    )
    conditions: list[ConditionInput] | None = strawberry.field(
        description="All of them, in place of those there are; null: none.", default=strawberry.UNSET
    )
    actions: list[ActionInput] | None = strawberry.field(
        description="All of them, in place of those there are.", default=strawberry.UNSET
    )

    @property
    def changes(self) -> Given:
        changes = cast("Given", given(self, "name", "trigger", "once_per_lead", "match"))
        if self.no_reply_after_seconds is not strawberry.UNSET:
            changes["no_reply_after_s"] = self.no_reply_after_seconds
        if self.conditions is not strawberry.UNSET:
            changes["conditions"] = conditions_of(self.conditions or ())
        if self.actions is not strawberry.UNSET:
            changes["actions"] = actions_of(self.actions or ())
        return changes


@strawberry.input(description="The switch of an automation.")
class SetAutomationEnabledInput:
    id: strawberry.ID = strawberry.field(description="The automation.")
    enabled: bool = strawberry.field(
        description="True: it acts on what happens from now on. False: also what waits or is under way stops before "
        "its next action."
    )


@strawberry.input(description="Which automation.")
class AutomationIdInput:
    id: strawberry.ID = strawberry.field(description="The automation.")


@strawberry.type
class AutomationsMutation:
    @mutation(
        requires=Role.ADMIN,
        description="Makes an automation. All that is wrong with it is told at once, each thing at its path.",
    )
    async def create_automation(self, info: Info, input: CreateAutomationInput) -> AutomationPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await automation_use_cases(work, info.context.settings, actor).create_automation(
                name=input.name, draft=input.draft, enabled=input.enabled
            )
        return AutomationPayload(automation=await load_automation(info.context, id))

    @mutation(
        requires=Role.ADMIN,
        description="Changes an automation, which makes a version; what has begun goes on by the one it began with.",
    )
    async def update_automation(self, info: Info, input: UpdateAutomationInput) -> AutomationPayload:
        actor, id = info.context.signed_in, parse_id(input.id) or NO_ID
        errors = []
        try:
            async with info.context.doors.open_work(actor.workspace_id, actor) as work:
                use_cases = automation_use_cases(work, info.context.settings, actor)
                await use_cases.update_automation(id, input.changes, version=input.version)
        except AutomationStale as stale:
            errors = [user_error(stale)]
        return AutomationPayload(automation=await load_automation(info.context, id), errors=errors)

    @mutation(
        requires=Role.ADMIN,
        description="Switches an automation on or off. What waits or is under way when it is switched off is canceled "
        "at once, but for an action that is being done; switched on, it acts on what happens from then on.",
    )
    async def set_automation_enabled(self, info: Info, input: SetAutomationEnabledInput) -> AutomationPayload:
        actor, id = info.context.signed_in, parse_id(input.id) or NO_ID
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = automation_use_cases(work, info.context.settings, actor)
            await use_cases.set_automation_enabled(id, enabled=input.enabled)
        return AutomationPayload(automation=await load_automation(info.context, id))

    @mutation(
        requires=Role.ADMIN,
        description="Deletes an automation; it stops as when it is switched off. What it has done stays.",
    )
    async def delete_automation(self, info: Info, input: AutomationIdInput) -> DeletedPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = automation_use_cases(work, info.context.settings, actor)
            id = await use_cases.delete_automation(parse_id(input.id) or NO_ID)
        return DeletedPayload(deleted_ids=[strawberry.ID(str(id))])
