"""Implements the port `UndoneLedger`: which rows are taken back, what else hangs on their leads, the checkpoint."""

from sqlalchemy import text

from app.common.database import Statement
from app.common.leases import Claim, LostLease
from app.common.work import Work
from app.imports.application.undoing import RunningUndo
from app.imports.domain.imports import ImportStatus
from app.imports.infrastructure.turns import import_jobs
from app.leads.domain.undo import Undone, WrittenRow
from app.leads.wiring import undo_leads

JOB = Statement(
    text(
        """
        SELECT undo_row AS next_row, processed_rows, coalesce((
                SELECT max(r.row) FROM import_row r
                WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.import_id = cast(:import_id as uuid)
            ), 0) AS last_row,
            progress_at IS NULL OR progress_at < now() - interval '1 second' AS is_progress_due
        FROM import_job WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:import_id as uuid)
        """
    )
)
ROWS = Statement(
    text(
        """
        SELECT row, lead_id, outcome = 'CREATED' AS is_created, at, cast(undo as text) AS undo FROM import_row
        WHERE workspace_id = cast(:workspace_id as uuid) AND import_id = cast(:import_id as uuid)
            AND row BETWEEN cast(:first as bigint) AND cast(:last as bigint) AND lead_id IS NOT NULL
            AND outcome IN ('CREATED', 'UPDATED')
        ORDER BY row
        """
    )
)
# Under the leads' locks: a merge may have taken the row meanwhile, and whom somebody talks with or is about to write to
# is theirs. What an import that was undone whole did to a lead's version is nobody's touch.
SETTLE = Statement(
    text(
        """
        UPDATE pg_temp.stage_undo s SET
            is_touched = NOT EXISTS (
                SELECT FROM import_row r
                WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.import_id = cast(:import_id as uuid)
                    AND r.row = s.n AND r.lead_id = s.lead_id OFFSET 0
            ) OR (s.is_created AND (EXISTS (
                SELECT FROM conversation c
                WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.lead_id = s.lead_id OFFSET 0
            ) OR EXISTS (
                SELECT FROM delivery d
                WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.lead_id = s.lead_id OFFSET 0
            ))),
            used = CASE WHEN s.undo -> 'identities' IS NULL THEN '{}' ELSE array(
                SELECT c.contact_address FROM conversation c
                WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.lead_id = s.lead_id
            ) END,
            version = s.version + CASE WHEN s.is_created THEN (
                SELECT coalesce(sum(cast(u.undo ->> 'undone' as int)), 0) FROM import_row u
                WHERE u.workspace_id = cast(:workspace_id as uuid) AND u.lead_id = s.lead_id
            ) ELSE 0 END
        """
    )
)
# What took a row back has done so: it holds what people had before, and goes. How far the lead's version went up stays.
FORGET = Statement(
    text(
        """
        UPDATE import_row SET undo = CASE WHEN row = ANY (cast(:bumped as int[])) THEN '{"undone": 2}'::jsonb END
        WHERE workspace_id = cast(:workspace_id as uuid) AND import_id = cast(:import_id as uuid)
            AND row BETWEEN cast(:first as bigint) AND cast(:last as bigint) AND undo IS NOT NULL
        """
    )
)
# A lead counts once, with the first of its rows: after a merge it has several.
RECORD = Statement(
    text(
        """
        UPDATE import_job SET undo_row = cast(:last as bigint) + 1, attempt = 0,
            kept_on_undo = coalesce(kept_on_undo, 0) + (
                SELECT count(DISTINCT r.lead_id) FROM import_row r
                WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.import_id = cast(:import_id as uuid)
                    AND r.row = ANY (cast(:kept as int[])) AND NOT EXISTS (
                        SELECT FROM import_row e
                        WHERE e.workspace_id = r.workspace_id AND e.import_id = r.import_id
                            AND e.lead_id = r.lead_id AND e.row < cast(:first as bigint)
                            AND e.outcome IN ('CREATED', 'UPDATED') OFFSET 0
                    )
            ),
            progress_at = CASE WHEN cast(:is_told as boolean) THEN now() ELSE progress_at END,
            finished_at = CASE WHEN cast(:has_ended as boolean) THEN now() ELSE finished_at END
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:import_id as uuid)
            AND token = cast(:token as uuid)
        RETURNING id
        """
    )
)


class UndoLedger:
    """One import under one claim, in phase UNDO."""

    def __init__(self, work: Work, claim: Claim, *, lease_s: float) -> None:
        self._work, self._claim, self._lease_s = work, claim, lease_s
        self._of = {"workspace_id": claim.workspace_id, "import_id": claim.id}

    async def hold(self) -> RunningUndo:
        await import_jobs.renew(self._work, self._claim, lease_s=self._lease_s)
        row = await self._work.fetch_one(JOB, **self._of)
        assert row is not None
        return RunningUndo(
            self._claim.id, row["next_row"], row["last_row"], row["processed_rows"], row["is_progress_due"]
        )

    async def take_back(self, first: int, last: int) -> Undone:
        rows = await self._work.fetch(ROWS, **self._of, first=first, last=last)
        written = [
            WrittenRow(row["row"], row["lead_id"], row["is_created"], row["at"], row["undo"]) for row in rows
        ]
        return await undo_leads(
            self._work,
            self._claim.workspace_id,
            written,
            cause=f"import:{self._claim.id}",
            settle=lambda: self._work.fetch(SETTLE, **self._of),
        )

    async def record(self, undone: Undone, *, first: int, last: int, has_ended: bool, is_told: bool) -> None:
        window = {"first": first, "last": last}
        await self._work.fetch(FORGET, **self._of, **window, bumped=list(undone.bumped))
        recorded = await self._work.fetch(
            RECORD,
            **self._of,
            **window,
            token=self._claim.token,
            kept=list(undone.kept),
            has_ended=has_ended,
            is_told=is_told,
        )
        if not recorded:
            raise LostLease
        if has_ended:
            await import_jobs.finish(self._work, self._claim, status=ImportStatus.UNDONE.value)
