"""What screens read of people: merges, and who may be one person."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Reads

MERGES_MAX = 20
GROUP_MAX = 20
COMMON_NAME = 50
"""A name that more leads have tells nothing about any two of them."""

INTO = Statement(
    text(
        """
        SELECT m.* FROM unnest(cast(:lead_ids as uuid[])) AS l(id) CROSS JOIN LATERAL (
            SELECT id, kept_id, merged_ids, created_at FROM merge
            WHERE workspace_id = cast(:workspace_id as uuid) AND kept_id = l.id AND undone_at IS NULL
            ORDER BY id DESC LIMIT cast(:limit as bigint)
        ) m
        """
    )
)
ONE = Statement(
    text(
        """
        SELECT id, kept_id, merged_ids, created_at FROM merge
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
        """
    )
)
# Names come out of their index in order, so that a page of groups ends the search: leads are looked at only where a
# name comes twice.
DUPLICATES = Statement(
    text(
        """
        WITH same_number AS (
            SELECT 'SAME_NUMBER' AS reason, p.value AS key, array[least(w.lead_id, p.lead_id),
                greatest(w.lead_id, p.lead_id)] AS ids
            FROM lead_identity w JOIN lead_identity p
                ON p.workspace_id = w.workspace_id AND p.kind = 'PHONE' AND p.value = w.value
                    AND p.released_at IS NULL AND p.lead_id <> w.lead_id
            WHERE w.workspace_id = cast(:workspace_id as uuid) AND w.kind = 'WHATSAPP' AND w.released_at IS NULL
            ORDER BY w.value LIMIT cast(:first as bigint)
        ), same_name AS (
            SELECT g.reason, n.name_key AS key, g.ids
            FROM (
                SELECT name_key FROM lead
                WHERE workspace_id = cast(:workspace_id as uuid) AND deleted_at IS NULL
                GROUP BY name_key HAVING count(*) BETWEEN 2 AND cast(:common as bigint)
                ORDER BY name_key
            ) n CROSS JOIN LATERAL (
                SELECT DISTINCT ON (found.ids) found.ids, found.reason, found.rank FROM (
                    SELECT k.rank, k.reason, (array_agg(DISTINCT l.id))[1 : cast(:group as int)] AS ids
                    FROM lead l CROSS JOIN LATERAL (
                        SELECT 3 AS rank, 'SAME_NAME_AND_COMPANY' AS reason, folded(l.company) AS key
                        WHERE l.company IS NOT NULL
                        UNION ALL
                        SELECT 1, 'SAME_NAME_AND_PHONE', right(h.value, 8) FROM unnest(l.handles) AS h(value)
                        WHERE h.value LIKE '+%'
                        UNION ALL
                        SELECT 2, 'SAME_NAME_AND_EMAIL',
                            replace(split_part(split_part(h.value, '@', 1), '+', 1), '.', '')
                        FROM unnest(l.handles) AS h(value) WHERE h.value LIKE '_%@%'
                    ) k
                    WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.name_key = n.name_key
                        AND l.deleted_at IS NULL
                    GROUP BY k.rank, k.reason, k.key HAVING count(DISTINCT l.id) > 1
                ) found
                ORDER BY found.ids, found.rank
            ) g
            ORDER BY n.name_key, g.rank, g.ids LIMIT cast(:first as bigint)
        )
        SELECT reason, ids FROM (
            SELECT 0 AS part, * FROM same_number UNION ALL SELECT 1, * FROM same_name
        ) g
        ORDER BY part, key, ids LIMIT cast(:first as bigint)
        """
    )
)


async def merges_into(
    reads: Reads, workspace_id: UUID, lead_ids: Sequence[UUID]
) -> dict[UUID, list[asyncpg.Record]]:
    """Those not undone, newest first."""
    found: dict[UUID, list[asyncpg.Record]] = {id: [] for id in lead_ids}
    for row in await reads.fetch(INTO, workspace_id=workspace_id, lead_ids=list(found), limit=MERGES_MAX):
        found[row["kept_id"]].append(row)
    return found


async def merge_by_id(reads: Reads, workspace_id: UUID, id: UUID) -> asyncpg.Record | None:
    return await reads.fetch_one(ONE, workspace_id=workspace_id, id=id)


async def find_duplicates(reads: Reads, workspace_id: UUID, *, first: int) -> list[asyncpg.Record]:
    """`reason` and `ids` of groups of live leads, in an order that stays."""
    return await reads.fetch(
        DUPLICATES, workspace_id=workspace_id, first=first, common=COMMON_NAME, group=GROUP_MAX
    )
