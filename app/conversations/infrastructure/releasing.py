"""What waits for the end of quiet hours waits for those that are: when a workspace's change, or its zone does, what
they put off is looked at again, a chunk a transaction. Any number of workers may do so at once, and be killed at it:
a workspace is looked at until one came to the end.
"""

from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.accounts.wiring import quiet_change_seen, quiet_changes
from app.common.database import Statement
from app.common.work import Doors, Work
from app.conversations.domain.events import MessageUpdated
from app.conversations.domain.message import MessageStatus
from app.conversations.infrastructure.pacing import start_pace

WORKSPACES = 100
ROWS = 2_000
FIRST = UUID(int=0)
# A person's message is in the lead's own zone as it is now, one of a batch in its recipient's (quiet.py, pace.py).
# Rows that somebody has locked are about to be canceled: they are passed over.
RELEASE = Statement(
    text(
        """
        WITH waiting AS MATERIALIZED (
            SELECT d.id, coalesce(CASE WHEN d.send_batch_id IS NULL THEN l.time_zone END, d.time_zone, '') AS zone
            FROM delivery d LEFT JOIN lead l ON (l.workspace_id, l.id) = (d.workspace_id, d.lead_id)
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.status = 'queued' AND d.run_at = d.quiet_until
                AND d.id > cast(:after_id as uuid)
            ORDER BY d.id LIMIT cast(:limit as bigint)
        ), zones AS MATERIALIZED (
            SELECT z.zone, quiet_until(
                now(), coalesce(nullif(z.zone, ''), w.time_zone), w.quiet_from, w.quiet_to, w.quiet_weekdays
            ) AS until
            FROM (SELECT DISTINCT zone FROM waiting) z, workspace w WHERE w.id = cast(:workspace_id as uuid)
        ), held AS MATERIALIZED (
            SELECT d.ctid AS place, z.until
            FROM waiting x JOIN zones z ON z.zone = x.zone
                JOIN delivery d ON d.workspace_id = cast(:workspace_id as uuid) AND d.id = x.id
            WHERE d.status = 'queued' AND d.run_at = d.quiet_until AND d.run_at IS DISTINCT FROM z.until
            FOR UPDATE OF d SKIP LOCKED
        ), released AS (
            UPDATE delivery d SET run_at = coalesce(h.until, now()), quiet_until = h.until
            FROM held h WHERE d.ctid = h.place
            RETURNING d.message_id, d.send_batch_id, d.run_at
        ), shown AS (
            UPDATE message m SET not_before = r.run_at
            FROM released r
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = r.message_id AND m.status = 'SCHEDULED'
            RETURNING m.id, m.conversation_id
        )
        SELECT (SELECT count(*) FROM waiting) AS found, (SELECT id FROM waiting ORDER BY id DESC LIMIT 1) AS last,
            (SELECT count(*) FROM released) AS moved,
            ARRAY (SELECT DISTINCT send_batch_id FROM released WHERE send_batch_id IS NOT NULL ORDER BY 1) AS batches,
            ARRAY (SELECT id FROM shown ORDER BY id) AS messages,
            ARRAY (SELECT conversation_id FROM shown ORDER BY id) AS conversations
        """
    )
)


async def release_from_quiet_hours(doors: Doors) -> int:
    """In the workspaces where they changed; how many rows moved. Raises Unavailable."""
    async with doors.open_system() as system:
        changes = await quiet_changes(system, limit=WORKSPACES)
    moved = 0
    for change in changes:
        after_id, found = FIRST, ROWS
        while found == ROWS:
            async with doors.open_work(change.workspace_id, plans_once=True) as work:
                row = await work.fetch_one(
                    RELEASE, workspace_id=change.workspace_id, after_id=after_id, limit=ROWS
                )
                assert row is not None
                await _tell(work, change.workspace_id, row)
            found, after_id = row["found"], row["last"]
            moved += row["moved"]
        async with doors.open_system() as system:
            await quiet_change_seen(system, change)
    return moved


async def _tell(work: Work, workspace_id: UUID, row: asyncpg.Record) -> None:
    for id, conversation_id in zip(row["messages"], row["conversations"], strict=True):
        work.announce(
            MessageUpdated(
                entity_ids=[id],
                before={"status": MessageStatus.SCHEDULED},
                after={"status": MessageStatus.SCHEDULED, "conversationId": str(conversation_id)},
            )
        )
    for batch_id in sorted(row["batches"]):  # as others lock their paces
        await start_pace(work, workspace_id, batch_id)
