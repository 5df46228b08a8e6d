"""A batch in a database that no worker looks at."""

from collections.abc import AsyncIterator

import pytest

from app.common.work import Doors
from app.settings import Settings
from tests.fixtures.batches import BatchDesk
from tests.fixtures.databases import bare_database
from tests.fixtures.run_desk import RunDesk


@pytest.fixture(scope="module")
async def own(settings: Settings) -> AsyncIterator[tuple[Settings, Doors]]:
    own = await bare_database(settings)
    doors = Doors(own)
    yield own, doors
    await doors.close()


@pytest.fixture
async def desk(own: tuple[Settings, Doors]) -> BatchDesk:
    settings, doors = own
    return await BatchDesk.with_batch(doors, settings)


@pytest.fixture
async def runs(own: tuple[Settings, Doors]) -> AsyncIterator[RunDesk]:
    """Three leads, whose rules only the test carries out; no attempt fails that it did not look at."""
    settings, doors = own
    desk = await RunDesk.with_leads(doors, settings)
    yield desk
    # What waits would be claimed by the next test.
    await desk.sql("DELETE FROM automation_run WHERE workspace_id = :workspace_id")
    assert desk.errors == []
