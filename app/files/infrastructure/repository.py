"""The rows of files: begun, settled, taken, and let go of with their bytes."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from app.common import telemetry
from app.common.database import Statement
from app.common.work import Doors, Unavailable, Work
from app.files.domain.uploads import Part, StoredFile, UploadGone
from app.files.infrastructure.storage import FileStore, PartWriter
from app.files.infrastructure.tables import file

ADD = Statement(
    insert(file).values(
        workspace_id=bindparam("workspace_id"),
        id=bindparam("id"),
        name=bindparam("name"),
        created_by=bindparam("created_by"),
    )
)
SETTLE = Statement(
    update(file)
    .where(
        file.c.workspace_id == bindparam("of_workspace"),
        file.c.id == bindparam("of_id"),
        file.c.stored_at.is_(None),
    )
    .values(
        media_type=bindparam("media_type"),
        size=bindparam("size"),
        sha256=bindparam("sha256"),
        stored_at=func.now(),
    )
    .returning(file.c.id)
)
HOLD_UNSETTLED = Statement(
    select(file.c.id)
    .where(
        file.c.workspace_id == bindparam("workspace_id"),
        file.c.id == bindparam("id"),
        file.c.stored_at.is_(None),
    )
    .with_for_update()
)
DROP = Statement(
    delete(file).where(file.c.workspace_id == bindparam("workspace_id"), file.c.id == bindparam("id"))
)
TAKE = Statement(
    text(
        """
        WITH mine AS (
            SELECT id FROM file
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
                AND created_by = cast(:user_id as uuid) AND stored_at IS NOT NULL AND used_at IS NULL
            ORDER BY id FOR UPDATE
        )
        UPDATE file SET used_at = now() FROM mine
        WHERE file.workspace_id = cast(:workspace_id as uuid) AND file.id = mine.id
        RETURNING file.id
        """
    )
)
"""In the order of the ids: two that take the same ones do not deadlock, and the second finds them used."""
FIND_USED = Statement(
    select(file.c.id).where(
        file.c.workspace_id == bindparam("workspace_id"),
        file.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))),
        file.c.used_at.is_not(None),
    )
)
ADD_RECEIVED = Statement(
    insert(file)
    .values(
        workspace_id=bindparam("workspace_id"),
        id=bindparam("id"),
        name=bindparam("name"),
        media_type=bindparam("media_type"),
        size=bindparam("size"),
        sha256=bindparam("sha256"),
        stored_at=func.now(),
        used_at=func.now(),
    )
    .on_conflict_do_nothing()
)
HOLD_UNUSED = Statement(
    text(
        """
        SELECT workspace_id, id FROM file
        WHERE used_at IS NULL AND created_at < now() - cast(:ttl_s as float) * interval '1 second'
        ORDER BY created_at LIMIT cast(:limit as bigint) FOR UPDATE SKIP LOCKED
        """
    )
)
DROP_UNUSED = Statement(
    text(
        """
        DELETE FROM file USING unnest(cast(:workspace_ids as uuid[]), cast(:ids as uuid[])) AS gone (workspace_id, id)
        WHERE file.workspace_id = gone.workspace_id AND file.id = gone.id
        """
    )
)


LET_GO = Statement(
    text(
        """
        UPDATE file SET used_at = NULL, created_at = 'epoch', created_by = NULL, name = '', sha256 = NULL
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[]))
        RETURNING id
        """
    )
)
HOLD_LET_GO = Statement(
    text(
        """
        SELECT id FROM file
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (cast(:ids as uuid[])) AND used_at IS NULL
        ORDER BY id FOR UPDATE SKIP LOCKED
        """
    )
)


REPLACE = Statement(
    text(
        """
        UPDATE file SET media_type = 'text/csv', size = cast(:size as bigint), sha256 = cast(:sha256 as bytea)
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND used_at IS NOT NULL
        RETURNING id
        """
    )
)


class FileRepository:
    """Implements the port `Files`."""

    def __init__(self, doors: Doors, store: FileStore) -> None:
        self._doors, self._store = doors, store

    async def add(self, workspace_id: UUID, id: UUID, *, name: str, created_by: UUID) -> None:
        async with self._doors.open_work(workspace_id) as work:
            await work.fetch(ADD, workspace_id=workspace_id, id=id, name=name, created_by=created_by)

    async def settle(self, workspace_id: UUID, file: StoredFile, part: Part) -> None:
        """The rename stands between the row's lock and the commit: the clean-up cannot take the row meanwhile, and if
        it is not committed it will take the bytes with the row."""
        async with self._doors.open_work(workspace_id) as work:
            settled = await work.fetch(
                SETTLE,
                of_workspace=workspace_id,
                of_id=file.id,
                media_type=file.media_type,
                size=file.size,
                sha256=file.sha256,
            )
            if not settled:
                raise UploadGone
            path = cast("PartWriter", part).path
            await asyncio.to_thread(self._store.publish, path, workspace_id, file.id)

    async def drop(self, workspace_id: UUID, id: UUID) -> None:
        """What fails here the clean-up does later."""
        with suppress(Unavailable, OSError):
            async with self._doors.open_work(workspace_id) as work:
                if await work.fetch(HOLD_UNSETTLED, workspace_id=workspace_id, id=id):
                    await asyncio.to_thread(self._store.remove, workspace_id, id)
                    await work.fetch(DROP, workspace_id=workspace_id, id=id)


async def take(
    work: Work, workspace_id: UUID, user_id: UUID, ids: Sequence[UUID]
) -> tuple[set[UUID], set[UUID]]:
    """Marks these uploads of a person as used: those that are now, and those that were before."""
    rows = await work.fetch(TAKE, workspace_id=workspace_id, user_id=user_id, ids=list(ids))
    taken = {row["id"] for row in rows}
    missed = [id for id in ids if id not in taken]
    used = await work.fetch(FIND_USED, workspace_id=workspace_id, ids=missed) if missed else []
    return taken, {row["id"] for row in used}


async def add_received(work: Work, workspace_id: UUID, file: StoredFile) -> None:
    """Used from the start, by the mail it came with; again changes nothing."""
    await work.fetch(
        ADD_RECEIVED,
        workspace_id=workspace_id,
        id=file.id,
        name=file.name,
        media_type=file.media_type,
        size=file.size,
        sha256=file.sha256,
    )


async def replace(
    work: Work, store: FileStore, workspace_id: UUID, id: UUID, part: Path, *, size: int, sha256: bytes
) -> None:
    """Puts a table rewritten as CSV, forced to disk, in the place of what was uploaded, under the row's lock; where
    this is not committed, the bytes are already these. Raises UploadGone."""
    if not await work.fetch(REPLACE, workspace_id=workspace_id, id=id, size=size, sha256=sha256):
        raise UploadGone
    await asyncio.to_thread(store.publish, part, workspace_id, id)


async def let_go(work: Work, workspace_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Of these, the ones that nothing has any more: nobody can use them again, nor read what they were called. The
    clean-up removes them, or `remove` as soon as this is committed."""
    rows = await work.fetch(LET_GO, workspace_id=workspace_id, ids=list(ids))
    return [row["id"] for row in rows]


async def remove(work: Work, store: FileStore, workspace_id: UUID, ids: Sequence[UUID]) -> None:
    """Those of these that were let go of, with their bytes; bytes first, as the clean-up does."""
    rows = await work.fetch(HOLD_LET_GO, workspace_id=workspace_id, ids=list(ids))
    gone = await asyncio.to_thread(_remove_bytes, store, [(workspace_id, row["id"]) for row in rows])
    for _, id in gone:
        await work.fetch(DROP, workspace_id=workspace_id, id=id)


async def drop_unused(system: Work, store: FileStore, *, ttl_s: float, limit: int) -> int:
    """Deletes up to `limit` files that nothing has used in time; how many it were.

    Under the rows' locks, so none is taken meanwhile, and bytes first: killed in between, the row is left, and the next
    turn finds it. Two workers split the rows.
    """
    rows = await system.fetch(HOLD_UNUSED, ttl_s=ttl_s, limit=limit)
    gone = await asyncio.to_thread(_remove_bytes, store, [(row["workspace_id"], row["id"]) for row in rows])
    if gone:
        workspace_ids, ids = zip(*gone, strict=True)
        await system.fetch(DROP_UNUSED, workspace_ids=list(workspace_ids), ids=list(ids))
    return len(gone)


def _remove_bytes(store: FileStore, keys: Sequence[tuple[UUID, UUID]]) -> list[tuple[UUID, UUID]]:
    """Those whose bytes are gone now; a file that cannot be removed keeps its row and stops no other."""
    gone: list[tuple[UUID, UUID]] = []
    for workspace_id, id in keys:
        try:
            store.remove(workspace_id, id)
        except OSError as error:
            telemetry.log.warning("file not removed", error_type=type(error).__name__, key=str(id))
            continue
        gone.append((workspace_id, id))
    return gone
