"""Implements the port `Imports`: the request that fills the ledger."""

from collections import Counter
from uuid import UUID

import orjson
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.imports.domain.imports import ImportRequest
from app.imports.domain.outcomes import RowOutcome, RowResult
from app.imports.infrastructure.erasing import without_erased
from app.imports.infrastructure.rows import record_results
from app.leads.wiring import LeadRepository

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
            await record_results(self._work, workspace_id, import_id, rejected)
