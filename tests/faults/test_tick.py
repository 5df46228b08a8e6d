"""The worker's tick under a steady stream of due rows."""

import asyncio
from uuid import uuid4

from app.common.leases import Claim
from app.common.work import Doors
from app.settings import Settings
from tests.fixtures.processes import eventually
from workers.main import Drainer, DueKind


class EndlessTable:
    """Something is always due."""

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
