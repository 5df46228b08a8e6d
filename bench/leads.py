"""Reading leads in a workspace of 200,000: a page of 50 with tags, one lead, a search, the board.

Three servers in turn on the same database, one process each, eight connections: ours through the public door, with
sign-in, limits and row-level security; the floor (`leads_floor.py`), asyncpg and JSON by hand with none of these; a
newcomer's Strawberry over the ORM (`leads_naive.py`). CPU is that of the server's process, and of PostgreSQL's
backends, for a request. Everything shares one machine: only the ratios mean something, and under 15 % is a tie.
`--leads 20000 --seconds 0.5` for a quick look.
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, ClassVar
from urllib.parse import urlsplit

import asyncpg
import httpx

from app.demo.people import OWNER
from app.demo.seeding import seed
from app.settings import Settings
from bench.sockets import cpu_s
from tests.fixtures.graphql import post
from tests.fixtures.processes import Api

CONNECTIONS, ROUNDS, POSITIONS = 8, 5, 100
FIELDS = """id name email phone company title source engagement score version createdAt
  stage { id name } owner { id name } tags { id name color }"""
OURS = {
    "page": f"""query ($after: String) {{
        leads(first: 50, after: $after) {{ edges {{ cursor node {{ {FIELDS} }} }} }} }}""",
    "one": f"query ($id: ID!) {{ lead(id: $id) {{ {FIELDS} }} }}",
    "search": f"""query ($search: String!) {{
        leads(first: 20, filter: {{search: $search}}) {{ edges {{ node {{ {FIELDS} }} }} }} }}""",
    "board": f"{{ board {{ stage {{ id name }} leads(first: 20) {{ edges {{ node {{ {FIELDS} }} }} }} }} }}",
}
NAIVE = {
    "page": f"""query ($createdAt: DateTime!, $id: ID!) {{
        leads(first: 50, before: $createdAt, beforeId: $id) {{ {FIELDS} }} }}""",
    "one": f"query ($id: ID!) {{ lead(id: $id) {{ {FIELDS} }} }}",
    "search": f"query ($search: String!) {{ leads(first: 20, search: $search) {{ {FIELDS} }} }}",
    "board": f"{{ board {{ stage {{ id name }} leads(first: 20) {{ {FIELDS} }} }} }}",
}
TITLES = {"page": "page of 50", "one": "one lead", "search": "search, 20 found", "board": "board, 7 x 20"}
SEARCHES = (
    "souza", "oliveira", "helena", "jose", "metal", "london", "maria alv", "o'br", "padaria", "renata gom", "smith",
    "gerente", "pedro", "nuvem azul", "thompson",
)  # fmt: skip
SIGN_IN = """mutation ($input: SignInInput!) {
  signIn(input: $input) { session { accessToken viewer { workspace { id } } } } }"""
HAS_BOARD = '{ __type(name: "Query") { fields { name } } }'
LAST_OF_PAGE = (
    "query ($after: String) { leads(first: 100, after: $after) { edges { cursor node { id createdAt } } } }"
)
BACKENDS = """
    SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass
class Figures:
    server_ms: list[float] = field(default_factory=list)
    postgres_ms: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)

    def cpu_ms(self, with_postgres: bool) -> float:
        return median(self.server_ms) + (median(self.postgres_ms) if with_postgres else 0)


@dataclass(frozen=True)
class Server:
    name: str
    pid: int
    port: int
    path: str
    token: str
    bodies: dict[str, list[bytes]]
    """By case."""


async def run() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench leads")
    parser.add_argument("--leads", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each round")
    asked = parser.parse_args(sys.argv[2:])
    password = secrets.token_urlsafe(12)
    began = time.perf_counter()
    seeded = await seed(Settings(), password, more_leads=asked.leads)
    print(f"{seeded.more_leads:,} leads made in {time.perf_counter() - began:.0f} s")
    async with AsyncExitStack() as stack:
        servers = await start(stack, password)
        watcher = await asyncpg.connect(os.environ["SALESPAD_DATABASE_URL"])
        stack.push_async_callback(watcher.close)
        for case in servers[0].bodies:
            figures = await measure(watcher, servers, case, asked.seconds)
            tell(TITLES[case], figures)
    print(f"medians of {ROUNDS} rounds of {asked.seconds:g} s, load {os.getloadavg()[0]:.1f}")


async def measure(
    watcher: "asyncpg.Connection[asyncpg.Record]", servers: Sequence[Server], case: str, seconds: float
) -> dict[str, Figures]:
    figures = {server.name: Figures() for server in servers}
    for server in servers:
        await a_round(server, case, seconds / 3)  # warms caches and connections
    for _ in range(ROUNDS):
        for server in servers:
            backends = [row["pid"] for row in await watcher.fetch(BACKENDS)]
            before, before_postgres = cpu_s(server.pid), sum(map(cpu_s, backends))
            began = time.perf_counter()
            waits = await a_round(server, case, seconds)
            took = time.perf_counter() - began
            mine = figures[server.name]
            mine.server_ms.append((cpu_s(server.pid) - before) / len(waits) * 1000)
            mine.postgres_ms.append((sum(map(cpu_s, backends)) - before_postgres) / len(waits) * 1000)
            mine.rate.append(len(waits) / took)
            mine.waits_ms += [wait * 1000 for wait in waits]
    return figures


def tell(title: str, figures: dict[str, Figures]) -> None:
    print(f"\n{title:<18}{'server ms':>10}{'postgres ms':>13}{'req/s':>8}{'p50 ms':>8}{'p95 ms':>8}")
    for name, one in figures.items():
        waits = sorted(one.waits_ms)
        print(
            f"  {name:<16}{median(one.server_ms):10.2f}{median(one.postgres_ms):13.2f}{median(one.rate):8.0f}"
            f"{waits[len(waits) // 2]:8.1f}{waits[int(len(waits) * 0.95)]:8.1f}"
        )
    for dear, cheap in (("ours", "floor"), ("naive", "ours")):
        server, both = (figures[dear].cpu_ms(kind) / figures[cheap].cpu_ms(kind) for kind in (False, True))
        print(f"  {dear + ' / ' + cheap:<16}{server:9.1f}x   with PostgreSQL {both:5.1f}x")


# ── the servers ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def start(stack: AsyncExitStack, password: str) -> list[Server]:
    generous = {"SALESPAD_WEB_REQUESTS_PER_MINUTE": "1000000", "SALESPAD_LOG_LEVEL": "error"}
    ours = await stack.enter_async_context(Api.started(**generous))
    http = await stack.enter_async_context(httpx.AsyncClient(base_url=ours.url, timeout=60, trust_env=False))
    given = {"email": OWNER.email, "password": password}
    session = (await post(http, SIGN_IN, {"input": given})).json()["data"]["signIn"]["session"]
    token = session["accessToken"]
    asked = await questions(http, token)
    workspace = {"BENCH_WORKSPACE": session["viewer"]["workspace"]["id"]}
    floor = await stack.enter_async_context(peer("bench.leads_floor:app", workspace))
    naive = await stack.enter_async_context(peer("bench.leads_naive:app", workspace))
    servers = [
        Server("ours", ours.pid, port(ours), "/graphql", token, spoken(OURS, asked)),
        Server("floor", floor.pid, port(floor), "/", "", plain(asked)),
        Server("naive", naive.pid, port(naive), "/graphql/", "", spoken(NAIVE, asked)),
    ]
    for server in servers:
        for case, bodies in server.bodies.items():
            await check(server, case, bodies[0])
    return servers


class Peer(Api):
    is_ours: ClassVar[bool] = False


@asynccontextmanager
async def peer(app: str, environment: dict[str, str]) -> AsyncIterator[Api]:
    arguments = ("-m", "uvicorn", app, "--port", "0", "--no-access-log")
    process = Peer(arguments=arguments, environment=environment)
    try:
        await process.start()
        yield process
    finally:
        await process.stop()


def port(server: Api) -> int:
    return urlsplit(server.url).port or 0


async def questions(http: httpx.AsyncClient, token: str) -> dict[str, list[dict[str, Any]]]:
    """The variables of each case: the same leads for all servers, in no order."""
    positions: list[dict[str, Any]] = []
    after = None
    while len(positions) < POSITIONS:
        answer = (await post(http, LAST_OF_PAGE, {"after": after}, token)).json()
        edges = answer["data"]["leads"]["edges"]
        after = edges[-1]["cursor"]
        positions += [{"after": edge["cursor"], **edge["node"]} for edge in edges[::25]]
    shuffle = random.Random(7).shuffle
    shuffle(positions)
    asked = {
        "page": positions,
        "one": [{"id": one["id"]} for one in positions],
        "search": [{"search": search} for search in SEARCHES],
    }
    fields = (await post(http, HAS_BOARD, token=token)).json()["data"]["__type"]["fields"]
    if any(one["name"] == "board" for one in fields):
        asked["board"] = [{}]
    return asked


def spoken(documents: dict[str, str], asked: dict[str, list[dict[str, Any]]]) -> dict[str, list[bytes]]:
    return {
        case: [json.dumps({"query": documents[case], "variables": one}).encode() for one in variables]
        for case, variables in asked.items()
    }


def plain(asked: dict[str, list[dict[str, Any]]]) -> dict[str, list[bytes]]:
    return {
        case: [json.dumps({"name": case, "values": one}).encode() for one in variables]
        for case, variables in asked.items()
    }


# ── the client ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def a_round(server: Server, case: str, seconds: float) -> list[float]:
    """How long each request took, in seconds."""
    until = time.perf_counter() + seconds
    waits = await asyncio.gather(*(a_client(server, case, until, n) for n in range(CONNECTIONS)))
    return [wait for own in waits for wait in own]


async def a_client(server: Server, case: str, until: float, first: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    bodies, waits = server.bodies[case], list[float]()
    while not waits or time.perf_counter() < until:
        began = time.perf_counter()
        await ask(server, reader, writer, bodies[(first * 7 + len(waits)) % len(bodies)])
        waits.append(time.perf_counter() - began)
    writer.close()
    return waits


async def ask(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
) -> bytes:
    head = (
        f"POST {server.path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
    )
    if server.token:
        head += f"Authorization: Bearer {server.token}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answered = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert answered.startswith(b"http/1.1 200"), answered
    length = int(answered.partition(b"content-length:")[2].split(b"\r\n")[0])
    return await reader.readexactly(length)


async def check(server: Server, case: str, body: bytes) -> None:
    """A server that answers nothing is fast."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    answer = await ask(server, reader, writer, body)
    writer.close()
    wanted = {"page": 50, "one": 1, "search": 1, "board": 100}[case]
    assert answer.count(b'"createdAt"') >= wanted, (server.name, case, answer[:500])
