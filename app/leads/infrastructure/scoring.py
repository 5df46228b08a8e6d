"""The rules of scores, and the messages that count. Implements the ports `ScoreRules` and `Scores`."""

from collections.abc import Sequence, Set
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Reads, Work
from app.leads.domain.scoring import DUE, Exchanged, ScoreEventKind, ScoreRule
from app.leads.infrastructure.scores import hold, outdated, rescore
from app.leads.infrastructure.sweeping import begin_sweeps, hold_sweep, sweep_again, sweep_again_for_tags
from app.tags.wiring import hold_tags

ADD = Statement(
    text(
        """
        INSERT INTO score_rule (workspace_id, position, event, value, points, half_life_days)
        SELECT cast(:workspace_id as uuid), r.n - 1, r.event, r.value, r.points, r.half_life_days
        FROM unnest(cast(:events as text[]), cast(:values as text[]), cast(:points as int[]), cast(:days as int[]))
            WITH ORDINALITY AS r(event, value, points, half_life_days, n)
        """
    )
)
FORGET = Statement(text("DELETE FROM score_rule WHERE workspace_id = cast(:workspace_id as uuid)"))
RULES = Statement(
    text(
        """
        SELECT event, value, points, half_life_days FROM score_rule
        WHERE workspace_id = cast(:workspace_id as uuid) ORDER BY position
        """
    )
)
STAGES = Statement(
    text(
        """
        SELECT id FROM stage WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
        ORDER BY id FOR KEY SHARE
        """
    )
)
COUNT = Statement(
    text(
        """
        INSERT INTO score_event (workspace_id, id, lead_id, kind, channel, conversation_id, at)
        SELECT cast(:workspace_id as uuid), e.*
        FROM unnest(cast(:ids as uuid[]), cast(:lead_ids as uuid[]), cast(:kinds as text[]), cast(:channels as text[]),
            cast(:conversation_ids as uuid[]), cast(:ats as timestamptz[])) AS e
        ON CONFLICT DO NOTHING
        """
    )
)


class ScoreRuleRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def hold(self, workspace_id: UUID) -> None:
        await hold_sweep(self._work, workspace_id)

    async def stages(self, workspace_id: UUID, ids: Sequence[UUID]) -> Set[UUID]:
        rows = await self._work.fetch(STAGES, workspace_id=workspace_id, ids=list(ids)) if ids else []
        return {row["id"] for row in rows}

    async def tags(self, workspace_id: UUID, ids: Sequence[UUID]) -> Set[UUID]:
        return await hold_tags(self._work, workspace_id, ids) if ids else set()

    async def found(self, workspace_id: UUID, rules: Sequence[ScoreRule]) -> None:
        await begin_sweeps(self._work, workspace_id)
        await self._add(workspace_id, rules)

    async def replace(self, workspace_id: UUID, rules: Sequence[ScoreRule]) -> None:
        await self._work.fetch(FORGET, workspace_id=workspace_id)
        await self._add(workspace_id, rules)
        await sweep_again(self._work, workspace_id)
        self._work.wake(DUE, workspace_id)

    async def _add(self, workspace_id: UUID, rules: Sequence[ScoreRule]) -> None:
        await self._work.fetch(
            ADD,
            workspace_id=workspace_id,
            events=[one.event.value for one in rules],
            values=[one.value for one in rules],
            points=[one.points for one in rules],
            days=[one.half_life_days for one in rules],
        )


class ScoreRepository:
    def __init__(self, work: Work, workspace_id: UUID) -> None:
        self._work, self._workspace_id = work, workspace_id

    async def hold_rules(self) -> None:
        await hold_sweep(self._work, self._workspace_id)

    async def outdated(self, lead_ids: Sequence[UUID]) -> Sequence[UUID]:
        return await outdated(self._work, self._workspace_id, lead_ids)

    async def hold(self, lead_ids: Sequence[UUID]) -> Sequence[UUID]:
        return await hold(self._work, self._workspace_id, lead_ids)

    async def rescore(self, lead_ids: Sequence[UUID], *, is_told: bool) -> Sequence[UUID]:
        return await rescore(self._work, self._workspace_id, lead_ids, is_told=is_told)

    async def count(self, exchanged: Sequence[Exchanged]) -> None:
        if not exchanged:
            return
        await self._work.fetch(
            COUNT,
            workspace_id=self._workspace_id,
            ids=[one.id for one in exchanged],
            lead_ids=[one.lead_id for one in exchanged],
            kinds=[one.kind.value for one in exchanged],
            channels=[one.channel.value for one in exchanged],
            conversation_ids=[one.conversation_id for one in exchanged],
            ats=[one.at for one in exchanged],
        )

    async def score_anew(self, tag_ids: Sequence[UUID]) -> None:
        if await sweep_again_for_tags(self._work, self._workspace_id, tag_ids):
            self._work.wake(DUE, self._workspace_id)


async def list_score_rules(reads: Reads, workspace_id: UUID) -> list[ScoreRule]:
    """In their order."""
    rows = await reads.fetch(RULES, workspace_id=workspace_id)
    return [_rule(row) for row in rows]


def _rule(row: asyncpg.Record) -> ScoreRule:
    return ScoreRule(ScoreEventKind(row["event"]), row["value"], row["points"], row["half_life_days"])
