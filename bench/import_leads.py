"""importLeads with 1,000 people: how long until it is accepted, until it is done, and what others feel meanwhile.

The goals: accepted within 300 ms, no request held up by more than 100 ms, done within 1 s. What others feel is the
answer time of `/health/live`, asked over and over while the batch is being accepted. The limit beside it is one COPY of
the same people into one table without index or tenant wall.
"""

import asyncio
import os
import secrets
import time
from statistics import median
from typing import Any

import asyncpg
import httpx

from tests.factories.accounts import Person, sign_up
from tests.factories.imports import IMPORT, batch
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api, Worker

PROGRESS = "subscription ($id: ID!) { importProgress(id: $id) { status } }"
ROWS = 1000
ROUNDS = 15


def people(prefix: str) -> list[dict[str, Any]]:
    return [
        {
            "profileUrl": f"https://www.instagram.com/{prefix}.{number}/",
            "username": f"{prefix}.{number}",
            "name": f"Person {number}",
            "avatarUrl": f"https://cdn.example.com/{prefix}/{number}.jpg",
            "headline": "Founder",
            "company": "Acme",
            "email": f"{prefix}.{number}@example.com",
            "phone": f"+55119{80_000_000 + secrets.randbelow(9_000_000)}",
            "metadata": {"followers": number},
        }
        for number in range(ROWS)
    ]


async def run() -> None:
    async with (
        Api.started() as api,
        Worker.started(),
        httpx.AsyncClient(base_url=api.url, timeout=60, trust_env=False) as http,
    ):
        person = await sign_up(http)
        await one(person, api.url)  # warms the caches
        figures = [await one(person, api.url) for _ in range(ROUNDS)]
    copied = [await bare_copy() for _ in range(ROUNDS)]
    for name, column, goal in (("accepted", 0, 300), ("held up others", 1, 100), ("done", 2, 1000)):
        values = [figure[column] * 1000 for figure in figures]
        print(f"{name:<15} median {median(values):6.0f} ms   max {max(values):6.0f} ms   goal {goal} ms")
    print(f"done / bare COPY of the same rows: {median(f[2] for f in figures) / median(copied):.0f}x")


async def one(person: Person, url: str) -> tuple[float, float, float]:
    """Seconds until accepted, the longest wait of another client meanwhile, seconds until done."""
    body = {"query": IMPORT, "variables": {"input": batch(people(f"p{secrets.token_hex(3)}"))}}
    async with httpx.AsyncClient(base_url=url, trust_env=False) as other:
        waits: list[float] = []
        probe = asyncio.create_task(ask_over_and_over(other, waits))
        await asyncio.sleep(0.05)
        started = time.perf_counter()
        answer = await person.http.post(
            "/graphql", json=body, headers={"Authorization": f"Bearer {person.token}"}
        )
        accepted = time.perf_counter() - started
        probe.cancel()
    id = answer.json()["data"]["importLeads"]["leadImport"]["id"]
    async with open_socket(url.replace("http", "ws") + "/graphql", person.token) as socket:
        async for _ in socket.subscribe(PROGRESS, {"id": id}):
            pass
    return accepted, max(waits), time.perf_counter() - started


async def ask_over_and_over(http: httpx.AsyncClient, waits: list[float]) -> None:
    while True:
        started = time.perf_counter()
        await http.get("/health/live")
        waits.append(time.perf_counter() - started)


async def bare_copy() -> float:
    connection = await asyncpg.connect(os.environ["SALESPAD_DATABASE_URL"])
    try:
        await connection.execute("CREATE TEMP TABLE people (name text, email text, phone text, profile text)")
        rows = [
            (person["name"], person["email"], person["phone"], person["profileUrl"])
            for person in people("copy")
        ]
        started = time.perf_counter()
        await connection.copy_records_to_table("people", records=rows)
        return time.perf_counter() - started
    finally:
        await connection.close()
