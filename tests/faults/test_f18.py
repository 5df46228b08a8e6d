"""F18: who lost a right hears nothing more and gets no answer, at every API process, whatever Redis does."""

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import websockets

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.fixtures.feed import FEED, create_tags
from tests.fixtures.graphql import open_socket
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually

pytestmark = pytest.mark.xdist_group("f18")

POLL_S, LONG_POLL_S = 2.0, 20.0
HEARD_S = 3.0
"""A second is promised; this machine may stand still for two. Far from the long poll: the bell is what was heard."""
CHANGE_ROLE = (
    "mutation ($input: ChangeMemberRoleInput!) { changeMemberRole(input: $input) { errors { code } } }"
)
REMOVE = "mutation ($input: MemberInput!) { removeMember(input: $input) { errors { code } } }"
SIGN_OUT = "mutation ($input: SignOutInput!) { signOut(input: $input) { errors { code } } }"
CREATE_KEY = """
mutation { createApiKey(input: {name: "watcher", role: VIEWER}) { apiKey { id } secret errors { code } } }
"""
REVOKE_KEY = "mutation ($input: ApiKeyInput!) { revokeApiKey(input: $input) { errors { code } } }"


@dataclass
class Watcher:
    """A socket at one API process: when it heard something, how and when it was closed."""

    ws_url: str
    token: str
    heard_at: list[float] = field(default_factory=list)
    code: int | None = None
    closed_at: float = 0.0

    async def run(self) -> None:
        try:
            async with open_socket(self.ws_url, self.token) as socket:
                async for payload in socket.subscribe(FEED):
                    if payload["data"]["feed"]["kind"] != "HEARTBEAT":
                        self.heard_at.append(time.time())
        except websockets.ConnectionClosed as ended:
            self.code, self.closed_at = (ended.rcvd.code if ended.rcvd else 0), time.time()


@dataclass
class Measured:
    """The worst of what was seen, in seconds after the ending was answered."""

    heard_s: float = 0.0
    closed_s: float = 0.0
    refused_s: float = 0.0
    endings: int = 0


End = Callable[[], Awaitable[object]]


async def endings(ana: Person, doors: Doors) -> list[tuple[str, End]]:
    """Tokens, and what takes each of them its right."""
    changed, removed, signed_out = [await add_member(doors, ana, role=Role.MEMBER) for _ in range(3)]
    key = (await ana.run(CREATE_KEY))["createApiKey"]
    role = {"input": {"userId": str(changed.user_id), "role": "VIEWER"}}
    return [
        (changed.token, lambda: ana.run(CHANGE_ROLE, role)),
        (removed.token, lambda: ana.run(REMOVE, {"input": {"userId": str(removed.user_id)}})),
        (
            signed_out.token,
            lambda: signed_out.run(SIGN_OUT, {"input": {"refreshToken": signed_out.refresh_token}}),
        ),
        (key["secret"], lambda: ana.run(REVOKE_KEY, {"input": {"id": key["apiKey"]["id"]}})),
    ]


@asynccontextmanager
async def writing(ana: Person) -> AsyncIterator[None]:
    """Something happens in the workspace all the time."""

    async def write() -> None:
        while True:
            await create_tags(ana, [secrets.token_hex(8)])

    writer = asyncio.create_task(write())
    try:
        yield
        assert not writer.done(), writer.exception()
    finally:
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)


async def measure(installation: Installation, doors: Doors) -> Measured:
    """In a workspace of its own: it may have only so many tags."""
    async with installation.new_person() as ana:
        return await measured(installation, ana, doors)


async def measured(installation: Installation, ana: Person, doors: Doors) -> Measured:
    worst = Measured()
    for token, end in await endings(ana, doors):
        watchers = [Watcher(url, token) for url in installation.ws_urls()]
        tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
        async with writing(ana):
            await eventually(lambda both=watchers: all_hear(both), what="events at both")
            await end()
            answered = time.time()
            refused = await asyncio.gather(*(refused_at(api.url, token) for api in installation.apis))
            await asyncio.wait(tasks, timeout=10)
        assert [watcher.code for watcher in watchers] == [4403, 4403]
        worst.heard_s = max(worst.heard_s, *(watcher.heard_at[-1] - answered for watcher in watchers))
        worst.closed_s = max(worst.closed_s, *(watcher.closed_at - answered for watcher in watchers))
        worst.refused_s = max(worst.refused_s, *(at - answered for at in refused))
        worst.endings += 1
    return worst


def all_hear(watchers: list[Watcher]) -> bool:
    return all(len(watcher.heard_at) > 2 for watcher in watchers)


async def refused_at(url: str, token: str) -> float:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as http:

        async def refused() -> float | None:
            headers = {"Authorization": f"Bearer {token}"}
            answer = await http.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
            return time.time() if answer.status_code == 401 else None

        at = await eventually(refused, what="HTTP's refusal")
    assert isinstance(at, float)
    return at


def check(what: str, worst: Measured, *, within_s: float) -> None:
    print(
        f"F18 Redis {what}: {worst.endings} endings x 2 processes, last event {worst.heard_s:.2f} s, "
        f"closed {worst.closed_s:.2f} s, HTTP refused {worst.refused_s:.2f} s after"
    )
    assert worst.heard_s <= within_s
    assert worst.closed_s <= within_s
    assert worst.refused_s <= within_s


@asynccontextmanager
async def installed(*, redis: bool, poll_s: float = POLL_S) -> AsyncIterator[tuple[Installation, Doors]]:
    settings = {"SALESPAD_POLL_S": str(poll_s), "SALESPAD_WEB_REQUESTS_PER_MINUTE": "100000"}
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(
            Installation.started(workers=0, redis=redis, **settings)
        )
        yield installation, await stack.enter_async_context(installation.doors())


async def test_f18_with_redis_there() -> None:
    async with installed(redis=True, poll_s=LONG_POLL_S) as (installation, doors):
        if installation.redis is None:
            pytest.skip("no Redis on this machine")
        check("there", await measure(installation, doors), within_s=HEARD_S)


async def test_f18_with_redis_stopped_and_killed() -> None:
    async with installed(redis=True) as (installation, doors):
        if installation.redis is None:
            pytest.skip("no Redis on this machine")
        installation.redis.send_signal(signal.SIGSTOP)
        try:
            check("stopped", await measure(installation, doors), within_s=POLL_S + HEARD_S)
        finally:
            installation.redis.send_signal(signal.SIGCONT)
        await installation.kill_redis()
        check("killed", await measure(installation, doors), within_s=POLL_S + HEARD_S)


async def test_f18_without_redis() -> None:
    async with installed(redis=False) as (installation, doors):
        check("off", await measure(installation, doors), within_s=POLL_S + HEARD_S)
