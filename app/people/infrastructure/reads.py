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


def _same(rank: int, reason: str, key: str) -> str:
    """Groups of one name and one key in the order of their index, which alone is read: the page's end ends it. A lead
    has one key of each kind, so that no group of a reason is another one of it."""
    of_leads = "workspace_id = cast(:workspace_id as uuid) AND deleted_at IS NULL"
    return f"""(
            SELECT {rank} AS rank, '{reason}' AS reason, g.name_key, g.key, array(
                SELECT id FROM lead
                WHERE {of_leads} AND name_key = g.name_key AND {key} = g.key
                ORDER BY id LIMIT cast(:group as bigint)
            ) AS ids
            FROM (
                SELECT name_key, {key} AS key FROM lead
                WHERE {of_leads} AND {key} IS NOT NULL
                GROUP BY name_key, {key} HAVING count(*) > 1
                ORDER BY name_key, {key}
            ) g
            WHERE NOT EXISTS (
                SELECT FROM lead WHERE {of_leads} AND name_key = g.name_key OFFSET cast(:common as bigint)
            )
            ORDER BY g.name_key, g.key LIMIT cast(:first as bigint)
        )"""  # noqa: S608 - names of ours


REASONS = {
    "SAME_NAME_AND_PHONE": "phone_key",
    "SAME_NAME_AND_EMAIL": "email_key",
    "SAME_NAME_AND_COMPANY": "company_key",
}
"""The strongest first."""
SAME_NUMBER = """(
            SELECT 0 AS rank, 'SAME_NUMBER' AS reason, '' COLLATE "C" AS name_key, w.value AS key, array[
                least(w.lead_id, p.lead_id), greatest(w.lead_id, p.lead_id)
            ] AS ids
            FROM lead_identity w JOIN lead_identity p
                ON p.workspace_id = w.workspace_id AND p.kind = 'PHONE' AND p.value = w.value
                    AND p.released_at IS NULL AND p.lead_id <> w.lead_id
            WHERE w.workspace_id = cast(:workspace_id as uuid) AND w.kind = 'WHATSAPP' AND w.released_at IS NULL
            ORDER BY w.value LIMIT cast(:first as bigint)
        )"""
DUPLICATES = Statement(
    text(
        f"""
        SELECT reason, ids FROM (
            SELECT DISTINCT ON (name_key, ids) * FROM (
                {" UNION ALL ".join([SAME_NUMBER, *(_same(n, *one) for n, one in enumerate(REASONS.items(), 1))])}
            ) found
            ORDER BY name_key, ids, rank
        ) g
        ORDER BY name_key, rank, key LIMIT cast(:first as bigint)
        """  # noqa: S608 - names of ours
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
