"""F1, F2 and kill -9 at random points for bulk: nothing is lost, nothing handed over twice, and what nobody can know is
told as unknown."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.embedded.smtp_double import SmtpDouble
from app.settings import Settings
from tests.fixtures.bulk import Bulk
from tests.fixtures.bulk_workers import Killer, sending, worker
from tests.fixtures.fatal import FOLDER, IS_IDEMPOTENT, arm, calls, is_armed
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually
from tests.fixtures.zygote import Zygote
from workers.main import registry

pytestmark = pytest.mark.xdist_group("bulk kills")
STEPS = ("claimed", "intent", "called", "recorded")
PER_STEP = 10
UNHURRIED = {"rate_per_minute": 1200, "burst": 1}
"""There is something left to send at the last step."""
WORKERS = 2
SHORT_CLAIMS = {
    "SALESPAD_SEND_CLAIM_ROWS": "4",
    "SALESPAD_BULK_SEND_LEASE_S": "1",
    "SALESPAD_BULK_SEND_CHUNK_LEADS": "10",
}
"""What the dead had not begun waits for their leases: it is not to be all there is. Many chunks to die in."""
SLOW = ("rcpt * wait 0.2 share=0.5", "end * wait 0.2 share=0.5")
"""A kill finds some lanes before the double has the mail, and some after."""


@pytest.fixture(scope="module")
async def sent_to(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Installation, SmtpDouble]]:
    async with sending(tmp_path_factory.mktemp("double")) as both:
        yield both


@pytest.fixture(scope="module")
async def zygote() -> AsyncIterator[Zygote]:
    async with Zygote.started() as zygote:
        yield zygote


async def killed_at_each_step(
    installation: Installation, zygote: Zygote, folder: Path, *, is_idempotent: bool
) -> tuple[Bulk, list[str]]:
    """Two workers send; at each step one of them dies, and another is born. The send once it is over, and its calls."""
    given = {FOLDER: str(folder), IS_IDEMPOTENT: str(int(is_idempotent))}
    workers = [worker(installation, zygote, **given) for _ in range(WORKERS)]
    async with AsyncExitStack() as stack:
        person = await stack.enter_async_context(installation.new_person())
        bulk = await Bulk.prepared(installation, person, recipients=PER_STEP * len(STEPS), **UNHURRIED)
        for one in workers:
            await one.start()
            stack.push_async_callback(one.stop)
        arm(folder, STEPS[0])
        await bulk.start()
        for number, step in enumerate(STEPS):
            if number:
                arm(folder, step)
            await eventually(lambda: not all(one.is_running() for one in workers), what=step)
            assert not is_armed(folder)
            for one in workers:
                if not one.is_running():
                    await installation.restart(one)
        await bulk.until_idle()
    return bulk, calls(folder)


async def test_f1_killed_where_the_provider_takes_no_key(
    sent_to: tuple[Installation, SmtpDouble], zygote: Zygote, tmp_path: Path
) -> None:
    bulk, keys = await killed_at_each_step(sent_to[0], zygote, tmp_path, is_idempotent=False)
    counts, sent = await bulk.counted(), await bulk.ids("sent")
    repeated, lost = len(keys) - len(set(keys)), bulk.recipients - counts["sent"] - counts["unknown"]
    print(
        f"F1 bulk, killed at {', '.join(STEPS)}: {bulk.recipients} recipients, {counts['sent']} sent, "
        f"{counts['unknown']} unknown, {len(keys)} calls, {repeated} repeated, {lost} lost"
    )
    assert (repeated, lost, sent - set(keys)) == (0, 0, set())
    assert 2 <= counts["unknown"] < len(STEPS), "at most one a kill, and none where it had only claimed"


async def test_f2_killed_where_the_provider_takes_our_key(
    sent_to: tuple[Installation, SmtpDouble], zygote: Zygote, tmp_path: Path
) -> None:
    bulk, keys = await killed_at_each_step(sent_to[0], zygote, tmp_path, is_idempotent=True)
    counts = await bulk.counted()
    print(
        f"F2 bulk, killed at {', '.join(STEPS)}: {bulk.recipients} recipients, {counts['sent']} sent, "
        f"{counts['unknown']} unknown, {len(keys)} calls, {len(set(keys))} received"
    )
    assert counts == {"sent": bulk.recipients}
    assert set(keys) == await bulk.ids("sent"), "each under one key: received once"


@pytest.mark.parametrize(
    ("kills", "recipients"), [(20, 400), pytest.param(500, 5000, marks=pytest.mark.full)]
)
async def test_killed_at_random_points(
    sent_to: tuple[Installation, SmtpDouble], zygote: Zygote, kills: int, recipients: int
) -> None:
    """From its launch by a person to its end. The double's log is held against the ledger, and that against what
    people are shown."""
    installation, double = sent_to
    seed = random.SystemRandom().randrange(10**6)
    double.behave(*SLOW)
    workers = [worker(installation, zygote, **SHORT_CLAIMS) for _ in range(WORKERS)]
    async with AsyncExitStack() as stack:
        stack.callback(double.behave)
        person = await stack.enter_async_context(installation.new_person())
        bulk = await Bulk.prepared(installation, person, recipients=recipients)
        looking = await stack.enter_async_context(installation.connection())
        killer = Killer(bulk, double, workers, random.Random(seed), looking)
        for one in workers:
            await one.start()
            stack.push_async_callback(one.stop)
        await bulk.launch()
        in_expansion = max(2, kills // 50)
        await killer.kill_all_in_expansion(in_expansion)
        await killer.kill_one_after_the_other(kills - in_expansion * WORKERS)
        await killer.until_over()
        compared = await bulk.ended(double)
        listed = await bulk.listed("UNKNOWN")
        unknown = {str(row["lead_id"]) for row in await bulk.states() if row["status"] == "unknown"}
    print(
        f"kill -9 at {kills} random points (seed {seed}), {in_expansion * WORKERS} in the expansion, of {recipients} "
        f"recipients: {compared}; {len(listed)} listed as unknown, resumed {killer.resumed} times"
    )
    assert (compared.twice, compared.lost) == (0, 0)
    assert set(compared.counts) <= {"sent", "unknown"}
    assert 0 < compared.counts["unknown"] <= kills * registry(Settings())["send_batch"].lanes
    assert {one["lead"]["id"] for one in listed} == unknown
    assert len(listed) == len(unknown)
    assert all(one["status"] == "UNKNOWN" and one["reason"] and one["message"] for one in listed)
