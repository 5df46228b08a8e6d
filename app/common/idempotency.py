"""`idempotencyKey`: the same call made twice has one effect, however often and however much at once it is sent.

The key is stored with a hash of the input in the mutation's own transaction, and the primary key makes a second call
wait for the first one's commit. Only ids are kept (24 h): the answer is resolved again, so another selection works.
"""

import hashlib
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import (
    Column,
    DateTime,
    Index,
    LargeBinary,
    Named,
    Table,
    Text,
    TypedColumns,
    Uuid,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from app.common.database import Statement, metadata, workspace_key
from app.common.domain import Conflict, clean_text
from app.common.work import Work

MAX_KEY = 200
KEPT_H = 24


class IdempotencyColumns(TypedColumns):
    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    key: Named[str] = Column(Text, primary_key=True)
    request_hash: Named[bytes] = Column(LargeBinary)
    entity_id: Named[UUID | None] = Column(Uuid)
    at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())


idempotency = Table(
    "idempotency", metadata, IdempotencyColumns, workspace_key(), Index("ix_idempotency_at", "at")
)
DROP_OLD = Statement(
    text(
        """
        DELETE FROM idempotency WHERE (workspace_id, key) IN (
            SELECT workspace_id, key FROM idempotency
            WHERE at < now() - cast(:hours as float) * interval '1 hour' ORDER BY at LIMIT cast(:limit as bigint)
        )
        RETURNING key
        """
    )
)

CLAIM = Statement(
    insert(idempotency)
    .values(
        workspace_id=bindparam("workspace_id"), key=bindparam("key"), request_hash=bindparam("request_hash")
    )
    .on_conflict_do_nothing()
    .returning(idempotency.c.key)
)
FIND = Statement(
    select(idempotency.c.request_hash, idempotency.c.entity_id).where(
        idempotency.c.workspace_id == bindparam("workspace_id"), idempotency.c.key == bindparam("key")
    )
)
SETTLE = Statement(
    update(idempotency)
    .where(idempotency.c.workspace_id == bindparam("of_workspace"), idempotency.c.key == bindparam("of_key"))
    .values(entity_id=bindparam("entity_id"))
    .returning(idempotency.c.key)
)


class Idempotency:
    """Implements the port `Once` of `common/domain.py` in one transaction."""

    def __init__(self, work: Work, workspace_id: UUID) -> None:
        self._work, self._workspace_id = work, workspace_id

    async def seen(self, key: str, request: object) -> UUID | None:
        key = clean_text(key, "idempotencyKey", max_length=MAX_KEY)
        request_hash = _hash(request)
        claimed = await self._work.fetch(
            CLAIM, workspace_id=self._workspace_id, key=key, request_hash=request_hash
        )
        if claimed:
            return None
        row = await self._work.fetch_one(FIND, workspace_id=self._workspace_id, key=key)
        assert row is not None
        if row["request_hash"] != request_hash:
            raise Conflict(
                "This idempotencyKey was used with another input: use a new key for a new request.",
                path=("idempotencyKey",),
            )
        entity_id: UUID = row["entity_id"]
        return entity_id

    async def remember(self, key: str, entity_id: UUID) -> None:
        await self._work.fetch(
            SETTLE,
            of_workspace=self._workspace_id,
            of_key=clean_text(key, "idempotencyKey", max_length=MAX_KEY),
            entity_id=entity_id,
        )


def _hash(request: object) -> bytes:
    canonical = orjson.dumps(request, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(canonical).digest()


async def drop_old_keys(work: Work, *, limit: int) -> int:
    """Forgets up to `limit` keys older than `KEPT_H`; how many it were."""
    return len(await work.fetch(DROP_OLD, hours=KEPT_H, limit=limit))
