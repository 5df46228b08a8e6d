"""Implements the port `Board`. Who changes ranks or stages holds the target stage first, then leads by their ids."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, select, text

from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.board import Card, Crowd, Gap, Place
from app.leads.domain.errors import StageNotFound
from app.leads.domain.stage import Stage, StageKind
from app.leads.infrastructure.tables import lead, stage

HOLD_STAGE = Statement(
    select(stage.c.id, stage.c.name, stage.c.kind, stage.c.position)
    .where(stage.c.workspace_id == bindparam("workspace_id"), stage.c.id == bindparam("id"))
    .with_for_update(key_share=True)
)
GAP = Statement(
    text(
        """
        SELECT a.rank AS before_rank, a.id AS before_id, n.rank AS after_rank, n.id AS after_id
        FROM (VALUES (1)) AS one
        LEFT JOIN lead a ON a.workspace_id = cast(:workspace_id as uuid) AND a.id = cast(:after_id as uuid)
            AND a.stage_id = cast(:stage_id as uuid) AND a.deleted_at IS NULL
        LEFT JOIN LATERAL (
            SELECT l.rank, l.id FROM lead l
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.stage_id = cast(:stage_id as uuid)
                AND l.deleted_at IS NULL AND l.id <> cast(:moving as uuid)
                AND (l.rank, l.id) > (coalesce(a.rank, ''), coalesce(a.id, cast(:no_id as uuid)))
            ORDER BY l.rank, l.id LIMIT 1
        ) n ON true
        """
    )
)
ABOVE = Statement(
    text(
        """
        SELECT rank, id FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND stage_id = cast(:stage_id as uuid)
            AND deleted_at IS NULL AND id <> cast(:moving as uuid)
            AND (rank, id) <= (cast(:rank as text), cast(:id as uuid))
        ORDER BY rank DESC, id DESC LIMIT cast(:limit as bigint)
        """
    )
)
BELOW = Statement(
    text(
        """
        SELECT rank, id FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND stage_id = cast(:stage_id as uuid)
            AND deleted_at IS NULL AND id <> cast(:moving as uuid)
            AND (rank, id) >= (cast(:rank as text), cast(:id as uuid))
        ORDER BY rank, id LIMIT cast(:limit as bigint)
        """
    )
)
HOLD_CARDS = Statement(
    select(
        lead.c.id,
        lead.c.stage_id,
        lead.c.rank,
        lead.c.version,
        lead.c.lost_reason,
        lead.c.deleted_at.is_(None).label("is_live"),
    )
    .where(
        lead.c.workspace_id == bindparam("workspace_id"),
        lead.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))),
    )
    .order_by(lead.c.id)
    .with_for_update(key_share=True)
)
SPREAD = Statement(
    text(
        """
        UPDATE lead SET rank = s.rank
        FROM unnest(cast(:ids as uuid[]), cast(:ranks as text[])) AS s(id, rank)
        WHERE lead.workspace_id = cast(:workspace_id as uuid) AND lead.id = s.id
            AND lead.stage_id = cast(:stage_id as uuid) AND lead.deleted_at IS NULL
        RETURNING lead.id
        """
    )
)
MOVE = Statement(
    text(
        """
        WITH moved AS (
            UPDATE lead SET rank = :rank, stage_id = cast(:stage_id as uuid), lost_reason = cast(:lost_reason as text),
                stage_entered_at = CASE WHEN stage_id <> cast(:stage_id as uuid) THEN now() ELSE stage_entered_at END,
                updated_at = now(), version = version + 1
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
            RETURNING id, old.stage_id AS from_id, coalesce(old.stage_entered_at, created_at) AS entered_at
        )
        INSERT INTO stage_change (workspace_id, lead_id, from_stage_id, from_name, to_stage_id, to_name, entered_at,
            actor_id, actor_kind, lost_reason)
        SELECT s.workspace_id, moved.id, s.id, s.name, cast(:stage_id as uuid), :stage_name, moved.entered_at,
            cast(:actor_id as uuid), 'HUMAN', cast(:lost_reason as text)
        FROM moved JOIN stage s ON s.workspace_id = cast(:workspace_id as uuid) AND s.id = moved.from_id
        WHERE moved.from_id <> cast(:stage_id as uuid)
        RETURNING from_name
        """
    )
)
NO_ID = UUID(int=0)


class BoardRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def hold_stage(self, workspace_id: UUID, id: UUID) -> Stage:
        row = await self._work.fetch_one(HOLD_STAGE, workspace_id=workspace_id, id=id)
        if row is None:
            raise StageNotFound
        return Stage(row["id"], row["name"], StageKind(row["kind"]), row["position"])

    async def gap(self, workspace_id: UUID, stage_id: UUID, after_id: UUID | None, *, moving: UUID) -> Gap:
        row = await self._work.fetch_one(
            GAP, workspace_id=workspace_id, stage_id=stage_id, after_id=after_id, moving=moving, no_id=NO_ID
        )
        assert row is not None
        return Gap(
            Place(row["before_rank"], row["before_id"]) if row["before_id"] else None,
            Place(row["after_rank"], row["after_id"]) if row["after_id"] else None,
        )

    async def crowd(self, workspace_id: UUID, stage_id: UUID, gap: Gap, *, moving: UUID, size: int) -> Crowd:
        of = {"workspace_id": workspace_id, "stage_id": stage_id, "moving": moving, "limit": size + 1}
        above = await self._side(ABOVE, gap.before, of)
        below = await self._side(BELOW, gap.after, of)
        return Crowd(
            above=[one.id for one in reversed(above[:size])],
            below=[one.id for one in below[:size]],
            before=above[size].rank if len(above) > size else None,
            after=below[size].rank if len(below) > size else None,
        )

    async def _side(self, statement: Statement, start: Place | None, of: dict[str, object]) -> list[Place]:
        """The nearest first."""
        if start is None:
            return []
        rows = await self._work.fetch(statement, rank=start.rank, id=start.id, **of)
        return [Place(row["rank"], row["id"]) for row in rows]

    async def hold_cards(self, workspace_id: UUID, ids: Sequence[UUID]) -> list[Card]:
        rows = await self._work.fetch(HOLD_CARDS, workspace_id=workspace_id, ids=list(ids))
        return [Card(**row) for row in rows]

    async def spread(
        self, workspace_id: UUID, stage_id: UUID, ids: Sequence[UUID], ranks: Sequence[str]
    ) -> list[UUID]:
        rows = await self._work.fetch(
            SPREAD, workspace_id=workspace_id, stage_id=stage_id, ids=list(ids), ranks=list(ranks)
        )
        return [row["id"] for row in rows]

    async def move(
        self,
        workspace_id: UUID,
        id: UUID,
        stage: Stage,
        rank: str,
        *,
        lost_reason: str | None,
        actor_id: UUID,
    ) -> str | None:
        row = await self._work.fetch_one(
            MOVE,
            workspace_id=workspace_id,
            id=id,
            stage_id=stage.id,
            stage_name=stage.name,
            rank=rank,
            lost_reason=lost_reason,
            actor_id=actor_id,
        )
        return str(row["from_name"]) if row else None
