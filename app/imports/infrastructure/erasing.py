"""What imports keep of a person as it was sent: rows that were rejected or still wait, and the page they came from."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work

# A waiting row keeps its place, and is refused as its turn comes.
EMPTY = """
        UPDATE import_row r SET payload = CASE WHEN outcome IS NULL THEN '{"erased": true}'::jsonb END, lead_id = NULL
        WHERE workspace_id = cast(:workspace_id as uuid) AND
"""
EMPTY_THEIRS = Statement(text(f"{EMPTY} lead_id = ANY (cast(:lead_ids as uuid[]))"))
EMPTY_NAMING = Statement(
    text(
        f"""
        {EMPTY} payload IS NOT NULL AND (
            EXISTS (
                SELECT FROM unnest(cast(:values as text[])) AS v
                WHERE position(v IN lower(payload::text)) > 0
            ) OR EXISTS (
                SELECT FROM unnest(cast(:numbers as text[])) AS n
                WHERE position(n IN regexp_replace(payload ->> 'phone', '\\D', '', 'g')) > 0
            ) OR (outcome IS NOT NULL AND folded(payload ->> 'name') = ANY (cast(:names as text[])))
        )
        """  # noqa: S608 - a constant of ours
    )
)
EMPTY_PAGES = Statement(
    text(
        """
        UPDATE import_job SET page_url = NULL
        WHERE workspace_id = cast(:workspace_id as uuid) AND page_url IS NOT NULL AND EXISTS (
            SELECT FROM unnest(cast(:values as text[])) AS v WHERE position(v IN lower(page_url)) > 0
        )
        """
    )
)
SHORTEST = 3
"""What is shorter stands in anything."""


async def erase_imports(
    work: Work,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    values: Sequence[str],
    numbers: Sequence[str],
    names: Sequence[str],
) -> None:
    """`values` are addresses and handles, `numbers` digits without a country, `names` folded; none at all: only the
    leads' own rows, by their index."""
    await work.fetch(EMPTY_THEIRS, workspace_id=workspace_id, lead_ids=list(lead_ids))
    if not (values or numbers or names):
        return
    values = [value for value in values if len(value) >= SHORTEST]
    given = {"workspace_id": workspace_id, "values": values}
    await work.fetch(EMPTY_NAMING, **given, numbers=list(numbers), names=list(names))
    await work.fetch(EMPTY_PAGES, **given)
