"""The cursors of the feed's consumers in PostgreSQL: who is behind, what comes next, what was set aside.

All clocks are the database's. A cursor's row is locked by whoever reacts; nobody waits for it, but who must not meet a
reaction (`hold_cursor`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Reads, Work

ATTEMPTS = 5
BACKOFF_S = (2, 8, 32, 120)
"""Wait before the next attempt at an event."""
WINDOW = 2000
"""Events that are looked through at once for one of the consumer's."""

# The next event that concerns the consumer, and how far it can go without one: from the first there is, over so many,
# as bounds of the index (under a LIMIT a planner that takes the workspace for small sorts all of it). No body is read.
_WINDOW = """
    SELECT min(e.seq) FILTER (WHERE e.kind = any(cast(:kinds as text[]))) AS next, max(e.seq) AS last
    FROM feed_event e
    WHERE e.workspace_id = b.workspace_id AND e.seq >= s.first AND e.seq < s.first + cast(:window as bigint)
"""
_BEHIND = """
    SELECT b.workspace_id, b.seq, b.head, b.is_new, w.next, w.last
    FROM (
        SELECT h.workspace_id, h.seq AS head, coalesce(c.seq, 0) AS seq, c.seq IS NULL AS is_new
        FROM feed_head h
        LEFT JOIN feed_consumer c ON c.workspace_id = h.workspace_id AND c.consumer = cast(:consumer as text)
        WHERE h.seq > coalesce(c.seq, 0) AND coalesce(c.retry_at <= now(), true) AND {which}
        ORDER BY h.workspace_id LIMIT cast(:limit as bigint)
    ) b CROSS JOIN LATERAL (
        SELECT min(f.seq) AS first FROM feed_event f WHERE f.workspace_id = b.workspace_id AND f.seq > b.seq
    ) s CROSS JOIN LATERAL ({window}) w
    ORDER BY b.workspace_id
"""
BEHIND = Statement(text(_BEHIND.format(which="h.workspace_id > cast(:after as uuid)", window=_WINDOW)))
BEHIND_OF = Statement(
    text(
        _BEHIND.format(
            which="h.workspace_id > cast(:after as uuid) AND h.workspace_id = any(cast(:wanted as uuid[]))",
            window=_WINDOW,
        )
    )
)
BEGIN = Statement(
    text(
        """
        INSERT INTO feed_consumer (workspace_id, consumer, seq)
        SELECT g.workspace_id, cast(:consumer as text), g.seq
        FROM unnest(cast(:workspace_ids as uuid[]), cast(:seqs as bigint[])) AS g(workspace_id, seq)
        ORDER BY g.workspace_id ON CONFLICT DO NOTHING
        """
    )
)
# One that somebody reacts in now has moved on by itself: it is left alone.
PASS_OVER = Statement(
    text(
        """
        WITH given AS (
            SELECT * FROM unnest(
                cast(:workspace_ids as uuid[]), cast(:before as bigint[]), cast(:seqs as bigint[])
            ) AS g(workspace_id, before, seq)
        ), held AS (
            SELECT c.workspace_id FROM feed_consumer c JOIN given g USING (workspace_id)
            WHERE c.consumer = cast(:consumer as text) AND c.seq = g.before
            ORDER BY c.workspace_id FOR UPDATE OF c SKIP LOCKED
        )
        UPDATE feed_consumer c SET seq = g.seq
        FROM given g JOIN held USING (workspace_id)
        WHERE c.workspace_id = g.workspace_id AND c.consumer = cast(:consumer as text) AND c.seq = g.before
        """
    )
)
HOLD = Statement(
    text(
        """
        WITH held AS (
            SELECT seq, failures FROM feed_consumer
            WHERE workspace_id = cast(:workspace_id as uuid) AND consumer = cast(:consumer as text)
                AND retry_at <= now()
            FOR UPDATE SKIP LOCKED
        )
        SELECT held.seq AS cursor, held.failures, e.*
        FROM held LEFT JOIN LATERAL (
            SELECT f.seq, f.kind, f.entity_ids, f.changed, f.before::text, f.after::text, f.depth, f.at
            FROM feed_event f
            WHERE f.workspace_id = cast(:workspace_id as uuid) AND f.kind = any(cast(:kinds as text[]))
                AND f.seq > held.seq AND f.seq <= held.seq + cast(:window as bigint)
            ORDER BY f.seq LIMIT CASE WHEN held.failures > 0 THEN 1 ELSE cast(:limit as bigint) END
        ) e ON true
        ORDER BY e.seq
        """
    )
)
HOLD_CURSOR = Statement(
    text(
        """
        SELECT seq FROM feed_consumer
        WHERE workspace_id = cast(:workspace_id as uuid) AND consumer = cast(:consumer as text) FOR UPDATE
        """
    )
)
MOVE = Statement(
    text(
        """
        UPDATE feed_consumer SET seq = cast(:seq as bigint), failures = 0
        WHERE workspace_id = cast(:workspace_id as uuid) AND consumer = cast(:consumer as text)
            AND seq <= cast(:seq as bigint)
        RETURNING seq
        """
    )
)
# Fenced: another worker that tried the same event since has counted for itself.
_FAILED = """
    UPDATE feed_consumer SET seq = cast(:seq as bigint), failures = cast(:failures as int),
        retry_at = now() + cast(:wait_s as float) * interval '1 second'
    WHERE workspace_id = cast(:workspace_id as uuid) AND consumer = cast(:consumer as text)
        AND seq = cast(:cursor as bigint) AND failures = cast(:failures_before as int)
    RETURNING seq
"""
FAILED = Statement(text(_FAILED))
SET_ASIDE = Statement(
    text(
        """
        INSERT INTO reaction_failure (workspace_id, consumer, seq, kind, error_id, error_type)
        VALUES (cast(:workspace_id as uuid), :consumer, cast(:seq as bigint), :kind, :error_id, :error_type)
        ON CONFLICT DO NOTHING
        """
    )
)
LAG = Statement(
    text(
        """
        SELECT k.consumer, count(b.workspace_id) AS workspaces, coalesce(sum(b.events), 0)::bigint AS events,
            coalesce(extract(epoch FROM now() - min(b.at)), 0)::float AS oldest_s,
            (SELECT count(*) FROM reaction_failure f WHERE f.consumer = k.consumer) AS set_aside
        FROM (SELECT DISTINCT consumer FROM feed_consumer) k
        LEFT JOIN LATERAL (
            SELECT h.workspace_id, h.seq - coalesce(c.seq, 0) AS events, (
                SELECT e.at FROM feed_event e
                WHERE e.workspace_id = h.workspace_id AND e.seq > coalesce(c.seq, 0) ORDER BY e.seq LIMIT 1
            ) AS at
            FROM feed_head h
            LEFT JOIN feed_consumer c ON c.workspace_id = h.workspace_id AND c.consumer = k.consumer
            WHERE h.seq > coalesce(c.seq, 0)
        ) b ON true
        GROUP BY k.consumer ORDER BY k.consumer
        """
    )
)
ASIDE = Statement(
    text(
        """
        SELECT workspace_id, consumer, seq, kind, error_id, error_type, at, count(*) OVER () AS total
        FROM reaction_failure ORDER BY at DESC LIMIT cast(:limit as bigint)
        """
    )
)


@dataclass(frozen=True, slots=True)
class Behind:
    """A workspace in which a consumer has not seen everything yet."""

    workspace_id: UUID
    seq: int
    """Where the consumer stands."""
    goes_to: int
    """It may pass over everything up to this."""
    is_new: bool
    is_due: bool
    """The event after `goes_to` concerns it."""
    is_cut_off: bool
    """There is more than was looked through."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a consumer stands in a workspace, and how often the next event failed."""

    seq: int
    failures: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a consumer is behind, over all workspaces. In calm times nothing for longer than a poll."""

    consumer: str
    workspaces: int
    events: int
    oldest_s: float
    """Age of the oldest event that was not looked at."""
    set_aside: int
    """Events that could not be reacted to."""


async def find_behind(
    system: Work,
    consumer: str,
    kinds: Sequence[str],
    *,
    wanted: Sequence[UUID] | None,
    after: UUID,
    limit: int,
) -> list[Behind]:
    """Workspaces (all, or some of `wanted`) behind the consumer's back, by id from `after` on; one statement."""
    rows = await system.fetch(
        BEHIND if wanted is None else BEHIND_OF,
        consumer=consumer,
        kinds=list(kinds),
        wanted=wanted,
        after=after,
        limit=limit,
        window=WINDOW,
    )
    return [_behind(row) for row in rows]


def _behind(row: asyncpg.Record) -> Behind:
    """No event at all after the cursor: they were let go of (`drop_old_events`), and the head is where to go on."""
    is_due, last = row["next"] is not None, row["last"] if row["last"] is not None else row["head"]
    return Behind(
        workspace_id=row["workspace_id"],
        seq=row["seq"],
        goes_to=row["next"] - 1 if is_due else last,
        is_new=row["is_new"],
        is_due=is_due,
        is_cut_off=not is_due and last < row["head"],
    )


async def pass_over(system: Work, consumer: str, page: Sequence[Behind]) -> None:
    """Moves cursors past what does not concern the consumer, and makes those that are missing."""
    if new := [one for one in page if one.is_new]:
        await system.fetch(
            BEGIN,
            consumer=consumer,
            workspace_ids=[one.workspace_id for one in new],
            seqs=[one.goes_to for one in new],
        )
    if over := [one for one in page if not one.is_new and one.goes_to > one.seq]:
        await system.fetch(
            PASS_OVER,
            consumer=consumer,
            workspace_ids=[one.workspace_id for one in over],
            before=[one.seq for one in over],
            seqs=[one.goes_to for one in over],
        )


async def hold_events(
    work: Work, workspace_id: UUID, consumer: str, kinds: Sequence[str], *, limit: int
) -> tuple[Cursor, list[asyncpg.Record]] | None:
    """The consumer's next events, with its cursor locked until the commit; one only where the last attempt failed.

    None: another worker holds it, or it waits for its next attempt.
    """
    rows = await work.fetch(
        HOLD, workspace_id=workspace_id, consumer=consumer, kinds=list(kinds), limit=limit, window=WINDOW
    )
    if not rows:
        return None
    return Cursor(rows[0]["cursor"], rows[0]["failures"]), [row for row in rows if row["seq"] is not None]


async def hold_cursor(work: Work, workspace_id: UUID, consumer: str) -> None:
    """Waits for the reaction that is under way there; until the commit no other begins. Before all other locks."""
    of = {"workspace_id": workspace_id, "consumer": consumer}
    if not await work.fetch(HOLD_CURSOR, **of):
        await work.fetch(BEGIN, consumer=consumer, workspace_ids=[workspace_id], seqs=[0])
        await work.fetch(HOLD_CURSOR, **of)


async def move_cursor(work: Work, workspace_id: UUID, consumer: str, seq: int) -> None:
    moved = await work.fetch(MOVE, workspace_id=workspace_id, consumer=consumer, seq=seq)
    assert moved, "a cursor never goes back"


async def count_failure(work: Work, workspace_id: UUID, consumer: str, cursor: Cursor, seq: int) -> None:
    """The event is tried again later."""
    await work.fetch(
        FAILED,
        workspace_id=workspace_id,
        consumer=consumer,
        cursor=cursor.seq,
        failures_before=cursor.failures,
        seq=seq - 1,
        failures=cursor.failures + 1,
        wait_s=BACKOFF_S[cursor.failures],
    )


async def set_aside(
    work: Work,
    workspace_id: UUID,
    consumer: str,
    cursor: Cursor,
    seq: int,
    *,
    kind: str,
    error_id: str,
    error_type: str,
) -> bool:
    """The cursor moves past the event, which is kept in `reaction_failure`: never with the error's text."""
    of = {"workspace_id": workspace_id, "consumer": consumer, "seq": seq}
    moved = await work.fetch(
        FAILED, **of, cursor=cursor.seq, failures_before=cursor.failures, failures=0, wait_s=0
    )
    if moved:
        await work.fetch(SET_ASIDE, **of, kind=kind, error_id=error_id, error_type=error_type)
    return bool(moved)


async def reactions_behind(system: Reads) -> list[Lag]:
    """By consumer that has ever looked at something. Through the system door."""
    rows = await system.fetch(LAG)
    return [Lag(**row) for row in rows]


async def events_set_aside(system: Reads, *, limit: int = 20) -> list[asyncpg.Record]:
    """The newest that could not be reacted to; `total` in each says how many there are. Through the system door."""
    return await system.fetch(ASIDE, limit=limit)
