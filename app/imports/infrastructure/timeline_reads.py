"""Timelines of leads: one list over the lead's creation, its imports' rows and all that was written on it.

Imports stand above leads and see all three tables. CREATED and IMPORTED entries are rows of no table of their own: an
import of a million rows writes none. Their ids are made of what they tell, so they stay the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.database import Statement
from app.common.paging import Keyset, Page
from app.common.work import Reads

# Each source gives no more than the page can hold, by its own index: a lead with 100,000 messages costs what one with
# ten does. The order ends in the id, so entries of one moment are neither lost nor doubled between pages.
TIMELINES = Statement(
    text(
        """
        WITH wanted AS MATERIALIZED (
            SELECT w.n, w.lead_id, w.size, coalesce(w.after_at, 'infinity') AS after_at,
                coalesce(w.after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff') AS after_id
            FROM unnest(cast(:lead_ids as uuid[]), cast(:sizes as int[]), cast(:after_ats as timestamptz[]),
                cast(:after_ids as uuid[])) WITH ORDINALITY AS w(lead_id, size, after_at, after_id, n)
        )
        SELECT w.n, e.id::text, e.id AS key, e.at AS created_at, e.type, e.channel, e.direction, e.content,
            e.actor_kind, e.cause, e.conversation_id::text, e.message_id::text,
            u.id::text AS actor_id, u.name AS actor_name, u.email AS actor_email, u.locale AS actor_locale,
            array(
                SELECT ARRAY[p.id::text, p.name, p.email, p.locale]
                FROM unnest(e.mentions) WITH ORDINALITY AS m(id, n) JOIN app_user p ON p.id = m.id ORDER BY m.n
            ) AS mentioned
        FROM wanted w
        CROSS JOIN LATERAL (
            (
                SELECT i.id, i.created_at AS at, i.type, i.channel, i.direction, i.content, i.actor_id, i.actor_kind,
                    i.cause, i.conversation_id, i.message_id, i.mentions
                FROM interaction i
                WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = w.lead_id
                    AND (i.created_at, i.id) < (w.after_at, w.after_id)
                ORDER BY i.created_at DESC, i.id DESC LIMIT w.size
            )
            UNION ALL
            (
                SELECT md5(r.import_id::text || r.row)::uuid AS id, r.at, 'IMPORTED', NULL, NULL,
                    coalesce(j.page_url, j.source) || ' #' || r.row, j.created_by, 'HUMAN', 'import:' || r.import_id,
                    NULL, NULL, '{}'
                FROM import_row r JOIN import_job j ON j.workspace_id = r.workspace_id AND j.id = r.import_id
                WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.lead_id = w.lead_id
                    AND r.outcome IN ('CREATED', 'UPDATED')
                    AND (r.at, md5(r.import_id::text || r.row)::uuid) < (w.after_at, w.after_id)
                ORDER BY r.at DESC, id DESC LIMIT w.size
            )
            UNION ALL
            SELECT l.id, l.created_at, 'CREATED', NULL, NULL, l.source, l.created_by,
                CASE WHEN l.source = 'EMAIL' THEN 'SYSTEM' ELSE 'HUMAN' END, NULL, NULL, NULL, '{}'
            FROM lead l
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = w.lead_id
                AND (l.created_at, l.id) < (w.after_at, w.after_id)
            ORDER BY at DESC, id DESC LIMIT w.size
        ) e
        LEFT JOIN app_user u ON u.id = e.actor_id
        ORDER BY w.n, e.at DESC, e.id DESC
        """
    )
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The newest `first` entries of a lead's timeline, after a position if given."""

    lead_id: UUID
    first: int
    after: Keyset | None


async def timelines_of(
    reads: Reads, workspace_id: UUID, wanted: Sequence[Wanted]
) -> list[Page[asyncpg.Record]]:
    """In the order of what is wanted; all of one snapshot."""
    rows = await reads.fetch(
        TIMELINES,
        workspace_id=workspace_id,
        lead_ids=[one.lead_id for one in wanted],
        sizes=[one.first + 1 for one in wanted],
        after_ats=[one.after and one.after.at for one in wanted],
        after_ids=[one.after and one.after.id for one in wanted],
    )
    found: list[list[asyncpg.Record]] = [[] for _ in wanted]
    for row in rows:
        found[row["n"] - 1].append(row)
    return [Page.of(entries, one.first) for entries, one in zip(found, wanted, strict=True)]
