"""What a download reads of a file."""

from uuid import UUID

import asyncpg
from sqlalchemy import bindparam, select

from app.common.database import Statement
from app.common.work import Reads
from app.files.infrastructure.tables import file

FIND_STORED = Statement(
    select(file.c.name, file.c.media_type, file.c.size, file.c.sha256).where(
        file.c.workspace_id == bindparam("workspace_id"),
        file.c.id == bindparam("id"),
        file.c.stored_at.is_not(None),
    )
)


async def find_stored(reads: Reads, workspace_id: UUID, id: UUID) -> asyncpg.Record | None:
    return await reads.fetch_one(FIND_STORED, workspace_id=workspace_id, id=id)
