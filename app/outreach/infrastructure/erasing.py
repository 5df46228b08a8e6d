"""Bulk sends whose search names a person who is erased."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import folded
from app.common.work import Work
from app.leads.wiring import LOOKS_FOR_TRACE
from app.outreach.domain.bulk_send import DUE, BulkSendStatus, progressed
from app.outreach.domain.pausing import PauseReason, why

HOLD = Statement(
    text(
        """
        SELECT id FROM bulk_send WHERE workspace_id = cast(:workspace_id as uuid) AND filter IS NOT NULL
        ORDER BY id FOR NO KEY UPDATE
        """
    )
)
# It cannot go on without the word, and may not keep it. What was taken in before is canceled by its worker, and so is
# the batch: an intent that holds it waits for leads that an erase has.
END = Statement(
    text(
        """
        UPDATE bulk_send SET state = 'CANCELED', pause_reason = cast(:reason as text), filter = NULL,
            finished_at = CASE WHEN send_batch_id IS NULL THEN now() END, updated_at = now(),
            status = CASE WHEN status = 'claimed' THEN status WHEN send_batch_id IS NULL THEN 'idle' ELSE 'queued' END,
            run_at = now()
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[])) AND <looks_for_trace>
        RETURNING id
        """.replace("<looks_for_trace>", LOOKS_FOR_TRACE)
    )
)
REASON = why(PauseReason.SEARCH_ERASED)


async def hold_bulk_sends(work: Work, workspace_id: UUID) -> list[UUID]:
    """Those that still look for somebody: their workers are between two steps until the commit."""
    return [row["id"] for row in await work.fetch(HOLD, workspace_id=workspace_id)]


async def end_bulk_sends(work: Work, workspace_id: UUID, ids: Sequence[UUID], traces: Sequence[str]) -> None:
    """Those of the held ones that look for a word that stands in one of `traces`."""
    rows = await work.fetch(
        END,
        workspace_id=workspace_id,
        ids=list(ids),
        traces=[folded(one) for one in traces],
        reason=REASON,
    )
    for row in rows:
        work.announce(progressed(row["id"], BulkSendStatus.CANCELED))
        work.wake(DUE, row["id"])
