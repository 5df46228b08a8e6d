"""Implements the ports `Imports` (the request that fills the ledger) and `Ledger` (the worker that settles it)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, Text, bindparam, cast, select, text

from app.common.database import Statement
from app.common.leases import Claim, LostLease
from app.common.work import Work
from app.imports.domain.imports import (
    ImportRequest,
    ImportStatus,
    Progress,
    RowOutcome,
    RowResult,
    RunningImport,
)
from app.imports.infrastructure.erasing import without_erased
from app.imports.infrastructure.tables import import_job, import_jobs, import_row
from app.leads.domain.lead import LeadSource
from app.leads.domain.staged import ImportPolicy, LeadDefaults, StagedLead, WrittenLead
from app.leads.wiring import LeadRepository, upsert_leads

ADD_JOB = Statement(
    text(
        """
        INSERT INTO import_job
            (workspace_id, id, status, source, page_url, policy, owner_id, tag_ids, created_by, basis,
             total_rows, processed_rows, counts)
        VALUES (cast(:workspace_id as uuid), cast(:id as uuid), 'QUEUED', :source, :page_url, :policy,
            cast(:owner_id as uuid), cast(:tag_ids as uuid[]), cast(:created_by as uuid),
            cast(:basis as text), :total_rows, :processed_rows, cast(:counts as jsonb))
        """
    )
)
ADD_ROWS = Statement(
    text(
        """
        INSERT INTO import_row (workspace_id, import_id, row, payload)
        SELECT cast(:workspace_id as uuid), cast(:import_id as uuid), r.n, r.payload
        FROM jsonb_array_elements(cast(:rows as jsonb)) WITH ORDINALITY AS r(payload, n)
        """
    )
)
JOB = Statement(
    select(
        *(
            import_job.c[name]
            for name in ("source", "policy", "owner_id", "tag_ids", "basis", "created_by", "total_rows")
        ),
        cast(import_job.c.counts, Text).label("counts"),
        text("(progress_at IS NULL OR progress_at < now() - interval '1 second') AS is_progress_due"),
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
SAME_LEAD_EARLIER = Statement(
    text(
        """
        UPDATE pg_temp.stage_lead s SET outcome = 'DUPLICATE_IN_FILE'
        FROM import_row r
        WHERE s.known AND s.outcome IS NULL AND r.workspace_id = cast(:workspace_id as uuid)
            AND r.import_id = cast(:import_id as uuid) AND r.lead_id = s.lead_id
        """
    )
)
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
PROGRESS = Statement(
    text(
        """
        UPDATE import_job SET counts = cast(:counts as jsonb), processed_rows = cast(:processed as int), attempt = 0,
            started_at = coalesce(started_at, now()),
            progress_at = CASE WHEN cast(:is_told as boolean) THEN now() ELSE progress_at END,
            finished_at = CASE WHEN cast(:has_ended as boolean) THEN now() END
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING id
        """
    )
)

END = Statement(
    text(
        """
        UPDATE import_job SET finished_at = now()
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING processed_rows
        """
    )
)


class ImportRepository:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._leads = leads = LeadRepository(work)
        self.check_owner, self.check_tags = leads.check_owner, leads.check_tags

    async def add(
        self, workspace_id: UUID, import_id: UUID, request: ImportRequest, *, created_by: UUID
    ) -> None:
        rejected = [
            RowResult(row, RowOutcome.REJECTED, problem=problem)
            for row, problem in request.unstorable.items()
        ]
        # Never kept as they were sent where they name somebody who was erased.
        region = await self._leads.phone_region(workspace_id) if rejected else ""
        rows = [(one.row, request.rows[one.row - 1]) for one in rejected]
        rejected = await without_erased(self._work, workspace_id, rows, rejected, request.source, region)
        counts = Counter(one.outcome.value for one in rejected)
        await self._work.fetch(
            ADD_JOB,
            workspace_id=workspace_id,
            id=import_id,
            source=request.source,
            page_url=request.page_url,
            policy=request.policy,
            owner_id=request.owner_id,
            tag_ids=list(request.tag_ids),
            created_by=created_by,
            basis=request.basis,
            total_rows=len(request.rows),
            processed_rows=len(rejected),
            counts=orjson.dumps({RowOutcome.REJECTED.value: 0, **counts}).decode(),
        )
        await self._work.fetch(
            ADD_ROWS,
            workspace_id=workspace_id,
            import_id=import_id,
            rows=orjson.dumps(request.rows).decode(),
        )
        if rejected:
            await _record(self._work, workspace_id, import_id, rejected)


class ImportLedger:
    """One import under one claim."""

    def __init__(self, work: Work, claim: Claim, *, lease_s: float) -> None:
        self._work, self._claim, self._lease_s = work, claim, lease_s
        self._leads = LeadRepository(work)
        self._of = {"workspace_id": claim.workspace_id, "import_id": claim.id}

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
            total_rows=row["total_rows"],
            counts=orjson.loads(row["counts"]),
            is_progress_due=row["is_progress_due"],
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
        self, results: Sequence[RowResult], progress: Progress, *, is_progress_told: bool
    ) -> None:
        await _record(self._work, self._claim.workspace_id, self._claim.id, results)
        told = await self._work.fetch(
            PROGRESS,
            workspace_id=self._claim.workspace_id,
            id=self._claim.id,
            token=self._claim.token,
            counts=orjson.dumps(progress.counts).decode(),
            processed=progress.processed,
            is_told=is_progress_told,
            has_ended=progress.status.has_ended,
        )
        if not told:
            raise LostLease
        if progress.status.has_ended:
            await import_jobs.finish(self._work, self._claim, status=progress.status)

    async def fail(self, error: str) -> int:
        """Ends the import as it stands; the rows that have an outcome."""
        row = await self._work.fetch_one(
            END, workspace_id=self._claim.workspace_id, id=self._claim.id, token=self._claim.token
        )
        if row is None:
            raise LostLease
        await import_jobs.finish(self._work, self._claim, status=ImportStatus.FAILED, error=error)
        return int(row["processed_rows"])


async def _record(work: Work, workspace_id: UUID, import_id: UUID, results: Sequence[RowResult]) -> None:
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
