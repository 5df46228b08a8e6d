"""dryRunAutomation: what a rule would have done."""

from collections.abc import Sequence
from uuid import UUID

import strawberry

from app.automations.application import dry_run
from app.automations.application.dry_run import MAX_DAYS, MAX_MOMENTS
from app.automations.presentation.rules import CreateAutomationInput
from app.automations.presentation.types import Automation
from app.automations.wiring import dry_run_use_cases
from app.common.domain import Role
from app.common.graphql import Info, Payload, mutation, nested
from app.leads.presentation.types import Lead
from app.outreach.presentation.types import Exclusion


@strawberry.type(
    description="What an automation would have done, by what has happened. Leads are asked as they stood then: their "
    "stages, tags, owners and engagement; texts and the score are those of now, and leads deleted by now are left out."
)
class DryRun:
    would_fire: int = strawberry.field(description="How often it would have acted.")
    leads: int = strawberry.field(description="At how many leads.")
    sends: int = strawberry.field(description="Messages that it would send, as things stand now.")
    blocked: list[Exclusion] = strawberry.field(
        description="Messages that it could not send, by reason: NO_ADDRESS, SUPPRESSED, MISSING_VARIABLE, "
        "NO_SUBJECT, ACCOUNT_DISCONNECTED. A run ends with the first of them. Quiet hours and daily limits put a "
        "message off: that is not counted."
    )
    loop_keys: strawberry.Private[Sequence[UUID]]
    sample_keys: strawberry.Private[Sequence[UUID]]

    @nested(
        description="Automations that are switched on, which this one could set off, straight or through others, and "
        "which could set it off again."
    )
    async def loops_with(self, info: Info) -> list[Automation]:
        found = await info.context.loader("automations").load_many(self.loop_keys)
        return [one for one in found if one is not None]

    @nested(description="Up to five leads it would have acted at, the last ones first.")
    async def samples(self, info: Info) -> list[Lead]:
        found = await info.context.loader("leads").load_many(self.sample_keys)
        return [one for one in found if one is not None]

    @classmethod
    def of(cls, found: dry_run.DryRun) -> "DryRun":
        blocked = sorted(found.blocked.items(), key=lambda one: (-one[1], one[0]))
        return cls(
            would_fire=found.would_fire,
            leads=found.leads,
            sends=found.sends,
            blocked=[Exclusion(reason=reason, count=count) for reason, count in blocked],
            loop_keys=found.loops_with,
            sample_keys=found.samples,
        )


@strawberry.type(description="The dry run.")
class DryRunPayload(Payload):
    dry_run: DryRun | None = strawberry.field(description="Null when it was refused.", default=None)


@strawberry.input(description="Which rule, over which time.")
class DryRunAutomationInput:
    automation: CreateAutomationInput = strawberry.field(
        description="The rule; `enabled` means nothing here."
    )
    days: int = strawberry.field(description=f"How many days back, 1 to {MAX_DAYS}.", default=MAX_DAYS)


@strawberry.type
class DryRunMutation:
    @mutation(
        requires=Role.ADMIN,
        description="What an automation would have done in the last days. Nothing is done, and nothing written. One at "
        f"a time in a workspace; of up to {MAX_MOMENTS:,} such events at leads, else it is LIMIT_REACHED: choose fewer "
        "days.",
    )
    async def dry_run_automation(self, info: Info, input: DryRunAutomationInput) -> DryRunPayload:
        workspace_id, given = info.context.signed_in.workspace_id, input.automation
        async with info.context.doors.open_reads(workspace_id, one_snapshot=True) as reads:
            use_cases = dry_run_use_cases(reads, info.context.settings, workspace_id)
            found = await use_cases.dry_run_automation(name=given.name, draft=given.draft, days=input.days)
        return DryRunPayload(dry_run=DryRun.of(found))
