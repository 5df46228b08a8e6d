"""What follows from a file's first look: its mapping, and what it waits for or goes on with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.common.domain import Announcer, Refusals, SalesPadError
from app.imports.domain.dialect import Analysis
from app.imports.domain.failing import Failure, why
from app.imports.domain.imports import ImportStatus, Phase, RunningImport, progressed, shown_status
from app.imports.domain.lead_field import LeadField
from app.imports.domain.mapping import ColumnMapping, checked_mapping, is_sure, suggest


class AnalysisLedger(Protocol):
    async def hold(self) -> RunningImport: ...

    async def remembered(self, columns: Sequence[str]) -> Mapping[str, LeadField] | None: ...

    async def remember(self, columns: Sequence[str], mapping: Sequence[ColumnMapping]) -> None: ...

    async def analysed(
        self, analysis: Analysis, suggested: Sequence[ColumnMapping], mapping: Sequence[ColumnMapping] | None
    ) -> None: ...

    async def go_on(self, phase: Phase) -> None: ...

    async def rest(self, status: ImportStatus) -> None: ...

    async def end(self, status: ImportStatus, error: str | None = None) -> tuple[int, UUID | None]: ...


@dataclass(frozen=True)
class Analyse:
    ledger: AnalysisLedger
    feed: Announcer

    async def settle(self, analysis: Analysis) -> tuple[bool, UUID | None]:
        """Whether a worker goes on with it, and the file, if it was let go of. Raises LostLease."""
        job = await self.ledger.hold()
        assert job.file is not None
        columns = analysis.columns
        suggested = suggest(
            columns,
            analysis.preview,
            remembered=await self.ledger.remembered(columns),
            is_error_report=analysis.dialect.is_error_report,
        )
        mapping = suggested if is_sure(suggested) else None
        if given := [(one.column, one.field) for one in job.file.mapping]:
            try:
                mapping = checked_mapping(columns, given)
            except SalesPadError as refused:
                return False, await self._refuse(job, refused)
            await self.ledger.remember(columns, mapping)
        await self.ledger.analysed(analysis, suggested, mapping)
        if mapping is None:
            await self.ledger.rest(ImportStatus.NEEDS_MAPPING)
            self.feed.announce(progressed(job.id, ImportStatus.NEEDS_MAPPING, 0))
            return False, None
        phase = Phase.DRY_RUN if job.file.is_dry_run else Phase.RUN
        await self.ledger.go_on(phase)
        self.feed.announce(progressed(job.id, shown_status(ImportStatus.RUNNING, phase), 0))
        return True, None

    async def _refuse(self, job: RunningImport, refused: SalesPadError) -> UUID | None:
        first = refused.refusals[0] if isinstance(refused, Refusals) else refused
        # All else was checked when it was asked for: what is left is a column that the file does not have.
        assert job.file is not None
        assert len(first.path) > 1
        what = job.file.mapping[int(first.path[1])].column
        _, file_id = await self.ledger.end(ImportStatus.FAILED, why(Failure.WRONG_MAPPING, what))
        self.feed.announce(progressed(job.id, ImportStatus.FAILED, 0))
        return file_id
