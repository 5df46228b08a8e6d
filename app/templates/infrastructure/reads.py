"""What screens read of templates and snippets."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, Uuid, bindparam, cast, select, text

from app.common.database import Statement
from app.common.work import Reads
from app.templates.infrastructure.tables import snippet

SHOWN = """
    SELECT cast(t.id as text) AS id, t.name, t.channel, t.version, t.updated_at, t.deleted_at, v.subject,
        {body} AS body, v.variables, v.required
    FROM template t
        JOIN template_version v ON (v.workspace_id, v.template_id, v.number) = (t.workspace_id, t.id, t.version)
    WHERE t.workspace_id = cast(:workspace_id as uuid) AND {condition}
    ORDER BY lower(t.name), t.id
"""
LIST = Statement(text(SHOWN.format(body="v.body", condition="t.deleted_at IS NULL")))
LIST_BRIEFLY = Statement(text(SHOWN.format(body="''", condition="t.deleted_at IS NULL")))
BY_ID = Statement(
    text(SHOWN.format(body="v.body", condition="t.id = ANY (:ids)")).bindparams(
        bindparam("ids", type_=ARRAY(Uuid))
    )
)
c = snippet.c
SNIPPETS = Statement(
    select(cast(c.id, Text).label("id"), c.shortcut, c.body, c.version, c.updated_at)
    .where(c.workspace_id == bindparam("workspace_id"))
    .order_by(c.shortcut, c.id)
)
SNIPPET = Statement(
    select(cast(c.id, Text).label("id"), c.shortcut, c.body, c.version, c.updated_at).where(
        c.workspace_id == bindparam("workspace_id"), c.id == bindparam("id")
    )
)


async def list_templates(reads: Reads, workspace_id: UUID, *, with_body: bool) -> list[asyncpg.Record]:
    """The live ones, by name: at most `MAX_TEMPLATES`."""
    return await reads.fetch(LIST if with_body else LIST_BRIEFLY, workspace_id=workspace_id)


async def templates_by_id(reads: Reads, workspace_id: UUID, ids: Sequence[UUID]) -> dict[str, asyncpg.Record]:
    """Deleted ones too."""
    return {row["id"]: row for row in await reads.fetch(BY_ID, workspace_id=workspace_id, ids=list(ids))}


async def list_snippets(reads: Reads, workspace_id: UUID) -> list[asyncpg.Record]:
    """All of them, by shortcut: at most `MAX_SNIPPETS`."""
    return await reads.fetch(SNIPPETS, workspace_id=workspace_id)


async def snippet_by_id(reads: Reads, workspace_id: UUID, id: UUID) -> asyncpg.Record | None:
    return await reads.fetch_one(SNIPPET, workspace_id=workspace_id, id=id)
