"""Files from their first look to their end, in a database that no other worker is on."""

from io import BytesIO
from pathlib import Path

import asyncpg
import openpyxl
import pytest
from sqlalchemy import text

from app.common.leases import LostLease
from app.common.work import Doors
from app.imports.infrastructure.reading import WORKBOOK
from app.imports.wiring import end_forgotten_imports, import_jobs
from app.settings import Settings
from tests.factories.file_imports import ImportDesk

GO_ON = text("UPDATE import_job SET status = 'QUEUED', phase = 'RUN', run_at = now() WHERE id = :id")
LONG_AGO = text(
    "UPDATE import_job SET run_at = run_at - interval '25 hours', paused_at = paused_at - interval '8 days'"
    " WHERE workspace_id = :workspace_id"
)
BREAK = """
CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
CREATE CONSTRAINT TRIGGER breaks AFTER UPDATE OF counts ON import_job DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.processed_rows > 500) EXECUTE FUNCTION breaks();
"""
BREAK_OF_PHASE = BREAK.replace("counts", "phase").replace("NEW.processed_rows > 500", "NEW.phase = 'RUN'")
MEND = "DROP TRIGGER breaks ON import_job; DROP FUNCTION breaks();"
SUPPRESS = text(
    "INSERT INTO suppression (workspace_id, value, reason) VALUES (:workspace_id, 'no@example.com', 'MANUAL')"
)


@pytest.fixture
async def desk(own: tuple[Settings, Doors], tmp_path: Path) -> ImportDesk:
    settings, doors = own
    mine = settings.model_copy(update={"files_dir": tmp_path, "import_turn_s": 0.001})
    mine.__dict__.pop("files_folder", None)
    return await ImportDesk.open(doors, mine)


def people(n: int, *, begin: int = 0) -> bytes:
    rows = [f"Person {i},p{i}@example.com,Company {i % 7}" for i in range(begin, begin + n)]
    return "\n".join(["Name,E-mail,Company", *rows, ""]).encode()


MIXED = "\n".join(
    [
        "Nome;E-mail;Telefone",
        "Ana;ana@example.com;",
        "Bia;bia@example.com;+5511987654321",
        "Ana again;ana@example.com;",
        "Nobody;;",
        "Bad;not an address;",
        "Gone;no@example.com;",
        "Too;many;cells;here",
        "Caio;caio@example.com;",
        "",
    ]
).encode()


async def test_each_row_of_a_file_ends_with_one_outcome(desk: ImportDesk) -> None:
    await desk.execute(SUPPRESS, workspace_id=desk.workspace_id)
    id = await desk.start(MIXED)
    turns = await desk.finish()
    state = await desk.state(id)
    assert (state["status"], state["total_rows"], state["error"]) == ("COMPLETED_WITH_ERRORS", 8, None)
    counts = await desk.check(id)
    assert counts == {"CREATED": 3, "DUPLICATE_IN_FILE": 1, "REJECTED": 3, "SUPPRESSED": 1}
    rows = {row["row"]: row for row in await desk.rows(id)}
    assert rows[7]["payload"] == {"cells": ["Too", "many", "cells", "here"]}
    assert rows[1]["payload"] is None
    assert [rows[n]["code"] for n in (4, 5, 6, 7)] == [
        "NO_IDENTITY",
        "INVALID_EMAIL",
        "SUPPRESSED",
        "RAGGED_ROW",
    ]
    assert (state["preview"], state["file_id"], state["ran_until"] is not None) == (None, None, True)
    assert await desk.count("file") == 0, "it is let go of, and gone"
    assert set(turns) == {id}


async def test_a_dry_run_tells_what_the_run_then_does(desk: ImportDesk) -> None:
    """Over several chunks, with people who come again in a later one, known ones among them."""
    await desk.start(people(40, begin=1980))
    await desk.finish()
    before = await desk.count("lead")
    content = people(2000) + people(300, begin=1500).split(b"\n", 1)[1] + b"Nobody,,\n" * 5
    id = await desk.start(content, policy="FILL_EMPTY", is_dry_run=True)
    await desk.finish()
    told = await desk.state(id)
    assert (told["status"], told["phase"], told["processed_rows"]) == ("NEEDS_MAPPING", "DRY_RUN", 0)
    assert [row["code"] for row in await desk.rows(id)] == ["NO_IDENTITY"] * 5
    assert (await desk.count("lead"), await desk.count("import_seen")) == (before, 0)
    await desk.execute(GO_ON, id=id)
    turns = await desk.finish()
    assert len(turns) > 3, "one chunk would prove little"
    counts = await desk.check(id)
    assert counts == {"CREATED": 1980, "UNCHANGED": 20, "DUPLICATE_IN_FILE": 300, "REJECTED": 5}
    assert told["dry_run_counts"] == (await desk.state(id))["counts"]


async def test_two_imports_go_in_turns(desk: ImportDesk) -> None:
    ids = [await desk.start(people(1500, begin=begin)) for begin in (0, 1500)]
    turns = await desk.finish()
    assert turns[:4] in ([*ids, *ids], [*reversed(ids), *reversed(ids)]), turns
    assert [await desk.check(id) for id in ids] == [{"CREATED": 1500}] * 2


async def test_a_turn_that_nobody_waits_for_the_end_of_goes_on(desk: ImportDesk) -> None:
    id = await desk.start(people(3000))
    claim = await desk.claim()
    assert claim is not None
    assert await desk.engine.run(desk.doors, desk.settings, claim, lambda: False)
    assert (await desk.state(id))["status"] == "COMPLETED"


async def test_a_pause_is_in_force_when_it_returns_and_goes_on_from_the_checkpoint(desk: ImportDesk) -> None:
    id = await desk.start(people(3000))
    await desk.turn()  # the analysis
    claim = await desk.claim()
    assert claim is not None
    assert not await desk.run(claim), "its turn is over"
    await desk.steer("pause", id)
    landed = (await desk.state(id))["processed_rows"]
    assert 0 < landed < 3000
    with pytest.raises(LostLease):
        await desk.engine.run(desk.doors, desk.settings, claim, lambda: False)
    assert await desk.finish() == []
    state = await desk.state(id)
    assert (state["status"], state["processed_rows"]) == ("PAUSED", landed)
    await desk.steer("pause", id)
    assert (await desk.state(id))["paused_at"] == state["paused_at"], "twice is once"
    punch(desk.path(state["file_id"]), state["next_offset"])
    started = state["started_at"]
    await desk.steer("resume", id)
    assert (await desk.state(id))["started_at"] > started, "the pause is no running time"
    await desk.finish()
    assert await desk.check(id) == {"CREATED": 3000}


async def as_owner(desk: ImportDesk, sql: str) -> None:
    connection = await asyncpg.connect(desk.settings.database_url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def punch(path: Path, end: int) -> None:
    """What was read is not read again: were it, no row would be found in it."""
    with path.open("r+b") as file:
        file.write(b'"' * end)


async def test_a_chunk_that_fails_leaves_nothing(desk: ImportDesk) -> None:
    """It fails at the very end of its transaction; what was before it stays, and its repetition lands."""
    id = await desk.start(people(1200))
    await desk.turn()
    await as_owner(desk, BREAK)
    while (await desk.state(id))["processed_rows"] < 500:
        await desk.turn()
    claim = await desk.claim()
    assert claim is not None
    with pytest.raises(asyncpg.RaiseError):
        await desk.engine.run(desk.doors, desk.settings, claim, lambda: False)
    assert await desk.check(id) == {"CREATED": 500}
    assert await desk.count("lead") == 500
    await as_owner(desk, MEND)
    async with desk.doors.open_system() as system:
        await import_jobs.retry_later(system, claim, error="broken", wait_s=0)
    await desk.finish()
    assert await desk.check(id) == {"CREATED": 1200}
    assert (await desk.state(id))["error"] is None


async def test_canceled_keeps_what_is_in_and_lets_the_file_go(desk: ImportDesk) -> None:
    id = await desk.start(people(3000))
    await desk.turn()
    await desk.turn()
    landed = (await desk.state(id))["processed_rows"]
    assert await desk.steer("cancel", id) is not None
    state = await desk.state(id)
    assert (state["status"], state["file_id"], state["preview"]) == ("CANCELED", None, None)
    assert state["processed_rows"] == landed
    assert state["ran_until"] is not None
    assert await desk.check(id) == {"CREATED": landed}
    assert await desk.steer("cancel", id) is None
    assert await desk.finish() == []


async def test_files_that_cannot_be_imported_say_why(desk: ImportDesk) -> None:
    gone = await desk.start(people(3))
    desk.path((await desk.state(gone))["file_id"]).unlink()
    wrong = await desk.start(people(3), mapping=[("E-mail", "EMAIL"), ("Nome", "NAME")])
    empty = await desk.start(b"Name,E-mail\n")
    unsure = await desk.start(b"a,b\n1,2\n")
    await desk.finish()
    told = {id: await desk.state(id) for id in (gone, wrong, empty, unsure)}
    assert [told[id]["status"] for id in told] == ["FAILED", "FAILED", "FAILED", "NEEDS_MAPPING"]
    assert told[gone]["error"] == "FILE_GONE"
    assert told[wrong]["error"] == "WRONG_MAPPING|Nome"
    assert told[empty]["error"] == "HEADER_ONLY"
    assert (told[unsure]["columns"], told[unsure]["mapping"]) == (["a", "b"], None)
    assert await desk.count("file") == 1, "what waits for its mapping keeps its file"


async def test_who_does_not_come_back_loses_the_upload(desk: ImportDesk) -> None:
    waits, paused = await desk.start(b"a,b\n1,2\n"), await desk.start(people(10))
    await desk.turn()
    await desk.turn()
    await desk.steer("pause", paused)
    await desk.finish()
    async with desk.doors.open_system() as system:
        assert await end_forgotten_imports(system, settings=desk.settings, limit=10) == 0
    await desk.execute(LONG_AGO, workspace_id=desk.workspace_id)
    async with desk.doors.open_system() as system:
        assert await end_forgotten_imports(system, settings=desk.settings, limit=10) == 2
    ends = [await desk.state(id) for id in (waits, paused)]
    assert [(one["status"], one["error"]) for one in ends] == [("FAILED", "NOT_MAPPED"), ("CANCELED", None)]
    assert [one["file_id"] for one in ends] == [None, None]


async def test_utf_16_is_rewritten_where_it_lies(desk: ImportDesk) -> None:
    id = await desk.start("Nome\tE-mail\nJosé\tjose@example.com\n".encode("utf-16"), is_dry_run=True)
    await desk.finish()
    state = await desk.state(id)
    assert state["status"] == "NEEDS_MAPPING"
    assert (
        desk.path(state["file_id"]).read_bytes().decode("utf-8-sig").splitlines()[1]
        == "José\tjose@example.com"
    )
    parts = desk.settings.files_folder / "parts"
    assert list(parts.iterdir()) == []


async def test_a_workbook_whose_worker_dies_between_its_rewriting_and_the_commit(desk: ImportDesk) -> None:
    """The next one finds a text in its place. Its cells are full of semicolons."""
    book = openpyxl.Workbook()
    for n in range(4):
        book.active.append([f"Ana; {n}; a; b", f"ana{n}@example.com"] if n else ["Nome; a; b; c", "E-mail"])
    written = BytesIO()
    book.save(written)
    mapping = [("Nome; a; b; c", "NAME"), ("E-mail", "EMAIL")]
    id = await desk.start(written.getvalue(), mapping=mapping)
    await as_owner(desk, BREAK_OF_PHASE)
    claim = await desk.claim()
    assert claim is not None
    with pytest.raises(asyncpg.RaiseError):
        await desk.engine.run(desk.doors, desk.settings, claim, lambda: False)
    state = await desk.state(id)
    assert (state["phase"], state["columns"]) == ("ANALYZE", [])
    assert desk.path(state["file_id"]).read_bytes()[:4] != WORKBOOK, "it was rewritten"
    await as_owner(desk, MEND)
    async with desk.doors.open_system() as system:
        await import_jobs.retry_later(system, claim, error="broken", wait_s=0)
    await desk.finish()
    assert await desk.check(id) == {"CREATED": 3}
    assert (await desk.state(id))["columns"] == ["Nome; a; b; c", "E-mail"]


async def test_a_worker_told_to_stop_leaves_an_analysis_to_the_next(desk: ImportDesk) -> None:
    id = await desk.start(people(10))
    claim = await desk.claim()
    assert claim is not None
    assert await desk.engine.run(desk.doors, desk.settings, claim, lambda: True)
    state = await desk.state(id)
    assert (state["status"], state["phase"], state["attempt"]) == ("QUEUED", "ANALYZE", 0)
    await desk.finish()
    assert await desk.check(id) == {"CREATED": 10}
