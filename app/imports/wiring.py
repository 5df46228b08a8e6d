"""The door to imports: their use cases, and the handler of the due row `import_job`."""

from uuid import UUID

from uuid_utils.compat import uuid7

from app.common.domain import Actor
from app.common.idempotency import Idempotency
from app.common.leases import Claim
from app.common.work import Doors, Work
from app.imports.application.accepting import ImportUseCases
from app.imports.application.starting import FileImportUseCases
from app.imports.domain.imports import DUE, ImportStatus, progressed
from app.imports.infrastructure.bulk import unassign_imports
from app.imports.infrastructure.engine import Engine
from app.imports.infrastructure.erasing import erase_imports, hold_imports
from app.imports.infrastructure.exporting import export_imports
from app.imports.infrastructure.ledger import ImportLedger
from app.imports.infrastructure.merging import REASSIGNED as REASSIGNED_WITH_IMPORTS
from app.imports.infrastructure.merging import give_back as give_back_imports
from app.imports.infrastructure.merging import reassign as reassign_imports
from app.imports.infrastructure.moves import (
    ImportMoves,
    PersonsUploads,
    column_mappings,
    expire,
    forget_seen,
    forget_undos,
)
from app.imports.infrastructure.reads import (
    import_and_position,
    imports_by_id,
    list_imports,
    provenance_of_leads,
    row_problems,
    tables_of_imports,
)
from app.imports.infrastructure.report_reads import (
    ReportedFile,
    rejected_page,
    report_links,
    reported_file,
)
from app.imports.infrastructure.repository import ImportRepository
from app.imports.infrastructure.timeline_reads import Wanted, timelines_of
from app.imports.infrastructure.turns import import_jobs
from app.settings import Settings


def import_use_cases(work: Work, workspace_id: UUID) -> ImportUseCases:
    return ImportUseCases(workspace_id, ImportRepository(work), Idempotency(work, workspace_id), work, uuid7)


def file_import_use_cases(work: Work, actor: Actor, settings: Settings) -> FileImportUseCases:
    workspace_id = actor.workspace_id
    return FileImportUseCases(
        workspace_id,
        actor.user_id,
        ImportMoves(work),
        PersonsUploads(work, actor, settings),
        Idempotency(work, workspace_id),
        work,
        uuid7,
    )


async def end_forgotten_imports(system: Work, *, settings: Settings, limit: int) -> int:
    """Those that wait for a mapping longer than an upload is kept, or that were paused for a week; how many."""
    return await expire(system, ttl_s=settings.upload_ttl_s, limit=limit)


async def fail_import(doors: Doors, claim: Claim, error: str) -> None:
    """Ends an import that cannot be run; the rows that have landed stay. Raises LostLease."""
    async with doors.open_work(claim.workspace_id) as work:
        processed, _ = await ImportLedger(work, claim, lease_s=0).end(ImportStatus.FAILED, error)
        work.announce(progressed(claim.id, ImportStatus.FAILED, processed))


__all__ = [
    "DUE",
    "REASSIGNED_WITH_IMPORTS",
    "Engine",
    "ReportedFile",
    "Wanted",
    "column_mappings",
    "end_forgotten_imports",
    "erase_imports",
    "export_imports",
    "fail_import",
    "file_import_use_cases",
    "forget_seen",
    "forget_undos",
    "give_back_imports",
    "hold_imports",
    "import_and_position",
    "import_jobs",
    "import_use_cases",
    "imports_by_id",
    "list_imports",
    "provenance_of_leads",
    "reassign_imports",
    "rejected_page",
    "report_links",
    "reported_file",
    "row_problems",
    "tables_of_imports",
    "timelines_of",
    "unassign_imports",
]
