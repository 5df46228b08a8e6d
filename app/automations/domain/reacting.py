"""What a batch of events starts: for each rule, lead and event one run, or a SKIPPED one that says why not.

The events of a batch are judged in their order, so the second of two that fire one rule at one lead finds it running.
The guards stop what conditions would have let through, in this order: loops, once per lead (or per episode), one at a
time, storms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from app.automations.domain.facts import Facts, MessageFacts
from app.automations.domain.judging import Happened, failed_condition, triggers_of, with_event
from app.automations.domain.rule import EnabledRule, Trigger
from app.automations.domain.run import LEAD_RUNS_PER_HOUR, MAX_DEPTH, RunReason


class Numbered(Happened, Protocol):
    """An event with its place in the feed."""

    @property
    def seq(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def at(self) -> datetime: ...


@dataclass(slots=True, kw_only=True)
class Standing:
    """A rule at a lead, as far as its runs go: before the batch, and event by event."""

    is_live: bool = False
    has_acted: bool = False
    """Ever; a run that was skipped, or canceled before it began, does not count."""
    last_hour: int = 0
    """Runs of the last hour, those that were skipped left out."""
    armed_id: UUID | None = None
    """Of NO_REPLY: the live run, which waits for its time in the conversation `armed_in`."""
    armed_in: UUID | None = None
    has_acted_in: set[UUID] = field(default_factory=set)
    """Of NO_REPLY: conversations in which it has acted since the lead answered last."""


@dataclass(slots=True, kw_only=True)
class NewRun:
    automation_id: UUID
    version_id: UUID
    lead_id: UUID
    trigger_seq: int
    depth: int
    is_bulk: bool
    conversation_id: UUID | None
    message_id: UUID | None
    reason: RunReason | None = None
    """None: it is live."""
    condition: int | None = None
    run_at: datetime | None = None
    """None: now."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A run of NO_REPLY waits anew: the clock begins with a later message."""

    run_id: UUID
    version_id: UUID
    trigger_seq: int
    message_id: UUID
    run_at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """An event that concerns a rule."""

    rule: EnabledRule
    event: Numbered
    message: MessageFacts | None

    @property
    def lead_ids(self) -> Sequence[UUID]:
        return self.event.entity_ids if self.message is None else [self.message.lead_id]


def cases_of(
    rules: Sequence[EnabledRule], events: Sequence[Numbered], messages: Mapping[UUID, MessageFacts]
) -> list[Case]:
    """In the events' order. What happened before a rule was switched on, or got its trigger, is not its."""
    by_trigger: dict[Trigger, list[EnabledRule]] = {}
    for rule in rules:
        by_trigger.setdefault(rule.rule.trigger, []).append(rule)
    cases = []
    for event in events:
        message = messages.get(event.entity_ids[0]) if event.name.startswith("message.") else None
        triggers = triggers_of(event, message)
        cases += [
            Case(rule, event, message)
            for trigger in Trigger
            if trigger in triggers
            for rule in by_trigger.get(trigger, ())
            if event.at > rule.enabled_at
        ]
    return cases


@dataclass(slots=True, kw_only=True)
class Docket:
    """The cases of one batch, and what becomes of them."""

    standings: dict[tuple[UUID, UUID], Standing]
    """By automation and lead; who is missing has no runs."""
    this_hour: dict[UUID, int]
    """Runs of each automation, since the hour began."""
    runs_per_hour: int
    runs: list[NewRun] = field(default_factory=list)
    moves: dict[UUID, Moved] = field(default_factory=dict)
    _armed: dict[tuple[UUID, UUID], NewRun] = field(default_factory=dict)

    def judge(self, case: Case, facts: Mapping[UUID, Facts]) -> None:
        """`facts` of the leads that are live: of the others there is nothing to say."""
        for lead_id in case.lead_ids:
            if (known := facts.get(lead_id)) is None:
                continue
            if case.rule.rule.trigger is Trigger.NO_REPLY:
                assert case.message is not None
                self._await_reply(case, case.message)
                continue
            failed = failed_condition(case.rule.rule, with_event(known, case.event, case.message))
            if failed is not None:
                self._skip(case, lead_id, RunReason.CONDITION, failed.index)
            else:
                self._start(case, lead_id)

    def _await_reply(self, case: Case, message: MessageFacts) -> None:
        """Its conditions are judged once the time has come."""
        standing = self._standing(case, message.lead_id)
        if message.is_answered:
            self._skip(case, message.lead_id, RunReason.EPISODE_ENDED)
        elif standing.is_live and standing.armed_in == message.conversation_id:
            self._wait_anew(case, message, standing)
        elif message.conversation_id in standing.has_acted_in:
            self._skip(case, message.lead_id, RunReason.ONCE_PER_EPISODE)
        elif (run := self._start(case, message.lead_id)) is not None:
            run.run_at = _due(case, message)
            standing.armed_in = message.conversation_id
            self._armed[case.rule.automation_id, message.lead_id] = run

    def _wait_anew(self, case: Case, message: MessageFacts, standing: Standing) -> None:
        """Never earlier than it did, by the same version: of two messages the one that left later counts."""
        due = _due(case, message)
        if standing.armed_id is not None:
            before = self.moves.get(standing.armed_id)
            if before is None or before.run_at < due:
                self.moves[standing.armed_id] = Moved(
                    standing.armed_id, case.rule.version_id, case.event.seq, message.id, due
                )
            return
        run = self._armed[case.rule.automation_id, message.lead_id]
        if run.run_at is None or run.run_at < due:
            run.run_at, run.message_id, run.trigger_seq = due, message.id, case.event.seq

    def _start(self, case: Case, lead_id: UUID) -> NewRun | None:
        """None: a guard stands before it."""
        standing, automation_id = self._standing(case, lead_id), case.rule.automation_id
        guard = self._guard(case, standing)
        if guard is not None:
            self._skip(case, lead_id, guard)
            return None
        standing.is_live = True
        standing.last_hour += 1
        self.this_hour[automation_id] = self.this_hour.get(automation_id, 0) + 1
        return self._add(case, lead_id)

    def _guard(self, case: Case, standing: Standing) -> RunReason | None:
        if case.event.depth >= MAX_DEPTH:
            return RunReason.LOOP_GUARD
        if case.rule.rule.once_per_lead and standing.has_acted:
            return RunReason.ONCE_PER_LEAD
        if standing.is_live:
            return RunReason.ALREADY_RUNNING
        if standing.last_hour >= LEAD_RUNS_PER_HOUR:
            return RunReason.RATE_GUARD
        if self.this_hour.get(case.rule.automation_id, 0) >= self.runs_per_hour:
            return RunReason.RATE_GUARD
        return None

    def _standing(self, case: Case, lead_id: UUID) -> Standing:
        return self.standings.setdefault((case.rule.automation_id, lead_id), Standing())

    def _skip(self, case: Case, lead_id: UUID, reason: RunReason, condition: int | None = None) -> None:
        run = self._add(case, lead_id)
        run.reason, run.condition = reason, condition

    def _add(self, case: Case, lead_id: UUID) -> NewRun:
        run = NewRun(
            automation_id=case.rule.automation_id,
            version_id=case.rule.version_id,
            lead_id=lead_id,
            trigger_seq=case.event.seq,
            depth=case.event.depth,
            is_bulk=len(case.event.entity_ids) > 1,
            conversation_id=case.message.conversation_id if case.message else None,
            message_id=case.message.id if case.message else None,
        )
        self.runs.append(run)
        return run


def _due(case: Case, message: MessageFacts) -> datetime:
    after_s = case.rule.rule.no_reply_after_s
    assert after_s is not None
    return message.sent_at + timedelta(seconds=after_s)
