"""Running an import: one chunk is one transaction, with its leads, outcomes, counts and feed events."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.common.domain import EVENT_IDS_MAX, Announcer
from app.imports.domain.imports import (
    Progress,
    RowCode,
    RowOutcome,
    RowProblem,
    RowResult,
    RunningImport,
    progressed,
)
from app.imports.domain.ports import Ledger
from app.imports.domain.rows import settle_rows
from app.leads.domain.events import LeadUpdated
from app.leads.domain.identity import IdentityKind
from app.leads.domain.lead import created
from app.leads.domain.staged import LeadDefaults, WrittenLead


@dataclass(frozen=True)
class RunImport:
    ledger: Ledger
    feed: Announcer
    chunk_rows: int

    async def run_chunk(self) -> bool:
        """Settles the next rows; True when every row has its outcome. Raises LostLease: then nothing was written."""
        job = await self.ledger.hold()
        rows = await self.ledger.pending(self.chunk_rows)
        region = await self.ledger.phone_region()
        staged, results = settle_rows(rows, source=job.source, region=region)
        results = await self.ledger.without_erased(rows, results, job.source, region)
        defaults = LeadDefaults(
            source=job.source,
            stage_id=await self.ledger.first_stage(),
            owner_id=job.owner_id,
            tag_ids=job.tag_ids,
            created_by=job.created_by,
            basis=job.basis,
        )
        written = await self.ledger.upsert(staged, job.policy, defaults) if staged else ()
        results.extend(_result(one) for one in written)
        progress = job.after(results)
        is_told = progress.status.has_ended or job.is_progress_due
        await self.ledger.record(results, progress, is_progress_told=is_told)
        self._announce(job, results, progress, is_told=is_told)
        return progress.status.has_ended

    def _announce(
        self, job: RunningImport, results: Sequence[RowResult], progress: Progress, *, is_told: bool
    ) -> None:
        made = [one.lead_id for one in results if one.lead_id and one.outcome is RowOutcome.CREATED]
        changed = [one.lead_id for one in results if one.lead_id and one.outcome is RowOutcome.UPDATED]
        for start in range(0, len(made), EVENT_IDS_MAX):
            self.feed.announce(created(made[start : start + EVENT_IDS_MAX], job.source))
        for start in range(0, len(changed), EVENT_IDS_MAX):
            ids = changed[start : start + EVENT_IDS_MAX]
            self.feed.announce(LeadUpdated(entity_ids=ids, changed=["imported"]))
        if is_told:
            self.feed.announce(progressed(job.id, progress.status, progress.processed))


def _result(written: WrittenLead) -> RowResult:
    if written.outcome in (RowCode.SUPPRESSED, RowCode.ERASED):
        problem = RowProblem(RowCode(written.outcome), None)
        return RowResult(written.n, RowOutcome.SUPPRESSED, problem=problem)
    taken = written.identity_taken
    field = {IdentityKind.EMAIL: "email", IdentityKind.PHONE: "phone"}
    taken_problem = RowProblem(RowCode.IDENTITY_TAKEN, field.get(taken, "profileUrl")) if taken else None
    return RowResult(written.n, RowOutcome(written.outcome), written.lead_id, taken_problem)
