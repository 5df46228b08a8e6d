"""Queries of bulk sends."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import strawberry

from app.accounts.wiring import member_by_id
from app.common.domain import Actor, Role
from app.common.graphql import Context, Id, Info, parse_id, query
from app.common.work import Reads
from app.conversations.wiring import tallies
from app.outreach.domain.pausing import DEFAULT_LOCALE, told
from app.outreach.presentation.types import BulkSend
from app.outreach.wiring import bulk_sends_by_id, list_bulk_sends


@strawberry.type
class OutreachQuery:
    @query(requires=Role.VIEWER, description="The newest 100 bulk sends, newest first.")
    async def bulk_sends(self, info: Info) -> list[BulkSend]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            rows = await list_bulk_sends(reads, workspace_id)
            return await counted(reads, workspace_id, rows)

    @query(requires=Role.VIEWER, description="A bulk send by its id; null when there is none.")
    async def bulk_send(self, info: Info, id: Id) -> BulkSend | None:
        key = parse_id(id)
        return (await load_bulk_sends(info.context, [key]))[0] if key else None


async def load_bulk_sends(context: Context, ids: Sequence[UUID]) -> list[BulkSend | None]:
    """In the order of `ids`; None for unknown ones."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        rows = await bulk_sends_by_id(reads, workspace_id, ids)
        found = await counted(reads, workspace_id, list(rows.values()))
    by_id = {one.id: one for one in found}
    return [by_id.get(strawberry.ID(str(id))) for id in ids]


async def load_pause_reasons(context: Context, stored: Sequence[str]) -> list[str | None]:
    """For the viewer to read."""
    actor = context.signed_in
    async with context.doors.open_reads(actor.workspace_id) as reads:
        locale = await viewers_locale(reads, actor)
    return [told(one, locale) for one in stored]


async def viewers_locale(reads: Reads, actor: Actor) -> str:
    viewer = await member_by_id(reads, actor.workspace_id, actor.user_id)
    return str(viewer["locale"]) if viewer else DEFAULT_LOCALE


async def counted(reads: Reads, workspace_id: UUID, rows: Sequence[asyncpg.Record]) -> list[BulkSend]:
    """With the counts of all of them, from one statement."""
    batch_ids = [row["send_batch_id"] for row in rows if row["send_batch_id"]]
    found = await tallies(reads, workspace_id, batch_ids) if batch_ids else {}
    return [BulkSend.of(row, found.get(row["send_batch_id"])) for row in rows]
