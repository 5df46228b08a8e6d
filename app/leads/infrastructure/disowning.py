"""Leads of somebody who is no member any more belong to nobody."""

from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.lead import disowned

# `member` in the same snapshot: who is back has kept these, and what they were given since is no business of ours.
# Rows are locked in the order in which imports lock them.
DISOWN = Statement(
    text(
        """
        WITH found AS MATERIALIZED (
            SELECT id FROM lead
            WHERE workspace_id = cast(:workspace_id as uuid) AND owner_id = cast(:user_id as uuid)
                AND NOT EXISTS (
                    SELECT FROM member
                    WHERE workspace_id = cast(:workspace_id as uuid) AND user_id = cast(:user_id as uuid)
                )
            ORDER BY id LIMIT cast(:limit as bigint)
        ), held AS MATERIALIZED (
            SELECT id FROM lead
            WHERE workspace_id = cast(:workspace_id as uuid) AND id IN (SELECT id FROM found)
            ORDER BY id FOR NO KEY UPDATE
        ), changed AS (
            UPDATE lead SET owner_id = NULL, updated_at = now(), version = version + 1
            WHERE workspace_id = cast(:workspace_id as uuid) AND owner_id = cast(:user_id as uuid)
                AND id IN (SELECT id FROM held)
            RETURNING id
        ), told AS (
            INSERT INTO interaction (workspace_id, lead_id, type, actor_kind, cause)
            SELECT cast(:workspace_id as uuid), id, 'ASSIGNED', 'SYSTEM', 'member:' || cast(:user_id as text)
            FROM changed
        )
        SELECT (SELECT count(*) FROM found) AS found, array(SELECT id FROM changed ORDER BY id) AS ids
        """
    )
)


async def unassign_leads(work: Work, workspace_id: UUID, user_id: UUID, *, limit: int) -> bool:
    """Up to `limit` (<= EVENT_IDS_MAX) leads of somebody who is no member belong to nobody, and are announced.

    False: there was none left.
    """
    row = await work.fetch_one(DISOWN, workspace_id=workspace_id, user_id=user_id, limit=limit)
    assert row is not None
    if row["ids"]:
        work.announce(disowned(row["ids"], user_id))
    return bool(row["found"])
