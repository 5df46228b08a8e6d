"""Whose turn it is: the claims of `import_job`, fair between workspaces whatever each has waiting."""

from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.leases import Claim, DueTable
from app.common.work import Work
from app.imports.infrastructure.tables import HELD, WAITING, import_job

CLAIM = """
        UPDATE import_job j SET status = 'RUNNING', attempt = attempt + 1, token = gen_random_uuid(),
            served_at = clock_timestamp(), lease_until = now() + cast(:lease_s as float) * interval '1 second'
        FROM due WHERE j.workspace_id = due.workspace_id AND j.id = due.id
        RETURNING j.workspace_id, j.id, j.token, j.attempt
"""
# The workspaces with something due, by hopping from one to the next in the index; of each, the import that is due
# longest. Locked one after the other in that order, no more than are asked for.
CLAIM_NEXT = Statement(
    text(
        f"""
        WITH RECURSIVE waiting AS (
            (SELECT workspace_id FROM import_job WHERE status = 'QUEUED' ORDER BY workspace_id LIMIT 1)
            UNION ALL
            SELECT (
                SELECT j.workspace_id FROM import_job j
                WHERE j.status = 'QUEUED' AND j.workspace_id > w.workspace_id ORDER BY j.workspace_id LIMIT 1
            ) FROM waiting w WHERE w.workspace_id IS NOT NULL
        ), turns AS MATERIALIZED (
            SELECT w.workspace_id FROM waiting w
            WHERE w.workspace_id IS NOT NULL
            ORDER BY (
                SELECT count(*) FROM import_job h WHERE h.status = 'RUNNING' AND h.workspace_id = w.workspace_id
            ), (
                SELECT max(s.served_at) FROM import_job s
                WHERE s.workspace_id = w.workspace_id AND s.served_at IS NOT NULL
            ) NULLS FIRST, w.workspace_id
        ), due AS MATERIALIZED (
            SELECT j.workspace_id, j.id FROM turns t CROSS JOIN LATERAL (
                SELECT q.workspace_id, q.id FROM import_job q
                WHERE q.workspace_id = t.workspace_id AND q.status = 'QUEUED' AND q.run_at <= now()
                ORDER BY q.run_at, q.id LIMIT cast(:limit as bigint) FOR UPDATE SKIP LOCKED
            ) j
            LIMIT cast(:limit as bigint)
        )
        {CLAIM}
        """  # noqa: S608 - constants of ours
    )
)
CLAIM_BATCH = Statement(
    text(
        f"""
        WITH due AS MATERIALIZED (
            SELECT workspace_id, id FROM import_job
            WHERE id = cast(:id as uuid) AND status = 'QUEUED' AND run_at <= now() AND file_id IS NULL
                AND phase = 'RUN'
            FOR UPDATE SKIP LOCKED
        )
        {CLAIM}
        """  # noqa: S608 - constants of ours
    )
)

IS_ANY_DUE = Statement(
    text("SELECT EXISTS (SELECT FROM import_job WHERE status = 'QUEUED' AND run_at <= now()) AS is_any_due")
)


class ImportTurns(DueTable):
    """Imports go in turns, and so do their workspaces: one with twenty of them keeps another's waiting for one."""

    async def claim(
        self, work: Work, *, lease_s: float, limit: int = 1, key: UUID | None = None
    ) -> list[Claim]:
        """A ring (`key`) takes its batch at once: that is short. One of a file waits for its turn."""
        if key is None:
            rows = await work.fetch(CLAIM_NEXT, limit=limit, lease_s=lease_s)
        else:
            rows = await work.fetch(CLAIM_BATCH, id=key, lease_s=lease_s)
        return [Claim(row["workspace_id"], row["id"], row["token"], row["attempt"]) for row in rows]

    async def is_any_due(self, system: Work) -> bool:
        """Whether some import waits for a worker's hands."""
        row = await system.fetch_one(IS_ANY_DUE)
        assert row is not None
        return bool(row["is_any_due"])


import_jobs = ImportTurns(import_job, waiting=WAITING, held=HELD)
