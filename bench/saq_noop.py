"""SAQ jobs that do nothing, by a worker of its own: `python -m bench.saq_noop <Redis>`, until it is stopped."""

import asyncio
import logging
import sys
from typing import Any

from redis.asyncio import Redis
from saq import Worker
from saq.queue.redis import RedisQueue

logging.getLogger("saq").setLevel(logging.CRITICAL)  # it tells of jobs that end while it looks at them
QUEUE = "bench"
CONCURRENCY = 10
"""SAQ's own."""


async def noop(context: dict[str, Any], *, number: int) -> None:
    """Nothing: what is measured is the queue."""


def queue_of(url: str) -> RedisQueue:
    return RedisQueue(Redis.from_url(url), name=QUEUE)


async def main(url: str) -> None:
    worker: Worker[Any] = Worker(queue_of(url), functions=[("noop", noop)], concurrency=CONCURRENCY)
    await worker.start()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
