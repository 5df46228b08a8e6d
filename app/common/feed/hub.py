"""Each process's one reader of the feed: a ring of recent events a workspace, and subscribers that are cursors over it.

A doorbell (or the 2 s poll behind it) says "look": the hub reads each live workspace's new rows once, whatever the
number of subscribers, and wakes them. A subscriber is a cursor, never a queue: one that reads slowly costs nothing, one
that is older than the ring reads pages from PostgreSQL. Calm latency is the doorbell's; without Redis it is the poll's.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import NoReturn
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, BigInteger, Uuid, any_, bindparam, func, select

from app.common import telemetry
from app.common.database import Statement
from app.common.domain import ActorKind
from app.common.feed.channel import Channel, FeedEvent, Tap
from app.common.feed.cursor import CursorExpired
from app.common.feed_log import feed_event, feed_head
from app.common.tasks import for_ever
from app.common.work import Doors, Unavailable
from app.settings import Settings

PAGE = 500
BELL_S = 0.25
"""Time a doorbell may be on its way before the poll counts its events as found by itself."""

HEADS = Statement(
    select(feed_head.c.workspace_id, feed_head.c.seq).where(
        feed_head.c.workspace_id == any_(bindparam("workspace_ids", type_=ARRAY(Uuid)))
    )
)
HEAD = Statement(
    select(feed_head.c.seq, feed_head.c.floor).where(feed_head.c.workspace_id == bindparam("workspace_id"))
)
EVENTS = Statement(
    select(
        feed_event.c.seq,
        feed_event.c.kind,
        feed_event.c.entity_ids,
        feed_event.c.changed,
        feed_event.c.before,
        feed_event.c.after,
        feed_event.c.actor,
        feed_event.c.actor_kind,
        feed_event.c.at,
        func.clock_timestamp().label("read_at"),
    )
    .where(
        feed_event.c.workspace_id == bindparam("workspace_id"),
        feed_event.c.seq > bindparam("after", type_=BigInteger),
    )
    .order_by(feed_event.c.seq)
    .limit(bindparam("limit"))
)


class Hub:
    """The feed in this process. `look` is the doorbell's; `subscribe` is the API's."""

    def __init__(self, doors: Doors, settings: Settings) -> None:
        self._doors = doors
        self._poll_s = settings.poll_s
        self._ring_size = settings.feed_ring_size
        self._channels: dict[UUID, Channel] = {}
        self._looks: set[asyncio.Task[None]] = set()
        self._poller: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._poller = asyncio.create_task(for_ever(self._poll, pause_s=self._poll_s, name="feed"))

    async def stop(self) -> None:
        tasks = [*self._looks, *([self._poller] if self._poller else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def look(self, workspace_id: UUID | None, seq: int | None = None) -> None:
        """A hint that a workspace (None: any) has news up to `seq`. Coalesced: one read a workspace at a time."""
        for known in [workspace_id] if workspace_id else list(self._channels):
            channel = self._channels.get(known)
            if channel is None or channel.is_look_pending or (seq is not None and seq <= channel.seq):
                continue
            channel.is_look_pending = True
            task = asyncio.create_task(self._look(known, channel))
            self._looks.add(task)
            task.add_done_callback(self._looks.discard)

    async def _look(self, workspace_id: UUID, channel: Channel) -> None:
        with suppress(Unavailable):  # the poll looks again
            async with channel.reading:
                channel.is_look_pending = False
                await self._read_news(workspace_id, channel)

    async def _read_news(self, workspace_id: UUID, channel: Channel) -> int:
        found = 0
        while True:
            events = await self.read_page(workspace_id, channel.seq)
            channel.publish(events)
            found += len(events)
            if len(events) < PAGE:
                return found

    async def _poll(self) -> None:
        """Finds what no doorbell told; alone when Redis is away."""
        live = list(self._channels)
        if not live:
            return
        async with self._doors.open_system() as system:
            heads = await system.fetch(HEADS, workspace_ids=live)
        if any(self._behind(head) for head in heads):
            await asyncio.sleep(min(BELL_S, self._poll_s / 2))
        for head in heads:
            channel = self._behind(head)
            if channel is None:
                continue
            await self._poll_one(head["workspace_id"], channel)

    async def _poll_one(self, workspace_id: UUID, channel: Channel) -> None:
        """A workspace whose feed cannot be read must not keep the others' from theirs."""
        try:
            async with channel.reading:
                telemetry.feed_found_by_poll.inc(await self._read_news(workspace_id, channel))
        except AssertionError as error:
            telemetry.log.error("feed unreadable", workspace_id=str(workspace_id), exc_info=error)

    def _behind(self, head: asyncpg.Record) -> Channel | None:
        """The workspace's channel, if it has not read up to this head."""
        channel = self._channels.get(head["workspace_id"])
        return channel if channel is not None and channel.seq < head["seq"] else None

    async def read_page(self, workspace_id: UUID, after: int) -> list[FeedEvent]:
        async with self._doors.open_reads(workspace_id) as reads:
            rows = await reads.fetch(EVENTS, workspace_id=workspace_id, after=after, limit=PAGE)
        return [_event(row) for row in rows]

    async def head(self, workspace_id: UUID) -> tuple[int, int]:
        """The newest seq and the floor below which nothing may be resumed."""
        async with self._doors.open_reads(workspace_id) as reads:
            row = await reads.fetch_one(HEAD, workspace_id=workspace_id)
        assert row is not None, "the workspace has no feed head"
        return row["seq"], row["floor"]

    async def subscribe(
        self, workspace_id: UUID, after: int, *, idle_s: float | None = None, tap: Tap | None = None
    ) -> AsyncGenerator[FeedEvent | None, None]:
        """Every event later than `after`, in commit order, each once, then live for ever; with a filled `tap`, but for
        those that were told by it.

        With `idle_s`, None after each such time without an event. Raises CursorExpired for a position no longer kept.
        """
        head, floor = await self.head(workspace_id)
        if after < floor or after > head:
            raise CursorExpired
        channel = self._channels.get(workspace_id)
        if channel is None:
            channel = self._channels[workspace_id] = Channel(head, deque(maxlen=self._ring_size))
            self.look(workspace_id)  # a bell between the read of the head and this line found nobody here
        channel.subscribers += 1
        telemetry.subscribers.inc()
        tap = tap or Tap(wants=_all, item=_none)
        tap.seq = after
        try:
            async for event in self._follow(workspace_id, channel, tap, idle_s):
                yield event
        finally:
            tap.stop()
            telemetry.subscribers.dec()
            channel.subscribers -= 1
            if channel.subscribers == 0 and self._channels.get(workspace_id) is channel:
                del self._channels[workspace_id]

    async def _follow(
        self, workspace_id: UUID, channel: Channel, tap: Tap, idle_s: float | None
    ) -> AsyncIterator[FeedEvent | None]:
        while True:
            if tap.seq >= channel.seq:
                if not await tap.wait(channel, idle_s):
                    yield None
            elif (event := channel.after(tap.seq)) is not None:
                tap.seq = event.seq
                yield event
            else:
                async for event in self._replay(workspace_id, tap.seq):
                    tap.seq = event.seq
                    yield event

    async def _replay(self, workspace_id: UUID, after: int) -> AsyncIterator[FeedEvent]:
        """One page older than the ring. Waits the database out: a subscriber that has it all never misses one."""
        while True:
            try:
                page = await self.read_page(workspace_id, after)
                break
            except Unavailable:
                await asyncio.sleep(self._poll_s)
        # What is asked for was committed: where it is not there, it was let go of since.
        if not page or page[0].seq != after + 1:
            raise CursorExpired
        for event in page:
            yield event


def _event(row: asyncpg.Record) -> FeedEvent:
    telemetry.feed_lag_seconds.observe(max(0.0, (row["read_at"] - row["at"]).total_seconds()))
    return FeedEvent(
        seq=row["seq"],
        name=row["kind"],
        entity_ids=row["entity_ids"],
        changed=row["changed"],
        after=row["after"],
        actor_id=row["actor"],
        actor_kind=ActorKind(row["actor_kind"]),
        at=row["at"],
    )


def _all(event: FeedEvent) -> bool:
    return True


def _none(event: FeedEvent) -> NoReturn:
    raise AssertionError("nobody tells for a subscriber without a tap")
