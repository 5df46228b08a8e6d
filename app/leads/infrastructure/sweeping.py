"""The sweep of a workspace's scores, a row for good: when it is due, how far it came. Implements the port `ScoreSweep`.

Whoever scores leads, or changes the rules, holds the row: it says which rules and which day a lead is scored by.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.leases import Claim, LostLease
from app.common.work import Work
from app.leads.infrastructure.score_tables import score_sweeps
from app.leads.infrastructure.scores import hold, outdated, rescore

FIRST = UUID(int=0)
TODAY = "(now() AT TIME ZONE known_zone(w.time_zone))::date"
# Within two hours after midnight, by the workspace's clock: not all workspaces of a zone at once.
TONIGHT = f"""(
    {TODAY} + interval '1 day 1 minute' + abs(hashtext(cast(w.id as text)) % 120) * interval '1 minute'
) AT TIME ZONE known_zone(w.time_zone)"""
BEGIN = Statement(
    text(
        f"""
        INSERT INTO score_sweep (workspace_id, id, status, time_zone, day, last_day, run_at)
        SELECT w.id, w.id, 'WAITING', w.time_zone, {TODAY}, {TODAY}, {TONIGHT} FROM workspace w
        WHERE w.id = cast(:workspace_id as uuid)
        ON CONFLICT DO NOTHING
        """  # noqa: S608 - parts of ours
    )
)
HOLD = Statement(
    text("SELECT id FROM score_sweep WHERE workspace_id = cast(:workspace_id as uuid) FOR NO KEY UPDATE")
)
# Also a sweep that is in a worker's hands begins anew then: where it stands, it reads from the row.
AGAIN = f"""
    UPDATE score_sweep s SET time_zone = w.time_zone, day = {TODAY}, last_day = s.day, after_id = '{FIRST}',
        run_at = now(), attempt = 0, is_told = {{is_told}}
    FROM workspace w
    WHERE s.workspace_id = cast(:workspace_id as uuid) AND w.id = s.workspace_id
"""  # noqa: S608 - parts of ours
UNTOLD = Statement(text(AGAIN.format(is_told="false")))
# One that a day overtakes tells no more than it did.
NIGHTLY = Statement(
    text(
        AGAIN.format(is_told="s.after_id IS NULL OR s.is_told")
        + f" AND (s.after_id IS NULL OR s.day < {TODAY})"
    )
)
OF_TAGS = Statement(
    text(
        AGAIN.format(is_told="false")
        + """ AND EXISTS (
            SELECT FROM score_rule r
            WHERE r.workspace_id = s.workspace_id AND r.event = 'TAG_ADDED'
                AND coalesce(r.value = ANY (cast(:tag_ids as text[])), true)
        )
        RETURNING s.id
        """
    )
)
NEXT = Statement(
    text(
        """
        UPDATE score_sweep s SET after_id = coalesce(c.ids[cardinality(c.ids)], s.after_id), attempt = 0
        FROM (
            SELECT h.workspace_id, array(
                SELECT l.id FROM lead l
                WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id > h.after_id
                ORDER BY l.id LIMIT cast(:limit as bigint)
            ) AS ids
            FROM score_sweep h WHERE h.workspace_id = cast(:workspace_id as uuid)
        ) c
        WHERE s.workspace_id = cast(:workspace_id as uuid) AND c.workspace_id = s.workspace_id
        RETURNING c.ids, s.is_told
        """
    )
)
REST = f"""
    UPDATE score_sweep s SET status = 'WAITING', run_at = {TONIGHT}, token = NULL, lease_until = NULL, attempt = 0,
        error = cast(:error as text){{and_}}
    FROM workspace w
    WHERE s.workspace_id = cast(:workspace_id as uuid) AND w.id = s.workspace_id AND s.token = cast(:token as uuid)
    RETURNING s.id
"""  # noqa: S608 - parts of ours
DONE, LATER = Statement(text(REST.format(and_=", after_id = NULL"))), Statement(text(REST.format(and_="")))


class ScoreSweepLedger:
    """One workspace's sweep under one claim."""

    def __init__(self, work: Work, claim: Claim, *, lease_s: float) -> None:
        self._work, self._claim, self._lease_s = work, claim, lease_s
        self._workspace_id = claim.workspace_id

    async def hold(self) -> None:
        await score_sweeps.renew(self._work, self._claim, lease_s=self._lease_s)
        await self._work.fetch(NIGHTLY, workspace_id=self._workspace_id)

    async def next(self, limit: int) -> tuple[Sequence[UUID], bool]:
        row = await self._work.fetch_one(NEXT, workspace_id=self._workspace_id, limit=limit)
        assert row is not None
        return row["ids"], row["is_told"]

    async def rescore(self, lead_ids: Sequence[UUID], *, is_told: bool) -> Sequence[UUID]:
        # New rules change most scores: looking first who needs a write would cost more than it spares.
        changing = await outdated(self._work, self._workspace_id, lead_ids) if is_told else lead_ids
        held = await hold(self._work, self._workspace_id, changing)
        return await rescore(self._work, self._workspace_id, held, is_told=is_told)

    async def end(self, error: str | None = None) -> None:
        rows = await self._work.fetch(
            DONE if error is None else LATER,
            workspace_id=self._workspace_id,
            token=self._claim.token,
            error=error,
        )
        if not rows:
            raise LostLease


async def begin_sweeps(work: Work, workspace_id: UUID) -> None:
    """A new workspace's: the first is due tonight."""
    await work.fetch(BEGIN, workspace_id=workspace_id)


async def hold_sweep(work: Work, workspace_id: UUID) -> None:
    """Until the commit the rules and the day stay as they are."""
    await work.fetch(HOLD, workspace_id=workspace_id)


async def sweep_again(work: Work, workspace_id: UUID) -> None:
    """All leads are scored anew: the rules are others now."""
    await work.fetch(UNTOLD, workspace_id=workspace_id)


async def sweep_again_for_tags(work: Work, workspace_id: UUID, tag_ids: Sequence[UUID]) -> bool:
    """As `sweep_again`, where a rule may be about one of these tags; whether one is."""
    rows = await work.fetch(OF_TAGS, workspace_id=workspace_id, tag_ids=[str(id) for id in tag_ids])
    return bool(rows)
