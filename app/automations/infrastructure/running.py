"""Carries runs out: those of one version that are at the same action act together, one transaction an action for all.

Each transaction holds the runs by their tokens, then the rule: what was switched off or deleted acts no more, whatever
was claimed before. Where a group fails, its runs act one by one. Who was claimed before in vain acts alone, behind the
others, and is counted as its turn comes: one that cannot be carried out fails alone, also if it kills its worker.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import text

from app.automations.domain.events import AutomationTriggered
from app.automations.domain.rule import Action, ActionKind, Rule, Trigger, rule_of
from app.automations.domain.run import RunReason, RunStatus
from app.automations.infrastructure.acting import GONE, Turn, act, failed_for_all, is_there, send
from app.automations.infrastructure.episodes import (
    Armed,
    Unfit,
    answered_since,
    hold_conversations,
    unfit_to_begin,
)
from app.automations.infrastructure.receipts import (
    Receipt,
    begin_runs,
    end_runs,
    give_up_run,
    put_off,
    write_receipts,
)
from app.automations.infrastructure.runs import RunClaim, count_attempt, hold_runs
from app.common import tracing
from app.common.database import Statement
from app.common.feed_log import Cause
from app.common.leases import BACKOFF_S, Claim, LostLease
from app.common.work import Doors, Unavailable, Work
from app.conversations.wiring import NotNow
from app.leads.domain.timeline import InteractionType
from app.leads.wiring import hold_live_leads, write_by_rule
from app.settings import Settings

Fail: TypeAlias = Callable[[Claim, Exception], Awaitable[None]]
OUTAGE_WAIT_S = 0.5
NO_WORKER = f"No worker outlived it in {len(BACKOFF_S)} attempts."
HOLD_RULE = Statement(
    text(
        """
        SELECT a.name, a.enabled AND a.deleted_at IS NULL AS is_enabled, a.stopped_at, v.rule::text AS rule
        FROM automation a
            JOIN automation_version v ON (v.workspace_id, v.automation_id) = (a.workspace_id, a.id)
        WHERE a.workspace_id = cast(:workspace_id as uuid) AND a.id = cast(:automation_id as uuid)
            AND v.id = cast(:version_id as uuid)
        FOR SHARE OF a
        """
    )
)


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one version at one position, of causes of one depth."""

    claims: Sequence[RunClaim]
    position: int

    @property
    def first(self) -> RunClaim:
        return self.claims[0]

    def of(self, claims: Sequence[RunClaim], position: int | None = None) -> "Group":
        return Group(claims, self.position if position is None else position)


@dataclass(frozen=True, slots=True)
class Opened:
    """A group's transaction, once its runs and its rule are held."""

    group: Group
    name: str
    rule: Rule
    runs: Mapping[UUID, asyncpg.Record]
    """Those that are still in these hands and may act, by their ids."""
    is_target_there: bool = True

    @property
    def workspace_id(self) -> UUID:
        return self.group.first.workspace_id

    @property
    def action(self) -> Action:
        return self.rule.actions[self.group.position]

    @property
    def claims(self) -> list[RunClaim]:
        return self.claims_of(self.runs)

    @property
    def turn(self) -> Turn:
        leads = {id: row["lead_id"] for id, row in self.runs.items()}
        return Turn(self.workspace_id, self.group.first.automation_id, self.claims, leads)

    def claims_of(self, ids: Collection[UUID]) -> list[RunClaim]:
        return [one for one in self.group.claims if one.id in ids]

    def without(self, ids: Collection[UUID]) -> "Opened":
        return replace(self, runs={id: row for id, row in self.runs.items() if id not in ids})


class Runner:
    """One a worker process."""

    def __init__(self, settings: Settings) -> None:
        self._lease_s = settings.automation_lease_s

    async def run_all(
        self, doors: Doors, claims: Sequence[Claim], is_stopping: Callable[[], bool], fail: Fail
    ) -> int:
        """Carries on with claimed runs until they wait, end, or the time for it is over; how many they were.

        `fail` ends an attempt that failed. Raises Unavailable.
        """
        until = asyncio.get_running_loop().time() + self._lease_s / 2
        carrying = Carrying(doors, until, is_stopping, fail)
        groups = iter(groups_of(claims))
        try:
            for group in groups:
                with tracing.span("automation", version=str(group.first.version_id), runs=len(group.claims)):
                    await carrying.carry(group)
        except Unavailable:
            with suppress(Unavailable):  # to others the database may answer
                for group in groups:
                    await carrying.give_back(group)
            raise
        return len(claims)


@dataclass(frozen=True, slots=True)
class Carrying:
    """What was claimed at once, in one lane's hands until a moment by the loop's clock."""

    doors: Doors
    until: float
    is_stopping: Callable[[], bool]
    fail: Fail

    @property
    def is_over(self) -> bool:
        return self.is_stopping() or asyncio.get_running_loop().time() > self.until

    async def carry(self, group: Group) -> None:
        """Action after action, as long as runs are left in these hands."""
        if group.first.attempt > len(BACKOFF_S):  # nobody said why: it takes its worker with it
            with suppress(LostLease):
                await give_up(self.doors, group.first, NO_WORKER)
            return
        while group.claims:
            if self.is_over:
                await self.give_back(group)
                return
            try:
                group = await self._through_outages(group)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - a run's bug becomes its state, with a reason
                await self._one_by_one(group, error)
                return

    async def _one_by_one(self, group: Group, error: Exception) -> None:
        """So that it is known whose the error is."""
        if len(group.claims) == 1:
            await self.fail(group.first, error)
            return
        for one in group.claims:
            await self.carry(group.of([one]))

    async def _through_outages(self, group: Group) -> Group:
        """While the leases may still be ours an outage is waited out; past them the tokens say so."""
        while True:
            try:
                return await self._next(group)
            except Unavailable:
                if self.is_over:
                    raise
                await asyncio.sleep(OUTAGE_WAIT_S)

    async def _next(self, group: Group) -> Group:
        """One action, in one transaction, or of sends one each; those that are left, where they stand then."""
        if group.first.attempt > 1:
            async with self.doors.open_work(group.first.workspace_id) as work:
                await count_attempt(work, group.first)
        async with self.doors.open_work(group.first.workspace_id, plans_once=True) as work:
            opened = await self._open(work, group)
            if opened is None:
                return group.of([])
            kind = opened.action.kind
            if kind is ActionKind.CALL_WEBHOOK:
                await put_off(
                    work, group.first.workspace_id, group.position, opened.claims, is_call=True, is_begun=True
                )
                return group.of([])
            if kind is not ActionKind.SEND_TEMPLATE:
                return await _done(work, opened)
            if len(opened.claims) == 1:
                return await _sent(work, opened)
            await begin_runs(work, group.first.workspace_id, group.position, opened.claims)
        return await self._send_each(group.of(opened.claims))

    async def _send_each(self, group: Group) -> Group:
        """Those that are left behind it. What fails, fails alone; what nobody gets to is given back."""
        left: list[RunClaim] = []
        for number, one in enumerate(group.claims):
            if self.is_over:
                await self.give_back(group.of(group.claims[number:]))
                break
            try:
                left += (await self._through_outages(group.of([one]))).claims
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - as in `carry`
                await self.fail(one, error)
        return group.of(left, group.position + 1)

    async def give_back(self, group: Group) -> None:
        """This was no attempt."""
        workspace_id = group.first.workspace_id
        async with self.doors.open_work(workspace_id) as work:
            held = await hold_runs(work, workspace_id, group.claims)
            if left := [one for one in group.claims if one.id in held]:
                await put_off(work, workspace_id, group.position, left, attempts=group.first.attempt - 1)

    async def _open(self, work: Work, group: Group) -> Opened | None:
        """Holds what the turn is about, ends those that act no more, begins the others; None: nobody is left."""
        first = group.first
        held = await hold_runs(work, first.workspace_id, group.claims)
        if not held:
            return None
        row = await work.fetch_one(
            HOLD_RULE,
            workspace_id=first.workspace_id,
            automation_id=first.automation_id,
            version_id=first.version_id,
        )
        assert row is not None, "a run's foreign keys keep its rule"
        work.by_automation = True
        work.cause = Cause(max(one["trigger_seq"] for one in held.values()), first.depth)
        opened = Opened(group, row["name"], rule_of(orjson.loads(row["rule"])), held)
        opened = await _without_stopped(work, opened, row)
        if group.position >= len(opened.rule.actions):  # a wait was its last
            await _end(work, opened, opened.runs, RunStatus.SUCCEEDED)
            return None
        if not opened.runs:
            return None
        opened = replace(opened, is_target_there=await is_there(work, first.workspace_id, opened.action))
        opened = await _without_deleted(work, opened)
        opened = await _without_answered(work, opened)
        if not opened.runs:
            return None
        await _begin(work, opened)
        return opened


async def _without_stopped(work: Work, opened: Opened, rule: asyncpg.Record) -> Opened:
    stopped = {
        id
        for id, row in opened.runs.items()
        if not rule["is_enabled"]
        or (rule["stopped_at"] is not None and rule["stopped_at"] > row["created_at"])
    }
    await _end(work, opened, stopped, RunStatus.CANCELED, RunReason.DISABLED)
    return opened.without(stopped)


async def _without_deleted(work: Work, opened: Opened) -> Opened:
    live = await hold_live_leads(work, opened.workspace_id, opened.turn.lead_ids)
    dead = {id for id, row in opened.runs.items() if row["lead_id"] not in live}
    await _end(work, opened, dead, RunStatus.CANCELED, RunReason.LEAD_DELETED)
    return opened.without(dead)


async def _without_answered(work: Work, opened: Opened) -> Opened:
    """Of NO_REPLY: the situation that armed them still holds. Before their first action all of it is asked, also of
    those that quiet hours put off; what has acted ends with the silence."""
    if opened.rule.trigger is not Trigger.NO_REPLY or not opened.runs:
        return opened
    runs = [
        Armed(id, row["lead_id"], row["conversation_id"], row["message_id"])
        for id, row in opened.runs.items()
    ]
    await hold_conversations(work, opened.workspace_id, runs)
    if opened.group.position:
        answered = await answered_since(work, opened.workspace_id, runs)
        unfit = dict.fromkeys(answered, Unfit(RunReason.EPISODE_ENDED))
    else:
        unfit = await unfit_to_begin(work, opened.workspace_id, opened.rule, runs)
    alike: dict[tuple[Unfit, bool], set[UUID]] = defaultdict(set)
    for id, found in unfit.items():
        alike[found, opened.runs[id]["started_at"] is not None].add(id)
    for (found, has_begun), ids in alike.items():
        if found.reason is None:
            position, claims = opened.group.position, opened.claims_of(ids)
            await put_off(work, opened.workspace_id, position, claims, until=found.until)
        else:
            status = RunStatus.CANCELED if has_begun else RunStatus.SKIPPED
            await _end(work, opened, ids, status, found.reason, condition=found.condition)
    return opened.without(unfit)


async def _begin(work: Work, opened: Opened) -> None:
    """Of those that have not begun: said on their timelines, and told once for all of them."""
    leads = sorted(row["lead_id"] for row in opened.runs.values() if row["started_at"] is None)
    if not leads:
        return
    entry, cause = InteractionType.AUTOMATION, opened.turn.cause
    await write_by_rule(work, opened.workspace_id, leads, entry, opened.name, cause=cause)
    after: dict[str, object] = {"runs": len(leads)}
    if len(leads) == 1:
        after["leadId"] = str(leads[0])
    work.announce(AutomationTriggered(entity_ids=[opened.group.first.automation_id], after=after))


async def _end(
    work: Work,
    opened: Opened,
    ids: Collection[UUID],
    status: RunStatus,
    reason: RunReason | None = None,
    *,
    condition: int | None = None,
) -> None:
    if ids:
        position, claims = opened.group.position, opened.claims_of(ids)
        await end_runs(work, opened.workspace_id, position, claims, status, reason, condition=condition)


async def _done(work: Work, opened: Opened) -> Group:
    """An action for all of them; those that go on."""
    if opened.is_target_there:
        receipts = await act(work, opened.turn, opened.action)
    else:
        receipts = failed_for_all(opened.turn, GONE[opened.action.kind])
    return await _written(work, opened, receipts)


async def _sent(work: Work, opened: Opened) -> Group:
    """A send, of one of them; it waits where it may not be sent now."""
    position, claims = opened.group.position, opened.claims
    is_silence = opened.rule.trigger is Trigger.NO_REPLY
    receipt = await send(work, opened.turn, opened.action, position, stops_on_reply=is_silence)
    if isinstance(receipt, NotNow):
        await put_off(work, opened.workspace_id, position, claims, until=receipt.until, is_begun=True)
        return opened.group.of([])
    return await _written(work, opened, [receipt])


async def _written(work: Work, opened: Opened, receipts: Sequence[Receipt]) -> Group:
    position = opened.group.position
    is_kept = await write_receipts(work, opened.workspace_id, opened.rule, position, receipts, is_kept=True)
    has_failed = {one.claim.id for one in receipts if one.reason is not None}
    left = [replace(one, attempt=1) for one in opened.claims if one.id not in has_failed] if is_kept else []
    return opened.group.of(left, position + 1)


async def give_up(doors: Doors, claim: Claim, error: str) -> None:
    """Ends one that cannot be carried out; what it did stays. Raises LostLease."""
    async with doors.open_work(claim.workspace_id) as work:
        await give_up_run(work, claim, error)


def groups_of(claims: Sequence[Claim]) -> list[Group]:
    """Those that act together, in the order of the claims. Who was claimed before in vain is alone, and comes after who
    was less often."""
    found: dict[tuple[object, ...], list[RunClaim]] = defaultdict(list)
    for one in claims:
        assert isinstance(one, RunClaim)
        alone = one.id if one.attempt > 1 else None
        found[one.workspace_id, one.version_id, one.position, one.depth, alone].append(one)
    return [
        Group(together, together[0].position)
        for together in sorted(found.values(), key=lambda claims: claims[0].attempt)
    ]
