"""What screens read of bulk sends: rows out; their counts come from the ledger, of many at once."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Select, Text, Uuid, any_, bindparam, cast, select, text

from app.common.database import Statement
from app.common.work import Reads
from app.outreach.infrastructure.tables import bulk_send

MAX_LISTED = 100
c = bulk_send.c


def _shown() -> Select[Any]:
    return select(
        cast(c.id, Text).label("id"),
        c.id.label("key"),
        cast(c.template_id, Text).label("template_id"),
        cast(c.account_id, Text).label("account_id"),
        *(c[name] for name in ("name", "state", "pause_reason", "send_batch_id", "rate_per_minute", "burst")),
        *(c[name] for name in ("start_at", "created_at", "started_at", "finished_at")),
        cast(c.exclusions, Text).label("exclusions"),
    ).where(c.workspace_id == bindparam("workspace_id"))


NEWEST = Statement(_shown().order_by(c.id.desc()).limit(MAX_LISTED))
BY_IDS = Statement(_shown().where(c.id == any_(bindparam("ids", type_=ARRAY(Uuid)))))
WITH_FEED = Statement(
    _shown()
    .add_columns(
        select(text("seq"))
        .select_from(text("feed_head h"))
        .where(text("h.workspace_id = bulk_send.workspace_id"))
        .scalar_subquery()
        .label("feed_seq")
    )
    .where(c.id == bindparam("id"))
)


async def list_bulk_sends(reads: Reads, workspace_id: UUID) -> list[asyncpg.Record]:
    """The newest ones."""
    return await reads.fetch(NEWEST, workspace_id=workspace_id)


async def bulk_sends_by_id(
    reads: Reads, workspace_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, asyncpg.Record]:
    return {row["key"]: row for row in await reads.fetch(BY_IDS, workspace_id=workspace_id, ids=list(ids))}


async def bulk_send_and_position(
    reads: Reads, workspace_id: UUID, id: UUID
) -> tuple[asyncpg.Record, int] | None:
    """The bulk send, and the feed's position of the same snapshot."""
    row = await reads.fetch_one(WITH_FEED, workspace_id=workspace_id, id=id)
    return (row, int(row["feed_seq"])) if row else None
