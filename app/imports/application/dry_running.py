"""A dry run: the same reading and settling as a run, counted, and no lead written."""

from dataclasses import dataclass

from app.common.domain import Announcer
from app.imports.application.running import defaults_of
from app.imports.domain.chunks import Chunk, counted, decide, settle_doubles
from app.imports.domain.imports import ImportStatus, RunningImport, progressed
from app.imports.domain.ports import FileLedger


@dataclass(frozen=True)
class DryRun:
    ledger: FileLedger
    feed: Announcer

    async def count(self, chunk: Chunk) -> None:
        """Raises LostLease: then nothing was written."""
        job = await self.ledger.hold()
        assert job.file is not None
        assert job.file.position == chunk.start, "the checkpoint moves with its chunk alone"
        defaults = defaults_of(job, await self.ledger.first_stage())
        if chunk.doubtful:
            decide(
                chunk, await self.ledger.held({one for lead, _ in chunk.doubtful for one in lead.identities})
            )
        written = await self.ledger.forecast(chunk.staged, job.policy, defaults) if chunk.staged else ()
        others = [*await self.ledger.refuse(chunk.refused), *settle_doubles(chunk, written)]
        before = job.file.dry_counts if chunk.start.row > 1 else {}
        await self.ledger.add_rows(job.file, others, chunk, only_problems=True)
        await self.ledger.advance_dry_run(
            counted(before, written, others), chunk.end, is_progress_told=job.is_progress_due
        )
        if job.is_progress_due:
            self._tell(job, ImportStatus.ANALYZING)

    async def end(self, *, limit: int) -> bool:
        """Once its last row is counted: forgets whom it saw, a step at a time, then waits for its start."""
        job = await self.ledger.hold()
        if await self.ledger.forget_seen(limit=limit):
            return False
        await self.ledger.end_dry_run()
        self._tell(job, ImportStatus.NEEDS_MAPPING)
        return True

    def _tell(self, job: RunningImport, status: ImportStatus) -> None:
        self.feed.announce(progressed(job.id, status, 0))
