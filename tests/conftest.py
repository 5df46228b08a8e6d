"""Fixtures of the whole suite: real PostgreSQL and Redis, the real API and worker as processes, one workspace a test.

`python3 -m app test` starts the servers; pytest alone starts its own. Tests never clean up: each makes its own
workspace.
"""

import os
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.embedded.state import Home
from app.settings import Settings
from tests.factories.accounts import Person, sign_up
from tests.fixtures.graphql import KEPT
from tests.fixtures.logs import leaks, leaks_of_postgres
from tests.fixtures.processes import Api, Child, Worker
from tests.fixtures.zygote import Nursery


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="every fault test, browser journeys, property tests at length"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        long = {_test_of(item) for item in items if _is_full(item) and hasattr(item, "callspec")}
        items[:] = [item for item in items if _is_full(item) or _test_of(item) not in long]
        return
    skip = pytest.mark.skip(reason="needs --full")
    for item in items:
        if _is_full(item):
            item.add_marker(skip)


def _is_full(item: pytest.Item) -> bool:
    """By its mark: among its keywords are also its name and its parameters' ids, whatever they say."""
    return item.get_closest_marker("full") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A log of the test's own process that tells too much fails it; `Child` sees to those of other processes."""
    report = yield
    if report.passed and (told := leaks(report.capstderr)):
        report.outcome = "failed"
        report.longrepr = "Logged what no log may hold:\n" + "\n".join(told)
    return report


def _test_of(item: pytest.Item) -> tuple[str, str]:
    """With --full the long form of a test stands for its short one."""
    return str(item.path), getattr(item, "originalname", item.name)


@pytest.fixture(scope="session")
def servers() -> Iterator[None]:
    """PostgreSQL, migrated, and Redis; their addresses stand in the environment."""
    with ExitStack() as stack:
        if "SALESPAD_DATABASE_URL" not in os.environ:
            from app.common.migrations import upgrade
            from app.embedded.testing import private_servers

            environment = stack.enter_context(private_servers())
            os.environ.update(
                {name: text for name, text in environment.items() if name.startswith("SALESPAD_")}
            )
            upgrade(os.environ["SALESPAD_DATABASE_URL"])
        yield
        log = Home(Path(os.environ["SALESPAD_HOME"])).log("postgres")
        told = leaks_of_postgres(log.read_text(errors="replace")) if log.is_file() else []
        assert not told, "PostgreSQL logged what no log may hold:\n" + "\n".join(told)


@pytest.fixture(scope="session", autouse=True)
async def nursery() -> AsyncIterator[None]:
    """Where the tests' APIs and workers are born."""
    async with AsyncExitStack() as stack:
        Child.births = Nursery(stack)
        yield
        Child.births = None


@pytest.fixture(scope="session")
def settings(servers: None) -> Settings:
    return Settings()


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[Any]:
    """The API in the test's own process, for what a test must reach into. Prefer `api_server`."""
    from app.main import create_app

    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture(scope="session")
async def doors(settings: Settings) -> AsyncIterator[Any]:
    """The database as the code sees it, for factories and for looking behind the API."""
    from app.common.work import Doors

    doors = Doors(settings)
    yield doors
    await doors.close()


@pytest.fixture(scope="session")
async def api_server(servers: None) -> AsyncIterator[Api]:
    """The API as a process, shared by the tests of this run."""
    async with Api.started() as api:
        yield api


@pytest.fixture(scope="session")
async def worker(servers: None) -> AsyncIterator[Worker]:
    """The worker as a process, shared by the tests of this run."""
    async with Worker.started() as worker:
        yield worker


@pytest.fixture(scope="session")
async def http(api_server: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api_server.url, timeout=30, trust_env=False, limits=KEPT) as client:
        yield client


@pytest.fixture
async def ana(http: httpx.AsyncClient) -> Person:
    """The owner of a new workspace."""
    return await sign_up(http)


@pytest.fixture
async def eve(http: httpx.AsyncClient) -> Person:
    """The owner of another workspace, who must never see or touch Ana's."""
    return await sign_up(http, name="Eve")
