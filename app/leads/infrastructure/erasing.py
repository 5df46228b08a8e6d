"""A person's rows of leads, gone for good. What hangs on a lead goes with it by its foreign keys."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import folded
from app.common.work import Work
from app.leads.domain.bulk_change import Progress, TaskStatus
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.infrastructure.erased import remember_erased
from app.leads.infrastructure.identities import refresh_contacts

# Up to the lead they are now, down to all that were merged, and aside to copies in the trash. A number alone makes
# nobody the same: colleagues share one.
WHOLE = Statement(
    text(
        """
        WITH RECURSIVE person AS (
            SELECT id FROM lead
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid)
            UNION
            SELECT other.id FROM person p CROSS JOIN LATERAL (
                SELECT l.id FROM lead l
                WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.merged_into_id = p.id
                UNION ALL
                SELECT l.merged_into_id FROM lead l
                WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = p.id AND l.merged_into_id IS NOT NULL
                UNION ALL
                SELECT copy.lead_id FROM lead_identity i
                JOIN lead_identity copy USING (workspace_id, kind, value)
                WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = p.id
                    AND i.kind NOT IN ('PHONE', 'WHATSAPP') AND copy.released_at IS NOT NULL
            ) other
        )
        SELECT id FROM person ORDER BY id
        """
    )
)
DROP_RELEASED = Statement(
    text(
        """
        WITH held AS MATERIALIZED (
            SELECT l.id FROM lead l
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id <> ALL (cast(:lead_ids as uuid[]))
                AND l.id IN (
                    SELECT i.lead_id FROM lead_identity i
                    JOIN unnest(cast(:kinds as text[]), cast(:values as text[])) AS w(kind, value) USING (kind, value)
                    WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.released_at IS NOT NULL
                )
            ORDER BY l.id FOR NO KEY UPDATE
        )
        DELETE FROM lead_identity i
        USING held, unnest(cast(:kinds as text[]), cast(:values as text[])) AS w(kind, value)
        WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = held.id AND i.released_at IS NOT NULL
            AND i.kind = w.kind AND i.value = w.value
        RETURNING i.lead_id
        """
    )
)
NAMED_THE_ERASED = "Start it again with another search: a person whom this one named was erased."
# With those in the trash that share a number with them: all locks of leads are taken at once, in the order of the ids.
HOLD = Statement(
    text(
        """
        SELECT id, name FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND id IN (
            SELECT unnest(cast(:lead_ids as uuid[]))
            UNION
            SELECT copy.lead_id FROM lead_identity i JOIN lead_identity copy USING (workspace_id, kind, value)
            WHERE i.workspace_id = cast(:workspace_id as uuid) AND i.lead_id = ANY (cast(:lead_ids as uuid[]))
                AND copy.released_at IS NOT NULL
        )
        ORDER BY id FOR NO KEY UPDATE
        """
    )
)
IDENTITIES = Statement(
    text(
        """
        SELECT DISTINCT kind, value FROM lead_identity
        WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY kind, value
        """
    )
)
DROP_SUPPRESSIONS = Statement(
    text(
        """
        DELETE FROM suppression
        WHERE workspace_id = cast(:workspace_id as uuid) AND value = ANY (cast(:values as text[]))
        """
    )
)
HOLD_CHANGES = Statement(
    text(
        """
        SELECT id FROM bulk_change WHERE workspace_id = cast(:workspace_id as uuid) AND finished_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
        """
    )
)
LOOKS_FOR_TRACE = """
    EXISTS (
        SELECT FROM jsonb_array_elements_text(filter -> 'terms') AS term,
            regexp_split_to_table(folded(term), '[\\W_]+') AS word, unnest(cast(:traces as text[])) AS trace
        WHERE word <> '' AND position(word IN trace) > 0
    )
"""
"""Of a row with a stored filter: it searches for a word that stands in one of the (folded) traces."""
# One that looks for a word of theirs is ended: it cannot go on without the word, and may not keep it.
END_CHANGES = Statement(
    text(
        """
        UPDATE bulk_change SET status = :failed, error = :error, filter = NULL, finished_at = now(), token = NULL,
            lease_until = NULL
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[])) AND <looks_for_trace>
        RETURNING id, total, done
        """.replace("<looks_for_trace>", LOOKS_FOR_TRACE)
    )
)
DROP_LEADS = Statement(
    text(
        """
        DELETE FROM lead WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:lead_ids as uuid[]))
        """
    )
)
OLD = Statement(
    text(
        """
        SELECT workspace_id, id FROM lead
        WHERE deleted_at < now() - cast(:ttl_s as float) * interval '1 second' AND merged_into_id IS NULL
        ORDER BY deleted_at LIMIT cast(:limit as bigint)
        """
    )
)

IS_OLD = Statement(
    text(
        """
        SELECT FROM lead WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid)
            AND deleted_at < now() - cast(:ttl_s as float) * interval '1 second'
        """
    )
)


async def whole_person(work: Work, workspace_id: UUID, lead_id: UUID) -> Sequence[UUID]:
    """All leads that are them: merged ones whichever of them is asked for, and copies in the trash."""
    return [row["id"] for row in await work.fetch(WHOLE, workspace_id=workspace_id, lead_id=lead_id)]


async def hold_to_erase(work: Work, workspace_id: UUID, lead_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Their names, once nobody else touches them until the commit."""
    rows = await work.fetch(HOLD, workspace_id=workspace_id, lead_ids=list(lead_ids))
    return {row["id"]: row["name"] for row in rows if row["id"] in lead_ids}


async def identities_of(work: Work, workspace_id: UUID, lead_ids: Sequence[UUID]) -> list[Identity]:
    """Released ones too."""
    rows = await work.fetch(IDENTITIES, workspace_id=workspace_id, lead_ids=list(lead_ids))
    return [Identity(IdentityKind(row["kind"]), row["value"]) for row in rows]


async def hold_changes(work: Work, workspace_id: UUID) -> list[UUID]:
    """Bulk changes that are under way: their workers are between two chunks until the commit."""
    return [row["id"] for row in await work.fetch(HOLD_CHANGES, workspace_id=workspace_id)]


async def end_changes(work: Work, workspace_id: UUID, ids: Sequence[UUID], traces: Sequence[str]) -> None:
    """Those of the held ones that look for a word that stands in one of `traces`."""
    rows = await work.fetch(
        END_CHANGES,
        workspace_id=workspace_id,
        ids=list(ids),
        traces=[folded(one) for one in traces],
        failed=TaskStatus.FAILED.value,
        error=NAMED_THE_ERASED,
    )
    for row in rows:
        work.announce(Progress(TaskStatus.FAILED, row["total"], row["done"]).told(row["id"]))


async def erase_leads(
    work: Work, workspace_id: UUID, lead_ids: Sequence[UUID], known_by: Sequence[Identity]
) -> None:
    """`known_by`: whoever is recognised by one of these is never taken in again; none: they may come back."""
    if known_by:
        await remember_erased(work, workspace_id, known_by)
        values = [one.value for one in known_by]
        await work.fetch(DROP_SUPPRESSIONS, workspace_id=workspace_id, values=values)
        await _drop_released(work, workspace_id, lead_ids, known_by)
    await work.fetch(DROP_LEADS, workspace_id=workspace_id, lead_ids=list(lead_ids))


async def _drop_released(
    work: Work, workspace_id: UUID, lead_ids: Sequence[UUID], known_by: Sequence[Identity]
) -> None:
    """What others in the trash had in common with them, such as a number."""
    rows = await work.fetch(
        DROP_RELEASED,
        workspace_id=workspace_id,
        lead_ids=list(lead_ids),
        kinds=[one.kind.value for one in known_by],
        values=[one.value for one in known_by],
    )
    if rows:
        await refresh_contacts(work, workspace_id, list({row["lead_id"] for row in rows}))


async def is_long_deleted(work: Work, workspace_id: UUID, lead_id: UUID, *, ttl_s: float) -> bool:
    """Asked under the lead's lock: somebody may have restored it."""
    return bool(await work.fetch(IS_OLD, workspace_id=workspace_id, lead_id=lead_id, ttl_s=ttl_s))


async def old_deleted_leads(system: Work, *, ttl_s: float, limit: int) -> list[tuple[UUID, UUID]]:
    """(workspace, lead) of those that were deleted so long ago that nobody can restore them."""
    return [(row["workspace_id"], row["id"]) for row in await system.fetch(OLD, ttl_s=ttl_s, limit=limit)]
