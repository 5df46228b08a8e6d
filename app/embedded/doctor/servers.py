"""The database and Redis: where they are, and whether they answer."""

import asyncio
import time
from collections.abc import Iterator

from app.embedded.config import OFF, Config
from app.embedded.doctor.database import CONNECTIONS_EACH, ask_database
from app.embedded.doctor.finding import Finding, judge_clock
from app.embedded.state import Home, database_url, redis_url


def check_database(config: Config) -> Iterator[Finding]:
    url = config.database_url
    if not url:
        home = Home(config.home)
        if not home.is_locked():
            yield Finding("database", "embedded, not running")
            return
        port = home.load_run().postgres_port
        if not port:
            yield Finding("database", "embedded, still being made")
            return
        url = database_url(port, home.load_secrets().owner_password)
    yield from asyncio.run(ask_database(url, connections_each=connections_each()))


def connections_each() -> int:
    """Of one process with this environment; the default where a setting is wrong, which `check_settings` tells."""
    from pydantic import ValidationError

    from app.settings import Settings

    try:
        settings = Settings.model_validate({})
    except ValidationError:
        return CONNECTIONS_EACH
    return settings.pool_size + settings.system_pool_size


def check_redis(config: Config) -> Iterator[Finding]:
    url = config.redis_url
    if url == OFF:
        yield Finding("redis", "off: everything works by polling")
        return
    home = Home(config.home)
    if not url:
        port = home.load_run().redis_port if home.is_locked() else None
        if not port:
            return
        url = redis_url(port, home.load_secrets().redis_password)
    from redis import Redis
    from redis.exceptions import RedisError

    try:
        with Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            began = time.time()
            seconds, microseconds = client.time()
            ended = time.time()
        yield Finding("redis", "answers")
        ahead_s = seconds + microseconds / 1e6 - (began + ended) / 2
        yield from judge_clock("Redis's", ahead_s, doubt_s=ended - began)
    except (RedisError, ValueError) as error:
        yield Finding("redis", f"not reachable: {error}", "check SALESPAD_REDIS_URL, or set it to `off`")
