"""GraphQL types of automations and their runs."""

from datetime import datetime
from uuid import UUID

import asyncpg
import orjson
import strawberry

from app.automations.domain.reasons import FailedOn
from app.automations.domain.rule import ActionKind, ConditionField, ConditionOp, Match, Rule, Trigger, rule_of
from app.automations.domain.rule import Condition as RuleCondition
from app.automations.domain.run import RunReason, RunStatus, StepResult
from app.automations.presentation.rules import Action, Condition, action_of
from app.automations.wiring import WantedRuns
from app.common.graphql import (
    After,
    First,
    Info,
    PageInfo,
    Payload,
    enum_type,
    nested,
    page_info,
    page_size,
    still_there,
)
from app.common.paging import Keyset, Page
from app.common.scalars import JSON
from app.common.sharing import VIEWERS_OWN
from app.leads.presentation.types import Lead

LIST = "automation-runs"
REASONS = ", ".join(one.value for one in RunReason)

enum_type(
    RunStatus,
    "Where a run stands.",
    RUNNING="In a worker's hands.",
    WAITING="For its turn, its time (`waitsUntil`), or an answer that may come.",
    SUCCEEDED="All its actions are done.",
    FAILED="An action could not be done: `reason` says why. What came before it stays.",
    SKIPPED="It did nothing: `reason` says why.",
    CANCELED="It was stopped: `reason` says why. What it has done stays.",
)


@strawberry.type(description="One action of a run that is done, or has failed.")
class AutomationStep:
    position: int = strawberry.field(description="Which action, from 0.")
    action: str = strawberry.field(
        description=f"What kind of action: {', '.join(one.value for one in ActionKind)}."
    )
    result: str = strawberry.field(
        description=f"What came of it: {', '.join(one.value for one in StepResult)}. UNCHANGED: it was so already. "
        "SENT: it is among what is to be sent; what becomes of it there, the message says. WAITED: the wait began."
    )
    detail: JSON = strawberry.field(
        description="Ids, codes and numbers that belong to it, such as the message's id or the answer's status."
    )
    at: datetime = strawberry.field(description="When.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> "AutomationStep":
        return cls(
            position=row["position"],
            action=row["action"],
            result=row["result"],
            detail=row["detail"],
            at=row["at"],
        )


@strawberry.type(description="One rule at one lead, because of one event.")
class AutomationRun:
    id: strawberry.ID = strawberry.field(description="Its id.")
    status: RunStatus = strawberry.field(description="Where it stands.")
    started_at: datetime = strawberry.field(
        description="When it began to act; before that, and where it never does, when it was set off."
    )
    finished_at: datetime | None = strawberry.field(description="When it ended.")
    waits_until: datetime | None = strawberry.field(
        description="Of one that is WAITING: when it goes on, at the earliest."
    )
    key: strawberry.Private[UUID]
    lead_key: strawberry.Private[UUID]
    why: strawberry.Private[tuple[RunReason, FailedOn | None] | None]

    @nested(
        description="Why it was skipped, canceled or failed: a code, a colon, and what it means, in the viewer's "
        f"language. Codes: {REASONS}.",
        metadata=VIEWERS_OWN,
    )
    async def reason(self, info: Info) -> str | None:
        if self.why is None:
            return None
        found: str = await info.context.loader("automation_reasons").load(self.why)
        return found

    @nested(description="The lead; a deleted one has its `deletedAt`.")
    async def lead(self, info: Info) -> Lead:
        found: Lead | None = await info.context.loader("leads").load(self.lead_key)
        return still_there(found)

    @nested(description="What it has done, in order.")
    async def steps(self, info: Info) -> list[AutomationStep]:
        found: list[AutomationStep] = await info.context.loader("automation_steps").load(self.key)
        return found

    @classmethod
    def of(cls, row: asyncpg.Record) -> "AutomationRun":
        reason = RunReason(row["reason"]) if row["reason"] else None
        return cls(
            id=row["id"],
            status=RunStatus(row["status"]),
            started_at=row["started_at"] or row["created_at"],
            finished_at=row["finished_at"],
            waits_until=row["waits_until"],
            key=row["key"],
            lead_key=row["lead_id"],
            why=(reason, _failed_on(row, reason)) if reason else None,
        )


@strawberry.type(description="A run in a list.")
class AutomationRunEdge:
    cursor: str = strawberry.field(description="Its position: give it as `after`.")
    node: AutomationRun = strawberry.field(description="The run.")


@strawberry.type(description="A page of runs.")
class AutomationRunConnection:
    edges: list[AutomationRunEdge] = strawberry.field(description="The page's runs.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")

    @classmethod
    def of(cls, wanted: WantedRuns, page: Page[asyncpg.Record]) -> "AutomationRunConnection":
        cursors = [Keyset("", row["key"]).encode(_list_of(wanted.automation_id)) for row in page.rows]
        return cls(
            edges=[
                AutomationRunEdge(cursor=cursor, node=AutomationRun.of(row))
                for cursor, row in zip(cursors, page.rows, strict=True)
            ],
            page_info=page_info(page, cursors, after=str(wanted.after) if wanted.after else None),
        )


def runs_key(automation_id: str, first: int, after: str | None) -> WantedRuns:
    """What `load_runs` asks for. Raises Invalid, the top-level BAD_USER_INPUT."""
    id = UUID(automation_id)
    place = Keyset.decode(_list_of(id), after, str).id if after is not None else None
    return WantedRuns(id, page_size(first), place)


def _list_of(automation_id: UUID) -> str:
    """What a cursor is of: another automation's is refused."""
    return f"{LIST}/{automation_id}"


def _failed_on(row: asyncpg.Record, reason: RunReason | None) -> FailedOn | None:
    if reason is not RunReason.CONDITION or row["condition"] is None or row["failed_on"] is None:
        return None
    stored = orjson.loads(row["failed_on"])
    condition = RuleCondition(ConditionField(stored["field"]), ConditionOp(stored["op"]), stored["value"])
    return FailedOn(row["condition"], condition)


@strawberry.type(
    description="A rule: when something happens to a lead, and conditions hold, it acts. Each change of it makes a "
    "version, and what has begun goes on by the one it began with."
)
class Automation:
    id: strawberry.ID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="What people call it.")
    enabled: bool = strawberry.field(description="Whether it acts.")
    trigger: Trigger = strawberry.field(description="What it waits for.")
    no_reply_after_seconds: int | None = strawberry.field(
        description="Of the trigger NO_REPLY: how long it waits for an answer."
    )
    once_per_lead: bool = strawberry.field(description="Whether it acts at most once for each lead.")
    match: Match = strawberry.field(description="How its conditions go together.")
    conditions: list[Condition] = strawberry.field(description="What has to hold; none: it always acts.")
    actions: list[Action] = strawberry.field(description="What it does, in order.")
    version: int = strawberry.field(description="The newest version's number: give it back with an update.")
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it was changed, switched on or off last.")
    rule: strawberry.Private[Rule]
    is_deleted: strawberry.Private[bool]

    @nested(
        description="What keeps it from acting as it says, in the viewer's language: a tag, stage, template, member or "
        "account of it is gone.",
        metadata=VIEWERS_OWN,
    )
    async def warnings(self, info: Info) -> list[str]:
        found: list[str] = await info.context.loader("automation_warnings").load(self.rule)
        return found

    @nested(
        description="Its runs, newest first: each time that it was set off, with what it did or why it did not.",
    )
    async def runs(self, info: Info, first: First = 20, after: After = None) -> AutomationRunConnection:
        key = runs_key(self.id, first, after)
        found: AutomationRunConnection = await info.context.loader("automation_runs").load(key)
        return found

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Automation":
        rule = rule_of(orjson.loads(row["rule"]))
        return cls(
            id=row["id"],
            name=row["name"],
            enabled=row["enabled"],
            trigger=rule.trigger,
            no_reply_after_seconds=rule.no_reply_after_s,
            once_per_lead=rule.once_per_lead,
            match=rule.match,
            conditions=[Condition.of(one) for one in rule.conditions],
            actions=[action_of(one, row["webhook_secret"]) for one in rule.actions],
            version=row["version"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            rule=rule,
            is_deleted=row["deleted_at"] is not None,
        )


@strawberry.type(description="The automation as it is now.")
class AutomationPayload(Payload):
    automation: Automation | None = strawberry.field(
        description="Null when it was refused, but for a CONFLICT of versions.", default=None
    )
