"""Running an import: one chunk is one transaction, with its leads, outcomes, counts, checkpoint and feed events."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import EVENT_IDS_MAX, Announcer
from app.imports.domain.chunks import Chunk, counted, decide, settle_doubles
from app.imports.domain.imports import Progress, RunningImport, progressed
from app.imports.domain.outcomes import RowCode, RowOutcome, RowProblem, RowResult
from app.imports.domain.ports import FileLedger, Ledger
from app.imports.domain.rows import payload_reader, settle_rows
from app.leads.domain.events import LeadUpdated
from app.leads.domain.identity import IdentityKind
from app.leads.domain.lead import LeadSource, created
from app.leads.domain.staged import LeadDefaults, WrittenLead


@dataclass(frozen=True)
class RunImport:
    """A batch: its rows are in the ledger before."""

    ledger: Ledger
    feed: Announcer
    chunk_rows: int

    async def run_chunk(self) -> bool:
        """Settles the next rows; True when every row has its outcome. Raises LostLease: then nothing was written."""
        job = await self.ledger.hold()
        rows = await self.ledger.pending(self.chunk_rows)
        region = await self.ledger.phone_region()
        staged, results = settle_rows(rows, payload_reader(source=job.source, region=region))
        results = await self.ledger.without_erased(rows, results, job.source, region)
        defaults = defaults_of(job, await self.ledger.first_stage())
        written = await self.ledger.upsert(staged, job.policy, defaults) if staged else ()
        results.extend(_result(one) for one in written)
        progress = job.after(results)
        is_told = progress.status.has_ended or job.is_progress_due
        await self.ledger.record(results, progress, has_staged=bool(staged), is_progress_told=is_told)
        announce_leads(self.feed, written, job.source)
        if is_told:
            self.feed.announce(progressed(job.id, progress.status, progress.processed))
        return progress.status.has_ended


@dataclass(frozen=True)
class RunFile:
    """A file: a chunk was read and mapped before its transaction began."""

    ledger: FileLedger
    feed: Announcer

    async def write(self, chunk: Chunk) -> UUID | None:
        """Settles its rows; the file, where these were its last: let go of. Raises LostLease: then nothing was
        written."""
        job = await self.ledger.hold()
        assert job.file is not None
        assert job.file.position == chunk.start, "the checkpoint moves with its chunk alone"
        defaults = defaults_of(job, await self.ledger.first_stage())
        if chunk.doubtful:
            decide(
                chunk, await self.ledger.held({one for lead, _ in chunk.doubtful for one in lead.identities})
            )
        written = await self.ledger.upsert(chunk.staged, job.policy, defaults) if chunk.staged else ()
        others = [*await self.ledger.refuse(chunk.refused), *settle_doubles(chunk, written)]
        counts = counted(job.counts, written, others)
        added = await self.ledger.add_rows(job.file, others, chunk, only_problems=False)
        assert added == chunk.size, "each row has one outcome"
        progress = Progress(counts, job.total_rows)
        is_told = progress.status.has_ended or job.is_progress_due
        await self.ledger.advance(counts, chunk.end, is_progress_told=is_told)
        file_id = None
        if progress.status.has_ended:
            _, file_id = await self.ledger.end(progress.status)
        announce_leads(self.feed, written, job.source)
        if is_told:
            self.feed.announce(progressed(job.id, progress.status, progress.processed))
        return file_id


def defaults_of(job: RunningImport, stage_id: UUID) -> LeadDefaults:
    return LeadDefaults(
        source=job.source,
        stage_id=stage_id,
        owner_id=job.owner_id,
        tag_ids=job.tag_ids,
        created_by=job.created_by,
        basis=job.basis,
    )


def announce_leads(feed: Announcer, written: Sequence[WrittenLead], source: LeadSource) -> None:
    made = [one.lead_id for one in written if one.lead_id and one.outcome == RowOutcome.CREATED]
    changed = [one.lead_id for one in written if one.lead_id and one.outcome == RowOutcome.UPDATED]
    for start in range(0, len(made), EVENT_IDS_MAX):
        feed.announce(created(made[start : start + EVENT_IDS_MAX], source))
    for start in range(0, len(changed), EVENT_IDS_MAX):
        feed.announce(LeadUpdated(entity_ids=changed[start : start + EVENT_IDS_MAX], changed=["imported"]))


def _result(written: WrittenLead) -> RowResult:
    if written.outcome in (RowCode.SUPPRESSED, RowCode.ERASED):
        problem = RowProblem(RowCode(written.outcome), None)
        return RowResult(written.n, RowOutcome.SUPPRESSED, problem=problem)
    taken = written.identity_taken
    field = {IdentityKind.EMAIL: "email", IdentityKind.PHONE: "phone"}
    taken_problem = RowProblem(RowCode.IDENTITY_TAKEN, field.get(taken, "profileUrl")) if taken else None
    return RowResult(written.n, RowOutcome(written.outcome), written.lead_id, taken_problem)
