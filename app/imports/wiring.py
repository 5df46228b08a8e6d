"""The door to imports: their use cases, and the handler of the due row `import_job`."""

from collections.abc import Callable
from uuid import UUID

from uuid_utils.compat import uuid7

from app.common.idempotency import Idempotency
from app.common.leases import Claim
from app.common.work import Doors, Work
from app.imports.application.accepting import ImportUseCases
from app.imports.application.running import RunImport
from app.imports.domain.imports import DUE, ImportStatus, progressed
from app.imports.infrastructure.bulk import unassign_imports
from app.imports.infrastructure.erasing import erase_imports, hold_imports
from app.imports.infrastructure.exporting import export_imports
from app.imports.infrastructure.merging import REASSIGNED as REASSIGNED_WITH_IMPORTS
from app.imports.infrastructure.merging import give_back as give_back_imports
from app.imports.infrastructure.merging import reassign as reassign_imports
from app.imports.infrastructure.reads import (
    import_and_position,
    imports_by_id,
    list_imports,
    provenance_of_leads,
    row_problems,
)
from app.imports.infrastructure.repository import ImportLedger, ImportRepository
from app.imports.infrastructure.tables import import_jobs
from app.imports.infrastructure.timeline_reads import Wanted, timelines_of
from app.settings import Settings


def import_use_cases(work: Work, workspace_id: UUID) -> ImportUseCases:
    return ImportUseCases(workspace_id, ImportRepository(work), Idempotency(work, workspace_id), work, uuid7)


async def run_import(doors: Doors, settings: Settings, claim: Claim, is_stopping: Callable[[], bool]) -> bool:
    """Chunk after chunk until every row has its outcome; True when it has ended, False when asked to stop.

    Safe to be killed anywhere and to run twice at once: the claim's token fences every chunk (LostLease).
    """
    while not is_stopping():
        async with doors.open_work(claim.workspace_id) as work:
            ledger = ImportLedger(work, claim, lease_s=settings.import_lease_s)
            if await RunImport(ledger, work, settings.import_chunk_rows).run_chunk():
                return True
    return False


async def fail_import(doors: Doors, claim: Claim, error: str) -> None:
    """Ends an import that cannot be run; the rows that have landed stay. Raises LostLease."""
    async with doors.open_work(claim.workspace_id) as work:
        processed = await ImportLedger(work, claim, lease_s=0).fail(error)
        work.announce(progressed(claim.id, ImportStatus.FAILED, processed))


__all__ = [
    "DUE",
    "REASSIGNED_WITH_IMPORTS",
    "Wanted",
    "erase_imports",
    "export_imports",
    "fail_import",
    "give_back_imports",
    "hold_imports",
    "import_and_position",
    "import_jobs",
    "import_use_cases",
    "imports_by_id",
    "list_imports",
    "provenance_of_leads",
    "reassign_imports",
    "row_problems",
    "run_import",
    "timelines_of",
    "unassign_imports",
]
