"""An API whose every SQL statement and log line is an attacker's doing: it polls nothing meanwhile, and no doorbell of
others' reaches it."""

from collections.abc import AsyncIterator
from itertools import pairwise

import httpx
import pytest

from app.common.work import Doors
from app.embedded.config import OFF
from app.settings import Settings
from tests.api.hostile.scene import Scene
from tests.api.hostile.target import STATEMENTS, Target
from tests.factories.accounts import Person, sign_up
from tests.fixtures.feed import metric
from tests.fixtures.graphql import KEPT
from tests.fixtures.processes import Api, Worker


@pytest.fixture(scope="session")
async def target(servers: None) -> AsyncIterator[Target]:
    quiet = {"SALESPAD_POLL_S": "3600", "SALESPAD_REDIS_URL": OFF}
    async with Api.started(**quiet, SALESPAD_LOG_FORMAT="console") as api:
        readings = [await metric(api.url, STATEMENTS) for _ in range(10)]
        # The least: among the first an API that has just begun looks round itself.
        yield Target(api, min(after - before for before, after in pairwise(readings)))


@pytest.fixture(scope="session")
async def victim(target: Target) -> AsyncIterator[Person]:
    """The owner of a new workspace there; also whoever attacks, signed in."""
    async with httpx.AsyncClient(base_url=target.api.url, timeout=30, trust_env=False, limits=KEPT) as client:
        yield await sign_up(client, name="Vic")


@pytest.fixture
async def scene(
    target: Target, doors: Doors, settings: Settings, worker: Worker, request: pytest.FixtureRequest
) -> AsyncIterator[Scene]:
    async with httpx.AsyncClient(base_url=target.api.url, timeout=30, trust_env=False, limits=KEPT) as client:
        victim, eve = await sign_up(client, name="Vic"), await sign_up(client, name="Eve")
        yield Scene(target, victim, eve, doors, settings, request.getfixturevalue)
