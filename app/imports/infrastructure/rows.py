"""The rows of an import: each has one outcome, written once, in the transaction of what it tells of."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import orjson
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.imports.domain.chunks import Refused
from app.imports.domain.outcomes import RowOutcome, RowResult

RECORD = Statement(
    text(
        """
        WITH held AS MATERIALIZED (
            SELECT row FROM import_row
            WHERE workspace_id = cast(:workspace_id as uuid) AND import_id = cast(:import_id as uuid)
                AND row = ANY (cast(:rows as int[])) AND outcome IS NULL
            ORDER BY row FOR NO KEY UPDATE
        )
        UPDATE import_row r SET outcome = o.outcome, lead_id = o.lead_id, code = o.code, field = o.field, at = now(),
            payload = CASE WHEN o.outcome = 'REJECTED' THEN r.payload END
        FROM unnest(
            cast(:rows as int[]), cast(:outcomes as text[]), cast(:lead_ids as uuid[]), cast(:codes as text[]),
            cast(:fields as text[])
        ) AS o(row, outcome, lead_id, code, field) JOIN held USING (row)
        WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.import_id = cast(:import_id as uuid)
            AND r.row = o.row AND r.outcome IS NULL
        RETURNING r.row
        """
    )
)
# What a batch's row takes back, beside what it was recorded with.
KEEP_UNDO = Statement(
    text(
        """
        UPDATE import_row r SET undo = s.undo FROM pg_temp.stage_lead s
        WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.import_id = cast(:import_id as uuid)
            AND r.row = s.n AND s.undo IS NOT NULL
        """
    )
)
# `only_problems`: of a dry run, which settles nothing: no lead has anything of it. Nor has one of a double, which may
# be settled before anybody is looked up.
INSERT_STAGED = Statement(
    text(
        """
        WITH told AS (
            SELECT s.n, s.lead_id, s.undo,
                CASE WHEN s.outcome IN ('SUPPRESSED', 'ERASED') THEN 'SUPPRESSED' ELSE s.outcome END AS outcome,
                CASE WHEN s.outcome IN ('SUPPRESSED', 'ERASED') THEN s.outcome
                    WHEN s.identity_taken IS NOT NULL THEN 'IDENTITY_TAKEN'
                    WHEN s.tags_left_out THEN 'TOO_MANY_TAGS' END AS code,
                CASE WHEN s.outcome IN ('SUPPRESSED', 'ERASED') THEN NULL
                    WHEN s.identity_taken IS NOT NULL THEN cast(:columns as jsonb) ->> s.identity_taken
                    WHEN s.tags_left_out THEN cast(:columns as jsonb) ->> 'TAGS' END AS field
            FROM pg_temp.stage_lead s
        ), written AS (
            INSERT INTO import_row (workspace_id, import_id, row, outcome, lead_id, code, field, at, undo)
            SELECT cast(:workspace_id as uuid), cast(:import_id as uuid), n, outcome,
                CASE WHEN NOT cast(:only_problems as boolean) AND outcome <> 'DUPLICATE_IN_FILE' THEN lead_id END,
                code, field, now(), undo
            FROM told WHERE code IS NOT NULL OR NOT cast(:only_problems as boolean)
            RETURNING 1
        )
        SELECT count(*) AS rows FROM written
        """
    )
)
INSERT_OTHERS = Statement(
    text(
        """
        WITH written AS (
            INSERT INTO import_row (workspace_id, import_id, row, outcome, code, field, payload, at)
            SELECT cast(:workspace_id as uuid), cast(:import_id as uuid), o.row, o.outcome, o.code, o.field, o.payload,
                now()
            FROM unnest(
                cast(:rows as int[]), cast(:outcomes as text[]), cast(:codes as text[]), cast(:fields as text[]),
                cast(:payloads as jsonb[])
            ) AS o(row, outcome, code, field, payload)
            RETURNING 1
        )
        SELECT count(*) AS rows FROM written
        """
    )
)
CLEAR = Statement(
    text(
        """
        WITH gone AS (
            DELETE FROM import_row
            WHERE workspace_id = cast(:workspace_id as uuid) AND import_id = cast(:import_id as uuid)
                AND row = ANY (ARRAY(
                    SELECT row FROM import_row
                    WHERE workspace_id = cast(:workspace_id as uuid) AND import_id = cast(:import_id as uuid)
                    ORDER BY row LIMIT cast(:limit as bigint)
                ))
            RETURNING 1
        )
        SELECT count(*) AS rows FROM gone
        """
    )
)

# Of a batch that was canceled or has failed, the rows that were still to come: nobody needs what was sent any more.
DROP_WAITING = Statement(
    text(
        """
        DELETE FROM import_row WHERE workspace_id = cast(:workspace_id as uuid)
            AND import_id = cast(:id as uuid) AND outcome IS NULL
        """
    )
)


async def record_results(
    work: Work, workspace_id: UUID, import_id: UUID, results: Sequence[RowResult]
) -> None:
    """Each row gets its outcome once: the assertion is what F16 counts on."""
    written = await work.fetch(
        RECORD,
        workspace_id=workspace_id,
        import_id=import_id,
        rows=[one.row for one in results],
        outcomes=[one.outcome for one in results],
        lead_ids=[one.lead_id for one in results],
        codes=[one.problem.code if one.problem else None for one in results],
        fields=[one.problem.field if one.problem else None for one in results],
    )
    assert len(written) == len(results), "a row had an outcome already"


async def keep_undo(work: Work, workspace_id: UUID, import_id: UUID) -> None:
    """After an upsert in this transaction: what takes back each row that changed a lead."""
    await work.fetch(KEEP_UNDO, workspace_id=workspace_id, import_id=import_id)


async def add_staged(
    work: Work, workspace_id: UUID, import_id: UUID, columns: Mapping[str, str], *, only_problems: bool
) -> int:
    """The rows of `pg_temp.stage_lead`, once they have their outcomes; how many were written. `columns` names the
    column of each kind of identity, and of TAGS."""
    row = await work.fetch_one(
        INSERT_STAGED,
        workspace_id=workspace_id,
        import_id=import_id,
        columns=orjson.dumps(columns).decode(),
        only_problems=only_problems,
    )
    assert row is not None
    return int(row["rows"])


async def add_others(
    work: Work, workspace_id: UUID, import_id: UUID, results: Sequence[RowResult], refused: Sequence[Refused]
) -> int:
    """Rows that were never staged; a rejected one keeps its cells, for people to mend it. How many were written."""
    cells = {one.row: one.cells for one in refused}
    row = await work.fetch_one(
        INSERT_OTHERS,
        workspace_id=workspace_id,
        import_id=import_id,
        rows=[one.row for one in results],
        outcomes=[one.outcome.value for one in results],
        codes=[one.problem.code.value if one.problem else None for one in results],
        fields=[
            storable(one.problem.field) if one.problem and one.problem.field else None for one in results
        ],
        payloads=[
            _payload(cells[one.row]) if one.outcome is RowOutcome.REJECTED else None for one in results
        ],
    )
    assert row is not None
    return int(row["rows"])


async def drop_waiting(work: Work, workspace_id: UUID, import_id: UUID) -> None:
    """Of a batch that ends before its last row."""
    await work.fetch(DROP_WAITING, workspace_id=workspace_id, id=import_id)


async def clear_rows(work: Work, workspace_id: UUID, import_id: UUID, *, limit: int) -> int:
    """What a dry run left, some of it; how many there were."""
    row = await work.fetch_one(CLEAR, workspace_id=workspace_id, import_id=import_id, limit=limit)
    assert row is not None
    return int(row["rows"])


def storable(text: str) -> str:
    """Without what PostgreSQL cannot hold: NUL, and halves of characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _payload(cells: Sequence[str]) -> str:
    return orjson.dumps({"cells": [storable(cell) for cell in cells]}).decode()
