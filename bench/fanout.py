"""One message to everybody who follows the inbox: our API against socket.io, in one run, a round of each in turn.

Goals: at most 1.2 times socket.io's CPU a delivery with 500 subscribers; commit to socket p99 under 50 ms with 20; an
idle socket with a subscription takes at most 35 KiB. A message is a row that another process commits, as a worker does;
frames are some 500 bytes of nine fields, as many for both within a few. The clients only count, on the other core. Said
with each figure: rounds, and how busy the machine was; on a busy one only the ratio means something.
"""

import asyncio
import json
import os
import statistics
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from app.common.work import Doors
from app.embedded.web_assets import install_packages
from app.settings import Settings
from bench.sockets import Crowd, cpu_s, keep_to_core, rss_kib
from tests.factories.accounts import Person, sign_up
from tests.factories.conversations import Opened, inbound, open_conversation
from tests.fixtures.feed import feed_cursor
from tests.fixtures.processes import Api

SUBSCRIPTION = """subscription ($after: String) { messageAdded(after: $after) { cursor message {
  id subject body direction status authorKind createdAt sentAt } } }"""
BODY = "Olá! " + "Quero saber mais sobre a proposta. " * 4
MESSAGES, ROUNDS, FEW, IDLE = 40, 7, 20, 1000
OURS, THEIRS = b'"type":"next"', b'42["messageAdded"'


@dataclass
class Server:
    pid: int
    port: int
    path: str
    mark: bytes
    steps: Callable[[], Awaitable[list[tuple[str, bytes]]]]
    """What a client says, and the mark of the answer it waits for; good for what comes from now on."""
    more: str
    tell: Callable[[], Awaitable[Any]]

    def crowd(self) -> Crowd:
        return Crowd(self.port, self.path, more=self.more)


async def run() -> None:
    keep_to_core(os.getpid(), 1)
    async with our_server() as (ours, latency), socketio_server() as theirs:
        for server in (ours, theirs):
            keep_to_core(server.pid, 0)
            await a_round(server, FEW)  # warm
        for name, server in (
            ("salespad", ours),
            ("socket.io", theirs),
        ):  # first: later, memory is there already
            print(
                f"idle socket        {name:<10} {await idle_kib(server):5.1f} KiB   goal 35 KiB ({IDLE} sockets)"
            )
        for count in (100, 500):
            await compare(ours, theirs, count)
        await latency()


async def compare(ours: Server, theirs: Server, count: int) -> None:
    """CPU of the server's process alone: what it reads of the message, and what it sends."""
    figures: dict[str, list[float]] = {"salespad": [], "socket.io": []}
    sizes: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, server in (("salespad", ours), ("socket.io", theirs)):
            used, sizes[name] = await a_round(server, count)
            figures[name].append(used)
    ratio = statistics.median(figures["salespad"]) / statistics.median(figures["socket.io"])
    for name, values in figures.items():
        median, least, most = statistics.median(values), min(values), max(values)
        print(
            f"{count:>4} subscribers   {name:<10} {median:5.1f} µs a delivery ({least:.1f} to {most:.1f}), "
            f"{sizes[name]:.0f} bytes"
        )
    said = f"median of {ROUNDS} rounds of {MESSAGES} messages, load {os.getloadavg()[0]:.1f}"
    print(f"{count:>4} subscribers   ratio      {ratio:5.2f}   goal 1.20 (500 subscribers); {said}")


async def a_round(server: Server, count: int) -> tuple[float, float]:
    """Microseconds of CPU a delivery, and bytes."""
    with server.crowd() as crowd:
        await asyncio.to_thread(crowd.join, count, await server.steps())
        for number in range(-2, MESSAGES):
            if number == 0:  # whatever subscribing still cost is over
                used = cpu_s(server.pid)
            await server.tell()
            await asyncio.to_thread(lambda: list(crowd.arrivals(server.mark, count)))
        return (cpu_s(server.pid) - used) / MESSAGES / count * 1e6, crowd.received / (MESSAGES + 2) / count


async def idle_kib(server: Server) -> float:
    steps = await server.steps()
    with server.crowd() as crowd:
        await asyncio.to_thread(crowd.join, IDLE // 10, steps)
        before = rss_kib(server.pid)
        await asyncio.to_thread(crowd.join, IDLE, steps)
        await asyncio.sleep(0.5)
        return (rss_kib(server.pid) - before) / IDLE


# ── ours ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
@asynccontextmanager
async def our_server() -> AsyncIterator[tuple[Server, Callable[[], Awaitable[None]]]]:
    generous = {"SALESPAD_WEB_REQUESTS_PER_MINUTE": "1000000", "SALESPAD_LOG_LEVEL": "error"}
    async with (
        Api.started(**generous) as api,
        httpx.AsyncClient(base_url=api.url, timeout=60, trust_env=False) as http,
    ):
        doors = await bells_and_doors()
        person = await sign_up(http)
        opened = await open_conversation(person, doors[0])

        async def steps() -> list[tuple[str, bytes]]:
            greeting = {"type": "connection_init", "payload": {"authorization": f"Bearer {person.token}"}}
            variables = {"after": await feed_cursor(person)}
            payload = {"query": SUBSCRIPTION, "variables": variables}
            asked = {"id": "1", "type": "subscribe", "payload": payload}
            return [(json.dumps(greeting), b"connection_ack"), (json.dumps(asked), b"")]

        server = Server(
            pid=api.pid,
            port=httpx.URL(api.url).port or 0,
            path="/graphql",
            mark=OURS,
            steps=steps,
            more="Sec-WebSocket-Protocol: graphql-transport-ws\r\n",
            tell=lambda: inbound(person, doors[0], opened.id, body=BODY),
        )
        yield server, lambda: print_latency(server, doors[0], person, opened)
        await doors[1].stop()
        await doors[0].close()


async def bells_and_doors() -> tuple[Doors, Any]:
    """A process that writes and rings, as a worker does."""
    from app.common.jobs import create_bells

    settings = Settings()
    bells = create_bells(settings)
    await bells.start()
    return Doors(settings, bells), bells


async def print_latency(server: Server, doors: Doors, person: Person, opened: Opened) -> None:
    """From the event's own clock, taken in its transaction, to the client's."""
    waits: list[float] = []
    with server.crowd() as crowd:
        await asyncio.to_thread(crowd.join, FEW, await server.steps())
        for _ in range(5 * MESSAGES):
            await inbound(person, doors, opened.id, body=BODY)
            arrivals = await asyncio.to_thread(lambda: list(crowd.arrivals(server.mark, FEW)))
            committed = await last_at(doors, person)
            waits.extend((at - committed) * 1000 for at in arrivals)
    waits.sort()
    p50, p99 = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
    print(f"commit to socket   {FEW} subscribers   p50 {p50:.1f} ms   p99 {p99:.1f} ms   goal p99 50 ms")


async def last_at(doors: Doors, person: Person) -> float:
    async with doors.open_work(person.workspace_id) as work:
        found = await work.execute(
            text("SELECT at FROM feed_event WHERE workspace_id = :id ORDER BY seq DESC LIMIT 1"),
            {"id": person.workspace_id},
        )
        return float(found.scalar_one().timestamp())


# ── theirs ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@asynccontextmanager
async def socketio_server() -> AsyncIterator[Server]:
    folder = Path(__file__).parent
    node = await asyncio.to_thread(install_packages, folder)
    with started([node, str(folder / "socketio_server.mjs")], folder) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(await asyncio.to_thread(process.stdout.readline))
        stdin = process.stdin

        async def tell() -> None:
            stdin.write(json.dumps(SAME_MESSAGE, ensure_ascii=False).encode() + b"\n")
            stdin.flush()

        async def steps() -> list[tuple[str, bytes]]:
            return [("", b"0{"), ("40", b"40{")]

        yield Server(process.pid, port, "/socket.io/?EIO=4&transport=websocket", THEIRS, steps, "", tell)


@contextmanager
def started(command: list[str], folder: Path) -> Any:
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


SAME_MESSAGE = {
    "data": {
        "messageAdded": {
            "cursor": "1.0000000000000001.01234567",
            "message": {
                "id": "019aa000-0000-7000-8000-000000000000",
                "subject": None,
                "body": BODY,
                "direction": "INBOUND",
                "status": "RECEIVED",
                "authorKind": "CONTACT",
                "createdAt": "2026-01-01T00:00:00.000000+00:00",
                "sentAt": "2026-01-01T00:00:00.000000+00:00",
            },
        }
    }
}
