"""The worker is killed at each step of scoring, with Redis off: a message counts once, and a score is told once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from app.embedded.config import OFF
from app.leads.domain.scoring import ScoreEventKind, ScoreRule
from app.settings import Settings
from tests.fixtures.fatal import FOLDER, arm, is_armed
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Worker, eventually
from tests.fixtures.score_desk import ScoreDesk

pytestmark = pytest.mark.xdist_group("score kills")
OF_A_REACTION, OF_A_SWEEP = ("held", "kept", "scored", "moved"), ("swept", "rescored")
LEADS = 7
REPLY = ScoreRule(ScoreEventKind.MESSAGE_RECEIVED, None, 60)
COUNTED = "SELECT count(*) FROM score_event WHERE workspace_id = :workspace_id"


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(apis=1, workers=0) as installation:
        yield installation


async def killed_at(worker: Worker, folder: Path, steps: Sequence[str], desk: ScoreDesk) -> list[int]:
    """Once at each; the leads that were told of by then."""
    counts = []
    for name in steps:
        arm(folder, name)
        started = asyncio.create_task(worker.start())
        await eventually(lambda: not is_armed(folder), timeout_s=60, what=f"the kill at {name}")
        await asyncio.gather(started, return_exceptions=True)
        await eventually(lambda: not worker.is_running(), what=f"the death at {name}")
        counts.append(sum((await told(desk)).values()))
    return counts


async def told(desk: ScoreDesk) -> Counter[object]:
    return Counter(id for event in await desk.events() for id in event.entity_ids)


async def until_all_have(desk: ScoreDesk, score: int) -> None:
    async def have_all() -> bool:
        return set((await desk.scores()).values()) == {score}

    await eventually(have_all, timeout_s=60, what=f"scores of {score}")


async def test_killed_at_each_step(installation: Installation, tmp_path: Path) -> None:
    worker = installation.new_worker(
        "fatal",
        **{FOLDER: str(tmp_path), "SALESPAD_REDIS_URL": OFF},
        SALESPAD_SCORE_SWEEP_LEASE_S="1",
        SALESPAD_SCORE_SWEEP_CHUNK_LEADS="3",
    )
    async with installation.doors() as doors:
        desk = await ScoreDesk.with_rules(doors, Settings(), REPLY)
        leads = [await desk.lead() for _ in range(LEADS)]
        for lead in leads:
            await desk.exchange(lead)
        try:
            assert await killed_at(worker, tmp_path, OF_A_REACTION, desk) == [0] * len(OF_A_REACTION)
            assert await desk.sql(COUNTED) == 0, "before its commit nothing counts"
            await worker.start()
            await until_all_have(desk, 60)
            await worker.stop()
            assert await told(desk) == dict.fromkeys(leads, 1)
            assert sorted(await desk.told()) == sorted((lead, "+50") for lead in leads)
            assert await desk.sql(COUNTED) == LEADS

            await desk.save(ScoreRule(ScoreEventKind.MESSAGE_RECEIVED, None, 40))
            counts = await killed_at(worker, tmp_path, OF_A_SWEEP, desk)
            assert counts == [LEADS] * len(OF_A_SWEEP), "before its commit nothing is told"
            await worker.start()
            await until_all_have(desk, 40)
            assert await told(desk) == dict.fromkeys(leads, 2)
        finally:
            await worker.stop()
    print(f"scoring killed at {', '.join((*OF_A_REACTION, *OF_A_SWEEP))}: each message and each score once")
