"""The doorbell: SAQ wakes the worker sooner than its tick would; a ring lost, doubled or late changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError
from saq import Worker
from saq.queue.redis import RedisQueue

from app.common.jobs import DRAIN, QUEUE
from app.common.work import Unavailable
from app.settings import Settings

CONCURRENCY = 4
GRACE_S = 2
DEQUEUE_S = 5


class PatientQueue(RedisQueue):
    """SAQ spins at most of a core while Redis is away; this one waits a second between tries."""

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Any:
        try:
            return await super().dequeue(timeout, poll_interval)
        except (RedisError, OSError):
            await asyncio.sleep(1)
            return None


class Doorbell(Worker[Any]):
    """SAQ's own stop waits for who listens to an empty queue and for its timers, all of the grace time, always. This
    one waits for drains under way alone: a worker that has nothing in its hands stops at once."""

    async def hang_up(self) -> None:
        """What rings from here on is another worker's, or the tick's. At most GRACE_S."""
        if drains := [context["task"] for context in self.job_task_contexts.values()]:
            await asyncio.wait(drains, timeout=GRACE_S)
        self.event.set()


async def drain(context: dict[str, Any], *, kind: str, due_key: str) -> None:
    """The one SAQ task: idempotent, and only a doorbell."""
    with suppress(Unavailable):  # the tick comes back to it
        await context["drain"](kind, UUID(due_key))


def saq_worker(settings: Settings, drain_due: Callable[[str, UUID], Awaitable[None]]) -> Doorbell:
    assert settings.redis_url is not None
    redis = Redis.from_url(settings.redis_url, socket_connect_timeout=1, socket_timeout=DEQUEUE_S * 2)
    worker = Doorbell(
        PatientQueue(redis, name=QUEUE),
        functions=[(DRAIN, drain)],
        concurrency=CONCURRENCY,
        dequeue_timeout=DEQUEUE_S,
        shutdown_grace_period_s=0,
    )
    worker.SIGNALS = []
    worker.context["drain"] = drain_due
    return worker
