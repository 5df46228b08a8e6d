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
    """A subscriber: its position, which events it is told, and how, so that they can be told without waking it. The
    subscription yields it first; the door fills in the rest, or leaves it and is served by the subscription alone.

    All that telling an event reads of a subscriber is in here, side by side: hundreds of them do not fit the
    processor's cache, and to fetch one more object for each costs more than what is done with it.
    """

    wants: Callable[[FeedEvent], bool]
    item: Callable[[FeedEvent], SharedItem]
    patience: int | None = None
    """So many unwanted events in a row are the subscription's own business."""
    seq: int = 0
    """The position: the last event that was told or passed over."""
    passed_over: int = 0
    is_asleep: bool = False
    """It has it all, and waits for news."""
    told_at: float = 0.0
    group: Hashable = None
    """Who have this in common get the same frame."""
    make: Callable[[SharedItem], Awaitable[Frame]] | None = None
    head: bytes = b""
    """What its frames begin with."""
    write: Callable[[bytes, bytes], bool] | None = None
    """Writes a frame, of head and rest, at once; false: it could not."""
    _idle_s: float | None = None
    _waiter: "asyncio.Future[bool] | None" = None
    _timer: asyncio.TimerHandle | None = None

    async def wait(self, channel: "Channel", idle_s: float | None) -> bool:
        """For news; false when the idle time passed without. One timer each idle time, however many events come."""
        loop = asyncio.get_running_loop()
        self._waiter, self._idle_s, self.told_at = loop.create_future(), idle_s, loop.time()
        channel.waiting[self], self.is_asleep = None, True
        if self._timer is None and idle_s is not None:
            self._timer = loop.call_later(idle_s, self._look)
        try:
            return await self._waiter
        finally:
            self.is_asleep = False
            channel.waiting.pop(self, None)

    def wake(self, *, has_news: bool = True) -> None:
        self.is_asleep = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(has_news)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        assert self._idle_s is not None
        self._timer = None
        if not self.is_asleep:
            return  # it is at work: the timer begins with its next wait
        loop = asyncio.get_running_loop()
        left = self.told_at + self._idle_s - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._look)
        else:
            self.wake(has_news=False)


@dataclass(slots=True)
class Channel:
    seq: int
    ring: deque[FeedEvent]
    subscribers: int = 0
    is_look_pending: bool = False
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: dict[Tap, None] = field(default_factory=dict)
    """Those that have it all, in the order they came."""
    teller: "asyncio.Task[None] | None" = None

    def publish(self, events: list[FeedEvent]) -> None:
        for event in events:
            assert event.seq == self.seq + 1, "a gap in the feed"
            self.ring.append(event)
            self.seq = event.seq
        if not events:
            return
        is_to_tell = False
        for tap in self.waiting:
            if tap.write is None:
                tap.wake()
            else:
                is_to_tell = True
        if is_to_tell and (self.teller is None or self.teller.done()):
            self.teller = asyncio.create_task(self._tell(), name="feed teller")

    def after(self, seq: int) -> FeedEvent | None:
        """The event next to this position; None where the ring has it no more."""
        if not self.ring or not self.ring[0].seq <= seq + 1 <= self.ring[-1].seq:
            return None
        return self.ring[seq + 1 - self.ring[0].seq]

    async def _tell(self) -> None:
        """Until everybody who sleeps has it all, or was woken."""
        try:
            while behind := [tap for tap in self.waiting if tap.is_asleep and tap.seq < self.seq]:
                seq = min(tap.seq for tap in behind)
                event = self.after(seq)
                if event is None:
                    for tap in behind:
                        tap.wake()
                    return
                await _tell_event(event, [tap for tap in behind if tap.seq == seq])
        except Exception as error:  # noqa: BLE001 - each goes on by itself, as if there were no teller
            telemetry.log.error(
                "feed teller failed",
                error_id=telemetry.new_error_id(),
                error_type=type(error).__name__,
                exc_info=error,
            )
            for tap in self.waiting:
                tap.wake()


async def _tell_event(event: FeedEvent, taps: list[Tap]) -> None:
    now = asyncio.get_running_loop().time()
    groups: dict[Hashable, list[Tap]] = {}
    for tap in taps:
        if tap.wants(event):
            groups.setdefault(tap.group, []).append(tap)
        elif tap.patience is not None and tap.passed_over + 1 >= tap.patience:
            tap.wake()
        else:
            tap.passed_over += 1
            tap.seq, tap.told_at = event.seq, now
    for members in groups.values():
        make = members[0].make
        assert make is not None
        await _hand_out(await make(members[0].item(event)), event.seq, members)


async def _hand_out(frame: Frame, seq: int, taps: list[Tap]) -> None:
    """To those that have all before it and still sleep: meanwhile one may have gone, or been woken."""
    now, is_to_send, data = asyncio.get_running_loop().time(), bool(frame.payload), frame.data
    for number, tap in enumerate(taps, 1):
        if tap.is_asleep and tap.seq == seq - 1:
            assert tap.write is not None
            if frame.is_last or (is_to_send and not tap.write(tap.head, data)):
                tap.wake()
            else:
                tap.seq, tap.told_at, tap.passed_over = seq, now, 0
        if number % BREATH == 0:
            await asyncio.sleep(0)
