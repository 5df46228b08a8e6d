"""Implements the port `Selections`: a few statements, however many leads."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.selection import PickedLead, Retagged
from app.leads.infrastructure.identities import (
    find_holders,
    reclaim_identities,
    release_identities,
)
from app.leads.infrastructure.repository import LeadRepository

ATTEMPTS = 5

PICK = Statement(
    text(
        """
        SELECT id, deleted_at IS NOT NULL AS is_deleted, merged_into_id FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
        ORDER BY id FOR NO KEY UPDATE
        """
    )
)
MARK = Statement(
    text(
        """
        UPDATE lead SET deleted_at = CASE WHEN cast(:is_deleted as boolean) THEN now() END, updated_at = now(),
            version = version + 1
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
        """
    )
)
TAG = Statement(
    text(
        """
        WITH added AS (
            INSERT INTO lead_tag (workspace_id, lead_id, tag_id)
            SELECT cast(:workspace_id as uuid), l.id, t.id
            FROM unnest(cast(:ids as uuid[])) AS l(id) CROSS JOIN unnest(cast(:add as uuid[])) AS t(id)
            ORDER BY l.id, t.id
            ON CONFLICT DO NOTHING RETURNING lead_id, tag_id
        ), removed AS (
            DELETE FROM lead_tag
            WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:ids as uuid[]))
                AND tag_id = ANY (cast(:remove as uuid[]))
            RETURNING lead_id, tag_id
        ), moved AS (
            SELECT lead_id, tag_id, '+' AS sign FROM added UNION ALL SELECT lead_id, tag_id, '−' FROM removed
        ), told AS (
            INSERT INTO interaction (workspace_id, lead_id, type, content, actor_id, actor_kind)
            SELECT cast(:workspace_id as uuid), m.lead_id, 'TAGGED',
                string_agg(m.sign || t.name, ' ' ORDER BY m.sign, t.name_key), cast(:user_id as uuid), 'HUMAN'
            FROM moved m JOIN tag t ON t.workspace_id = cast(:workspace_id as uuid) AND t.id = m.tag_id
            GROUP BY m.lead_id
        )
        UPDATE lead SET updated_at = now(), version = version + 1
        FROM (
            SELECT lead_id, coalesce(array_agg(tag_id ORDER BY tag_id) FILTER (WHERE sign = '+'), '{}') AS added,
                coalesce(array_agg(tag_id ORDER BY tag_id) FILTER (WHERE sign <> '+'), '{}') AS removed
            FROM moved GROUP BY lead_id
        ) m
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = m.lead_id
        RETURNING id, m.added, m.removed
        """
    )
)


class SelectionRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def pick(self, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, PickedLead]:
        rows = await self._work.fetch(PICK, workspace_id=workspace_id, ids=list(ids))
        return {row["id"]: PickedLead(row["id"], row["is_deleted"], row["merged_into_id"]) for row in rows}

    async def delete(self, workspace_id: UUID, ids: Sequence[UUID]) -> None:
        await self._work.fetch(MARK, workspace_id=workspace_id, ids=list(ids), is_deleted=True)
        await release_identities(self._work, workspace_id, ids)

    async def restore(self, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, UUID]:
        await self._work.fetch(MARK, workspace_id=workspace_id, ids=list(ids), is_deleted=False)
        for _ in range(ATTEMPTS):
            try:
                async with self._work.savepoint():
                    taken = await reclaim_identities(self._work, workspace_id, ids)
                    holders = await find_holders(
                        self._work, workspace_id, [identity for _, identity in taken]
                    )
                    has = {
                        (wanting, holder.identity): holder.lead_id
                        for wanting, _ in taken
                        for holder in holders
                        if holder.lead_id != wanting
                    }
                    if not all(one in has for one in taken):
                        raise _GivenUp
            except _GivenUp:
                continue
            return {lead_id: has[lead_id, identity] for lead_id, identity in taken}
        raise RuntimeError("An identity is taken, and nobody has it.")

    async def hold_tags(self, workspace_id: UUID, *, add: Sequence[UUID], remove: Sequence[UUID]) -> None:
        leads = LeadRepository(self._work)
        await leads.check_tags(workspace_id, add, path="addTagIds")
        await leads.check_tags(workspace_id, remove, path="removeTagIds")

    async def tag(
        self,
        workspace_id: UUID,
        ids: Sequence[UUID],
        *,
        add: Sequence[UUID],
        remove: Sequence[UUID],
        user_id: UUID,
    ) -> list[Retagged]:
        rows = await self._work.fetch(
            TAG,
            workspace_id=workspace_id,
            ids=list(ids),
            add=list(add),
            remove=list(remove),
            user_id=user_id,
        )
        alike: dict[tuple[tuple[UUID, ...], tuple[UUID, ...]], list[UUID]] = defaultdict(list)
        for row in rows:
            alike[tuple(row["added"]), tuple(row["removed"])].append(row["id"])
        return [Retagged(sorted(ids), added, removed) for (added, removed), ids in sorted(alike.items())]


class _GivenUp(Exception):
    """Whoever had an identity gave it up between two statements: once more."""
