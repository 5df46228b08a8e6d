"""All there is about a person, over all modules, as one JSON document."""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

from sqlalchemy import text

from app.automations.wiring import export_runs
from app.common.database import Statement
from app.common.exporting import LinksFiles, Section, document
from app.common.work import Reads
from app.conversations.wiring import export_conversations
from app.imports.wiring import export_imports
from app.leads.wiring import export_leads, merged_into, person_of

FORMAT = "salespad.person.1"
MERGES = Statement(
    text(
        """
        SELECT m.id, m.created_at AS "createdAt", m.created_by AS "createdBy", m.kept_id AS "keptId",
            m.merged_ids AS "mergedIds", (
                SELECT coalesce(jsonb_agg(jsonb_build_object('table', j.table_name, 'key', j.key, 'before', j.before)
                    ORDER BY j.n), '[]')
                FROM merge_journal j WHERE j.workspace_id = m.workspace_id AND j.merge_id = m.id
            ) AS journal
        FROM merge m
        WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.undone_at IS NULL
            AND m.kept_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY m.created_at, m.id
        """
    )
)
"""Those that stand: their journal holds what the merged leads were."""


async def export_person(reads: Reads, workspace_id: UUID, lead_id: UUID) -> bytes | None:
    """The document, the same bytes for the same rows; None: there is no such lead."""
    parts = await stream_person(reads, workspace_id, lead_id)
    return b"".join([part async for part in parts]) if parts else None


async def stream_person(
    reads: Reads, workspace_id: UUID, lead_id: UUID, *, link: LinksFiles | None = None
) -> AsyncIterator[bytes] | None:
    """The document in parts, read as they are asked for; None: there is no such lead.

    Of one snapshot if `reads` are. Deleted leads are exported too. A lead's document has those that were merged into
    it (`mergedLeadIds`); that of a lead that was merged away has what it kept, and says where the rest is
    (`mergedInto`).
    """
    lead_ids = await person_of(reads, workspace_id, lead_id)
    if not lead_ids:
        return None
    sections: Mapping[str, Section] = {
        **export_leads(reads, workspace_id, lead_ids),
        **export_conversations(reads, workspace_id, lead_ids, link),
        **export_imports(reads, workspace_id, lead_ids),
        **export_runs(reads, workspace_id, lead_ids),
        "merges": _merges(reads, workspace_id, lead_ids),
    }
    head = {
        "format": FORMAT,
        "id": lead_id,
        "mergedInto": await merged_into(reads, workspace_id, lead_id),
        "mergedLeadIds": list(lead_ids[1:]),
    }
    return document(head, sections)


def _merges(reads: Reads, workspace_id: UUID, lead_ids: Sequence[UUID]) -> Section:
    return reads.stream(MERGES, workspace_id=workspace_id, lead_ids=list(lead_ids))
