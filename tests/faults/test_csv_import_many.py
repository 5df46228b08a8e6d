"""Imports of the same people at once, and somebody else's beside them."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from tests.factories.csv_imports import at_rest, start_csv, upload_csv
from tests.fixtures.csv_files import MAPPING, begun, check_ledger, mixed_rows, prepared, written
from tests.fixtures.installation import Installation

pytestmark = pytest.mark.xdist_group("csv import many")
ROWS, SMALL_ROWS = 6_000, 320
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
FINISHED = "SELECT finished_at, error, attempt FROM import_job WHERE workspace_id = $1 AND id = $2"


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(
        apis=1,
        workers=2,
        SALESPAD_IMPORT_CHUNK_ROWS="200",
        SALESPAD_WEB_REQUESTS_PER_MINUTE="100000",
    ) as installation:
        yield installation


async def test_two_of_the_same_people_and_one_of_another_workspace(installation: Installation) -> None:
    """The second file is the first backwards: each chunk wants what the other import's chunk has."""
    (before,) = await installation.sql(DEADLOCKS)
    async with installation.new_person() as ana, installation.new_person() as eve:
        await prepared(installation, ana, ROWS)
        backwards = written(mixed_rows(ROWS)[::-1])
        token = await upload_csv(ana, backwards, name="backwards.csv")
        both = [await begun(ana, ROWS), await start_csv(ana, token, mapping=MAPPING)]
        theirs = await begun(eve, SMALL_ROWS)
        for import_id, person in ((theirs, eve), (both[0], ana), (both[1], ana)):
            state = await at_rest(person, import_id, timeout_s=300)
            assert state["status"] == "COMPLETED_WITH_ERRORS", state
        ours = [(await installation.sql(FINISHED, ana.workspace_id, UUID(one)))[0] for one in both]
        (other,) = await installation.sql(FINISHED, eve.workspace_id, UUID(theirs))
        counts = await check_ledger(installation, ana, is_each_updated_once=False)
        await check_ledger(installation, eve)
    (after,) = await installation.sql(DEADLOCKS)
    assert after["deadlocks"] == before["deadlocks"]
    assert {row["error"] for row in (*ours, other)} == {None}, "an attempt failed and was repeated"
    assert other["finished_at"] < min(row["finished_at"] for row in ours), "the small one had no turn"
    print(f"the same {ROWS:,} rows in two imports at once: {dict(counts)}")
