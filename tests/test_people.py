"""A person over all modules: the rows of every table that has any follow a lead into another.

Reads the catalogue: a new table with a `lead_id` fails here until its module reassigns it.
"""

from sqlalchemy import text

from app.common.work import Doors
from app.people.wiring import REASSIGNED

OF_LEADS = text(
    """
    SELECT c.relname AS name, a.attname AS column_name
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND (
        a.attname = 'lead_id' OR EXISTS (
            SELECT FROM pg_constraint k
            WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid = 'public.lead'::regclass
                AND a.attnum = ANY (k.conkey) AND a.attname <> 'workspace_id'
        )
    )
    """
)
WRITTEN_BY_MERGES = {
    ("lead", "merged_into_id"): "which lead it was merged into",
    ("merge", "kept_id"): "which lead was kept: an unmerge asks whether it was merged further",
}


async def test_every_row_of_a_lead_follows_it_into_another(doors: Doors) -> None:
    async with doors.open_system() as system:
        found = {(row.name, row.column_name) for row in await system.execute(OF_LEADS)}
    assert {"lead_identity", "conversation", "import_row"} <= {name for name, _ in found}
    reassigned = {(name, "lead_id") for name in REASSIGNED}
    assert found - reassigned == set(WRITTEN_BY_MERGES), "say in its module's infrastructure/merging.py"
    assert reassigned <= found
