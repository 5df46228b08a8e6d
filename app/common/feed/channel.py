"""One live workspace in this process: a ring of its recent events, and its subscribers, each a position in it.

A subscriber that has it all waits here. Where it brought a `Tap` (app/graphql/sharing.py fills it), news is written to
its socket by the channel's one teller, from a frame that all of its group share, and its own task sleeps on: waking
hundreds of tasks was most of what a message to hundreds of people cost. Whatever is out of the ordinary (a socket that
does not take it at once, an error, a position too old) wakes the subscriber, which then goes on by itself.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import orjson

from app.common import telemetry
from app.common.domain import ActorKind
from app.common.sharing import Frame, SharedItem

BREATH = 100
"""Frames written before others may run."""


@dataclass(slots=True)
class FeedEvent:
    """One committed change, as every subscriber of this process shares it."""

    seq: int
    name: str
    entity_ids: list[UUID]
    changed: list[str]
    after: object
    actor_id: UUID | None
    actor_kind: ActorKind
    at: datetime
    shared: dict[Hashable, "asyncio.Future[object]"] = field(default_factory=dict)
    """What was made of this event lately, once per process (`common/sharing.py`)."""
    _facts: dict[str, object] | None = None

    @property
    def facts(self) -> dict[str, object]:
        """`after`, parsed once per process and only where a filter asks for it."""
        if self._facts is None:
            self._facts = orjson.loads(orjson.dumps(self.after)) or {}
        return self._facts


@dataclass(slots=True, eq=False)
class Tap:
    """Which events a subscription tells and how, so that they can be told without waking it. Yielded first; the door
    fills in the rest, or leaves it and is served by the subscription alone."""

    wants: Callable[[FeedEvent], bool]
    item: Callable[[FeedEvent], SharedItem]
    patience: int | None = None
    """So many unwanted events in a row are the subscription's own business."""
    seq: int = 0
    """The position: the last event that was told or passed over."""
    passed_over: int = 0
    group: Hashable = None
    """Who have this in common get the same frame."""
    make: Callable[[SharedItem], Awaitable[Frame]] | None = None
    send: Callable[[Frame], bool] | None = None
    """Writes a frame at once; false: it could not."""


class Reader:
    """A subscriber's wait for news. One timer each idle time, however many events come meanwhile."""

    __slots__ = ("_idle_s", "_since", "_timer", "_waiter", "tap")

    def __init__(self, tap: Tap, idle_s: float | None) -> None:
        self.tap, self._idle_s = tap, idle_s
        self._waiter: asyncio.Future[bool] | None = None
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    async def wait(self, channel: "Channel") -> bool:
        """False when the idle time passed without news."""
        loop = asyncio.get_running_loop()
        self._waiter, self._since = loop.create_future(), loop.time()
        channel.waiting[self] = None
        if self._timer is None and self._idle_s is not None:
            self._timer = loop.call_later(self._idle_s, self._look)
        try:
            return await self._waiter
        finally:
            channel.waiting.pop(self, None)

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    def advance(self, seq: int, now: float) -> None:
        """It has this event, and sleeps on."""
        self.tap.seq, self._since = seq, now

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        assert self._idle_s is not None
        self._timer = None
        if not self.is_waiting:
            return  # it is at work: the timer begins with its next wait
        assert self._waiter is not None
        loop = asyncio.get_running_loop()
        left = self._since + self._idle_s - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._look)
        else:
            self._waiter.set_result(False)


@dataclass(slots=True)
class Channel:
    seq: int
    ring: deque[FeedEvent]
    subscribers: int = 0
    is_look_pending: bool = False
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: dict[Reader, None] = field(default_factory=dict)
    """Those that have it all, in the order they came."""
    teller: "asyncio.Task[None] | None" = None

    def publish(self, events: list[FeedEvent]) -> None:
        for event in events:
            assert event.seq == self.seq + 1, "a gap in the feed"
            self.ring.append(event)
            self.seq = event.seq
        if not events:
            return
        has_taps = False
        for reader in self.waiting:
            if reader.tap.send is None:
                reader.wake()
            else:
                has_taps = True
        if has_taps and (self.teller is None or self.teller.done()):
            self.teller = asyncio.create_task(self._tell(), name="feed teller")

    def after(self, seq: int) -> FeedEvent | None:
        """The event next to this position; None where the ring has it no more."""
        if not self.ring or not self.ring[0].seq <= seq + 1 <= self.ring[-1].seq:
            return None
        return self.ring[seq + 1 - self.ring[0].seq]

    async def _tell(self) -> None:
        """Until everybody who sleeps has it all, or was woken."""
        try:
            while behind := [one for one in self.waiting if one.is_waiting and one.tap.seq < self.seq]:
                seq = min(reader.tap.seq for reader in behind)
                event = self.after(seq)
                if event is None:
                    for reader in behind:
                        reader.wake()
                    return
                await self._tell_event(event, [reader for reader in behind if reader.tap.seq == seq])
        except Exception as error:  # noqa: BLE001 - each goes on by itself, as if there were no teller
            telemetry.log.error(
                "feed teller failed",
                error_id=telemetry.new_error_id(),
                error_type=type(error).__name__,
                exc_info=error,
            )
            for reader in self.waiting:
                reader.wake()

    async def _tell_event(self, event: FeedEvent, readers: list[Reader]) -> None:
        now = asyncio.get_running_loop().time()
        groups: dict[Hashable, list[Reader]] = {}
        for reader in readers:
            tap = reader.tap
            if tap.wants(event):
                groups.setdefault(tap.group, []).append(reader)
            elif tap.patience is not None and tap.passed_over + 1 >= tap.patience:
                reader.wake()
            else:
                tap.passed_over += 1
                reader.advance(event.seq, now)
        for members in groups.values():
            tap = members[0].tap
            assert tap.make is not None
            frame = await tap.make(tap.item(event))
            await _hand_out(frame, event.seq, members)


async def _hand_out(frame: Frame, seq: int, readers: list[Reader]) -> None:
    """To those that have all before it and still sleep: meanwhile one may have gone, or been woken."""
    now, is_to_send = asyncio.get_running_loop().time(), bool(frame.payload)
    for number, reader in enumerate(readers, 1):
        tap = reader.tap
        if tap.seq == seq - 1 and reader.is_waiting:
            assert tap.send is not None
            if frame.is_last or (is_to_send and not tap.send(frame)):
                reader.wake()
            else:
                tap.passed_over = 0
                reader.advance(seq, now)
        if number % BREATH == 0:
            await asyncio.sleep(0)
