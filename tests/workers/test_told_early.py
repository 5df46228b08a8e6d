"""What is told of a message before its worker has written down that it was sent, or gave it up."""

import asyncio

import pytest
from sqlalchemy import text

from app.channels.domain.ports import Unknown
from tests.fixtures.batches import BatchDesk, says
from tests.fixtures.processes import eventually
from tests.fixtures.told import DSN, TOLD, tell

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE cast(:pid as int) = ANY (pg_blocking_pids(pid))"
SHOWN = {"DELIVERED": "DELIVERED", "HARD_BOUNCE": "BOUNCED", DSN: "BOUNCED"}
LOST = Unknown("NO_ANSWER", "The connection dropped after the mail was taken.")


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize("is_reaped", [False, True], ids=["recorded", "reaped"])
async def test_what_was_told_of_is_not_in_doubt(desk: BatchDesk, kind: str, is_reaped: bool) -> None:
    async def told() -> None:
        async with desk.doors.open_work(desk.workspace_id) as work:
            await tell(work, desk, (await desk.rows())[0], kind)
        if is_reaped:
            await desk.reaped(desk.courier())

    desk.meanwhile(told)
    says(desk, LOST)
    await desk.deliver(limit=1)
    row = (await desk.rows())[0]
    assert (row.status, row.error, row.shown) == ("sent", None, SHOWN.get(kind, "SENT"))
    assert row.settled_at is not None
    assert row.has_bounced == (SHOWN.get(kind) == "BOUNCED")
    assert row.has_complained == (kind == "COMPLAINT")


@pytest.mark.parametrize("kind", ["DELIVERED", "COMPLAINT", DSN])
async def test_told_at_the_very_moment(desk: BatchDesk, kind: str) -> None:
    """Who gives it up waits for what is being told of it."""
    is_told = asyncio.Event()
    telling: list[asyncio.Task[None]] = []

    async def told() -> None:
        await desk.sql("UPDATE delivery SET lease_until = now() WHERE workspace_id = :workspace_id")
        async with desk.doors.open_work(desk.workspace_id) as work:
            await tell(work, desk, (await desk.rows())[0], kind)
            pid = (await work.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            courier = desk.courier().courier
            assert await courier.end_overdue(desk.doors, desk.settings) == 0, "it is looked at again"
            is_told.set()
            await eventually(lambda: desk.sql(WAITS, pid=pid), what="the record to wait")

    async def begun() -> None:
        telling.append(asyncio.create_task(told()))
        await is_told.wait()

    desk.meanwhile(begun)
    says(desk, LOST)
    await desk.deliver(limit=1)
    await telling[0]
    row = (await desk.rows())[0]
    assert (row.status, row.error, row.shown) == ("sent", None, SHOWN.get(kind, "SENT"))
