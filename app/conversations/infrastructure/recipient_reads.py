"""A batch's recipients as a list: a page by keyset, so that the last one costs what the first one does."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, bindparam, text

from app.common.database import Statement
from app.common.paging import Page
from app.common.work import Reads
from app.conversations.domain.audience import SHOWN_AS, RecipientStatus
from app.conversations.infrastructure.batch_verdict import ACCOUNT_WAIT_S

# What waits with no error waits for the end of quiet hours, or a moment for its account.
# Each status's own stretch of the index is gone into at the cursor: none of a million rows before it is read.
PAGE = Statement(
    text(
        """
        SELECT d.id, d.lead_id, d.message_id, d.status, d.has_complained,
            d.has_bounced OR coalesce(m.status = 'BOUNCED', false) AS has_bounced,
            coalesce(d.error, m.error,
                CASE WHEN d.status = 'queued' AND b.status = 'RUNNING' AND d.run_at > now() + cast(:soon as interval)
                    THEN 'QUIET_HOURS' END) AS error,
            CASE WHEN d.status = 'queued' THEN d.run_at
                ELSE coalesce(m.sent_at, t.at, d.created_at) END AS at
        FROM (
            SELECT found.*
            FROM unnest(:statuses) AS s(status) CROSS JOIN LATERAL (
                SELECT d.* FROM delivery d
                WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.send_batch_id = cast(:batch_id as uuid)
                    AND d.status = s.status AND d.id > cast(:after as uuid)
                ORDER BY d.id LIMIT cast(:limit as bigint)
            ) found
            ORDER BY found.id LIMIT cast(:limit as bigint)
        ) d
            JOIN send_batch b ON (b.workspace_id, b.id) = (d.workspace_id, d.send_batch_id)
            LEFT JOIN message m ON (m.workspace_id, m.id) = (d.workspace_id, d.message_id)
            LEFT JOIN LATERAL (
                SELECT coalesce(a.ended_at, a.started_at) AS at FROM delivery_attempt a
                WHERE (a.workspace_id, a.delivery_id) = (d.workspace_id, d.id) ORDER BY a.n DESC LIMIT 1
            ) t ON true
        ORDER BY d.id
        """
    ).bindparams(bindparam("statuses", type_=ARRAY(Text)))
)


async def recipients(
    reads: Reads,
    workspace_id: UUID,
    batch_id: UUID,
    *,
    statuses: Sequence[RecipientStatus],
    after: UUID,
    first: int,
) -> Page[asyncpg.Record]:
    """In the order in which they were taken in; those of deleted leads too. An erased lead's row is gone."""
    rows = await reads.fetch(
        PAGE,
        workspace_id=workspace_id,
        batch_id=batch_id,
        statuses=[one.value for status in statuses for one in SHOWN_AS[status]],
        after=after,
        limit=first + 1,
        soon=timedelta(seconds=ACCOUNT_WAIT_S),
    )
    return Page.of(rows, first)
