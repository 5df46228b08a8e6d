"""A rule over what has happened, with nothing done: how often it would have acted, at whom, what would be refused."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from app.automations.application.rules import RuleChecks
from app.automations.domain.automation import Automation
from app.automations.domain.checking import Draft
from app.automations.domain.errors import TooManyDays, TooMuchHistory
from app.automations.domain.facts import Facts
from app.automations.domain.judging import asks_for_text
from app.automations.domain.loops import loops_with
from app.automations.domain.replay import Course, Moment, PastChange, acted, course_of, met, within_rate
from app.automations.domain.rule import Action, ActionKind, Rule
from app.common.domain import Refusals, SalesPadError

MAX_DAYS = 30
MAX_MOMENTS = 100_000
"""Of one dry run: it has to answer while somebody waits."""
CHUNK = 2_000
"""Leads that are asked together."""
SAMPLES = 5
NO_AUTOMATION = UUID(int=0)


class History(Protocol):
    """What has happened, and how things stand, of one snapshot."""

    async def moments(self, rule: Rule, *, days: int, limit: int) -> Sequence[Moment]:
        """In their order, of leads that may be gone by now; at most one more than the limit."""

    async def changes(
        self, rule: Rule, lead_ids: Sequence[UUID], since: datetime
    ) -> Mapping[UUID, Sequence[PastChange]]:
        """Of these leads, since then, in their order: what the rule's conditions ask of."""

    async def facts(self, lead_ids: Sequence[UUID]) -> Mapping[UUID, Facts]:
        """As of now, of those that are there."""

    async def texts(self, message_ids: Sequence[UUID]) -> Mapping[UUID, str | None]: ...

    async def refusals(self, action: Action, lead_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Why what the action sends would be refused, of those leads where it would."""

    async def rules(self) -> Mapping[UUID, Rule]:
        """Of the automations that are switched on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    would_fire: int
    leads: int
    sends: int
    blocked: Mapping[str, int]
    """Refused messages, by reason."""
    loops_with: Sequence[UUID]
    samples: Sequence[UUID]
    """Leads, the last ones first."""


@dataclass
class _Asked:
    """What came of it so far."""

    moments: list[Moment] = field(default_factory=list)
    courses: dict[UUID, Course] = field(default_factory=dict)


@dataclass(frozen=True)
class DryRunUseCases:
    history: History
    checks: RuleChecks
    runs_per_hour: int
    """Of one rule."""
    most: int = MAX_MOMENTS

    async def dry_run_automation(self, *, name: str, draft: Draft, days: int) -> DryRun:
        """Of what could be made an automation. Raises as `create_automation` does, and as `replay`."""
        with _told_beneath("automation"):
            automation, _ = Automation.create(NO_AUTOMATION, name=name, draft=draft, enabled=False)
            await self.checks.check(automation.rule)
        return await self.replay(automation.rule, days=days)

    async def replay(self, rule: Rule, *, days: int) -> DryRun:
        """Raises TooManyDays, TooMuchHistory, DryRunUnderWay."""
        if not 1 <= days <= MAX_DAYS:
            raise TooManyDays(MAX_DAYS)
        moments = await self.history.moments(rule, days=days, limit=self.most)
        if len(moments) > self.most:
            raise TooMuchHistory(self.most)
        of_leads: dict[UUID, list[Moment]] = defaultdict(list)
        for moment in moments:
            of_leads[moment.lead_id].append(moment)
        lead_ids, asked = list(of_leads), _Asked()
        changes = await self.history.changes(rule, lead_ids, moments[0].at) if moments else {}
        for start in range(0, len(lead_ids), CHUNK):
            chunk = {id: of_leads[id] for id in lead_ids[start : start + CHUNK]}
            await self._ask(rule, chunk, changes, asked)
        fired = within_rate(sorted(asked.moments, key=lambda moment: moment.at), self.runs_per_hour)
        return _told(fired, asked.courses, loops_with(rule, await self.history.rules()))

    async def _ask(
        self,
        rule: Rule,
        of_leads: Mapping[UUID, Sequence[Moment]],
        changes: Mapping[UUID, Sequence[PastChange]],
        asked: _Asked,
    ) -> None:
        facts = await self.history.facts(list(of_leads))
        texts: Mapping[UUID, str | None] = {}
        if asks_for_text(rule):
            ids = [one.message_id for id in facts for one in of_leads[id] if one.message_id]
            texts = await self.history.texts(ids)
        found = {id: met(rule, facts[id], of_leads[id], changes.get(id, ()), texts) for id in facts}
        found = {id: moments for id, moments in found.items() if moments}
        refusals: dict[UUID, dict[Action, str]] = defaultdict(dict)
        for action in {one for one in rule.actions if one.kind is ActionKind.SEND_TEMPLATE}:
            for id, reason in (await self.history.refusals(action, list(found))).items():
                refusals[id][action] = reason
        for id, moments in found.items():
            asked.courses[id] = course = course_of(rule.actions, refusals.get(id, {}))
            asked.moments.extend(acted(rule, moments, course.lasts))


@contextmanager
def _told_beneath(field: str) -> Iterator[None]:
    """What is refused in here stands in this field of the input."""
    try:
        yield
    except SalesPadError as refusal:
        for one in refusal.refusals if isinstance(refusal, Refusals) else (refusal,):
            one.path = (field, *one.path)
        raise


def _told(fired: Sequence[Moment], courses: Mapping[UUID, Course], loops: Sequence[UUID]) -> DryRun:
    times = Counter(moment.lead_id for moment in reversed(fired))
    blocked: Counter[str] = Counter()
    for id, count in times.items():
        if reason := courses[id].blocked:
            blocked[reason] += count
    return DryRun(
        would_fire=len(fired),
        leads=len(times),
        sends=sum(courses[id].sends * count for id, count in times.items()),
        blocked=blocked,
        loops_with=loops,
        samples=list(times)[:SAMPLES],
    )
