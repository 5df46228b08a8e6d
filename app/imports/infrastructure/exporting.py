"""What imports hold of a person: which rows of which batches and files made or changed the lead, and what
it was before, as long as that can be taken back."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.exporting import Section
from app.common.work import Reads

IMPORTS = Statement(
    text(
        """
        SELECT r.import_id AS "importId", r.row, r.lead_id AS "leadId", r.outcome, r.code, r.field, r.at, r.payload,
            r.undo, j.file_name AS "fileName",
            j.source, j.page_url AS "pageUrl", j.basis, j.policy, j.created_by AS "createdBy",
            j.created_at AS "createdAt"
        FROM import_row r JOIN import_job j ON (j.workspace_id, j.id) = (r.workspace_id, r.import_id)
        WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY j.created_at, r.import_id, r.row
        """
    )
)


def export_imports(reads: Reads, workspace_id: UUID, lead_ids: Sequence[UUID]) -> Mapping[str, Section]:
    return {"imports": reads.stream(IMPORTS, workspace_id=workspace_id, lead_ids=list(lead_ids))}
