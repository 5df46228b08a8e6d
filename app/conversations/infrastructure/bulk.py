"""Set-based writes to conversations that a reaction asks for."""

from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.conversations.domain.conversation import unassigned
from app.leads.domain.timeline import Entry, InteractionType
from app.leads.wiring import timeline

# `member` in the same snapshot: who is back has kept these, and what they were given since is no business of ours.
# Only the first is waited for, while none is held: a send by a rule holds one and goes on to another. The rest of those
# that somebody holds are found again.
UNASSIGN = Statement(
    text(
        """
        WITH found AS MATERIALIZED (
            SELECT id FROM conversation
            WHERE workspace_id = cast(:workspace_id as uuid) AND assignee_id = cast(:user_id as uuid)
                AND NOT EXISTS (
                    SELECT FROM member
                    WHERE workspace_id = cast(:workspace_id as uuid) AND user_id = cast(:user_id as uuid)
                )
            ORDER BY id LIMIT cast(:limit as bigint)
        ), first AS MATERIALIZED (
            SELECT id FROM conversation
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = (SELECT id FROM found ORDER BY id LIMIT 1)
            FOR NO KEY UPDATE
        ), held AS MATERIALIZED (
            SELECT c.id FROM first CROSS JOIN conversation c
            WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.id IN (SELECT id FROM found)
            FOR NO KEY UPDATE OF c SKIP LOCKED
        ), changed AS (
            UPDATE conversation SET assignee_id = NULL, updated_at = now()
            WHERE workspace_id = cast(:workspace_id as uuid) AND assignee_id = cast(:user_id as uuid)
                AND id IN (SELECT id FROM held)
            RETURNING id, lead_id
        )
        SELECT (SELECT count(*) FROM found) AS found, changed.id, changed.lead_id
        FROM (SELECT) AS always LEFT JOIN changed ON true ORDER BY changed.id
        """
    )
)


async def unassign_conversations(work: Work, workspace_id: UUID, user_id: UUID, *, limit: int) -> bool:
    """Up to `limit` (<= EVENT_IDS_MAX) conversations of somebody who is no member are nobody's: announced, and written
    on their leads' timelines. False: there was none left.
    """
    rows = await work.fetch(UNASSIGN, workspace_id=workspace_id, user_id=user_id, limit=limit)
    if changed := [row for row in rows if row["id"]]:
        work.announce(unassigned([row["id"] for row in changed], user_id))
        entries = [
            Entry(lead_id=row["lead_id"], type=InteractionType.ASSIGNED, conversation_id=row["id"])
            for row in changed
        ]
        await timeline(work, workspace_id).record(entries)
    return bool(rows[0]["found"])
