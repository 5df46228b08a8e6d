"""Rows of an import that are left out whatever its policy: people nothing is sent to, and people who were erased."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.leads.domain.staged import StagedLead
from app.leads.infrastructure.erased import erased_among

SUPPRESSED, ERASED = "SUPPRESSED", "ERASED"

ARE_THERE = Statement(
    text(
        """
        SELECT EXISTS (
            SELECT FROM suppression WHERE workspace_id = cast(:workspace_id as uuid) AND channel IS NULL
        ) AS suppressed, EXISTS (
            SELECT FROM erased_identity WHERE workspace_id = cast(:workspace_id as uuid)
        ) AS erased
        """
    )
)
LEAVE_OUT_SUPPRESSED = Statement(
    text(
        f"""
        UPDATE pg_temp.stage_lead s SET outcome = '{SUPPRESSED}'
        WHERE s.outcome IS NULL AND (EXISTS (
            SELECT FROM pg_temp.stage_identity t
            JOIN suppression x ON x.workspace_id = cast(:workspace_id as uuid) AND x.channel IS NULL
                AND x.value IN (t.value, CASE WHEN t.kind = 'EMAIL' THEN '@' || split_part(t.value, '@', -1) END)
            WHERE t.n = s.n
        ) OR (s.known AND EXISTS (
            SELECT FROM suppression x
            WHERE x.workspace_id = cast(:workspace_id as uuid) AND x.channel IS NULL AND x.lead_id = s.lead_id OFFSET 0
        )))
        """  # noqa: S608 - a constant of ours
    )
)
LEAVE_OUT_ERASED = Statement(
    text(f"UPDATE pg_temp.stage_lead SET outcome = '{ERASED}' WHERE n = ANY (cast(:ns as int[]))")  # noqa: S608
)


async def leave_out_unwanted(work: Work, workspace_id: UUID, staged: Sequence[StagedLead]) -> None:
    """Sets their outcome; one look-up where nobody is suppressed or erased."""
    row = await work.fetch_one(ARE_THERE, workspace_id=workspace_id)
    assert row is not None
    if row["erased"]:
        erased = await erased_among(work, workspace_id, {one for lead in staged for one in lead.identities})
        ns = [lead.n for lead in staged if not erased.isdisjoint(lead.identities)]
        await work.fetch(LEAVE_OUT_ERASED, ns=ns)
    if row["suppressed"]:
        await work.fetch(LEAVE_OUT_SUPPRESSED, workspace_id=workspace_id)
