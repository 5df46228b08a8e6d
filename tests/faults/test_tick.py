"""The worker's tick under a steady stream of due rows."""

import asyncio
from math import inf
from uuid import uuid4

from app.common.leases import Claim
from app.common.work import Doors
from app.settings import Settings
from tests.fixtures.processes import eventually
from workers.main import Drainer, DueKind


class EndlessTable:
    """Something is always due."""

    wait_s = inf

    def __init__(self) -> None:
        self.claimed = self.reaped = 0

    async def claim(self, work: object, **options: object) -> list[Claim]:
        self.claimed += 1
        return [Claim(uuid4(), uuid4(), uuid4(), 1)]

    async def reap(self, work: object) -> int:
        self.reaped += 1
        return 0


async def done(*arguments: object) -> bool:
    await asyncio.sleep(0.001)
    return True


async def test_rows_of_dead_workers_come_back_while_others_keep_coming(
    settings: Settings, doors: Doors
) -> None:
    table = EndlessTable()
    drainer = Drainer(settings, doors)
    drainer._kinds = {"endless": DueKind(table, 1, done, done)}  # type: ignore[arg-type]
    tick = asyncio.create_task(drainer.tick())
    try:
        await eventually(lambda: table.reaped >= 3 or tick.done(), what="three reapings")
        assert not tick.done()
        assert table.claimed > table.reaped
    finally:
        drainer.stop()
        await tick


class BrokenTable(EndlessTable):
    """A row that no claim can be made of."""

    async def claim(self, work: object, **options: object) -> list[Claim]:
        self.claimed += 1
        raise ValueError("never seen before")


async def test_a_kind_that_cannot_claim_stops_no_other(settings: Settings, doors: Doors) -> None:
    broken, sound = BrokenTable(), EndlessTable()
    drainer = Drainer(settings.model_copy(update={"poll_s": 0.05}), doors)
    drainer._kinds = {
        name: DueKind(table, 1, done, done)  # type: ignore[arg-type]
        for name, table in (("broken", broken), ("sound", sound))
    }
    tick = asyncio.create_task(drainer.tick())
    try:
        await eventually(lambda: broken.claimed >= 3 or tick.done(), what="the third try")
        claimed = sound.claimed
        await eventually(lambda: sound.claimed > claimed or tick.done(), what="the others' work")
        assert not tick.done()
    finally:
        drainer.stop()
        await tick
