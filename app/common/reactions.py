"""What happens because of what happened: consumers of the feed, each with a durable cursor in every workspace.

A consumer reacts to events of certain names, in their order, each once: its effects, what it announces and the move of
its cursor are one transaction, under a lock of the cursor's row. So any number of workers share the workspaces, and one
that is killed leaves nothing half done. What a consumer has no interest in is passed over in bulk, bodies unread. An
event that cannot be reacted to is tried `ATTEMPTS` times and then set aside: it holds up nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
import orjson

from app.common import telemetry, tracing
from app.common.feed_log import Cause
from app.common.reaction_log import (
    ATTEMPTS,
    Cursor,
    count_failure,
    find_behind,
    hold_events,
    move_cursor,
    pass_over,
    set_aside,
)
from app.common.work import Doors, TookTooLong, Unavailable, Work

BATCH = 50
"""Events that one transaction reacts to at most."""
PAGE = 500
LANES = 4
"""Workspaces that one worker reacts in beside each other."""
BRISK_S = 1
"""Past this, a workspace with more to do lets others go first."""
BREATH_S = 0.05
"""Between two looks: doorbells that ring meanwhile are answered together."""
RUNG_MAX = 1000
FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event of the feed, as a reaction sees it."""

    workspace_id: UUID
    seq: int
    name: str
    entity_ids: Sequence[UUID]
    changed: Sequence[str]
    before: Mapping[str, object]
    after: Mapping[str, object]
    depth: int
    """How many reactions led to it; 0: none."""
    at: datetime


Reaction: TypeAlias = Callable[[Work, Occurrence], Awaitable[bool]]
"""Writes its effects in the transaction given, and announces them. False: so far only a part of them, which is
committed by itself; it is called again then, and finds out what is left. It may be called again for an event whose
transaction was rolled back: nothing outside of it is touched."""


Together: TypeAlias = Callable[[Work, Sequence[Occurrence]], Awaitable[int | None]]
"""As a reaction, to several events at once, in their order: for a consumer that asks the database the same of each.

How many of them it has reacted to, the first ones; None: all. 0: so far to a part of the first one."""


@dataclass(frozen=True)
class Consumer:
    """`name` is its cursor's for good; `reactions` by event name."""

    name: str
    reactions: Mapping[str, Reaction] = field(default_factory=dict)
    together: Together | None = None
    """In place of the reactions, whose names alone count then; it gives each announcement its cause itself."""
    names: Sequence[str] = ()
    """Of the events that `together` reacts to."""
    batch: int = BATCH

    @property
    def kinds(self) -> list[str]:
        return [*self.reactions, *self.names]


@dataclass(slots=True)
class _Try:
    """How far one transaction came, for what is to be said of it when it failed."""

    limit: int = BATCH
    cursor: Cursor | None = None
    events: Sequence[Occurrence] = ()
    handled: int = 0


class Reactor:
    """A worker's hands for all consumers. The doorbell (`look`) tells where something happened; the poll finds the
    rest, and everything where there is no Redis."""

    def __init__(self, doors: Doors, consumers: Sequence[Consumer], *, poll_s: float) -> None:
        self._doors, self._consumers, self._poll_s = doors, consumers, poll_s
        self._rung: set[UUID] = set()
        self._bell = asyncio.Event()
        self._poll_at = 0.0
        self._stopping = False

    def look(self, workspace_id: UUID | None, seq: int | None = None) -> None:
        """Something happened there; None: doorbells may have been missed."""
        if workspace_id is None or len(self._rung) >= RUNG_MAX:
            self._poll_at = 0.0
        else:
            self._rung.add(workspace_id)
        self._bell.set()

    def stop(self) -> None:
        self._stopping = True
        self._bell.set()

    async def run(self) -> None:
        """Until stopped. Outlives any outage of the database, and its own bugs."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            is_poll = loop.time() >= self._poll_at
            if is_poll:
                self._poll_at = loop.time() + self._poll_s
            rung, self._rung = self._rung, set()
            self._bell.clear()
            try:
                await self.react(None if is_poll else rung)
            except Unavailable as error:
                telemetry.log.warning("reacting failed", reason=str(error))
            except Exception as error:  # noqa: BLE001 - a worker that reacted no more would go unnoticed
                _tell("reacting failed", error)
            await self._pause(loop)

    async def _pause(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(max(self._poll_at, loop.time() + BREATH_S)):
                await self._bell.wait()
                if not self._stopping:
                    await asyncio.sleep(BREATH_S)

    async def react(self, workspace_ids: Iterable[UUID] | None = None) -> None:
        """To what is there: in these workspaces, or in all. What failed of one consumer is raised when the others had
        their turn. Raises Unavailable."""
        wanted = None if workspace_ids is None else list(workspace_ids)
        if wanted == []:
            return
        errors: list[Exception] = []
        for consumer in self._consumers:
            try:
                await self._react_as(consumer, wanted)
            except Exception as error:  # noqa: BLE001 - one consumer's trouble; raised below
                errors.append(error)
        if errors:
            raise errors[0]

    async def _react_as(self, consumer: Consumer, wanted: list[UUID] | None) -> None:
        after, found = FIRST, PAGE
        while found == PAGE and not self._stopping:
            found, after, due = await self._find(consumer, wanted, after)
            await self._react_in(consumer, due)

    async def _find(
        self, consumer: Consumer, wanted: list[UUID] | None, after: UUID
    ) -> tuple[int, UUID, list[UUID]]:
        """One page of the workspaces that are behind: how many, the last, and those where something is to be done."""
        async with self._doors.open_system() as system:
            page = await find_behind(
                system, consumer.name, consumer.kinds, wanted=wanted, after=after, limit=PAGE
            )
            await pass_over(system, consumer.name, page)
        for one in page:
            if one.is_cut_off:
                self.look(one.workspace_id)
        return (
            len(page),
            page[-1].workspace_id if page else after,
            [one.workspace_id for one in page if one.is_due],
        )

    async def _react_in(self, consumer: Consumer, workspace_ids: Sequence[UUID]) -> None:
        """In a few of them at once. What failed in one is raised when the others had their turn, or as many failed."""
        left = list(reversed(workspace_ids))
        errors: list[Exception] = []

        async def lane() -> None:
            while left and len(errors) < LANES and not self._stopping:
                try:
                    await self._take_turn(consumer, left.pop())
                except Exception as error:  # noqa: BLE001 - one workspace's trouble; raised below
                    errors.append(error)

        await asyncio.gather(*(lane() for _ in range(min(LANES, len(left)))))
        if errors:
            raise errors[0]

    async def _take_turn(self, consumer: Consumer, workspace_id: UUID) -> None:
        """Batch after batch. A batch that fails is gone through one by one, so that its culprit is known; of what was
        only partly reacted to, not much more is read again. An outage is nobody's failure, but who runs into the
        time-out again and again holds up the others."""
        loop = asyncio.get_running_loop()
        brisk_until, limit, most = loop.time() + BRISK_S, consumer.batch, consumer.batch
        while not self._stopping:
            attempt = _Try(limit)
            try:
                await self._react_once(consumer, workspace_id, attempt)
            except Exception as error:  # a reaction's bug becomes the event's state, with a reason
                if isinstance(error, Unavailable) and not isinstance(error, TookTooLong):
                    raise
                if len(attempt.events) <= 1:
                    await self._fail(consumer, workspace_id, attempt, error)
                brisk_until, limit, most = loop.time() + BRISK_S, 1, 1
                continue
            if not attempt.events:
                return
            telemetry.reactions.labels(consumer.name, "done").inc(attempt.handled)
            is_partly = attempt.handled < len(attempt.events)
            limit = min(most, max(1, 2 * attempt.handled)) if is_partly else most
            if loop.time() > brisk_until:
                self.look(workspace_id)
                return

    async def _react_once(self, consumer: Consumer, workspace_id: UUID, attempt: _Try) -> None:
        """One transaction; of no events: there are none, or another worker is at them."""
        async with self._doors.open_work(workspace_id) as work:
            held = await hold_events(work, workspace_id, consumer.name, consumer.kinds, limit=attempt.limit)
            if held is None:
                return
            attempt.cursor, rows = held
            attempt.events = [_occurrence(workspace_id, row) for row in rows]
            if not rows:
                return
            if consumer.together is not None:
                with tracing.span("reaction", consumer=consumer.name, kind="several"):
                    count = await consumer.together(work, attempt.events)
                attempt.handled = len(rows) if count is None else count
                if attempt.handled:
                    seq = attempt.events[attempt.handled - 1].seq
                    await move_cursor(work, workspace_id, consumer.name, seq)
                return
            seq = 0
            for event in attempt.events:
                work.cause = Cause(event.seq, event.depth)
                with tracing.span("reaction", consumer=consumer.name, kind=event.name):
                    is_done = await consumer.reactions[event.name](work, event)
                seq = event.seq if is_done else event.seq - 1
                if not is_done:
                    break
                attempt.handled += 1
            await move_cursor(work, workspace_id, consumer.name, seq)

    async def _fail(self, consumer: Consumer, workspace_id: UUID, attempt: _Try, error: Exception) -> None:
        """In a transaction of its own, for the reaction's was rolled back. Where another worker came first, nothing."""
        if attempt.cursor is None or not attempt.events:
            raise error
        event, error_id = attempt.events[0], _tell("reaction failed", error, consumer=consumer.name)
        telemetry.reactions.labels(consumer.name, "failed").inc()
        is_last = attempt.cursor.failures + 1 >= ATTEMPTS
        async with self._doors.open_work(workspace_id) as work:
            if not is_last:
                await count_failure(work, workspace_id, consumer.name, attempt.cursor, event.seq)
            elif await set_aside(
                work,
                workspace_id,
                consumer.name,
                attempt.cursor,
                event.seq,
                kind=event.name,
                error_id=error_id,
                error_type=type(error).__name__,
            ):
                telemetry.reactions.labels(consumer.name, "set_aside").inc()


def _occurrence(workspace_id: UUID, row: asyncpg.Record) -> Occurrence:
    return Occurrence(
        workspace_id=workspace_id,
        seq=row["seq"],
        name=row["kind"],
        entity_ids=row["entity_ids"],
        changed=row["changed"],
        before=orjson.loads(row["before"]),
        after=orjson.loads(row["after"]),
        depth=row["depth"],
        at=row["at"],
    )


def _tell(what: str, error: Exception, **keys: str) -> str:
    error_id = telemetry.new_error_id()
    telemetry.log.error(what, error_id=error_id, error_type=type(error).__name__, exc_info=error, **keys)
    return error_id
