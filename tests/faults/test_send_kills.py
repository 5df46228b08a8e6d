"""F1, F2, F7: the worker is killed or stopped at each step of a send. Nothing is lost, nothing handed over twice."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.embedded.config import OFF
from tests.fixtures.fatal import FOLDER, IS_IDEMPOTENT, arm, calls, is_armed
from tests.fixtures.feed import metric
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Worker, eventually
from tests.fixtures.sends import Sends

pytestmark = pytest.mark.xdist_group("send kills")
STEPS = ("claimed", "intent", "called", "recorded")
PER_STEP = 10
MESSAGES = PER_STEP * len(STEPS)
LOST = 'salespad_due_rows_handled_total{kind="delivery",outcome="lost"}'


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(
        apis=1, workers=0, SALESPAD_DELIVERY_LEASE_S="3", SALESPAD_SEND_TIMEOUT_S="1"
    ) as installation:
        yield installation


def fatal_worker(installation: Installation, folder: Path, *, is_idempotent: bool) -> Worker:
    given = {FOLDER: str(folder), IS_IDEMPOTENT: str(int(is_idempotent)), "SALESPAD_REDIS_URL": OFF}
    return installation.new_worker("fatal", **given)


async def killed_at_each_step(installation: Installation, folder: Path, *, is_idempotent: bool) -> Sends:
    """Two workers send; at each step one of them dies, and is started again. The sends, once all have ended."""
    workers = [fatal_worker(installation, folder, is_idempotent=is_idempotent) for _ in range(2)]
    try:
        await asyncio.gather(*(worker.start() for worker in workers))
        async with installation.new_person() as person:
            sends = await Sends.prepared(installation, person)
            for step in STEPS:
                arm(folder, step)
                await sends.accept(PER_STEP)
                await eventually(lambda: not all(worker.is_running() for worker in workers), what=step)
                assert not is_armed(folder)
                for worker in workers:
                    if not worker.is_running():
                        await installation.restart(worker)
            await sends.ended()
    finally:
        for worker in workers:
            await worker.stop()
    return sends


async def test_f1_killed_where_the_provider_takes_no_key(installation: Installation, tmp_path: Path) -> None:
    """What died between intent and record is unknown, be it before the call or after: nobody can say."""
    sends = await killed_at_each_step(installation, tmp_path, is_idempotent=False)
    counts, keys = await sends.ended(), calls(tmp_path)
    repeated = len(keys) - len(set(keys))
    lost = MESSAGES - counts["sent"] - counts["unknown"]
    uncalled = {str(id) for id in await sends.sent_ids()} - set(keys)
    print(
        f"F1 killed at {', '.join(STEPS)}: {MESSAGES} accepted, {counts['sent']} sent, {counts['unknown']} unknown, "
        f"{len(keys)} calls, {repeated} repeated, {lost} lost"
    )
    assert (repeated, lost, uncalled) == (0, 0, set())
    assert counts["unknown"] == 2
    assert len(keys) == MESSAGES - 1, "who died after its intent had not called yet"


async def test_f2_killed_where_the_provider_takes_our_key(installation: Installation, tmp_path: Path) -> None:
    sends = await killed_at_each_step(installation, tmp_path, is_idempotent=True)
    counts, keys = await sends.ended(), calls(tmp_path)
    print(
        f"F2 killed at {', '.join(STEPS)}: {MESSAGES} accepted, {counts['sent']} sent, {counts['unknown']} unknown, "
        f"{len(keys)} calls, {len(set(keys))} received"
    )
    assert counts == {"sent": MESSAGES}
    assert set(keys) == {str(id) for id in await sends.sent_ids()}, "each under one key: received once"
    assert len(keys) == MESSAGES + 1, "who died after its call is asked again"


@pytest.mark.parametrize("step", ["claimed", "called"])
async def test_f7_a_worker_that_was_stopped_past_its_lease(
    installation: Installation, tmp_path: Path, step: str
) -> None:
    """Before its intent: that updates no row. After its call: it knows better than the reaper, and says so."""
    stopped = fatal_worker(installation, tmp_path, is_idempotent=False)
    other = fatal_worker(installation, tmp_path, is_idempotent=False)
    arm(tmp_path, step, signal.SIGSTOP)
    try:
        await stopped.start()
        async with installation.new_person() as person:
            sends = await Sends.prepared(installation, person, conversations=1)
            await sends.accept(1)
            await eventually(lambda: not is_armed(tmp_path), what=f"the stop at {step}")
            await other.start()
            end = await sends.ended()
            assert end == {"sent" if step == "claimed" else "unknown": 1}
            stopped.signal(signal.SIGCONT)
            port = stopped.environment["SALESPAD_WORKER_METRICS_PORT"]
            if step == "claimed":
                await eventually(lambda: _has_lost(port), what="the late worker's lost lease")
            else:
                await eventually(lambda: _is_sent(sends), what="the late worker's record")
            (row,) = await sends.states()
    finally:
        stopped.signal(signal.SIGCONT)
        for worker in (stopped, other):
            if worker.process is not None:
                await worker.stop()
    assert (row["status"], row["attempts"], len(calls(tmp_path))) == ("sent", 1, 1)
    print(f"F7 stopped at {step} past its lease: 1 call, 1 attempt, first {dict(end)}, in the end sent")


async def _has_lost(port: str) -> bool:
    return await metric(f"http://127.0.0.1:{port}", LOST) >= 1


async def _is_sent(sends: Sends) -> bool:
    return [row["status"] for row in await sends.states()] == ["sent"]
