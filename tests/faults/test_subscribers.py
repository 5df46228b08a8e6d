"""F6, F8, F9: what subscribers of messages see when an API is stopped or killed, Redis hangs, or others do not read."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from sqlalchemy import text

from app.common.feed.hub import BELL_S
from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.conversations import inbound, open_conversation
from tests.fixtures.feed import Follower, create_tags, feed_cursor, metric, seq_of
from tests.fixtures.graphql import GraphQLRefused, open_socket
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Api, eventually
from tests.fixtures.proxy import Mode, Proxy

pytestmark = pytest.mark.xdist_group("subscribers")
ADDED = "subscription ($after: String) { messageAdded(after: $after) { cursor message { id } } }"
POLL_S = 1.0
STUCK, USER_TIMEOUT_S = 20, 3
GROWTH_KIB = 10 * 1024
"""After the first half, by which the buffers of 64 KiB a socket and the feed's ring of 1,000 events are full."""


class Messages(Follower):
    """Follows messageAdded as `Follower` does the feed: with its last cursor, wherever it gets through."""

    async def _follow(self, ws_url: str) -> None:
        async with open_socket(ws_url, self.token, open_timeout=5) as socket:
            self.connections += 1
            async for payload in socket.subscribe(ADDED, {"after": self.cursor}):
                if "errors" in payload:
                    raise GraphQLRefused(payload["errors"])
                item = payload["data"]["messageAdded"]
                self.items.append(item)
                self.received_at.append(time.time())
                self.cursor = item["cursor"]

    @property
    def ids(self) -> list[str]:
        return [item["message"]["id"] for item in self.items]


async def waits_ms(installation: Installation, person: Person, follower: Follower) -> list[float]:
    """From each event's own clock to the subscriber's, shortest first."""
    rows = await installation.sql(
        "SELECT seq, at FROM feed_event WHERE workspace_id = $1", person.workspace_id
    )
    return _waits_ms({row["seq"]: row["at"] for row in rows}, follower)


async def healthy_p99_ms(doors: Doors, person: Person, follower: Follower) -> float:
    async with doors.open_work(person.workspace_id) as work:
        rows = await work.execute(
            text("SELECT seq, at FROM feed_event WHERE workspace_id = :of"), {"of": person.workspace_id}
        )
    waits = _waits_ms({row.seq: row.at for row in rows}, follower)
    return waits[int(len(waits) * 0.99)]


def _waits_ms(at: dict[int, datetime], follower: Follower) -> list[float]:
    return sorted(
        (came - at[seq].timestamp()) * 1000
        for seq, came in zip(follower.seqs, follower.received_at, strict=True)
    )


# ── F6 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_f6_an_api_is_killed_under_those_who_follow_messages() -> None:
    total = 60
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(Installation.started(workers=0))
        person = await stack.enter_async_context(installation.new_person())
        doors = await stack.enter_async_context(installation.doors())
        opened = await open_conversation(person, doors)
        cursor = await feed_cursor(person)
        followers = [
            await stack.enter_async_context(Messages.following(installation.ws_urls, person.token, cursor))
            for _ in range(10)
        ]
        sent = []
        for number in range(total):
            sent.append(str(await inbound(person, doors, opened.id, body=f"{number}")))
            if number == total // 2:
                await installation.apis[0].kill()
        for follower in followers:
            await follower.until(await installation.head(person))
            assert follower.ids == sent
        assert all(follower.connections >= 2 for follower in followers)
    print(f"F6: {total} messages, 10 subscribers resumed on the other API, 0 gaps, 0 doubles")


# ── F8 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_f8_redis_hangs_and_an_api_stands_still() -> None:
    """The API hears Redis through a proxy; messages are committed by another process, whose ring goes to Redis."""
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(
            Installation.started(apis=1, workers=0, SALESPAD_POLL_S=str(POLL_S))
        )
        assert installation.keeper is not None
        redis = urlsplit(installation.keeper.url)
        proxy = await stack.enter_async_context(Proxy.started("127.0.0.1", redis.port or 6379))
        login = redis.netloc.rpartition("@")[0]
        address = f"{login}@127.0.0.1:{proxy.own_port}" if login else f"127.0.0.1:{proxy.own_port}"
        behind = Api(
            environment=installation.environment
            | {"SALESPAD_REDIS_URL": urlunsplit(redis._replace(netloc=address))}
        )
        await behind.start()
        stack.push_async_callback(behind.stop)
        person = await stack.enter_async_context(installation.new_person())
        cursor = await feed_cursor(person)
        figures = {}
        for name in ("calm", "hangs", "stopped"):
            cursor = await feed_cursor(person)
            before = await metric(behind.url, "feed_found_by_poll_total")
            async with Follower.following(lambda: [behind.ws_url], person.token, cursor) as follower:
                if name == "hangs":
                    proxy.switch(Mode.HANG)
                for number in range(20):
                    await create_tags(person, [f"{name} {number}"])
                if name == "stopped":
                    await standing_still(behind, 5)
                await follower.until(await installation.head(person))
                assert follower.seqs == list(range(seq_of(cursor) + 1, await installation.head(person) + 1))
                waits = await waits_ms(installation, person, follower)
            proxy.switch(Mode.PASS)
            polled = await metric(behind.url, "feed_found_by_poll_total") - before
            figures[name] = (waits[-1], polled)
            print(f"F8 {name}: p50 {waits[10]:.0f} ms, worst {waits[-1]:.0f} ms, found by poll {polled:.0f}")
    assert figures["calm"][1] <= 1
    assert figures["hangs"][1] > 0
    # The poll, its wait for a bell on the way, and two seconds for which this machine may stand still.
    assert figures["hangs"][0] <= (POLL_S + BELL_S + 2) * 1000


async def standing_still(api: Api, seconds: float) -> None:
    """Stopped, and going on by itself: a process that stands still cannot be asked."""
    api.signal(signal.SIGSTOP)
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, seconds)
    api.signal(signal.SIGCONT)


# ── F9 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_f9_clients_that_never_read(ana: Person, doors: Doors) -> None:
    """What they do not take is held by nobody: the memory stays, they are cut, and another one hears all of it."""
    total = 3_000
    opened = await open_conversation(ana, doors)
    cursor = await feed_cursor(ana)
    body = "x" * 4096
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(
            Api.started(
                SALESPAD_SOCKET_STUCK_S=str(USER_TIMEOUT_S), SALESPAD_WEB_REQUESTS_PER_MINUTE="100000"
            )
        )
        for _ in range(STUCK):
            await stack.enter_async_context(deaf(api, ana, cursor))
        healthy = await stack.enter_async_context(Messages.following(lambda: [api.ws_url], ana.token, cursor))
        await eventually(lambda: _subscribers(api, STUCK + 1), what="everybody's subscription")
        memory: list[int] = []
        for number in range(0, total, 20):
            await asyncio.gather(*(inbound(ana, doors, opened.id, body=body) for _ in range(20)))
            if number % (total // 4) < 20:
                memory.append(rss_kib(api.pid))
        sent_at = time.monotonic()
        await healthy.until(seq_of(await feed_cursor(ana)), timeout_s=120)
        memory.append(rss_kib(api.pid))
        await eventually(
            lambda: _subscribers(api, 1), timeout_s=USER_TIMEOUT_S + 5, what="the end of the deaf"
        )
        gone_s = time.monotonic() - sent_at
    assert len(healthy.items) == total
    p99_ms = await healthy_p99_ms(doors, ana, healthy)
    growth = memory[-1] - memory[2]
    print(
        f"F9: {total} messages of 4 KiB, {STUCK} deaf clients: RSS {[one // 1024 for one in memory]} MiB, "
        f"gone {gone_s:.1f} s after the last, the healthy one has all, p99 {p99_ms:.0f} ms"
    )
    assert growth <= GROWTH_KIB, memory


@asynccontextmanager
async def deaf(api: Api, person: Person, cursor: str) -> AsyncIterator[None]:
    """Subscribes with whole messages and never reads again; its own buffer is small."""
    query = "subscription ($a: String) { messageAdded(after: $a) { cursor message { id body } } }"
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", urlsplit(api.url).port))
    raw.setblocking(False)
    try:
        async with asyncio.timeout(20):
            context = open_socket(api.ws_url, person.token, sock=raw, max_queue=1, ping_interval=None)
            client = await context.__aenter__()
        await client.send(
            {"id": "1", "type": "subscribe", "payload": {"query": query, "variables": {"a": cursor}}}
        )
        client.connection.transport.pause_reading()
        yield
    finally:
        raw.close()


async def _subscribers(api: Api, count: int) -> bool:
    return await metric(api.url, "salespad_subscribers") == count


def rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")
