"""What screens read of tags, and which of them there are."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, Uuid, any_, bindparam, cast, select

from app.common.database import Statement
from app.common.work import Reads, Work
from app.tags.infrastructure.tables import tag

LIST = Statement(
    select(cast(tag.c.id, Text).label("id"), tag.c.name, tag.c.color)
    .where(tag.c.workspace_id == bindparam("workspace_id"))
    .order_by(tag.c.name_key, tag.c.id)
)

HOLD = Statement(
    select(tag.c.id)
    .where(
        tag.c.workspace_id == bindparam("workspace_id"),
        tag.c.id == any_(bindparam("tag_ids", type_=ARRAY(Uuid))),
    )
    .with_for_update(key_share=True, read=True)
)
HOLD_NAME = Statement(
    select(tag.c.name)
    .where(tag.c.workspace_id == bindparam("workspace_id"), tag.c.id == bindparam("tag_id"))
    .with_for_update(key_share=True, read=True)
)


async def list_tags(reads: Reads, workspace_id: UUID) -> list[asyncpg.Record]:
    """All of them, by name: at most `MAX_TAGS`."""
    return await reads.fetch(LIST, workspace_id=workspace_id)


async def hold_tags(work: Work, workspace_id: UUID, tag_ids: Sequence[UUID]) -> set[UUID]:
    """Those that there are; they cannot be deleted before the commit."""
    return {row["id"] for row in await work.fetch(HOLD, workspace_id=workspace_id, tag_ids=list(tag_ids))}


async def held_tag_name(work: Work, workspace_id: UUID, tag_id: UUID) -> str | None:
    """As `hold_tags`, of one, with what it is called; None: there is no such tag."""
    row = await work.fetch_one(HOLD_NAME, workspace_id=workspace_id, tag_id=tag_id)
    return str(row["name"]) if row else None
