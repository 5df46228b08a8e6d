"""Implements the port `Stages`. All stages are held by their ids before any of their leads is."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, delete, func, insert, select, text, update

from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.stage import Stage, StageKind
from app.leads.infrastructure.tables import lead, stage

HOLD = Statement(
    select(stage.c.id)
    .where(stage.c.workspace_id == bindparam("workspace_id"))
    .order_by(stage.c.id)
    .with_for_update(key_share=True)
)
ALL = Statement(
    select(stage.c.id, stage.c.name, stage.c.kind, stage.c.position)
    .where(stage.c.workspace_id == bindparam("workspace_id"))
    .order_by(stage.c.position, stage.c.id)
)
PLACE = Statement(
    text(
        """
        UPDATE stage s SET position = o.n - 1, updated_at = now(), version = s.version + 1
        FROM unnest(cast(:ids as uuid[])) WITH ORDINALITY AS o(id, n)
        WHERE s.workspace_id = cast(:workspace_id as uuid) AND s.id = o.id AND s.position <> o.n - 1
        """
    )
)
CLOSE = Statement(
    select(stage.c.id)
    .where(stage.c.workspace_id == bindparam("workspace_id"), stage.c.id == bindparam("id"))
    .with_for_update()
)
COUNT = Statement(
    select(func.count().label("count")).select_from(
        select(lead.c.id)
        .where(lead.c.workspace_id == bindparam("workspace_id"), lead.c.stage_id == bindparam("id"))
        .limit(bindparam("limit", type_=BigInteger))
        .subquery()
    )
)
HOLD_LEADS = Statement(
    text(
        """
        SELECT count(*) FROM (
            SELECT id FROM lead WHERE workspace_id = cast(:workspace_id as uuid) AND stage_id = cast(:id as uuid)
            ORDER BY id FOR NO KEY UPDATE
        ) AS held
        """
    )
)
# Behind the last card, or behind where a lead made now would stand: what is made later comes after them.
EMPTY = Statement(
    text(
        """
        WITH last AS (
            SELECT greatest(cast(:fresh_rank as text) COLLATE "C", (
                SELECT rank FROM lead
                WHERE workspace_id = cast(:workspace_id as uuid) AND stage_id = cast(:into_id as uuid)
                    AND deleted_at IS NULL
                ORDER BY rank DESC LIMIT 1
            )) AS rank
        ), placed AS MATERIALIZED (
            SELECT id, row_number() OVER (ORDER BY rank, id) AS n FROM lead
            WHERE workspace_id = cast(:workspace_id as uuid) AND stage_id = cast(:stage_id as uuid)
                AND deleted_at IS NULL
        ), moved AS (
            UPDATE lead l SET stage_id = cast(:into_id as uuid), version = l.version + 1, updated_at = now(),
                rank = last.rank || lpad(to_hex(p.n), 5, '0') || 'i', stage_entered_at = now(),
                lost_reason = CASE WHEN cast(:is_lost as boolean) THEN l.lost_reason END
            FROM placed p, last
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = p.id
            RETURNING l.id, p.n, coalesce(old.stage_entered_at, l.created_at) AS entered_at, l.lost_reason
        ), deleted AS (
            UPDATE lead SET stage_id = cast(:into_id as uuid)
            WHERE workspace_id = cast(:workspace_id as uuid) AND stage_id = cast(:stage_id as uuid)
                AND deleted_at IS NOT NULL
        ), history AS (
            INSERT INTO stage_change (workspace_id, lead_id, from_stage_id, from_name, to_stage_id, to_name,
                entered_at, actor_id, actor_kind, cause, lost_reason)
            SELECT cast(:workspace_id as uuid), id, cast(:stage_id as uuid), :stage_name, cast(:into_id as uuid),
                :into_name, entered_at, cast(:actor_id as uuid), 'HUMAN', :cause, lost_reason
            FROM moved
        ), told AS (
            INSERT INTO interaction (workspace_id, lead_id, type, content, actor_id, actor_kind, cause)
            SELECT cast(:workspace_id as uuid), id, 'STAGE_CHANGED', :content, cast(:actor_id as uuid), 'HUMAN', :cause
            FROM moved
        )
        SELECT id FROM moved ORDER BY n
        """
    )
)


class StageRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def add_all(self, workspace_id: UUID, stages: Sequence[Stage]) -> None:
        await self._work.execute(
            insert(stage),
            [
                {
                    "workspace_id": workspace_id,
                    "id": s.id,
                    "name": s.name,
                    "kind": s.kind.value,
                    "position": s.position,
                }
                for s in stages
            ],
        )

    async def hold_all(self, workspace_id: UUID) -> list[Stage]:
        # Read once they are held: what somebody did who held them before is not in the first statement's snapshot.
        await self._work.fetch(HOLD, workspace_id=workspace_id)
        rows = await self._work.fetch(ALL, workspace_id=workspace_id)
        return [Stage(row["id"], row["name"], StageKind(row["kind"]), row["position"]) for row in rows]

    async def rename(self, workspace_id: UUID, id: UUID, name: str) -> None:
        await self._work.execute(
            update(stage)
            .where(stage.c.workspace_id == workspace_id, stage.c.id == id)
            .values(name=name, updated_at=func.now(), version=stage.c.version + 1)
        )

    async def place(self, workspace_id: UUID, ids: Sequence[UUID]) -> None:
        await self._work.fetch(PLACE, workspace_id=workspace_id, ids=list(ids))

    async def hold_leads(self, workspace_id: UUID, id: UUID, *, at_most: int) -> bool:
        await self._work.fetch(CLOSE, workspace_id=workspace_id, id=id)
        row = await self._work.fetch_one(COUNT, workspace_id=workspace_id, id=id, limit=at_most + 1)
        if row is None or row["count"] > at_most:
            return False
        await self._work.fetch(HOLD_LEADS, workspace_id=workspace_id, id=id)
        return True

    async def empty(
        self, workspace_id: UUID, stage: Stage, into: Stage, *, fresh_rank: str, actor_id: UUID | None
    ) -> list[UUID]:
        rows = await self._work.fetch(
            EMPTY,
            workspace_id=workspace_id,
            stage_id=stage.id,
            stage_name=stage.name,
            into_id=into.id,
            into_name=into.name,
            is_lost=into.kind is StageKind.LOST,
            fresh_rank=fresh_rank,
            content=f"{stage.name} → {into.name}",
            cause=f"stage:{stage.id}",
            actor_id=actor_id,
        )
        return [row["id"] for row in rows]

    async def remove(self, workspace_id: UUID, id: UUID) -> None:
        await self._work.execute(delete(stage).where(stage.c.workspace_id == workspace_id, stage.c.id == id))
