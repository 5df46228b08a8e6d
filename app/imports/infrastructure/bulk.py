"""Set-based writes to imports that a reaction asks for."""

from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work

# A chunk under way holds its import's row to the end: what it gave them is there when this goes on, and no later chunk
# gives them anything. An import that has ended gives nothing to anybody.
UNASSIGN = Statement(
    text(
        """
        WITH found AS MATERIALIZED (
            SELECT id FROM import_job
            WHERE workspace_id = cast(:workspace_id as uuid) AND owner_id = cast(:user_id as uuid)
                AND finished_at IS NULL AND NOT EXISTS (
                    SELECT FROM member
                    WHERE workspace_id = cast(:workspace_id as uuid) AND user_id = cast(:user_id as uuid)
                )
            ORDER BY id LIMIT cast(:limit as bigint)
        ), held AS MATERIALIZED (
            SELECT id FROM import_job
            WHERE workspace_id = cast(:workspace_id as uuid) AND id IN (SELECT id FROM found)
            ORDER BY id FOR NO KEY UPDATE
        ), changed AS (
            UPDATE import_job SET owner_id = NULL
            WHERE workspace_id = cast(:workspace_id as uuid) AND owner_id = cast(:user_id as uuid)
                AND id IN (SELECT id FROM held)
            RETURNING id
        )
        SELECT count(*) AS found FROM found
        """
    )
)


async def unassign_imports(work: Work, workspace_id: UUID, user_id: UUID, *, limit: int) -> bool:
    """Up to `limit` imports under way give their leads to nobody, where their owner is no member; False: none did not.

    Announces nothing: no screen shows whom an import gives to.
    """
    row = await work.fetch_one(UNASSIGN, workspace_id=workspace_id, user_id=user_id, limit=limit)
    assert row is not None
    return bool(row["found"])
