"""Scoring: rules are saved, leads are scored as something happens to them, and all of them every night."""

from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.accounts.domain.audit import Author
from app.accounts.domain.ports import AuditLog
from app.common.domain import Announcer, Refusals
from app.leads.domain.scoring import (
    Exchanged,
    ScoreEventKind,
    ScoreRule,
    ValueNotFound,
    checked_rules,
    scored,
)


class ScoreRules(Protocol):
    async def hold(self, workspace_id: UUID) -> None:
        """Until the commit nobody else saves rules, and no lead is scored."""

    async def stages(self, workspace_id: UUID, ids: Sequence[UUID]) -> Set[UUID]:
        """Those of this workspace; they stay until the commit."""

    async def tags(self, workspace_id: UUID, ids: Sequence[UUID]) -> Set[UUID]: ...

    async def found(self, workspace_id: UUID, rules: Sequence[ScoreRule]) -> None:
        """A new workspace's rules, and its nightly sweep."""

    async def replace(self, workspace_id: UUID, rules: Sequence[ScoreRule]) -> None:
        """All leads are scored anew by a worker."""


class Scores(Protocol):
    """One workspace's."""

    async def hold_rules(self) -> None:
        """Until the commit nobody else scores leads, or saves rules."""

    async def outdated(self, lead_ids: Sequence[UUID]) -> Sequence[UUID]: ...

    async def hold(self, lead_ids: Sequence[UUID]) -> Sequence[UUID]:
        """Until the commit, in the order of their ids; those that there are."""

    async def count(self, exchanged: Sequence[Exchanged]) -> None:
        """From now on these messages count; again changes nothing."""

    async def rescore(self, lead_ids: Sequence[UUID], *, is_told: bool) -> Sequence[UUID]:
        """Those whose score is another now; `is_told`: thresholds are told in their timelines."""

    async def score_anew(self, tag_ids: Sequence[UUID]) -> None:
        """All leads, by a worker, where a rule may be about these tags."""


class ScoreSweep(Protocol):
    """A workspace's sweep in this worker's hands. `hold` and `end` fail with LostLease once another worker has it."""

    async def hold(self) -> None:
        """Renews the lease and locks the row until the commit; begins tonight's sweep where none is under way."""

    async def next(self, limit: int) -> tuple[Sequence[UUID], bool]:
        """The next leads, and whether thresholds are told; none: it is through."""

    async def rescore(self, lead_ids: Sequence[UUID], *, is_told: bool) -> Sequence[UUID]: ...

    async def end(self, error: str | None = None) -> None:
        """Until the next night, which begins with the first lead; after an error it tells no more than this one did."""


@dataclass(frozen=True)
class ScoreRuleUseCases:
    rules: ScoreRules
    default: Sequence[ScoreRule]

    async def create_default_rules(self, workspace_id: UUID) -> None:
        """Those of a new workspace."""
        await self.rules.found(workspace_id, self.default)


@dataclass(frozen=True)
class ScoringUseCases:
    """What admins do; one after another, whoever asks at once."""

    workspace_id: UUID
    author: Author
    rules: ScoreRules
    record: AuditLog

    async def save_score_rules(self, rules: Sequence[ScoreRule]) -> None:
        """In place of all there were. Raises TooManyRules, Refusals."""
        rules = checked_rules(rules)
        await self.rules.hold(self.workspace_id)
        await self._check_values(rules)
        await self.rules.replace(self.workspace_id, rules)
        points = {"rules": [[one.event.value, one.value, one.points, one.half_life_days] for one in rules]}
        await self.record(self.workspace_id, self.author, "score_rules.saved", after=points)

    async def _check_values(self, rules: Sequence[ScoreRule]) -> None:
        """Raises Refusals at the tags and stages that there are not; stages are held before tags."""
        gone: list[int] = []
        for event, find in (
            (ScoreEventKind.STAGE_CHANGED, self.rules.stages),
            (ScoreEventKind.TAG_ADDED, self.rules.tags),
        ):
            named = {n: UUID(one.value) for n, one in enumerate(rules) if one.event is event and one.value}
            found = await find(self.workspace_id, list(named.values()))
            gone += [n for n, id in named.items() if id not in found]
        if gone:
            raise Refusals([ValueNotFound(n, rules[n].event) for n in sorted(gone)])


@dataclass(frozen=True)
class ScoreLeads:
    """What happened to leads is reacted to: those that may have changed are looked at, and few of them are written."""

    scores: Scores
    feed: Announcer

    async def score(
        self,
        *,
        touched: Set[UUID],
        fresh: Set[UUID],
        look: Callable[[], Awaitable[Sequence[Exchanged]]],
    ) -> None:
        """`fresh` leads were made just now: where they begin is no threshold crossed. `look` finds the messages that
        count from now on: once to know whose they are, and again once these leads are held, for a merge may have
        come between."""
        await self.scores.hold_rules()
        written = {one.lead_id for one in await look()}
        changing = await self.scores.outdated([*touched, *fresh])
        held = await self.scores.hold(sorted({*changing, *written}))
        first = await self.scores.rescore([id for id in held if id in fresh], is_told=False)
        if written:
            await self.scores.count(await look())
        later = [id for id in held if id in written or id not in fresh]
        for event in scored(sorted({*first, *await self.scores.rescore(later, is_told=True)})):
            self.feed.announce(event)


@dataclass(frozen=True)
class SweepScores:
    sweep: ScoreSweep
    feed: Announcer
    chunk: int

    async def run_chunk(self) -> bool:
        """Scores the next leads; True when it is through. Raises LostLease: then nothing was written."""
        await self.sweep.hold()
        ids, is_told = await self.sweep.next(self.chunk)
        for event in scored(await self.sweep.rescore(ids, is_told=is_told)):
            self.feed.announce(event)
        if not ids:
            await self.sweep.end()
        return not ids
