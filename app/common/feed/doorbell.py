"""The Redis doorbell of the feed: a broadcaster backend that survives Redis, and the ring that never fails a mutation.

broadcaster's own Redis backend dies with the first restart of Redis, silently (docs/decisions/0003). This one
reconnects for ever, keeps one sentinel channel so that its listener never ends, and says RESYNC after each reconnect.
A message is a hint, `workspace:seq`; losing one costs at most the hub's poll.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

from broadcaster import Broadcast, BroadcastBackend, Event
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.common import telemetry

CHANNEL = "salespad:feed"
PRESENCE = "salespad:presence"
REVOCATION = "salespad:revocation"
SENTINEL = "salespad:alive"
RESYNC = "*"
PENDING_MAX = 1000
PUBLISH_WAIT_S = 0.25
RECONNECT_MAX_S = 1.0
Look = Callable[[UUID | None, int | None], None]


class Listener(Protocol):
    """Who is told where something happened: the API's hub, the worker's reactor."""

    def look(self, workspace_id: UUID | None, seq: int | None = None) -> None: ...


def request_path_redis(url: str) -> Redis:
    """For the request path: it fails at once, where redis-py's own retries would put seconds into a mutation."""
    return Redis.from_url(
        url,
        socket_timeout=PUBLISH_WAIT_S,
        socket_connect_timeout=PUBLISH_WAIT_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


class Doorbell(BroadcastBackend):
    """Publishes and listens; both tolerate that Redis is away."""

    def __init__(self, url: str) -> None:
        self._publisher = request_path_redis(url)
        self._listener = Redis.from_url(
            url,
            socket_connect_timeout=1,
            socket_keepalive=True,
            health_check_interval=5,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._wanted: set[str] = {SENTINEL}
        self._pubsub: Any = None
        self._news: asyncio.Queue[Event] = asyncio.Queue(PENDING_MAX)
        self._task: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        self._task = asyncio.create_task(self._listen_for_ever(), name="doorbell")

    async def disconnect(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._publisher.aclose()
        await self._listener.aclose()

    async def subscribe(self, group: str) -> None:
        self._wanted.add(group)
        if self._pubsub is not None:
            with suppress(RedisError, OSError):  # the reconnect subscribes to all that is wanted
                await self._pubsub.subscribe(group)

    async def unsubscribe(self, group: str) -> None:
        self._wanted.discard(group)
        if self._pubsub is not None:
            with suppress(RedisError, OSError):
                await self._pubsub.unsubscribe(group)

    async def publish(self, channel: str, message: Any) -> None:
        await self._publisher.publish(channel, message)

    async def next_published(self) -> Event:
        return await self._news.get()

    def _hint(self, channel: str, message: str) -> None:
        with suppress(asyncio.QueueFull):  # hints are idempotent: the ones before it make them look as well
            self._news.put_nowait(Event(channel, message))

    async def _listen_for_ever(self) -> None:
        wait_s = 0.05
        while True:
            pubsub = self._listener.pubsub()
            try:
                # Connected first: two first commands at once would each open a connection, and one of them be deaf.
                await pubsub.connect()  # type: ignore[no-untyped-call]
                self._pubsub = pubsub
                await pubsub.subscribe(*self._wanted)
                telemetry.redis_up.set(1)
                wait_s = 0.05
                for channel in self._wanted - {SENTINEL}:
                    self._hint(channel, RESYNC)
                await self._listen(pubsub)
            except (RedisError, OSError, TimeoutError) as error:
                if wait_s == 0.05:
                    telemetry.log.warning("doorbell lost Redis, polling", error_type=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - a listener that died would leave the process deaf for good
                telemetry.log.error(
                    "doorbell failed",
                    error_id=telemetry.new_error_id(),
                    error_type=type(error).__name__,
                    exc_info=error,
                )
            finally:
                telemetry.redis_up.set(0)
                self._pubsub = None
                with suppress(RedisError, OSError):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RECONNECT_MAX_S)

    async def _listen(self, pubsub: Any) -> None:
        while True:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5)
            if message is not None and message["type"] == "message":
                self._hint(message["channel"].decode(), message["data"].decode())


class FeedBell:
    """Rings after a commit and passes what it hears to the hub; other hints go over channels of their own. One
    `Broadcast.subscribe` per channel and process."""

    def __init__(self, url: str) -> None:
        self._broadcast = Broadcast(backend=Doorbell(url))
        self._rings: set[asyncio.Task[None]] = set()
        self._ears: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self._broadcast.connect()

    def listen(self, listener: Listener) -> None:
        self.hear(CHANNEL, listener.look)

    def hear(self, channel: str, look: Look) -> None:
        """`look` with each workspace that is named, and with None where hints may have been missed."""
        self._ears.append(asyncio.create_task(self._hear(channel, look), name=f"bell {channel}"))

    async def stop(self) -> None:
        for ears in self._ears:
            ears.cancel()
        await asyncio.gather(*self._ears, *self._rings, return_exceptions=True)
        await self._broadcast.disconnect()

    def ring(self, workspace_id: UUID, seq: int, *, channel: str = CHANNEL) -> None:
        task = asyncio.create_task(self._ring(channel, f"{workspace_id}:{seq}"))
        self._rings.add(task)
        task.add_done_callback(self._rings.discard)

    async def _ring(self, channel: str, message: str) -> None:
        with suppress(RedisError, OSError, TimeoutError):  # lost without harm: the poll finds it
            async with asyncio.timeout(PUBLISH_WAIT_S):
                await self._broadcast.publish(channel, message)

    async def _hear(self, channel: str, look: Look) -> None:
        async with self._broadcast.subscribe(channel) as hints:
            async for hint in hints:  # type: ignore[union-attr]
                if hint is None:
                    return
                workspace, _, seq = hint.message.partition(":")
                if hint.message == RESYNC:
                    look(None, None)
                elif seq.isdigit():
                    with suppress(ValueError):
                        look(UUID(workspace), int(seq))
