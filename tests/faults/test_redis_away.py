"""Redis is a doorbell: off, killed, emptied or back again, all that changes is how soon things are found."""

import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.factories.accounts import Person
from tests.factories.imports import profile
from tests.fixtures.feed import Follower, create_tags, feed_cursor, metric, seq_of
from tests.fixtures.installation import Installation, check_imports
from tests.fixtures.processes import eventually

pytestmark = pytest.mark.xdist_group("redis away")
POLLED = "feed_found_by_poll_total"


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(workers=1, SALESPAD_IMPORT_CHUNK_ROWS="20") as installation:
        yield installation


async def import_and_follow(installation: Installation, name: str) -> float:
    """Sign up, import, see every event on the second API; the seconds it took."""
    async with installation.new_person() as person:
        cursor = await feed_cursor(person)
        address = installation.apis[-1].ws_url
        async with Follower.following(lambda: [address], person.token, cursor) as follower:
            started = time.monotonic()
            import_id = await installation.import_leads(person, [profile(f"{name}{n}") for n in range(100)])
            await installation.ended([import_id])
            await follower.until(await installation.head(person))
            seconds = time.monotonic() - started
        await check_imports(installation, person, leads=100, rows=100)
        assert follower.seqs == list(range(seq_of(cursor) + 1, await installation.head(person) + 1))
    return seconds


async def redis_is(installation: Installation, up: float) -> None:
    for api in installation.apis:
        await eventually(lambda api=api: _redis_up(api.url, up), what=f"salespad_redis_up {up:.0f}")  # type: ignore[misc]


async def _redis_up(url: str, up: float) -> bool:
    return await metric(url, "salespad_redis_up") == up


async def polled(installation: Installation) -> float:
    return sum([await metric(api.url, POLLED) for api in installation.apis])


async def heard(installation: Installation, person: Person, count: int) -> float:
    """Events of one API, followed at the other; how many the poll found first."""
    before = await polled(installation)
    cursor = await feed_cursor(person)
    async with Follower.following(lambda: [installation.apis[1].ws_url], person.token, cursor) as follower:
        for n in range(count):
            await create_tags(person, [f"{cursor} {n}"])
        await follower.until(seq_of(cursor) + count)
    return await polled(installation) - before


async def test_redis_is_killed_stays_away_and_comes_back(installation: Installation) -> None:
    calm_s = await import_and_follow(installation, "calm")
    await installation.kill_redis()
    await redis_is(installation, 0)
    away_s = await import_and_follow(installation, "away")
    async with installation.new_person() as person:
        # All five were heard; a subscription's own first look may have been in time for some.
        assert 1 <= await heard(installation, person, 5) <= 5
        await installation.start_redis()
        await redis_is(installation, 1)
        found = await heard(installation, person, 20)
        assert found <= 1, "the doorbell is not back"
    back_s = await import_and_follow(installation, "back")
    print(
        f"Redis: import of 100 rows seen elsewhere after {calm_s:.2f} s calm, {away_s:.2f} s with Redis dead, "
        f"{back_s:.2f} s with it back; of 20 events after its return the poll found {found:.0f}"
    )


async def test_redis_is_killed_in_the_middle_of_an_import(installation: Installation) -> None:
    async with installation.new_person() as person:
        cursor = await feed_cursor(person)
        address = installation.apis[1].ws_url
        async with Follower.following(lambda: [address], person.token, cursor) as follower:
            import_ids = [
                await installation.import_leads(person, [profile(f"k{number}.{n}") for n in range(100)])
                for number in range(3)
            ]
            await installation.kill_redis()
            import_ids.append(await installation.import_leads(person, [profile("late")]))
            await installation.ended(import_ids)
            await follower.until(await installation.head(person))
        await installation.start_redis()
        await redis_is(installation, 1)
        await check_imports(installation, person, leads=301, rows=301)
        assert follower.seqs == list(range(seq_of(cursor) + 1, await installation.head(person) + 1))
    print(f"Redis killed in the middle: 301 rows, {len(follower.seqs)} events, 0 gaps")


async def test_redis_is_emptied_again_and_again(installation: Installation) -> None:
    assert installation.keeper is not None
    redis = Redis.from_url(installation.keeper.url)
    flushed = 0
    async with installation.new_person() as person:
        cursor = await feed_cursor(person)
        address = installation.apis[1].ws_url
        async with Follower.following(lambda: [address], person.token, cursor) as follower:
            import_ids = []
            for number in range(10):
                rows = [profile(f"f{number}.{n}") for n in range(20)]
                import_ids.append(await installation.import_leads(person, rows))
                await redis.flushall()
                flushed += 1
            await installation.ended(import_ids)
            await follower.until(await installation.head(person))
        await check_imports(installation, person, leads=200, rows=200)
        assert follower.seqs == list(range(seq_of(cursor) + 1, await installation.head(person) + 1))
    await redis.aclose()
    print(f"FLUSHALL x {flushed}: 200 rows, {len(follower.seqs)} events, 0 gaps")


async def test_without_redis_everything_works() -> None:
    """Sign in, import, follow: one API and one worker that have only their polls."""
    async with Installation.started(apis=1, workers=1, redis=False) as installation:
        seconds = await import_and_follow(installation, "off")
        assert await metric(installation.apis[0].url, POLLED) > 0
        ready = installation.apis[0].url + "/health/ready"
        async with installation.client() as http:
            answer = await http.get(ready)
    assert answer.status_code == 200
    assert answer.json()["redis"] == "away"
    print(f"Redis off: import of 100 rows accepted, run and seen within {seconds:.2f} s")
