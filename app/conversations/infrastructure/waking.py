"""Snoozed conversations whose time has come. A conversation's own row is the due row: waking it is one statement, so it
needs no lease, and whoever comes second finds nothing to do."""

from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Doors
from app.conversations.domain.conversation import woken

AT_ONCE = 500
DUE = Statement(
    text(
        """
        SELECT workspace_id, id FROM conversation WHERE status = 'SNOOZED' AND snoozed_until <= now()
        ORDER BY snoozed_until LIMIT cast(:limit as bigint)
        """
    )
)
# One that somebody is at work on is left for the next turn.
WAKE = Statement(
    text(
        """
        UPDATE conversation SET status = 'OPEN', snoozed_until = NULL, activity_at = greatest(activity_at, now()),
            updated_at = now()
        WHERE workspace_id = cast(:workspace_id as uuid) AND id IN (
            SELECT id FROM conversation
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = any(cast(:ids as uuid[]))
                AND status = 'SNOOZED' AND snoozed_until <= now()
            ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
        )
        RETURNING id
        """
    )
)


async def wake_snoozed(doors: Doors) -> int:
    """Opens up to `AT_ONCE` of them, each workspace's in one transaction with what the feed tells of it; how many it
    were. Any number of workers may do so at once, and be killed at it. Raises Unavailable."""
    async with doors.open_system() as system:
        due = await system.fetch(DUE, limit=AT_ONCE)
    of: dict[UUID, list[UUID]] = {}
    for row in due:
        of.setdefault(row["workspace_id"], []).append(row["id"])
    count = 0
    for workspace_id, ids in of.items():
        async with doors.open_work(workspace_id) as work:
            rows = await work.fetch(WAKE, workspace_id=workspace_id, ids=ids)
            if rows:
                work.announce(woken([row["id"] for row in rows]))
        count += len(rows)
    return count
