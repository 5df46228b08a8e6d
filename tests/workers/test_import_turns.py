"""Imports in turns: a workspace with many of them keeps another's waiting for one turn, not for all."""

from uuid import UUID, uuid4

from sqlalchemy import text

from app.common.work import Doors
from app.imports.wiring import import_jobs
from app.settings import Settings

WORKSPACE = text(
    "INSERT INTO workspace (id, name, locale, time_zone, phone_region) VALUES (:id, 'Turns', 'en', 'UTC', 'BR')"
)
ADD = text(
    "INSERT INTO import_job (workspace_id, status, source, policy, tag_ids, total_rows, file_name, phase) "
    "SELECT :workspace_id, 'QUEUED', 'CSV', 'UPSERT', '{}', 1, 'a.csv', :phase FROM generate_series(1, :n)"
)
BACK = text("UPDATE import_job SET status = 'QUEUED', token = NULL, run_at = now() WHERE id = :id")


async def workspace(doors: Doors, *, imports: int, phase: str = "RUN") -> UUID:
    id = uuid4()
    async with doors.open_system() as system:
        await system.execute(WORKSPACE, {"id": id})
        await system.execute(ADD, {"workspace_id": id, "n": imports, "phase": phase})
    return id


async def turn(doors: Doors, *, is_kept: bool = False) -> UUID:
    """Whose import is served next; it goes back to waiting unless it is kept."""
    async with doors.open_system() as system:
        (claim,) = await import_jobs.claim(system, lease_s=60)
    if not is_kept:
        async with doors.open_system() as system:
            await system.execute(BACK, {"id": claim.id})
    return claim.workspace_id


async def test_workspaces_take_turns_whatever_each_has_waiting(own: tuple[Settings, Doors]) -> None:
    _, doors = own
    many, few, one = [await workspace(doors, imports=n) for n in (20, 2, 1)]
    served = [await turn(doors) for _ in range(9)]
    assert all(set(served[n : n + 3]) == {many, few, one} for n in range(7)), served
    held = [await turn(doors, is_kept=True) for _ in range(3)]
    assert set(held) == {many, few, one}, "who has an import in hand lets the others go first"
    assert await turn(doors, is_kept=True) in (many, few)
