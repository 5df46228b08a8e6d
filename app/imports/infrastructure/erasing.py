"""What imports keep of a person as it was sent: rows that were rejected or still wait, and the page they came from."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.imports.domain.imports import RowCode, RowOutcome, RowProblem, RowResult
from app.imports.domain.rows import Payload, named_in
from app.leads.domain.lead import LeadSource
from app.leads.wiring import erased_among

HOLD = Statement(
    text(
        """
        SELECT id FROM import_job WHERE workspace_id = cast(:workspace_id as uuid) AND finished_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
        """
    )
)
# A waiting row keeps its place, and is refused as its turn comes.
EMPTY = """
        UPDATE import_row r
        SET payload = CASE WHEN outcome IS NULL THEN '{"erased": true}'::jsonb END, lead_id = NULL
        FROM held
        WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.import_id = held.import_id AND r.row = held.row
"""
EMPTY_THEIRS = Statement(
    text(
        f"""
        WITH held AS MATERIALIZED (
            SELECT import_id, row FROM import_row
            WHERE workspace_id = cast(:workspace_id as uuid) AND lead_id = ANY (cast(:lead_ids as uuid[]))
            ORDER BY import_id, row FOR NO KEY UPDATE
        )
        {EMPTY}
        """  # noqa: S608 - a constant of ours
    )
)
EMPTY_NAMING = Statement(
    text(
        f"""
        WITH held AS MATERIALIZED (
            SELECT import_id, row FROM import_row
            WHERE workspace_id = cast(:workspace_id as uuid) AND payload IS NOT NULL AND (
                EXISTS (
                    SELECT FROM unnest(cast(:values as text[])) AS v
                    WHERE position(v IN lower(payload::text)) > 0
                ) OR EXISTS (
                    SELECT FROM unnest(cast(:numbers as text[])) AS n
                    WHERE position(n IN regexp_replace(payload ->> 'phone', '\\D', '', 'g')) > 0
                ) OR (outcome IS NOT NULL AND folded(payload ->> 'name') = ANY (cast(:names as text[])))
            )
            ORDER BY import_id, row FOR NO KEY UPDATE
        )
        {EMPTY}
        """  # noqa: S608 - a constant of ours
    )
)
# An import that was accepted since the others were held is none of these: its worker may be waiting for the leads.
EMPTY_PAGES = Statement(
    text(
        """
        WITH held AS MATERIALIZED (
            SELECT id FROM import_job
            WHERE workspace_id = cast(:workspace_id as uuid) AND page_url IS NOT NULL
                AND (finished_at IS NOT NULL OR id = ANY (cast(:held_ids as uuid[]))) AND EXISTS (
                SELECT FROM unnest(cast(:values as text[])) AS v WHERE position(v IN lower(page_url)) > 0
            )
            ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE import_job j SET page_url = NULL FROM held
        WHERE j.workspace_id = cast(:workspace_id as uuid) AND j.id = held.id
        """
    )
)
SHORTEST = 3
"""What is shorter stands in anything."""


async def hold_imports(work: Work, workspace_id: UUID) -> list[UUID]:
    """Imports that are under way: their workers are between two chunks until the commit."""
    return [row["id"] for row in await work.fetch(HOLD, workspace_id=workspace_id)]


async def erase_imports(
    work: Work,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    values: Sequence[str],
    numbers: Sequence[str],
    names: Sequence[str],
    held_ids: Sequence[UUID],
) -> None:
    """`values` are addresses and handles, `numbers` digits without a country, `names` folded; none at all: only the
    leads' own rows, by their index."""
    await work.fetch(EMPTY_THEIRS, workspace_id=workspace_id, lead_ids=list(lead_ids))
    if not (values or numbers or names):
        return
    values = [value for value in values if len(value) >= SHORTEST]
    given = {"workspace_id": workspace_id, "values": values}
    await work.fetch(EMPTY_NAMING, **given, numbers=list(numbers), names=list(names))
    await work.fetch(EMPTY_PAGES, **given, held_ids=list(held_ids))


async def without_erased(
    work: Work,
    workspace_id: UUID,
    rows: Sequence[tuple[int, Payload]],
    results: Sequence[RowResult],
    source: LeadSource,
    region: str,
) -> list[RowResult]:
    """Rejected rows that name somebody who was erased are refused for that: so nothing is kept of them."""
    rejected = {one.row for one in results if one.outcome is RowOutcome.REJECTED}
    named = {row: named_in(payload, source=source, region=region) for row, payload in rows if row in rejected}
    erased = await erased_among(work, workspace_id, {one for found in named.values() for one in found})
    problem = RowProblem(RowCode.ERASED, None)
    return [
        one
        if erased.isdisjoint(named.get(one.row, ()))
        else RowResult(one.row, RowOutcome.SUPPRESSED, problem=problem)
        for one in results
    ]
