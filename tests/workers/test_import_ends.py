"""Imports that end in other ways than with their last row, and what is left of them."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Doors
from app.imports.application.undoing import UndoImport
from app.imports.domain.imports import ImportStatus
from app.imports.infrastructure import engine
from app.imports.infrastructure.ledger import ImportLedger
from app.imports.infrastructure.undoing import UndoLedger
from app.imports.wiring import end_forgotten_imports, forget_undos, import_jobs
from app.settings import Settings
from app.tags.domain import MAX_TAGS
from tests.factories.file_imports import ImportDesk

BATCH = text(
    """
    WITH job AS (
        INSERT INTO import_job (workspace_id, id, status, source, policy, tag_ids, total_rows, paused_at, started_at)
        VALUES (:workspace_id, :id, 'PAUSED', 'API', 'UPSERT', '{}', 3, now() - interval '8 days',
            now() - interval '8 days 1 minute')
    )
    INSERT INTO import_row (workspace_id, import_id, row, payload)
    SELECT :workspace_id, :id, n, '{"email": "ana@example.com"}' FROM generate_series(1, 3) AS n
    """
)
GO_ON = text(
    "UPDATE import_job SET status = 'QUEUED', phase = 'RUN', run_at = now(), attempt = 0 WHERE id = :id"
)
AGED = text("UPDATE import_job SET ran_until = now() - :days * interval '1 day' WHERE id = :id")
UNDOS = Statement(
    text(
        "SELECT count(undo) AS left FROM import_row"
        " WHERE workspace_id = cast(:workspace_id as uuid) AND import_id = cast(:id as uuid)"
    )
)
FILL_TAGS = text(
    """
    INSERT INTO tag (workspace_id, name, name_key, color)
    SELECT :workspace_id, 'tag ' || n, 'tag ' || n, '#000000' FROM generate_series(1, cast(:count as int)) AS n
    """
)


@pytest.fixture
async def desk(own: tuple[Settings, Doors], tmp_path: Path) -> ImportDesk:
    settings, doors = own
    mine = settings.model_copy(update={"files_dir": tmp_path, "import_turn_s": 0.001})
    mine.__dict__.pop("files_folder", None)
    return await ImportDesk.open(doors, mine)


async def test_a_batch_that_stays_paused_forgets_what_was_still_to_come(desk: ImportDesk) -> None:
    id = uuid4()
    await desk.execute(BATCH, workspace_id=desk.workspace_id, id=id)
    async with desk.doors.open_system() as system:
        assert await end_forgotten_imports(system, settings=desk.settings, limit=10) == 1
    state = await desk.state(id)
    assert (state["status"], state["paused_at"]) == ("CANCELED", None)
    assert (state["finished_at"] - state["started_at"]).total_seconds() == 60, "a pause is no running time"
    assert await desk.rows(id) == []


async def test_an_undo_that_failed_goes_on_where_it_was(desk: ImportDesk) -> None:
    """What it has taken back is not judged again: those rows would count as kept."""
    await desk.start(b"Name,E-mail\nAna,ana@example.com\n")
    await desk.finish()
    id = await desk.start(b"E-mail,Notes\nana@example.com,Met at the fair\nbia@example.com,\n")
    await desk.finish()
    assert await desk.check(id) == {"UPDATED": 1, "CREATED": 1}
    await desk.steer("undo", id)
    claim = await desk.claim()
    assert claim is not None
    async with desk.doors.open_work(desk.workspace_id) as work:
        assert not await UndoImport(UndoLedger(work, claim, lease_s=60), work, 1).run_chunk()
    async with desk.doors.open_work(desk.workspace_id) as work:
        await ImportLedger(work, claim, lease_s=60).end(ImportStatus.FAILED, "broken")
    await desk.steer("undo", id)
    await desk.finish()
    state = await desk.state(id)
    assert (state["status"], state["kept_on_undo"]) == ("UNDONE", 0)


async def test_a_dry_run_leaves_nothing_on_leads(desk: ImportDesk) -> None:
    """Neither on those that a row is about nor on those that it would make, though the row has something to tell."""
    await desk.start(b"Name,E-mail,Phone\nAna,ana@example.com,\nBia,,+5511987654321\n")
    await desk.finish()
    await desk.execute(FILL_TAGS, workspace_id=desk.workspace_id, count=MAX_TAGS)
    content = b"Name,E-mail,Phone,Tags\nAna S,ana@example.com,+5511987654321,\nCaio,caio@example.com,,new\n"
    id = await desk.start(content, is_dry_run=True)
    await desk.finish()
    assert (await desk.state(id))["status"] == "NEEDS_MAPPING"
    found = [(row["outcome"], row["code"], row["lead_id"]) for row in await desk.rows(id)]
    assert found == [("UPDATED", "IDENTITY_TAKEN", None), ("CREATED", "TOO_MANY_TAGS", None)]


async def test_what_would_take_an_import_back_is_kept_no_longer_than_it_can_be_asked_for(
    desk: ImportDesk,
) -> None:
    await desk.start(b"Name,E-mail\nAna,ana@example.com\nBia,bia@example.com\nCaio,caio@example.com\n")
    await desk.finish()
    id = await desk.start(
        b"Name,E-mail\nAna S,ana@example.com\nBia S,bia@example.com\nCaio S,caio@example.com\n"
    )
    await desk.finish()
    for days, left in ((7, 3), (9, 1), (9, 0)):
        await desk.execute(AGED, id=id, days=days)
        async with desk.doors.open_system() as system:
            await forget_undos(system, limit=2)
        async with desk.doors.open_reads(desk.workspace_id) as reads:
            row = await reads.fetch_one(UNDOS, workspace_id=desk.workspace_id, id=id)
        assert row is not None
        assert row["left"] == left
    assert (await desk.state(id))["ran_until"] is None


async def test_the_turns_that_clearing_takes_are_no_failed_attempts(
    desk: ImportDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom a dry run saw, and the problems it found: more steps than a worker makes attempts."""
    monkeypatch.setattr(engine, "CLEAR_ROWS", 1)
    people = [f"Ana {n},ana{n}@example.com" for n in range(7)]
    id = await desk.start("\n".join(["Name,E-mail", *people, *["Nobody,"] * 7, ""]).encode(), is_dry_run=True)
    attempts = await attempts_of_turns(desk)
    assert (await desk.state(id))["status"] == "NEEDS_MAPPING"
    await desk.execute(GO_ON, id=id)
    attempts += await attempts_of_turns(desk)
    assert await desk.check(id) == {"CREATED": 7, "REJECTED": 7}
    assert len(attempts) > 14
    assert set(attempts) == {1}


async def attempts_of_turns(desk: ImportDesk) -> list[int]:
    attempts = []
    while claim := await desk.claim():
        attempts.append(claim.attempt)
        if not await desk.run(claim):
            async with desk.doors.open_system() as system:
                await import_jobs.retry_later(system, claim, error="", wait_s=0)
    return attempts


async def test_what_an_erase_holds_is_forgotten_later(desk: ImportDesk) -> None:
    """It holds a row, and goes on to its import: they would wait for each other."""
    await desk.start(b"Name,E-mail\nAna,ana@example.com\nBia,bia@example.com\n")
    await desk.finish()
    id = await desk.start(b"Name,E-mail\nAna S,ana@example.com\nBia S,bia@example.com\n")
    await desk.finish()
    await desk.execute(AGED, id=id, days=9)

    async def forgotten() -> tuple[int, bool]:
        """How many rows, and whether the import has none left."""
        async with asyncio.timeout(30), desk.doors.open_system() as system:
            rows = await forget_undos(system, limit=10)
        return rows, (await desk.state(id))["ran_until"] is None

    async with desk.doors.open_work(desk.workspace_id) as erasing:
        held = text("SELECT FROM import_row WHERE import_id = :id AND row = 2 FOR NO KEY UPDATE")
        await erasing.execute(held, {"id": id})
        assert await forgotten() == (1, False)
    assert await forgotten() == (1, True)
