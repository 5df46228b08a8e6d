"""Implements the ports `Ledger` and `FileLedger`: one import under one claim."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import BigInteger, Text, bindparam, cast, select, text

from app.common.database import Statement
from app.common.leases import Claim, LostLease
from app.common.work import Work
from app.files.wiring import let_go
from app.imports.domain.chunks import Position
from app.imports.domain.dialect import Dialect
from app.imports.domain.imports import ImportStatus, Phase, Progress, RunningImport, TableFile
from app.imports.domain.mapping import ColumnMapping, LeadField
from app.imports.domain.outcomes import RowResult
from app.imports.infrastructure.erasing import without_erased
from app.imports.infrastructure.rows import drop_waiting, keep_undo, record_results
from app.imports.infrastructure.tables import import_job, import_row
from app.imports.infrastructure.turns import import_jobs
from app.leads.domain.lead import LeadSource
from app.leads.domain.staged import ImportPolicy, LeadDefaults, StagedLead, WrittenLead
from app.leads.wiring import LeadRepository, upsert_leads

# Of a file, chunks of half a second are told of at least once a second while it has its turn.
JOB = Statement(
    select(
        *(
            import_job.c[name]
            for name in ("source", "policy", "owner_id", "tag_ids", "basis", "created_by", "total_rows")
        ),
        *(
            import_job.c[name]
            for name in ("phase", "file_id", "columns", "next_row", "next_offset", "is_dry_run")
        ),
        *(
            cast(import_job.c[name], Text).label(name)
            for name in ("counts", "dialect", "mapping", "dry_run_counts")
        ),
        text(
            "(progress_at IS NULL OR progress_at < now() - CASE WHEN file_id IS NULL THEN interval '1 second'"
            " ELSE interval '0.5 seconds' END) AS is_progress_due"
        ),
    ).where(import_job.c.workspace_id == bindparam("workspace_id"), import_job.c.id == bindparam("id"))
)
PENDING = Statement(
    select(import_row.c.row, cast(import_row.c.payload, Text).label("payload"))
    .where(
        import_row.c.workspace_id == bindparam("workspace_id"),
        import_row.c.import_id == bindparam("import_id"),
        import_row.c.outcome.is_(None),
    )
    .order_by(import_row.c.row)
    .limit(bindparam("limit", type_=BigInteger))
)
# Row by row through the index on leads: whatever PostgreSQL thinks of the temporary table, it must not read all the
# rows that have landed.
SAME_LEAD_EARLIER = Statement(
    text(
        """
        UPDATE pg_temp.stage_lead s SET outcome = 'DUPLICATE_IN_FILE'
        WHERE s.known AND s.outcome IS NULL AND (
            SELECT true FROM import_row r
            WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.lead_id = s.lead_id
                AND r.import_id = cast(:import_id as uuid)
            LIMIT 1
        )
        """
    )
)
PROGRESS = Statement(
    text(
        """
        UPDATE import_job SET counts = cast(:counts as jsonb), processed_rows = cast(:processed as int), attempt = 0,
            started_at = coalesce(started_at, now()), error = NULL,
            next_row = coalesce(cast(:next_row as bigint), next_row),
            next_offset = coalesce(cast(:next_offset as bigint), next_offset),
            progress_at = CASE WHEN cast(:is_told as boolean) THEN now() ELSE progress_at END
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING id
        """
    )
)
END = Statement(
    text(
        """
        UPDATE import_job SET finished_at = now(), preview = NULL, file_id = NULL,
            ran_until = coalesce(ran_until, CASE WHEN phase = 'RUN' AND processed_rows > 0 THEN now() END)
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING processed_rows, old.file_id AS file_id
        """
    )
)


class ImportLedger:
    """Every method raises LostLease once another worker has it, or somebody paused or canceled it."""

    def __init__(self, work: Work, claim: Claim, *, lease_s: float) -> None:
        self._work, self._claim, self._lease_s = work, claim, lease_s
        self._leads = LeadRepository(work)
        self._of = {"workspace_id": claim.workspace_id, "import_id": claim.id}
        self._mine = {"workspace_id": claim.workspace_id, "id": claim.id, "token": claim.token}

    async def hold(self) -> RunningImport:
        await import_jobs.renew(self._work, self._claim, lease_s=self._lease_s)
        row = await self._work.fetch_one(JOB, workspace_id=self._claim.workspace_id, id=self._claim.id)
        assert row is not None
        return RunningImport(
            id=self._claim.id,
            source=LeadSource(row["source"]),
            policy=ImportPolicy(row["policy"]),
            owner_id=row["owner_id"],
            tag_ids=row["tag_ids"],
            basis=row["basis"],
            created_by=row["created_by"],
            total_rows=row["total_rows"] or 0,
            counts=orjson.loads(row["counts"]),
            is_progress_due=row["is_progress_due"],
            phase=Phase(row["phase"]),
            file=_file(row) if row["file_id"] else None,
        )

    async def pending(self, limit: int) -> Sequence[tuple[int, Mapping[str, object]]]:
        rows = await self._work.fetch(PENDING, **self._of, limit=limit)
        return [(row["row"], orjson.loads(row["payload"])) for row in rows]

    async def phone_region(self) -> str:
        return await self._leads.phone_region(self._claim.workspace_id)

    async def without_erased(
        self,
        rows: Sequence[tuple[int, Mapping[str, object]]],
        results: Sequence[RowResult],
        source: LeadSource,
        region: str,
    ) -> list[RowResult]:
        return await without_erased(self._work, self._claim.workspace_id, rows, results, source, region)

    async def first_stage(self) -> UUID:
        return await self._leads.stage(self._claim.workspace_id, None)

    async def upsert(
        self, staged: Sequence[StagedLead], policy: ImportPolicy, defaults: LeadDefaults
    ) -> Sequence[WrittenLead]:
        return await upsert_leads(
            self._work,
            self._claim.workspace_id,
            staged,
            policy,
            defaults,
            settle=lambda: self._work.fetch(SAME_LEAD_EARLIER, **self._of),
        )

    async def record(
        self, results: Sequence[RowResult], progress: Progress, *, has_staged: bool, is_progress_told: bool
    ) -> None:
        await record_results(self._work, self._claim.workspace_id, self._claim.id, results)
        if has_staged:
            await keep_undo(self._work, self._claim.workspace_id, self._claim.id)
        await self.advance(progress.counts, None, is_progress_told=is_progress_told)
        if progress.status.has_ended:
            await self.end(progress.status)

    async def advance(
        self, counts: Mapping[str, int], to: Position | None, *, is_progress_told: bool
    ) -> None:
        """The counts, and of a file the checkpoint."""
        told = await self._work.fetch(
            PROGRESS,
            **self._mine,
            counts=orjson.dumps(counts).decode(),
            processed=sum(counts.values()),
            next_row=to.row if to else None,
            next_offset=to.offset if to else None,
            is_told=is_progress_told,
        )
        if not told:
            raise LostLease

    async def end(self, status: ImportStatus, error: str | None = None) -> tuple[int, UUID | None]:
        """As it stands: the rows that have an outcome, and the file, now let go of."""
        row = await self._work.fetch_one(END, **self._mine)
        if row is None:
            raise LostLease
        await import_jobs.finish(self._work, self._claim, status=status, error=error)
        if status is ImportStatus.FAILED:
            await drop_waiting(self._work, self._claim.workspace_id, self._claim.id)
        file_id: UUID | None = row["file_id"]
        if file_id is not None:
            await let_go(self._work, self._claim.workspace_id, [file_id])
        return int(row["processed_rows"]), file_id


def _file(row: asyncpg.Record) -> TableFile:
    given = {name: orjson.loads(row[name]) if row[name] else None for name in _JSON}
    dialect = given["dialect"]
    return TableFile(
        id=row["file_id"],
        columns=row["columns"],
        dialect=Dialect(**dialect) if dialect else None,
        mapping=[
            ColumnMapping(one["column"], LeadField(one["field"]), one.get("confidence", 1.0))
            for one in given["mapping"] or ()
        ],
        position=Position(row["next_row"], row["next_offset"]),
        is_dry_run=row["is_dry_run"],
        dry_counts=given["dry_run_counts"] or {},
    )


_JSON = ("dialect", "mapping", "dry_run_counts")
