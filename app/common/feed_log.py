"""Appending to the feed: the counter row and the events of one transaction, in one statement.

`feed_head.seq` is bumped in the writer's transaction, so the row lock makes seq order the commit order, without gaps: a
reader that has seen n can only ever be missing n + 1 and later (words.md, The feed; delivery.md 2.1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    Index,
    Named,
    Table,
    Text,
    TypedColumns,
    Uuid,
    func,
    text,
)
from sqlalchemy import Column as SqlColumn

from app.common.database import JsonObject, Statement, metadata, workspace_key
from app.common.domain import EVENT_IDS_MAX, ActorKind, Event


class FeedHeadColumns(TypedColumns):
    workspace_id: Named[UUID] = SqlColumn(Uuid, primary_key=True)
    seq: Named[int] = SqlColumn(BigInteger, server_default=text("0"))
    floor: Named[int] = SqlColumn(BigInteger, server_default=text("0"))
    """Events up to and including this seq may no longer be resumed from."""


feed_head = Table("feed_head", metadata, FeedHeadColumns, workspace_key())


class FeedEventColumns(TypedColumns):
    workspace_id: Named[UUID] = SqlColumn(Uuid, primary_key=True)
    seq: Named[int] = SqlColumn(BigInteger, primary_key=True, autoincrement=False)
    kind: Named[str] = SqlColumn(Text)
    entity_ids: Named[Sequence[UUID]] = SqlColumn(ARRAY(Uuid))
    changed: Named[Sequence[str]] = SqlColumn(ARRAY(Text))
    before: Named[Mapping[str, object]] = SqlColumn(JsonObject)
    after: Named[Mapping[str, object]] = SqlColumn(JsonObject)
    actor: Named[UUID | None] = SqlColumn(Uuid)
    actor_kind: Named[str] = SqlColumn(Text)
    cause_seq: Named[int | None] = SqlColumn(BigInteger)
    depth: Named[int] = SqlColumn(server_default=text("0"))
    at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.clock_timestamp())


feed_event = Table(
    "feed_event",
    metadata,
    FeedEventColumns,
    workspace_key(),
    Index("ix_feed_event_at", "at"),
    CheckConstraint(f"cardinality(entity_ids) <= {EVENT_IDS_MAX}", name="entity_ids_max"),
)


class FeedConsumerColumns(TypedColumns):
    """How far a consumer has reacted, in one workspace. No row: not at all yet."""

    workspace_id: Named[UUID] = SqlColumn(Uuid, primary_key=True)
    consumer: Named[str] = SqlColumn(Text, primary_key=True)
    seq: Named[int] = SqlColumn(BigInteger, server_default=text("0"))
    """The last event that was reacted to, or set aside."""
    failures: Named[int] = SqlColumn(server_default=text("0"))
    """Of the event after it, so far."""
    retry_at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())


feed_consumer = Table("feed_consumer", metadata, FeedConsumerColumns, workspace_key())


class ReactionFailureColumns(TypedColumns):
    """An event that a consumer could not react to, set aside so that it holds up nothing."""

    workspace_id: Named[UUID] = SqlColumn(Uuid, primary_key=True)
    consumer: Named[str] = SqlColumn(Text, primary_key=True)
    seq: Named[int] = SqlColumn(BigInteger, primary_key=True, autoincrement=False)
    kind: Named[str] = SqlColumn(Text)
    error_id: Named[str] = SqlColumn(Text)
    error_type: Named[str] = SqlColumn(Text)
    at: Named[datetime] = SqlColumn(DateTime(timezone=True), server_default=func.now())


reaction_failure = Table("reaction_failure", metadata, ReactionFailureColumns, workspace_key())


APPEND = Statement(
    text(
        """
        WITH head AS (
            UPDATE feed_head SET seq = seq + cast(:count as bigint)
            WHERE workspace_id = cast(:workspace_id as uuid) RETURNING seq
        )
        INSERT INTO feed_event
            (workspace_id, seq, kind, entity_ids, changed, before, after, actor, actor_kind, cause_seq, depth)
        SELECT cast(:workspace_id as uuid), head.seq - cast(:count as bigint) + e.n, e.kind, e.entity_ids::uuid[],
            e.changed::text[], e.before::jsonb, e.after::jsonb, cast(:actor as uuid), cast(:actor_kind as text),
            e.cause_seq, e.depth
        FROM head, unnest(
            cast(:kinds as text[]), cast(:entity_ids as text[]), cast(:changed as text[]),
            cast(:before as text[]), cast(:after as text[]), cast(:cause_seqs as bigint[]), cast(:depths as int[])
        ) WITH ORDINALITY AS e(kind, entity_ids, changed, before, after, cause_seq, depth, n)
        RETURNING seq
        """
    )
)


KEPT_DAYS = 35
# A head that somebody holds, to announce, waits for the next turn: this holds many of them.
RAISE_FLOORS = Statement(
    text(
        """
        WITH held AS MATERIALIZED (
            SELECT h.workspace_id, old.seq
            FROM (
                SELECT workspace_id, max(seq) AS seq FROM feed_event
                WHERE at < now() - cast(:days as float) * interval '1 day' GROUP BY workspace_id
            ) old JOIN feed_head h USING (workspace_id)
            WHERE h.floor < old.seq
            FOR NO KEY UPDATE OF h SKIP LOCKED
        )
        UPDATE feed_head h SET floor = held.seq FROM held WHERE h.workspace_id = held.workspace_id
        """
    )
)
DROP_OLD = Statement(
    text(
        """
        DELETE FROM feed_event WHERE (workspace_id, seq) IN (
            SELECT workspace_id, seq FROM feed_event
            WHERE at < now() - cast(:days as float) * interval '1 day' ORDER BY at LIMIT cast(:limit as bigint)
        )
        RETURNING seq
        """
    )
)


class Fetching(Protocol):
    async def fetch(self, statement: Statement, **values: object) -> list[asyncpg.Record]: ...


@dataclass(frozen=True, slots=True)
class Cause:
    """The event whose reaction announces another; `depth` says how many reactions led to it."""

    seq: int
    depth: int


async def append_events(
    work: Fetching,
    workspace_id: UUID,
    events: Sequence[tuple[Event, Cause | None]],
    *,
    actor_id: UUID | None,
    actor_kind: ActorKind,
) -> int:
    """The last seq written, 0 if there was nothing to append. Must be the transaction's last statement."""
    if not events:
        return 0
    rows = await work.fetch(
        APPEND,
        workspace_id=workspace_id,
        count=len(events),
        actor=actor_id,
        actor_kind=actor_kind,
        kinds=[event.name for event, _ in events],
        entity_ids=[_array(event.entity_ids) for event, _ in events],
        changed=[_array(event.changed) for event, _ in events],
        before=[orjson.dumps(event.before).decode() for event, _ in events],
        after=[orjson.dumps(event.after).decode() for event, _ in events],
        cause_seqs=[cause.seq if cause else None for _, cause in events],
        depths=[cause.depth + 1 if cause else 0 for _, cause in events],
    )
    assert len(rows) == len(events), "the workspace has no feed head"
    return max(int(row["seq"]) for row in rows)


def _array(items: Sequence[object]) -> str:
    """An array literal; ids and field names need no quoting."""
    return "{" + ",".join(str(item) for item in items) + "}"


async def raise_floors(work: Fetching, *, resume_days: float) -> None:
    """From now on nobody resumes from before that; the rows stay for the consumers (`KEPT_DAYS`)."""
    await work.fetch(RAISE_FLOORS, days=resume_days)


async def drop_old_events(work: Fetching, *, limit: int) -> int:
    """Deletes up to `limit` events older than `KEPT_DAYS`; how many it were."""
    return len(await work.fetch(DROP_OLD, days=KEPT_DAYS, limit=limit))
