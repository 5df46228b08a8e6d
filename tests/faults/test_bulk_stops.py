"""F7, F12 for bulk: a worker is stopped past its lease; two workers' clocks are ten minutes off, one fast, one slow."""

import random
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.embedded.smtp_double import SmtpDouble
from app.settings import Settings
from tests.fixtures.bulk import Bulk
from tests.fixtures.bulk_workers import one_dies, sending, worker
from tests.fixtures.fatal import FOLDER, arm, calls, is_armed
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually
from tests.fixtures.zygote import Zygote
from workers.main import registry

pytestmark = pytest.mark.xdist_group("bulk stops")
SKEW_S = 600
LATER_S = 3
KILLS = 3
LATER = """
UPDATE delivery SET run_at = now() + $3 * interval '1 second'
WHERE workspace_id = $1 AND origin_id = $2 AND id IN (
    SELECT id FROM delivery WHERE workspace_id = $1 AND origin_id = $2 AND status = 'queued' ORDER BY id DESC LIMIT $4
)
RETURNING id, run_at
"""
EARLY = """
SELECT count(*)::int AS n FROM delivery_attempt
WHERE workspace_id = $1 AND delivery_id = ANY ($2::uuid[]) AND started_at < $3
"""


@pytest.fixture(scope="module")
async def sent_to(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Installation, SmtpDouble]]:
    async with sending(tmp_path_factory.mktemp("double")) as both:
        yield both


async def test_f7_a_worker_that_was_stopped_past_its_lease(
    sent_to: tuple[Installation, SmtpDouble], tmp_path: Path
) -> None:
    """With rows claimed and no intent. When it goes on they were another's: it calls nobody, and works again."""
    installation, _ = sent_to
    async with AsyncExitStack() as stack:
        zygote = await stack.enter_async_context(Zygote.started())
        person = await stack.enter_async_context(installation.new_person())
        stopped, other = (worker(installation, zygote, **{FOLDER: str(tmp_path)}) for _ in range(2))
        bulk = await Bulk.prepared(installation, person, recipients=40)
        arm(tmp_path, "claimed", signal.SIGSTOP)
        await stopped.start()
        stack.push_async_callback(stopped.stop)
        stack.callback(stopped.signal, signal.SIGCONT)
        await bulk.start()
        await eventually(lambda: not is_armed(tmp_path), what="the stop")
        held = (await bulk.counted())["claimed"]
        await other.start()
        await bulk.until_idle()
        await other.stop()
        before = calls(tmp_path)
        stopped.signal(signal.SIGCONT)
        more = await Bulk.prepared(installation, person, recipients=5)
        await more.start()
        await more.until_idle()  # it has one lane: what it held was looked at before
        states, keys = await bulk.states(), calls(tmp_path)
    print(
        f"F7 bulk, stopped past its lease with {held} of {bulk.recipients} rows claimed: {len(before)} calls, "
        f"{len(set(before))} distinct, {sum(row['attempts'] for row in states)} attempts; then it sent others"
    )
    assert held > 0
    assert {(row["status"], row["attempts"]) for row in states} == {("sent", 1)}
    assert set(before) == {str(row["id"]) for row in states}
    assert len(before) == bulk.recipients
    assert len(keys) == len(set(keys)) == bulk.recipients + more.recipients


async def test_f12_workers_whose_clocks_are_wrong(sent_to: tuple[Installation, SmtpDouble]) -> None:
    """They are killed as well: no row is claimed before its time, none is taken from a worker that lives."""
    installation, double = sent_to
    seed = random.SystemRandom().randrange(10**6)
    double.behave("rcpt * wait 0.2 share=0.3", "end * wait 0.2 share=0.3")
    async with AsyncExitStack() as stack:
        stack.callback(double.behave)
        zygotes = [
            await stack.enter_async_context(Zygote.started(skew_s=skew_s)) for skew_s in (SKEW_S, -SKEW_S)
        ]
        workers = [worker(installation, zygote) for zygote in zygotes]
        person = await stack.enter_async_context(installation.new_person())
        bulk = await Bulk.prepared(installation, person, recipients=100)
        await bulk.start()
        later = await installation.sql(LATER, person.workspace_id, bulk.uuid, float(LATER_S), 40)
        for one in workers:
            await one.start()
            stack.push_async_callback(one.stop)
        dice = random.Random(seed)
        for _ in range(KILLS):
            await one_dies(double, workers, dice, after=10)
        await bulk.until_idle()
        compared = await bulk.compared(double)
        (early,) = await installation.sql(
            EARLY, person.workspace_id, [row["id"] for row in later], later[0]["run_at"]
        )
        written = [datetime.fromisoformat(one.log().split()[0]) for one in workers]
        off_s = [(stamp - datetime.now(UTC)).total_seconds() for stamp in written]
    print(
        f"F12 bulk, clocks ±{SKEW_S} s, {KILLS} kills (seed {seed}), {bulk.recipients} recipients: {compared}, "
        f"{early['n']} of {len(later)} early"
    )
    assert (compared.twice, compared.lost, early["n"]) == (0, 0, 0)
    assert len(later) == 40
    assert set(compared.counts) <= {"sent", "unknown"}
    assert compared.counts["unknown"] <= KILLS * registry(Settings())["send_batch"].lanes
    assert off_s[0] > SKEW_S / 2 and off_s[1] < -SKEW_S / 2, "their clocks were wrong"  # noqa: PT018
