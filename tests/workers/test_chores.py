"""What the worker lets go of as it grows old."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text

from app.common.feed_log import drop_old_events, raise_floors
from app.common.idempotency import drop_old_keys
from app.common.work import Doors
from app.settings import Settings
from tests.factories.accounts import Person
from tests.fixtures.processes import eventually
from workers import main

CREATE = "mutation ($n: String!) { createTag(input: {name: $n}) { tag { id } } }"


async def age(doors: Doors, workspace_id: UUID, days: int, up_to: int) -> None:
    async with doors.open_system() as system:
        await system.execute(
            text(
                "UPDATE feed_event SET at = now() - :days * interval '1 day' "
                "WHERE workspace_id = :workspace_id AND seq <= :up_to"
            ),
            {"days": days, "workspace_id": workspace_id, "up_to": up_to},
        )


async def seqs_and_floor(doors: Doors, workspace_id: UUID) -> tuple[list[int], int]:
    async with doors.open_system() as system:
        values = {"workspace_id": workspace_id}
        seqs = await system.execute(
            text("SELECT seq FROM feed_event WHERE workspace_id = :workspace_id ORDER BY seq"), values
        )
        floor = await system.execute(
            text("SELECT floor FROM feed_head WHERE workspace_id = :workspace_id"), values
        )
        return list(seqs.scalars()), floor.scalar_one()


async def test_subscribers_resume_seven_days_back_and_events_are_kept_longer(
    ana: Person, doors: Doors
) -> None:
    for number in range(4):
        await ana.run(CREATE, {"n": f"T{number}"})
    await age(doors, ana.workspace_id, days=8, up_to=3)
    await age(doors, ana.workspace_id, days=36, up_to=1)
    async with doors.open_system() as system:
        await raise_floors(system, resume_days=7)
        await drop_old_events(system, limit=1000)
    assert await seqs_and_floor(doors, ana.workspace_id) == ([2, 3, 4], 3)


async def test_floors_wait_for_nobody_who_announces(ana: Person, eve: Person, doors: Doors) -> None:
    """One that announces in both workspaces holds the first head, and goes on to the second."""
    for person in (ana, eve):
        await person.run(CREATE, {"n": "T"})
        await age(doors, person.workspace_id, days=8, up_to=1)
    async with doors.open_work(ana.workspace_id) as announcing:
        held = text("SELECT FROM feed_head WHERE workspace_id = :workspace_id FOR NO KEY UPDATE")
        await announcing.execute(held, {"workspace_id": ana.workspace_id})
        async with asyncio.timeout(30), doors.open_system() as system:
            await raise_floors(system, resume_days=7)
        assert [(await seqs_and_floor(doors, one.workspace_id))[1] for one in (ana, eve)] == [0, 1]
    async with doors.open_system() as system:
        await raise_floors(system, resume_days=7)
    assert (await seqs_and_floor(doors, ana.workspace_id))[1] == 1


async def test_idempotency_keys_are_forgotten_after_a_day(ana: Person, doors: Doors) -> None:
    async with doors.open_system() as system:
        for key, hours in (("old", 25), ("young", 23)):
            await system.execute(
                text(
                    "INSERT INTO idempotency (workspace_id, key, request_hash, at) "
                    "VALUES (:workspace_id, :key, 'x', now() - :hours * interval '1 hour')"
                ),
                {"workspace_id": ana.workspace_id, "key": key, "hours": hours},
            )
        await drop_old_keys(system, limit=1000)
        left = await system.execute(
            text("SELECT key FROM idempotency WHERE workspace_id = :workspace_id"),
            {"workspace_id": ana.workspace_id},
        )
        assert list(left.scalars()) == ["young"]


async def test_chores_outlive_what_goes_wrong_in_them(
    settings: Settings, doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadlock of two workers' chores, say, must not be the last of them."""
    turns = 0

    async def deadlocked(*arguments: object, **named: object) -> None:
        nonlocal turns
        turns += 1
        raise RuntimeError("deadlock detected")

    monkeypatch.setattr(main, "raise_floors", deadlocked)
    monkeypatch.setattr(main, "CHORES_EVERY_S", 0.01)
    drainer = main.Drainer(settings, doors)
    chores = asyncio.create_task(drainer.chores())
    await eventually(lambda: turns >= 3 or chores.done(), what="three turns")
    drainer.stop()
    await chores
