"""Requests a minute a user: a moving window in Redis, in process memory while Redis is away.

Redis being away never refuses anybody: each process then counts for itself.
"""

import time
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.exceptions import RedisError

from app.common import telemetry
from app.common.domain import Actor, ClientKind
from app.settings import Settings

REDIS_WAIT_S = 0.25
REDIS_AWAY_S = 5
LINK_USES = RateLimitItemPerMinute(30)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a user has left in this minute."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        headers = {
            "RateLimit-Policy": f'"user";q={self.limit};w=60',
            "RateLimit": f'"user";r={self.remaining};t={self.reset_s}',
        }
        return headers if self.is_allowed else {**headers, "Retry-After": str(max(1, self.reset_s))}


class RateLimiter:
    def __init__(self, settings: Settings) -> None:
        self._limits = {
            client: RateLimitItemPerMinute(
                settings.extension_requests_per_minute
                if client is ClientKind.EXTENSION
                else settings.web_requests_per_minute
            )
            for client in ClientKind
        }
        self._memory = MovingWindowRateLimiter(MemoryStorage())
        self._redis = _redis_limiter(settings)
        self._redis_back_at = 0.0

    async def hit(self, actor: Actor) -> Allowance:
        """Counts one request of a user; extension sessions and each API key are counted apart."""
        return await self._count(self._limits[actor.client], _key(actor))

    async def hit_link(self, key: str) -> Allowance:
        """Counts one use of a link that strangers hold, each link apart."""
        return await self._count(LINK_USES, f"link:{key}")

    async def _count(self, item: RateLimitItemPerMinute, key: str) -> Allowance:
        if self._redis is not None and time.monotonic() >= self._redis_back_at:
            try:
                return await _hit(self._redis, item, key)
            except (RedisError, OSError, TimeoutError) as error:
                self._redis_back_at = time.monotonic() + REDIS_AWAY_S
                telemetry.log.warning("rate limits counted in memory", error_type=type(error).__name__)
        return await _hit(self._memory, item, key)


def _key(actor: Actor) -> str:
    if actor.is_api_key:
        return f"key:{actor.session_id}"
    return f"{'extension' if actor.client is ClientKind.EXTENSION else 'web'}:{actor.user_id}"


async def _hit(limiter: MovingWindowRateLimiter, item: RateLimitItemPerMinute, key: str) -> Allowance:
    is_allowed = await limiter.hit(item, key)
    window = await limiter.get_window_stats(item, key)
    reset_s = max(0, int(window.reset_time - time.time()) + 1)
    return Allowance(is_allowed, item.amount, window.remaining, reset_s)


def _redis_limiter(settings: Settings) -> MovingWindowRateLimiter | None:
    if settings.redis_url is None or settings.redis_is_off:
        return None
    scheme, _, rest = settings.redis_url.partition("://")
    storage: Storage = RedisStorage(
        f"async+{scheme}://{rest}",
        implementation="redispy",
        key_prefix="salespad:limits",
        socket_timeout=REDIS_WAIT_S,
        socket_connect_timeout=REDIS_WAIT_S,
    )
    return MovingWindowRateLimiter(storage)
