"""The fork server that fault tests start workers by gives real workers, each with a life of its own."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from app.embedded.config import OFF
from app.settings import Settings
from tests.fixtures.databases import bare_database
from tests.fixtures.processes import eventually
from tests.fixtures.zygote import ForkedWorker, Zygote


@pytest.fixture
async def zygote() -> AsyncIterator[Zygote]:
    async with Zygote.started() as zygote:
        yield zygote


@pytest.fixture(scope="module")
async def environment(settings: Settings) -> dict[str, str]:
    """A database of their own: who is killed holds nothing of other tests."""
    own = await bare_database(settings)
    assert own.database_url is not None
    return {"SALESPAD_DATABASE_URL": own.database_url, "SALESPAD_REDIS_URL": OFF}


async def test_a_worker_is_killed_and_another_forked(zygote: Zygote, environment: dict[str, str]) -> None:
    lives = [ForkedWorker(zygote=zygote, environment=environment) for _ in range(3)]
    await asyncio.gather(*(worker.start() for worker in lives))
    assert len({worker.pid for worker in lives}) == 3
    assert all(worker.is_running() for worker in lives)
    await lives[0].kill()
    assert lives[0].process.returncode == -signal.SIGKILL
    assert [worker.is_running() for worker in lives] == [False, True, True]
    lives[0].close_log()
    await lives[0].start()
    for worker in lives:
        await worker.stop()
    assert [worker.process.returncode for worker in lives] == [0, 0, 0], "each ends as it should"


async def test_a_worker_that_refuses_its_settings_says_so(
    zygote: Zygote, environment: dict[str, str]
) -> None:
    worker = ForkedWorker(zygote=zygote, environment=environment | {"SALESPAD_POLL_S": "nonsense"})
    with pytest.raises(AssertionError, match="SALESPAD_POLL_S"):
        await worker.start()
    await worker.stop()


async def test_its_workers_die_with_it(zygote: Zygote, environment: dict[str, str]) -> None:
    worker = ForkedWorker(zygote=zygote, environment=environment)
    await worker.start()
    zygote.process.kill()
    await eventually(lambda: not worker.is_running(), what="the end of what it had forked")
    await worker.stop()
