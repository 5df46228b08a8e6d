"""How a workspace maps the files it imports again and again: remembered by their headers."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import orjson
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Reads, Work
from app.imports.domain.lead_field import LeadField
from app.imports.domain.mapping import ColumnMapping, headers_key

MAX_REMEMBERED = 200
"""Per workspace: of more, those that were used last."""
# Two imports that begin at once may each leave one too many; the next one takes them.
REMEMBER = Statement(
    text(
        """
        WITH written AS (
            INSERT INTO import_mapping (workspace_id, headers, mapping)
            VALUES (cast(:workspace_id as uuid), cast(:headers as bytea), cast(:mapping as jsonb))
            ON CONFLICT (workspace_id, headers) DO UPDATE SET mapping = excluded.mapping, used_at = excluded.used_at
        ), others AS MATERIALIZED (
            SELECT headers FROM import_mapping
            WHERE workspace_id = cast(:workspace_id as uuid) AND headers <> cast(:headers as bytea)
            ORDER BY used_at DESC, headers OFFSET cast(:others as bigint)
        ), held AS MATERIALIZED (
            SELECT headers FROM import_mapping
            WHERE workspace_id = cast(:workspace_id as uuid) AND headers IN (SELECT headers FROM others)
            ORDER BY headers FOR UPDATE SKIP LOCKED
        )
        DELETE FROM import_mapping
        WHERE workspace_id = cast(:workspace_id as uuid) AND headers IN (SELECT headers FROM held)
        """
    )
)
REMEMBERED = Statement(
    text(
        """
        SELECT mapping::text AS mapping FROM import_mapping
        WHERE workspace_id = cast(:workspace_id as uuid) AND headers = cast(:headers as bytea)
        """
    )
)


async def remember_mapping(
    work: Work, workspace_id: UUID, columns: Sequence[str], mapping: Sequence[ColumnMapping]
) -> None:
    """`mapping`: one per column, in their order. For files with these headers, and for reports of their errors."""
    headers = headers_key(columns)
    if headers is None:
        return
    await work.fetch(
        REMEMBER,
        workspace_id=workspace_id,
        headers=headers,
        mapping=orjson.dumps([one.field for one in mapping]).decode(),
        others=MAX_REMEMBERED - 1,
    )


async def remembered_mapping(
    reads: Reads | Work, workspace_id: UUID, columns: Sequence[str]
) -> Mapping[str, LeadField] | None:
    """By column; a report of errors has no word on its own three."""
    headers = headers_key(columns)
    if headers is None:
        return None
    row = await reads.fetch_one(REMEMBERED, workspace_id=workspace_id, headers=headers)
    if row is None:
        return None
    fields = [LeadField(field) for field in orjson.loads(row["mapping"])]
    return dict(zip(columns, fields, strict=False))
