"""What screens read of tags."""

from uuid import UUID

import asyncpg
from sqlalchemy import Text, bindparam, cast, select

from app.common.database import Statement
from app.common.work import Reads
from app.tags.infrastructure.tables import tag

LIST = Statement(
    select(cast(tag.c.id, Text).label("id"), tag.c.name, tag.c.color)
    .where(tag.c.workspace_id == bindparam("workspace_id"))
    .order_by(tag.c.name_key, tag.c.id)
)


async def list_tags(reads: Reads, workspace_id: UUID) -> list[asyncpg.Record]:
    """All of them, by name: at most `MAX_TAGS`."""
    return await reads.fetch(LIST, workspace_id=workspace_id)
