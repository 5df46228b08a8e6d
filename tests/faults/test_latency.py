"""What calm costs: from commit to ten subscribers, and a batch of 1,000 beside other requests."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.factories.imports import finished, import_leads, profile
from tests.fixtures.feed import Follower, create_tags, feed_cursor, metric, seq_of
from tests.fixtures.installation import Installation

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("latency")]
SUBSCRIBERS, EVENTS, BATCHES = 10, 200, 7


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(
        SALESPAD_POLL_S="2",
        SALESPAD_POOL_SIZE="20",
        SALESPAD_IMPORT_LEASE_S="15",
        SALESPAD_WEB_REQUESTS_PER_MINUTE="100000",
    ) as installation:
        yield installation


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def test_from_commit_to_subscriber(installation: Installation) -> None:
    """From the event's own clock, taken just before its commit, to the client."""
    async with AsyncExitStack() as stack:
        person = await stack.enter_async_context(installation.new_person())
        cursor = await feed_cursor(person)
        followers = [
            await stack.enter_async_context(
                Follower.following(lambda n=n: [installation.apis[n % 2].ws_url], person.token, cursor)  # type: ignore[misc]
            )
            for n in range(SUBSCRIBERS)
        ]
        head = seq_of(cursor)
        for n in range(EVENTS):
            await create_tags(person, [f"tag {n}"])
            head += 1
            for follower in followers:
                await follower.until(head)
        rows = await installation.sql(
            "SELECT seq, at FROM feed_event WHERE workspace_id = $1", person.workspace_id
        )
    at = {row["seq"]: row["at"].timestamp() for row in rows}
    waits = [
        (received - at[seq]) * 1000
        for follower in followers
        for seq, received in zip(follower.seqs, follower.received_at, strict=True)
    ]
    polled = sum([await metric(api.url, "feed_found_by_poll_total") for api in installation.apis])
    p50, p99 = quantile(waits, 0.5), quantile(waits, 0.99)
    print(
        f"latency: {EVENTS} events to {SUBSCRIBERS} subscribers on 2 APIs: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
        f"found by poll {polled:.0f}"
    )
    assert p50 < 100
    assert polled <= EVENTS / 20


async def test_a_batch_of_a_thousand_beside_other_requests(installation: Installation) -> None:
    accepted, lags, ran = [], [], []
    async with AsyncExitStack() as stack:
        person = await stack.enter_async_context(installation.new_person())
        probe = await stack.enter_async_context(
            httpx.AsyncClient(base_url=installation.apis[0].url, trust_env=False)
        )
        for number in range(BATCHES):
            rows = [
                profile(f"b{number}.{n}", name=f"Person {n}", email=f"b{number}.{n}@example.com")
                for n in range(1000)
            ]
            started = time.perf_counter()
            sending = asyncio.create_task(import_leads(person, rows))
            worst = 0.0
            while not sending.done():
                asked = time.perf_counter()
                await probe.get("/health/live")
                worst = max(worst, time.perf_counter() - asked)
                await asyncio.sleep(0.003)
            accepted.append((time.perf_counter() - started) * 1000)
            lags.append(worst * 1000)
            await finished(person, await sending)
            (row,) = await installation.sql(
                "SELECT extract(epoch FROM finished_at - created_at)::float AS s FROM import_job WHERE id = $1",
                sending.result(),
            )
            ran.append(row["s"] * 1000)
    print(
        f"1,000 rows x {BATCHES}, medians: accepted in {statistics.median(accepted):.0f} ms, "
        f"worst other request meanwhile {statistics.median(lags):.0f} ms, ended {statistics.median(ran):.0f} ms later"
    )
