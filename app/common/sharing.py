"""What an event costs, paid once a process: loads and executed frames that all its subscribers share.

A subscription yields a `SharedItem` where what it tells depends on the event and the selection alone, and never on its
arguments, which only choose the events. The door executes such an item once for each document and viewer scope
(`app/graphql/sharing.py`). A type's field that reads who is asking carries `VIEWERS_OWN`, and is shared with nobody
else. What is kept is bounded in time and in bytes: dropped early it is merely done again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from app.common.work import Unavailable

READS_VIEWER = "reads_viewer"
VIEWERS_OWN: Mapping[str, object] = {READS_VIEWER: True}
"""Metadata of a field whose value depends on who asks, beyond workspace and role."""

KEEP_S = 5.0
"""Subscribers that are well take an event within milliseconds; links in a frame must not grow old in it."""
MAX_BYTES = 4 * 1024 * 1024
LOAD_BYTES = 8192
"""What a loaded entity counts as: a mail of some length, with the objects around it."""
RETRY_S = 0.5
AGAIN = object()
"""Tells those who wait that the first asker left: one of them goes on."""

Result = TypeVar("Result")
Scope = tuple[Hashable, ...]


class Shareable(Protocol):
    """An event whose subscribers share what is made of it."""

    @property
    def shared(self) -> dict[Hashable, "asyncio.Future[object]"]: ...


@dataclass(slots=True)
class SharedItem:
    """An item of a subscription, not yet made: `load` is told whom it is shared with, and makes it; None where there is
    nothing left to tell."""

    event: Shareable
    load: Callable[[Scope], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Frame:
    """An encoded payload, the same for everybody who shares it; empty: there is nothing to tell."""

    payload: str
    data: bytes = b""
    """The payload as it goes over the wire, with the message's closing brace."""
    is_last: bool = False


class Shares:
    """What this process keeps of recent events. With `is_on` false, frames are each subscriber's own."""

    def __init__(self, *, is_on: bool = True, keep_s: float = KEEP_S, max_bytes: int = MAX_BYTES) -> None:
        self.is_on = is_on
        self._keep_s, self._max_bytes = keep_s, max_bytes
        self._kept: deque[tuple[float, Shareable, Hashable, int]] = deque()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    async def once(
        self,
        event: Shareable,
        key: Hashable,
        act: Callable[[], Awaitable[Result]],
        *,
        size: Callable[[Result], int] = lambda _: LOAD_BYTES,
    ) -> Result:
        """Does something for an event once, whoever asks first; one that leaves does not take the others' with it.

        Waits the database out: an outage delays an item, it ends no subscription. Any other error is everybody's.
        """
        while True:
            future = event.shared.get(key)
            if future is None:
                return await self._first(event, key, act, size)
            result = future.result() if future.done() else await asyncio.shield(future)
            if result is not AGAIN:
                return cast("Result", result)

    async def _first(
        self,
        event: Shareable,
        key: Hashable,
        act: Callable[[], Awaitable[Result]],
        size: Callable[[Result], int],
    ) -> Result:
        future = event.shared[key] = asyncio.get_running_loop().create_future()
        try:
            result = await _outlasting(act)
        except Exception as error:
            future.set_exception(error)
            future.exception()  # there may be nobody else to take notice of it
            self._keep(event, key, LOAD_BYTES)
            raise
        except BaseException:
            del event.shared[key]
            future.set_result(AGAIN)
            raise
        future.set_result(result)
        self._keep(event, key, size(result))
        return result

    def _keep(self, event: Shareable, key: Hashable, size: int) -> None:
        loop = asyncio.get_running_loop()
        self._kept.append((loop.time() + self._keep_s, event, key, size))
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._drop_oldest()
        if self._timer is None:
            self._timer = loop.call_later(self._keep_s, self._drop_old)

    def _drop_old(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._kept and self._kept[0][0] <= loop.time():
            self._drop_oldest()
        if self._kept:
            self._timer = loop.call_at(self._kept[0][0], self._drop_old)

    def _drop_oldest(self) -> None:
        _, event, key, size = self._kept.popleft()
        self._bytes -= size
        event.shared.pop(key, None)


async def _outlasting(act: Callable[[], Awaitable[Result]]) -> Result:
    while True:
        try:
            return await act()
        except Unavailable:
            await asyncio.sleep(RETRY_S)


def reads_viewer(metadata: Mapping[Any, Any]) -> bool:
    return bool(metadata.get(READS_VIEWER))
