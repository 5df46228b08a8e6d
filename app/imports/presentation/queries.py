"""Queries of imports, and what batches their nested fields."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import strawberry

from app.accounts.presentation.types import User
from app.accounts.wiring import member_by_id
from app.common.domain import Role
from app.common.graphql import (
    After,
    Context,
    First,
    Id,
    Info,
    bad_user_input,
    page_info,
    page_size,
    parse_id,
    query,
    still_there,
)
from app.common.paging import Keyset
from app.common.work import Reads
from app.imports.domain.failing import DEFAULT_LOCALE, told
from app.imports.domain.outcomes import RowCode, row_message
from app.imports.presentation.types import (
    LeadImport,
    LeadImportConnection,
    LeadImportEdge,
    Provenance,
)
from app.imports.wiring import (
    Wanted,
    imports_by_id,
    list_imports,
    provenance_of_leads,
    row_problems,
    tables_of_imports,
    timelines_of,
)
from app.leads.domain.lead import LeadSource
from app.leads.presentation.types import TimelineConnection

LIST = "imports"
MAX_ENTRIES = 3_000
"""Entries of timelines in one answer: a note may have 10,000 characters."""


@strawberry.type
class ImportsQuery:
    @query(requires=Role.VIEWER, extension=True, description="The workspace's imports, newest first.")
    async def lead_imports(self, info: Info, first: First = 20, after: After = None) -> LeadImportConnection:
        workspace_id = info.context.signed_in.workspace_id
        position = Keyset.decode(LIST, after) if after is not None else None
        async with info.context.doors.open_reads(workspace_id) as reads:
            page = await list_imports(reads, workspace_id, first=page_size(first), after=position)
        cursors = [Keyset(row["created_at"], row["key"]).encode(LIST) for row in page.rows]
        return LeadImportConnection(
            edges=[
                LeadImportEdge(cursor=cursor, node=LeadImport.of(row))
                for cursor, row in zip(cursors, page.rows, strict=True)
            ],
            page_info=page_info(page, cursors, after=after),
        )

    @query(requires=Role.VIEWER, extension=True, description="An import by its id; null when there is none.")
    async def lead_import(self, info: Info, id: Id) -> LeadImport | None:
        key = parse_id(id)
        return (await load_imports(info.context, [key]))[0] if key else None


async def load_imports(context: Context, ids: Sequence[UUID]) -> list[LeadImport | None]:
    """In the order of `ids`; None for unknown ones."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        rows = await imports_by_id(reads, workspace_id, ids)
    return [LeadImport.of(rows[id]) if id in rows else None for id in ids]


async def load_row_problems(context: Context, wanted: list[tuple[str, int]]) -> list[list[dict[str, Any]]]:
    """Batches `LeadImport.rowErrors`: the fields of its errors, in the viewer's language."""
    workspace_id = context.signed_in.workspace_id
    keys = [(UUID(id), first) for id, first in wanted]
    async with context.doors.open_reads(workspace_id) as reads:
        found = await row_problems(reads, workspace_id, list(_widest(keys).items()))
        locale = await _locale(reads, context) if any(found.values()) else DEFAULT_LOCALE
    return [[_row_error(row, locale) for row in found[id][:first]] for id, first in keys]


async def load_failures(context: Context, stored: Sequence[str]) -> list[str]:
    """Batches `LeadImport.failure`."""
    async with context.doors.open_reads(context.signed_in.workspace_id) as reads:
        locale = await _locale(reads, context)
    return [told(one, locale) for one in stored]


async def load_tables(context: Context, wanted: Sequence[tuple[str, bool]]) -> list[asyncpg.Record]:
    """Batches what `LeadImport` tells of its file; the preview, which may be long, only where it is asked for."""
    workspace_id = context.signed_in.workspace_id
    ids = list({UUID(id) for id, _ in wanted})
    with_preview = any(is_asked for _, is_asked in wanted)
    async with context.doors.open_reads(workspace_id) as reads:
        found = await tables_of_imports(reads, workspace_id, ids, with_preview=with_preview)
    return [still_there(found.get(UUID(id))) for id, _ in wanted]


async def load_provenance(context: Context, lead_ids: list[UUID]) -> list[list[Provenance]]:
    """Batches `Lead.provenance`."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        found = await provenance_of_leads(reads, workspace_id, lead_ids)
        import_ids = {row["import_id"] for rows in found.values() for row in rows if row["import_id"]}
        jobs = await imports_by_id(reads, workspace_id, list(import_ids)) if import_ids else {}
    imports = {id: LeadImport.of(row) for id, row in jobs.items()}
    return [_provenance(found[id], imports) for id in lead_ids]


async def load_timelines(
    context: Context, asked: list[tuple[UUID, int, Keyset | None]]
) -> list[TimelineConnection]:
    """Batches `Lead.timeline`. Raises the top-level BAD_USER_INPUT for more than one answer should hold."""
    wanted = [Wanted(*one) for one in asked]
    if sum(one.first for one in wanted) > MAX_ENTRIES:
        raise bad_user_input(
            f"This asks for more than {MAX_ENTRIES:,} entries of timelines at once: fewer leads, or `first`."
        )
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        pages = await timelines_of(reads, workspace_id, wanted)
    return [
        TimelineConnection.of(one.lead_id, page, after=one.after)
        for one, page in zip(wanted, pages, strict=True)
    ]


def _provenance(rows: list[asyncpg.Record], imports: dict[UUID, LeadImport]) -> list[Provenance]:
    """The lead's own creation is left out where an import's row tells it better."""
    is_imported = any(row["outcome"] == "CREATED" for row in rows)
    return [
        Provenance(
            source=LeadSource(row["source"]),
            actor=User(id=row["user_id"], name=row["name"], email=row["email"], locale=row["locale"])
            if row["user_id"]
            else None,
            lead_import=imports.get(row["import_id"]),
            row=row["row"],
            page_url=row["page_url"],
            basis=row["basis"],
            at=row["at"],
        )
        for row in rows
        if row["import_id"] or not is_imported
    ]


async def _locale(reads: Reads, context: Context) -> str:
    actor = context.signed_in
    viewer = await member_by_id(reads, actor.workspace_id, actor.user_id)
    return str(viewer["locale"]) if viewer else DEFAULT_LOCALE


def _row_error(row: asyncpg.Record, locale: str) -> dict[str, Any]:
    code = RowCode(row["code"])
    return {"row": row["row"], "code": code, "field": row["field"], "message": row_message(code, locale)}


def _widest(keys: list[tuple[UUID, int]]) -> dict[UUID, int]:
    """One look-up an import, wide enough for every alias that asks."""
    widest: dict[UUID, int] = {}
    for id, first in keys:
        widest[id] = max(first, widest.get(id, 0))
    return widest
