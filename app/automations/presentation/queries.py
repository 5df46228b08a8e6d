"""Queries of automations, and what their types load."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import strawberry

from app.accounts.presentation.types import User
from app.accounts.wiring import list_members, member_by_id
from app.automations.domain.checking import KINDS_OF_FIELDS, ThingKind, references
from app.automations.domain.reasons import DEFAULT_LOCALE, FailedOn, told, warning
from app.automations.domain.rule import Rule
from app.automations.domain.run import RunReason
from app.automations.presentation.types import (
    Automation,
    AutomationRunConnection,
    AutomationStep,
)
from app.automations.wiring import (
    WantedRuns,
    automations_by_id,
    list_automations,
    names_of_things,
    runs_of_automations,
    steps_of_runs,
)
from app.common.domain import Role
from app.common.graphql import Context, Id, Info, parse_id, query
from app.common.work import Reads
from app.leads.presentation.types import Stage
from app.leads.wiring import list_stages
from app.tags.presentation.types import Tag
from app.tags.wiring import list_tags


@strawberry.type
class AutomationsQuery:
    @query(requires=Role.VIEWER, description="The workspace's automations, by name.")
    async def automations(self, info: Info) -> list[Automation]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            return [Automation.of(row) for row in await list_automations(reads, workspace_id)]

    @query(requires=Role.VIEWER, description="An automation by its id; null when there is none.")
    async def automation(self, info: Info, id: Id) -> Automation | None:
        key = parse_id(id)
        return await load_automation(info.context, key) if key else None


async def load_automation(context: Context, id: UUID) -> Automation | None:
    """None where it was deleted."""
    found = (await load_automations(context, [id]))[0]
    return found if found and not found.is_deleted else None


async def load_automations(context: Context, ids: Sequence[UUID]) -> list[Automation | None]:
    """In the order of `ids`, deleted ones too; None for unknown ones."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        rows = await automations_by_id(reads, workspace_id, ids)
    return [Automation.of(rows[str(id)]) if str(id) in rows else None for id in ids]


async def load_runs(context: Context, wanted: list[WantedRuns]) -> list[AutomationRunConnection]:
    """Batches `Automation.runs`."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        pages = await runs_of_automations(reads, workspace_id, wanted)
    return [AutomationRunConnection.of(one, page) for one, page in zip(wanted, pages, strict=True)]


async def load_steps(context: Context, run_ids: list[UUID]) -> list[list[AutomationStep]]:
    """Batches `AutomationRun.steps`."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        found = await steps_of_runs(reads, workspace_id, run_ids)
    return [[AutomationStep.of(row) for row in found[id]] for id in run_ids]


async def load_reasons(context: Context, wanted: list[tuple[RunReason, FailedOn | None]]) -> list[str]:
    """Batches `AutomationRun.reason`."""
    workspace_id = context.signed_in.workspace_id
    asked = {key for _, failed_on in wanted if failed_on and (key := _thing_of(failed_on))}
    async with context.doors.open_reads(workspace_id) as reads:
        names = await names_of_things(reads, workspace_id, asked)
        locale = await _locale(reads, context)
    return [told(reason, locale, failed_on and _named(failed_on, names)) for reason, failed_on in wanted]


def _thing_of(failed_on: FailedOn) -> tuple[ThingKind, UUID] | None:
    kind, value = KINDS_OF_FIELDS.get(failed_on.condition.field), failed_on.condition.value
    return (kind, UUID(value)) if kind and value else None


def _named(failed_on: FailedOn, names: Mapping[tuple[ThingKind, UUID], str]) -> FailedOn:
    key = _thing_of(failed_on)
    return replace(failed_on, name=names.get(key)) if key else failed_on


async def load_warnings(context: Context, rules: list[Rule]) -> list[list[str]]:
    """Batches `Automation.warnings`."""
    workspace_id = context.signed_in.workspace_id
    spoken_of = [references(rule) for rule in rules]
    asked = {(one.kind, one.id) for ones in spoken_of for one in ones}
    async with context.doors.open_reads(workspace_id) as reads:
        there = await names_of_things(reads, workspace_id, asked)
        locale = await _locale(reads, context) if len(there) < len(asked) else DEFAULT_LOCALE
    return [[warning(one, locale) for one in ones if (one.kind, one.id) not in there] for ones in spoken_of]


async def _locale(reads: Reads, context: Context) -> str:
    actor = context.signed_in
    viewer = await member_by_id(reads, actor.workspace_id, actor.user_id)
    return str(viewer["locale"]) if viewer else DEFAULT_LOCALE


Thing = Tag | Stage | User


async def load_things(context: Context, wanted: list[tuple[ThingKind, UUID]]) -> list[Thing | None]:
    """Batches what actions speak of: tags, stages and members; None for what is gone."""
    workspace_id, kinds = context.signed_in.workspace_id, {kind for kind, _ in wanted}
    found: dict[tuple[ThingKind, str], Thing] = {}
    async with context.doors.open_reads(workspace_id) as reads:
        for kind in kinds:
            for row in await _rows(reads, workspace_id, kind):
                found[kind, row["id"]] = _thing(kind, row)
    return [found.get((kind, str(id))) for kind, id in wanted]


async def _rows(reads: Reads, workspace_id: UUID, kind: ThingKind) -> list[Any]:
    """All that there are: short lists."""
    if kind is ThingKind.TAG:
        return await list_tags(reads, workspace_id)
    if kind is ThingKind.STAGE:
        return await list_stages(reads, workspace_id)
    return await list_members(reads, workspace_id)


def _thing(kind: ThingKind, row: Any) -> Thing:
    if kind is ThingKind.TAG:
        return Tag.of(row)
    if kind is ThingKind.STAGE:
        return Stage.of(row)
    return User(id=row["id"], name=row["name"], email=row["email"], locale=row["locale"])
