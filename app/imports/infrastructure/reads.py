"""What screens read of imports."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    select,
    text,
    tuple_,
)

from app.common.database import Statement
from app.common.paging import Keyset, Page
from app.common.work import Reads
from app.imports.infrastructure.tables import import_job


def _job_columns() -> Select[Any]:
    """Rate and end are reckoned with the database's clock, from the rows settled since the start, without pauses."""
    elapsed = func.extract(
        "epoch",
        func.coalesce(import_job.c.ran_until, import_job.c.finished_at, import_job.c.paused_at, func.now())
        - import_job.c.started_at,
    )
    return select(
        cast(import_job.c.id, Text).label("id"),
        import_job.c.id.label("key"),
        *(import_job.c[name] for name in ("status", "source", "total_rows", "processed_rows", "error")),
        *(import_job.c[name] for name in ("created_at", "finished_at", "page_url", "created_by")),
        *(import_job.c[name] for name in ("phase", "file_name", "kept_on_undo")),
        cast(import_job.c.counts, Text).label("counts"),
        cast(import_job.c.dry_run_counts, Text).label("dry_run_counts"),
        cast(import_job.c.processed_rows / func.nullif(elapsed, 0), Text).label("rows_per_second"),
        func.now().label("now"),
    ).where(import_job.c.workspace_id == bindparam("workspace_id"))


def _list_statement(*, has_after: bool) -> Statement:
    jobs = _job_columns()
    if has_after:
        after = tuple_(
            bindparam("after_at", type_=DateTime(timezone=True)), bindparam("after_id", type_=Uuid)
        )
        jobs = jobs.where(tuple_(import_job.c.created_at, import_job.c.id) < after)
    return Statement(
        jobs.order_by(import_job.c.created_at.desc(), import_job.c.id.desc()).limit(
            bindparam("limit", type_=BigInteger)
        )
    )


NEWEST, NEWEST_AFTER = _list_statement(has_after=False), _list_statement(has_after=True)
BY_IDS = Statement(_job_columns().where(import_job.c.id == any_(bindparam("ids", type_=ARRAY(Uuid)))))
WITH_FEED = Statement(
    _job_columns()
    .add_columns(
        select(text("seq"))
        .select_from(text("feed_head h"))
        .where(text("h.workspace_id = import_job.workspace_id"))
        .scalar_subquery()
        .label("feed_seq")
    )
    .where(import_job.c.id == bindparam("id"))
)
PROBLEMS = Statement(
    text(
        """
        SELECT w.id AS import_id, p.row, p.code, p.field
        FROM unnest(cast(:ids as uuid[]), cast(:limits as int[])) AS w(id, row_limit)
        CROSS JOIN LATERAL (
            SELECT r.row, r.code, r.field FROM import_row r
            WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.import_id = w.id AND r.code IS NOT NULL
            ORDER BY r.row LIMIT w.row_limit
        ) p
        ORDER BY w.id, p.row
        """
    )
)
TABLES = Statement(
    text(
        """
        SELECT id, columns, suggested::text AS suggested,
            CASE WHEN cast(:with_preview as boolean) THEN preview::text END AS preview
        FROM import_job
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
        """
    )
)
PROVENANCE = Statement(
    text(
        """
        SELECT l.id AS lead_id, NULL AS import_id, NULL AS row, NULL AS outcome, l.source, NULL AS page_url,
            l.basis, l.created_at AS at, u.id::text AS user_id, u.name, u.email, u.locale
        FROM lead l LEFT JOIN app_user u ON u.id = l.created_by
        WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = ANY (cast(:ids as uuid[]))
        UNION ALL
        SELECT r.lead_id, j.id, r.row, r.outcome, j.source, j.page_url, j.basis, r.at, u.id::text, u.name, u.email,
            u.locale
        FROM import_row r
        JOIN import_job j ON j.workspace_id = r.workspace_id AND j.id = r.import_id
        LEFT JOIN app_user u ON u.id = j.created_by
        WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.lead_id = ANY (cast(:ids as uuid[]))
            AND r.outcome IN ('CREATED', 'UPDATED')
        ORDER BY at, row NULLS FIRST
        """
    )
)


async def list_imports(
    reads: Reads, workspace_id: UUID, *, first: int, after: Keyset | None
) -> Page[asyncpg.Record]:
    """Newest first."""
    position = {"after_at": after.at, "after_id": after.id} if after else {}
    statement = NEWEST_AFTER if after else NEWEST
    return Page.of(
        await reads.fetch(statement, workspace_id=workspace_id, limit=first + 1, **position), first
    )


async def imports_by_id(reads: Reads, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    rows = await reads.fetch(BY_IDS, workspace_id=workspace_id, ids=list(ids))
    return {row["key"]: row for row in rows}


async def import_and_position(
    reads: Reads, workspace_id: UUID, id: UUID
) -> tuple[asyncpg.Record, int] | None:
    """The import, and the feed's position of the same snapshot."""
    row = await reads.fetch_one(WITH_FEED, workspace_id=workspace_id, id=id)
    return (row, int(row["feed_seq"])) if row else None


async def row_problems(
    reads: Reads, workspace_id: UUID, wanted: Sequence[tuple[UUID, int]]
) -> dict[UUID, list[asyncpg.Record]]:
    """The first problems of each import: (id, how many)."""
    found: dict[UUID, list[asyncpg.Record]] = {id: [] for id, _ in wanted}
    rows = await reads.fetch(
        PROBLEMS,
        workspace_id=workspace_id,
        ids=[id for id, _ in wanted],
        limits=[limit for _, limit in wanted],
    )
    for row in rows:
        found[row["import_id"]].append(row)
    return found


async def tables_of_imports(
    reads: Reads, workspace_id: UUID, ids: Sequence[UUID], *, with_preview: bool
) -> dict[UUID, asyncpg.Record]:
    """What their files look like."""
    rows = await reads.fetch(TABLES, workspace_id=workspace_id, ids=list(ids), with_preview=with_preview)
    return {row["id"]: row for row in rows}


async def provenance_of_leads(
    reads: Reads, workspace_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, list[asyncpg.Record]]:
    """How each lead came in and which imports changed it, oldest first."""
    found: dict[UUID, list[asyncpg.Record]] = {id: [] for id in ids}
    for row in await reads.fetch(PROVENANCE, workspace_id=workspace_id, ids=list(ids)):
        found[row["lead_id"]].append(row)
    return found
