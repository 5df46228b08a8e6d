"""kill -9 of everything while imports run and people watch: each row lands once, each event arrives once, in order."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.factories.accounts import Person
from tests.factories.imports import profile
from tests.fixtures.feed import Follower, feed_cursor, seq_of
from tests.fixtures.graphql import open_socket
from tests.fixtures.installation import Installation, check_imports
from tests.fixtures.processes import eventually

pytestmark = pytest.mark.xdist_group("kills")
SUBSCRIBERS = 10
PROGRESS = "subscription ($id: ID!) { importProgress(id: $id) { status processedRows } }"


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(workers=1, SALESPAD_IMPORT_CHUNK_ROWS="20") as installation:
        yield installation


async def follow(stack: AsyncExitStack, installation: Installation, person: Person) -> list[Follower]:
    """Ten subscribers, every other one on the second API."""
    cursor = await feed_cursor(person)
    return [
        await stack.enter_async_context(
            Follower.following(
                lambda number=number: installation.ws_urls(first=number % 2),
                person.token,
                cursor,  # type: ignore[misc]
            )
        )
        for number in range(SUBSCRIBERS)
    ]


async def everything_arrived(
    installation: Installation, person: Person, followers: list[Follower], start: int
) -> int:
    head = await installation.head(person)
    for follower in followers:
        await follower.until(head)
        assert follower.seqs == list(range(start + 1, head + 1))
    return head - start


async def some_rows_landed(installation: Installation, person: Person, rows: int) -> None:
    async def landed() -> bool:
        (found,) = await installation.sql(
            "SELECT count(*) AS n FROM import_row WHERE workspace_id = $1 AND outcome IS NOT NULL",
            person.workspace_id,
        )
        return bool(found["n"] >= rows)

    await eventually(landed, timeout_s=60, what=f"{rows} rows")


async def test_everything_is_killed_while_20_batches_come_in(installation: Installation) -> None:
    batches, size = 20, 100
    rows = batches * size
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        person = await stack.enter_async_context(installation.new_person())
        start = seq_of(await feed_cursor(person))
        followers = await follow(stack, installation, person)

        async def send() -> list[str]:
            return [
                await installation.import_leads(
                    person,
                    [profile(f"p{number}.{n}", email=f"p{number}.{n}@example.com") for n in range(size)],
                )
                for number in range(batches)
            ]

        sending = asyncio.create_task(send())
        (worker,) = installation.workers
        await some_rows_landed(installation, person, 40)
        await worker.kill()
        await installation.restart(worker)
        await some_rows_landed(installation, person, 200)
        await installation.apis[0].kill()
        await some_rows_landed(installation, person, 400)
        await installation.restart(installation.apis[0])
        await installation.kill_redis()
        await some_rows_landed(installation, person, 700)
        await installation.start_redis()
        await installation.kill_postgres()
        await installation.start_postgres()
        await some_rows_landed(installation, person, 1000)
        await installation.apis[1].kill()
        await worker.kill()
        await installation.restart(worker)
        await installation.restart(installation.apis[1])
        import_ids = await sending
        await installation.ended(import_ids)
        assert len(set(import_ids)) == batches
        counts = await check_imports(installation, person, leads=rows, rows=rows)
        events = await everything_arrived(installation, person, followers, start)
        again = sum(follower.connections - 1 for follower in followers)
    print(
        f"kills: {batches} batches, {rows} rows, {counts['CREATED']} leads, 6 kills, {events} events to "
        f"{SUBSCRIBERS} subscribers ({again} reconnections), 0 gaps, 0 doubles, {time.monotonic() - started:.1f} s"
    )


async def test_f5_postgres_stops_at_once_during_feed_events(installation: Installation) -> None:
    """Every subscriber gets exactly 1..N in order, through two immediate stops."""
    total = 200
    async with AsyncExitStack() as stack:
        person = await stack.enter_async_context(installation.new_person())
        start = seq_of(await feed_cursor(person))
        followers = await follow(stack, installation, person)
        accepted = 0

        async def send() -> None:
            nonlocal accepted
            mutation = (
                "mutation ($n: String!) { createTag(input: {name: $n}) { tag { id } errors { code } } }"
            )
            for number in range(total):
                await installation.post(person, mutation, {"n": f"tag {number}"})
                accepted += 1

        sending = asyncio.create_task(send())
        for share in (0.3, 0.6):
            await eventually(lambda share=share: accepted >= total * share or sending.done(), timeout_s=60)  # type: ignore[misc]
            await installation.kill_postgres(signal.SIGQUIT)
            await installation.start_postgres()
        await sending
        events = await everything_arrived(installation, person, followers, start)
        connections = sum(follower.connections for follower in followers)
    assert events == total, "one event a tag, whether its answer was lost or not"
    print(
        f"F5: {events} events, 2 immediate stops, {SUBSCRIBERS} subscribers, {connections} subscriptions, 0 gaps"
    )


async def test_import_progress_outlives_an_immediate_stop_of_postgres(installation: Installation) -> None:
    """From both APIs, while the worker that told it is killed as well."""
    async with installation.new_person() as person:
        import_id = await installation.import_leads(person, [profile(f"r{n}") for n in range(800)])

        async def watch(ws_url: str) -> list[dict[str, Any]]:
            async with open_socket(ws_url, person.token) as socket:
                return [
                    payload["data"]["importProgress"]
                    async for payload in socket.subscribe(PROGRESS, {"id": import_id})
                ]

        watching = [asyncio.create_task(watch(url)) for url in installation.ws_urls()]
        await some_rows_landed(installation, person, 40)
        await installation.kill_postgres(signal.SIGQUIT)
        await installation.workers[0].kill()
        await installation.start_postgres()
        await installation.restart(installation.workers[0])
        async with asyncio.timeout(60):
            seen = await asyncio.gather(*watching)
        await check_imports(installation, person, leads=800, rows=800)
    for states in seen:
        assert states[-1] == {"status": "COMPLETED", "processedRows": 800}
    print(f"importProgress through an outage: {[len(states) for states in seen]} states, COMPLETED")


async def test_f6_an_api_is_killed_under_ten_live_subscribers(installation: Installation) -> None:
    async with AsyncExitStack() as stack:
        person = await stack.enter_async_context(installation.new_person())
        start = seq_of(await feed_cursor(person))
        followers = [
            await stack.enter_async_context(
                Follower.following(installation.ws_urls, person.token, await feed_cursor(person))
            )
            for _ in range(SUBSCRIBERS)
        ]
        import_id = await installation.import_leads(person, [profile(f"q{n}") for n in range(400)])
        await some_rows_landed(installation, person, random.randrange(20, 200))
        await installation.apis[0].kill()
        await installation.ended([import_id])
        events = await everything_arrived(installation, person, followers, start)
        await eventually(lambda: all(follower.connections >= 2 for follower in followers))
        await installation.restart(installation.apis[0])
    print(f"F6: {events} events, {SUBSCRIBERS} subscribers resumed on the other API, 0 gaps, 0 doubles")
