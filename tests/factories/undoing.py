"""Imports that have ended, their undo in a worker's hands, and what leads are, to the byte."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text

from app.common.leases import Claim
from app.common.work import Doors
from app.imports.application.undoing import UndoImport
from app.imports.infrastructure.undoing import UndoLedger
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.domain.staged import ImportPolicy, LeadDefaults, StagedLead
from app.leads.wiring import LeadRepository, upsert_leads
from tests.factories.accounts import Person

# Held by nobody but the test: no worker of the run takes it.
ADD_JOB = text(
    """
    INSERT INTO import_job
        (workspace_id, id, status, phase, source, policy, tag_ids, total_rows, processed_rows, token, lease_until)
    VALUES
        (:workspace_id, :id, 'RUNNING', 'UNDO', 'CSV', :policy, '{}', :rows, :rows, :token, now() + interval '1 h')
    """
)
ADD_ROWS = text(
    """
    INSERT INTO import_row (workspace_id, import_id, row, outcome, lead_id, undo, at)
    SELECT :workspace_id, :id, n, outcome, lead_id, undo, now() FROM pg_temp.stage_lead
    """
)
JOB = text("SELECT status, kept_on_undo FROM import_job WHERE workspace_id = :workspace_id AND id = :id")
# All that a lead is but its version and when it was touched last; and what hangs on it.
STATE = text(
    """
    SELECT l.id, cast(jsonb_build_object(
        'fields', to_jsonb(l) - '{version,updated_at}'::text[],
        'identities', (SELECT jsonb_agg(to_jsonb(i) ORDER BY i.kind, i.value) FROM lead_identity i
            WHERE i.workspace_id = l.workspace_id AND i.lead_id = l.id),
        'tags', (SELECT jsonb_agg(to_jsonb(t) ORDER BY t.tag_id) FROM lead_tag t
            WHERE t.workspace_id = l.workspace_id AND t.lead_id = l.id),
        'notes', (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.id) FROM interaction e
            WHERE e.workspace_id = l.workspace_id AND e.lead_id = l.id AND e.type = 'NOTE')
    ) AS text) AS state
    FROM lead l WHERE l.workspace_id = :workspace_id AND l.deleted_at IS NULL
    """
)


def staged(n: int, name: str | None = None, **given: Any) -> StagedLead:
    """`email`, `phone`, `instagram`: identities; the rest as it is."""
    kinds = [kind for kind in IdentityKind if kind.value.lower() in given]
    identities = [Identity(kind, given.pop(kind.value.lower())) for kind in kinds]
    texts = {key: given.pop(key, None) for key in ("company", "title", "avatar_url", "metadata", "note")}
    return StagedLead(
        n=n, name=name, fallback_name="?", identities=identities, tags=given.pop("tags", ()), **texts, **given
    )


async def imported(
    doors: Doors,
    person: Person,
    rows: Sequence[StagedLead],
    *,
    policy: ImportPolicy = ImportPolicy.UPSERT,
    tag_ids: Sequence[UUID] = (),
    owner_id: UUID | None = None,
) -> Claim:
    """Written as a worker writes a chunk; what comes next is its undo, which this claim holds."""
    claim = Claim(person.workspace_id, uuid4(), uuid4(), 0)
    async with doors.open_work(person.workspace_id) as work:
        defaults = LeadDefaults(
            source="CSV",
            stage_id=await LeadRepository(work).stage(person.workspace_id, None),
            owner_id=owner_id,
            tag_ids=tag_ids,
            created_by=person.user_id,
        )
        of: dict[str, object] = {"workspace_id": person.workspace_id, "id": claim.id}
        given = {"policy": policy.value, "rows": len(rows), "token": claim.token}
        await work.execute(ADD_JOB, of | given)
        await upsert_leads(work, person.workspace_id, rows, policy, defaults, settle=_nothing)
        await work.execute(ADD_ROWS, of)
    return claim


async def _nothing() -> None: ...


async def undone(doors: Doors, claim: Claim, *, chunk_rows: int = 7) -> int:
    """How many leads it kept."""
    while not await undo_chunk(doors, claim, chunk_rows=chunk_rows):
        pass
    async with doors.open_work(claim.workspace_id) as work:
        found = await work.execute(JOB, {"workspace_id": claim.workspace_id, "id": claim.id})
        row = found.one()
    assert row.status == "UNDONE"
    return int(row.kept_on_undo)


async def undo_chunk(doors: Doors, claim: Claim, *, chunk_rows: int) -> bool:
    async with doors.open_work(claim.workspace_id) as work:
        return await UndoImport(UndoLedger(work, claim, lease_s=60), work, chunk_rows).run_chunk()


async def leads_of(doors: Doors, person: Person) -> dict[UUID, Mapping[str, Any]]:
    """The live ones."""
    async with doors.open_work(person.workspace_id) as work:
        found = await work.execute(STATE, {"workspace_id": person.workspace_id})
        return {row.id: orjson.loads(row.state) for row in found}


async def lead_ids(doors: Doors, claim: Claim) -> dict[int, UUID]:
    """By row."""
    async with doors.open_work(claim.workspace_id) as work:
        found = await work.execute(
            text("SELECT row, lead_id FROM import_row WHERE workspace_id = :w AND import_id = :id"),
            {"w": claim.workspace_id, "id": claim.id},
        )
        return {row.row: row.lead_id for row in found}
