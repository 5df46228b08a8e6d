"""pauseImport, resumeImport, cancelImport, undoImport: each said twice, too late, and of what is not theirs."""

from typing import Any

import pytest
from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person, sign_up
from tests.factories.import_files import resting, shown, steer, upload_table
from tests.factories.imports import import_leads, profile

MOVES = ("pauseImport", "resumeImport", "cancelImport", "undoImport")
ROW = text(
    """
    SELECT status, phase, paused_at, file_id, preview, ran_until, finished_at, undo_row, kept_on_undo, token,
        now() - started_at AS ran
    FROM import_job WHERE workspace_id = :workspace_id AND id = cast(:id as uuid)
    """
)
FILES = text("SELECT count(*) FROM file WHERE workspace_id = :workspace_id")
HOLD = text(
    "UPDATE import_job SET status = 'RUNNING', token = gen_random_uuid(), lease_until = now() + interval '1 hour' "
    "WHERE workspace_id = :workspace_id AND id = cast(:id as uuid)"
)
LONG_PAUSE = text(
    "UPDATE import_job SET started_at = now() - interval '1 hour', paused_at = now() - interval '59 minutes' "
    "WHERE workspace_id = :workspace_id AND id = cast(:id as uuid)"
)


async def row(doors: Doors, person: Person, id: str) -> Any:
    async with doors.open_system() as system:
        found = await system.execute(ROW, {"workspace_id": person.workspace_id, "id": id})
        return found.mappings().one()


async def change(doors: Doors, person: Person, statement: Any, id: str) -> None:
    async with doors.open_work(person.workspace_id) as work:
        await work.execute(statement, {"workspace_id": person.workspace_id, "id": id})


def code(payload: dict[str, Any]) -> str | None:
    if not payload["errors"]:
        return None
    (error,) = payload["errors"]
    assert error["path"] == ["id"]
    return str(error["code"])


async def test_pausing_takes_it_out_of_a_workers_hands(ana: Person, doors: Doors) -> None:
    id = await resting(doors, ana, "FAILED")
    await change(doors, ana, HOLD, id)
    for _ in range(2):  # twice is once
        paused = await steer(ana, "pauseImport", id)
        assert (code(paused), paused["leadImport"]["status"]) == (None, "PAUSED")
    found = await row(doors, ana, id)
    assert (found["token"], found["paused_at"] is None) == (None, False)


async def test_a_pause_is_no_time_in_which_it_ran(ana: Person, doors: Doors) -> None:
    id = await resting(doors, ana, "PAUSED")
    await change(doors, ana, LONG_PAUSE, id)
    paused = await shown(ana, id)
    assert paused["rowsPerSecond"] == pytest.approx(2 / 60, abs=0.1)
    assert paused["finishAt"] is None
    resumed = await steer(ana, "resumeImport", id)
    assert code(resumed) is None
    assert (await row(doors, ana, id))["ran"].total_seconds() < 600


async def test_canceling_keeps_what_is_in_and_lets_go_of_the_file(ana: Person, doors: Doors) -> None:
    await upload_table(ana)
    id = await resting(doors, ana, "PAUSED", has_file=True)
    for _ in range(2):
        canceled = await steer(ana, "cancelImport", id)
        state = canceled["leadImport"]
        assert (code(canceled), state["status"], state["processedRows"]) == (None, "CANCELED", 2)
        assert (state["preview"], state["finishedAt"] is None) == ([], False)
    found = await row(doors, ana, id)
    assert (found["file_id"], found["ran_until"] is None) == (None, False)
    async with doors.open_system() as system:
        assert (await system.execute(FILES, {"workspace_id": ana.workspace_id})).scalar_one() == 0


async def test_what_was_never_run_cannot_be_undone_after_canceling(ana: Person, doors: Doors) -> None:
    id = await resting(doors, ana, "NEEDS_MAPPING", phase="ANALYZE", counts={}, processed_rows=0)
    assert code(await steer(ana, "cancelImport", id)) is None
    assert (await row(doors, ana, id))["ran_until"] is None
    assert code(await steer(ana, "undoImport", id)) == "CONFLICT"


async def test_a_batch_that_is_canceled_forgets_what_has_not_landed(ana: Person, doors: Doors) -> None:
    id = await import_leads(ana, [profile("bia"), profile("caio")])
    canceled = await steer(ana, "cancelImport", id)
    if code(canceled) is None:  # a worker may have been quicker
        waiting = text(
            "SELECT count(*) FROM import_row WHERE import_id = cast(:id as uuid) AND outcome IS NULL"
        )
        async with doors.open_system() as system:
            assert (await system.execute(waiting, {"id": id})).scalar_one() == 0
    else:
        assert (await shown(ana, id))["status"] == "COMPLETED"


@pytest.mark.parametrize("status", ["COMPLETED", "COMPLETED_WITH_ERRORS", "CANCELED", "FAILED"])
async def test_what_has_ended_is_undone_within_seven_days(ana: Person, doors: Doors, status: str) -> None:
    late = await resting(doors, ana, status, ended_days_ago=7.01)
    assert code(await steer(ana, "undoImport", late)) == "CONFLICT"
    empty = await resting(doors, ana, status, ended_days_ago=0.1, counts={"UNCHANGED": 2, "REJECTED": 1})
    assert code(await steer(ana, "undoImport", empty)) == "CONFLICT"
    id = await resting(doors, ana, status, ended_days_ago=6.9)
    undoing = await steer(ana, "undoImport", id)
    assert (code(undoing), undoing["leadImport"]["status"]) in ((None, "UNDOING"), (None, "UNDONE"))
    assert code(await steer(ana, "undoImport", id)) is None
    assert (await row(doors, ana, id))["phase"] == "UNDO"


@pytest.mark.parametrize(
    ("status", "phase", "refused"),
    [
        ("COMPLETED", "RUN", ("pauseImport", "resumeImport", "cancelImport")),
        ("CANCELED", "RUN", ("pauseImport", "resumeImport")),
        ("FAILED", "ANALYZE", ("pauseImport", "resumeImport", "cancelImport")),
        ("UNDONE", "UNDO", ("pauseImport", "resumeImport", "cancelImport")),
        ("NEEDS_MAPPING", "ANALYZE", ("pauseImport", "resumeImport", "undoImport")),
        ("PAUSED", "RUN", ("undoImport",)),
    ],
    ids=["completed", "canceled", "failed", "undone", "waiting", "paused"],
)
async def test_what_cannot_be_done_is_told_with_what_can(
    ana: Person, doors: Doors, status: str, phase: str, refused: tuple[str, ...]
) -> None:
    id = await resting(doors, ana, status, phase=phase)
    for name in refused:
        payload = await steer(ana, name, id)
        assert code(payload) == "CONFLICT", name
        assert payload["leadImport"] is None
    assert (await shown(ana, id))["status"] == status


@pytest.mark.parametrize("name", MOVES)
async def test_an_import_of_another_workspace_is_unknown(ana: Person, doors: Doors, name: str) -> None:
    stranger = await sign_up(ana.http)
    id = await resting(doors, ana, "PAUSED")
    for import_id in (id, "no id"):
        assert code(await steer(stranger, name, import_id)) == "NOT_FOUND"
    assert (await shown(ana, id))["status"] == "PAUSED"
