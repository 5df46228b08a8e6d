"""The doorbell by itself: every one that starts can be heard."""

import asyncio
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from app.common.feed.doorbell import CHANNEL, FeedBell
from app.settings import Settings
from tests.fixtures.processes import eventually

STARTS = 40


class Ears:
    """Stands where the hub does."""

    def __init__(self) -> None:
        self.heard: set[UUID] = set()

    def look(self, workspace_id: UUID | None, seq: int | None = None) -> None:
        if workspace_id is not None:
            self.heard.add(workspace_id)


async def test_every_doorbell_that_starts_is_heard(settings: Settings) -> None:
    """Its first two subscriptions race; one in thirty once opened two connections and listened at the wrong one."""
    if settings.redis_url is None or settings.redis_is_off:
        pytest.skip("no Redis on this machine")
    ringer = FeedBell(settings.redis_url)
    await ringer.start()
    for _ in range(STARTS):
        bell, ears, workspace_id = FeedBell(settings.redis_url), Ears(), uuid4()
        await bell.start()
        bell.listen(ears)  # type: ignore[arg-type]

        async def heard(ears: Ears = ears, workspace_id: UUID = workspace_id) -> bool:
            ringer.ring(workspace_id, 1)
            await asyncio.sleep(0)
            return workspace_id in ears.heard

        await eventually(heard, timeout_s=5, what="the ring")
        await bell.stop()
    await ringer.stop()
    print(f"doorbell: {STARTS} starts, {STARTS} heard")


async def test_a_doorbell_outlives_a_message_it_cannot_read(settings: Settings) -> None:
    if settings.redis_url is None or settings.redis_is_off:
        pytest.skip("no Redis on this machine")
    bell, ears, redis = FeedBell(settings.redis_url), Ears(), Redis.from_url(settings.redis_url)
    await bell.start()
    bell.listen(ears)  # type: ignore[arg-type]

    async def heard(workspace_id: UUID) -> bool:
        bell.ring(workspace_id, 1)
        await asyncio.sleep(0)
        return workspace_id in ears.heard

    before, after = uuid4(), uuid4()
    await eventually(lambda: heard(before), timeout_s=5, what="a ring")
    await redis.publish(CHANNEL, b"\xff")
    await eventually(lambda: heard(after), timeout_s=5, what="a ring after it")
    await bell.stop()
    await redis.aclose()
