"""The worker dies as it reads a file through, rewrites it, forecasts and undoes; the file goes, or the disk is full."""

import random
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.factories.accounts import Person
from tests.factories.csv_imports import at_rest, start_csv, upload_csv
from tests.fixtures.csv_files import (
    MAPPING,
    Dump,
    Watch,
    begun,
    check_feed,
    check_ledger,
    differences,
    dumped,
    mixed_rows,
    prepared,
    written,
)
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually

pytestmark = pytest.mark.xdist_group("csv import phases")
ROWS, CHUNK_ROWS = 3_000, 100
LONG_ROWS = 300_000
SMALL_DISK = 300_000
UNDO = "mutation ($input: ImportIdInput!) { undoImport(input: $input) { leadImport { id } errors { code message } } }"
FILE_ID = "SELECT file_id FROM import_job WHERE workspace_id = $1 AND id = $2"


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(
        apis=1,
        workers=1,
        SALESPAD_IMPORT_CHUNK_ROWS=str(CHUNK_ROWS),
        SALESPAD_WEB_REQUESTS_PER_MINUTE="100000",
    ) as installation:
        yield installation


@pytest.fixture
async def person(installation: Installation) -> AsyncIterator[Person]:
    async with installation.new_person() as person:
        yield person


async def reborn(installation: Installation) -> None:
    (worker,) = installation.workers
    await worker.kill()
    await installation.restart(worker)


def files_of(installation: Installation, person: Person) -> list[Path]:
    folder = Path(installation.environment["SALESPAD_HOME"]) / "files" / str(person.workspace_id)
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_killed_as_it_reads_the_file_through(
    installation: Installation, person: Person, encoding: str
) -> None:
    """UTF-16 is rewritten on the way. Nothing tells who these people are: it rests until somebody says it."""
    lines = [f"one {n},two {n},three\n" for n in range(LONG_ROWS)]
    token = await upload_csv(person, ("A,B,C\n" + "".join(lines)).encode(encoding), name="long.csv")
    import_id, dice, kills = await start_csv(person, token), random.Random(), 0
    async with Watch.of(installation, person, import_id) as watch:
        for _ in range(3):
            await eventually(lambda: _is_reading(watch), timeout_s=60, what="a worker that reads it")
            await _pause(dice)
            (worker,) = installation.workers
            await worker.kill()
            kills += await watch.is_under_way("ANALYZE")
            await installation.restart(worker)
            if not await watch.is_under_way("ANALYZE"):
                break
    state = await at_rest(person, import_id, timeout_s=120)
    assert kills, "it was over before anybody died"
    assert (state["status"], state["totalRows"], state["columns"]) == (
        "NEEDS_MAPPING",
        LONG_ROWS,
        ["A", "B", "C"],
    )
    assert state["preview"] == [[f"one {n}", f"two {n}", "three"] for n in range(20)]
    print(f"killed {kills} times as it read {LONG_ROWS:,} rows in {encoding} through: read whole in the end")


async def _is_reading(watch: Watch) -> bool:
    row = await watch.look()
    return bool(row["status"] == "RUNNING" or row["phase"] != "ANALYZE" or row["status"] == "NEEDS_MAPPING")


async def _pause(dice: random.Random) -> None:
    until = time.monotonic() + dice.random() / 5
    await eventually(lambda: time.monotonic() >= until)


async def test_killed_in_a_dry_run_and_in_an_undo(installation: Installation) -> None:
    """What the dry run counts is what the run gives; what the undo leaves is what there was, and as without kills."""
    dumps: list[dict[str, Dump]] = []
    for kills in (0, 3):
        async with installation.new_person() as person:
            dumps.append(await _there_and_back(installation, person, kills))
    for name in dumps[0]:
        assert differences(dumps[1][name], dumps[0][name]) == {}, name
    before, after = (dumps[1][name] for name in ("before", "undone"))
    assert living(after) == living(before)
    assert after["import_seen"] == before["import_seen"] == {}


def living(dump: Dump) -> tuple[Counter[Any], Counter[Any]]:
    """Leads that are not deleted, but for their versions, and their tags."""
    found = Counter(row[:8] for row in dump["lead"] if not row[10])
    theirs = {row[:2] for row in found}
    return found, Counter(row for row in dump["lead_tag"] if row[:2] in theirs)


async def _there_and_back(installation: Installation, person: Person, kills: int) -> dict[str, Dump]:
    await prepared(installation, person, ROWS)
    dumps = {"before": await dumped(installation, person)}
    token = await upload_csv(person, written(mixed_rows(ROWS)), name="mixed.csv")
    import_id = await start_csv(person, token, mapping=MAPPING, dryRun=True)
    async with Watch.of(installation, person, import_id) as watch:
        await _die(watch, kills, "next_row", "DRY_RUN")
        state = await at_rest(person, import_id, timeout_s=300)
        assert state["status"] == "NEEDS_MAPPING", state
        dumps["forecast"] = await dumped(installation, person)
        assert dumps["forecast"]["lead"] == dumps["before"]["lead"], "nothing was to be written"
        forecast = state["dryRunCounts"]
        assert await start_csv(person, token) == import_id
        state = await at_rest(person, import_id, timeout_s=300)
        assert (state["status"], state["counts"]) == ("COMPLETED_WITH_ERRORS", forecast)
        await check_ledger(installation, person)
        undone = (await person.run(UNDO, {"input": {"id": import_id}}))["undoImport"]
        assert undone["errors"] == []
        await _die(watch, kills, "undo_row", "UNDO")
    state = await at_rest(person, import_id, timeout_s=300)
    assert (state["status"], state["keptOnUndo"]) == ("UNDONE", 0), state
    await check_feed(installation, person)
    print(f"{kills} kills in a dry run of {ROWS:,} rows and in its undo: {forecast}")
    return dumps | {"undone": await dumped(installation, person)}


async def _die(watch: Watch, kills: int, what: str, phase: str) -> None:
    """The first before anything is done, or as it begins; no more than it takes to be done."""
    died = 0
    for number in range(kills):
        await watch.until(number * ROWS / (kills + 1), what=what, phase=phase)
        if not await watch.is_under_way(phase):
            break
        died += 1
        await reborn(watch.installation)
    assert died or not kills, "it was over before anybody died"


async def test_the_file_goes_in_the_middle(installation: Installation, person: Person) -> None:
    """Lost by whoever keeps the disk: what is in stays, and the import says why it ended."""
    import_id = await begun(person, ROWS)
    async with Watch.of(installation, person, import_id) as watch:
        await watch.until(1)
        assert await watch.is_under_way()
        for path in files_of(installation, person):
            path.unlink()
    state = await at_rest(person, import_id, timeout_s=60)
    assert state["status"] == "FAILED", state
    assert state["failure"]
    assert 0 < state["processedRows"] < ROWS
    assert sum(state["counts"].values()) == state["processedRows"]
    (leads,) = await installation.sql(
        "SELECT count(*) AS n FROM lead WHERE workspace_id = $1", person.workspace_id
    )
    assert leads["n"] == state["counts"]["CREATED"]
    await check_feed(installation, person)
    print(f"the file gone: {state['processedRows']:,} of {ROWS:,} rows stay; {state['failure']}")


async def test_the_disk_is_full_as_it_rewrites_the_file(installation: Installation, person: Person) -> None:
    """A limit of the process stands for the disk. The same file comes in once there is room again."""
    (worker,) = installation.workers
    content = written(mixed_rows(ROWS * 4)).decode().encode("utf-16")
    assert len(content) // 2 > 2 * SMALL_DISK
    soft, hard = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (SMALL_DISK, hard))
    try:
        token = await upload_csv(person, content, name="wide.csv")
        import_id = await start_csv(person, token, mapping=MAPPING)
        state = await at_rest(person, import_id, timeout_s=60)
    finally:
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (soft, hard))
    assert (state["status"], state["processedRows"]) == ("FAILED", 0), state
    assert state["failure"]
    await eventually(lambda: not files_of(installation, person), what="an empty folder")
    assert worker.is_running()
    again = await start_csv(person, await upload_csv(person, content, name="wide.csv"), mapping=MAPPING)
    async with Watch.of(installation, person, again) as watch:
        await watch.until(1)
    print(f"the disk full: {state['failure']}")
