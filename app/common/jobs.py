"""Doorbells for due rows, through SAQ: `ring(kind, key)` says "something of this kind is due", and may be lost.

The only file in `app` that imports saq. A SAQ job carries a kind and an id, never the work itself: the due row in
PostgreSQL is the record, and the worker's 2 s tick finds it with Redis gone.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

from redis.exceptions import RedisError

from app.common.feed.doorbell import PRESENCE, REVOCATION, FeedBell, Listener, request_path_redis
from app.common.work import Whose
from app.settings import Settings

if TYPE_CHECKING:
    from saq.queue.redis import RedisQueue

QUEUE = "salespad"
DRAIN = "drain"
JOB_TIMEOUT_S = 60
RING_WAIT_S = 0.25
NOBODY = UUID(int=0)
Learn = Callable[[Mapping[Whose, datetime]], None]

# It warns at every stop, and tells of a Redis that is away once a second: the doorbell and the worker say so once.
logging.getLogger("saq").setLevel(logging.CRITICAL)


class DueBell:
    """Enqueues one `drain(kind, key)` per key; while one is queued, ringing again changes nothing."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._rings: set[asyncio.Task[None]] = set()

    @cached_property
    def _queue(self) -> "RedisQueue":
        """Made at the first ring: saq and what it brings take a tenth of a second of the API's start."""
        from saq.queue.redis import RedisQueue

        return RedisQueue(request_path_redis(self._url), name=QUEUE)

    def ring(self, kind: str, key: UUID) -> None:
        task = asyncio.create_task(self._ring(kind, str(key)))
        self._rings.add(task)
        task.add_done_callback(self._rings.discard)

    async def stop(self) -> None:
        await asyncio.gather(*self._rings, return_exceptions=True)
        if "_queue" in vars(self):
            with suppress(RedisError, OSError):
                await self._queue.disconnect()

    async def _ring(self, kind: str, key: str) -> None:
        with suppress(RedisError, OSError, TimeoutError):  # lost without harm: the tick finds it
            async with asyncio.timeout(RING_WAIT_S):
                await self._queue.enqueue(
                    DRAIN,
                    kind=kind,
                    due_key=key,
                    key=f"{DRAIN}:{kind}:{key}",
                    timeout=JOB_TIMEOUT_S,
                    retries=1,
                    ttl=-1,
                )


class RedisBells:
    """All doorbells of a process. Its own commits reach its own listeners without a round trip."""

    def __init__(self, url: str) -> None:
        self._feed = FeedBell(url)
        self._due = DueBell(url)
        self._listener: Listener | None = None
        self._learn: Learn | None = None

    async def start(self) -> None:
        await self._feed.start()

    def listen(self, listener: Listener) -> None:
        self._listener = listener
        self._feed.listen(listener)

    async def stop(self) -> None:
        await self._due.stop()
        await self._feed.stop()

    def ring_feed(self, workspace_id: UUID, seq: int) -> None:
        if self._listener is not None:
            self._listener.look(workspace_id, seq)
        self._feed.ring(workspace_id, seq)

    def ring_due(self, kind: str, key: UUID) -> None:
        self._due.ring(kind, key)

    def ring_revocation(self, revoked: Mapping[Whose, datetime]) -> None:
        if self._learn is not None:
            self._learn(revoked)
        self._feed.ring(NOBODY, 0, channel=REVOCATION)

    def hear_revocations(self, learn: Learn, look: Callable[[], None]) -> None:
        self._learn = learn
        self._feed.hear(REVOCATION, lambda *_: look())

    def ring_presence(self, workspace_id: UUID) -> None:
        self._feed.ring(workspace_id, 0, channel=PRESENCE)

    def hear_presence(self, look: Callable[[UUID | None], None]) -> None:
        self._feed.hear(PRESENCE, lambda workspace_id, _: look(workspace_id))


class LocalBells:
    """Without Redis: a process hears its own commits at once, another's by the poll."""

    def __init__(self) -> None:
        self._listener: Listener | None = None
        self._learn: Learn | None = None

    async def start(self) -> None:
        pass

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    async def stop(self) -> None:
        pass

    def ring_feed(self, workspace_id: UUID, seq: int) -> None:
        if self._listener is not None:
            self._listener.look(workspace_id, seq)

    def ring_due(self, kind: str, key: UUID) -> None:
        pass

    def ring_revocation(self, revoked: Mapping[Whose, datetime]) -> None:
        if self._learn is not None:
            self._learn(revoked)

    def hear_revocations(self, learn: Learn, look: Callable[[], None]) -> None:
        self._learn = learn

    def ring_presence(self, workspace_id: UUID) -> None:
        pass

    def hear_presence(self, look: Callable[[UUID | None], None]) -> None:
        pass


def create_bells(settings: Settings) -> RedisBells | LocalBells:
    url = settings.redis_url
    return LocalBells() if url is None or settings.redis_is_off else RedisBells(url)
