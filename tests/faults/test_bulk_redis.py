"""F3, F4 for bulk: the API dies after it has launched and before it rings; Redis is emptied, killed, away, back empty.
What was launched is sent, once to each."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app.embedded.processes import free_port
from app.embedded.smtp_double import SmtpDouble
from tests.fixtures.bulk import Bulk
from tests.fixtures.bulk_workers import PATIENT, sending
from tests.fixtures.fatal import FOLDER, arm, is_armed
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Api, eventually

pytestmark = pytest.mark.xdist_group("bulk redis")
RECIPIENTS = 100
STARTS = """
SELECT extract(epoch FROM min(t.started_at) - max(b.launched_at))::float AS waited_s
FROM delivery_attempt t JOIN delivery d ON (d.workspace_id, d.id) = (t.workspace_id, t.delivery_id)
    JOIN bulk_send b ON (b.workspace_id, b.id) = (d.workspace_id, d.origin_id)
WHERE b.workspace_id = $1 AND b.id = $2
"""
WORST_S = 2.5


@pytest.fixture(scope="module")
async def sent_to(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Installation, SmtpDouble]]:
    async with sending(tmp_path_factory.mktemp("double"), workers=1, **PATIENT) as both:
        yield both


async def waited_s(bulk: Bulk) -> float:
    (row,) = await bulk.installation.sql(STARTS, bulk.person.workspace_id, bulk.uuid)
    return float(row["waited_s"])


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.full)])
async def test_f3_the_api_dies_as_it_has_launched(
    sent_to: tuple[Installation, SmtpDouble], tmp_path: Path, kills: int
) -> None:
    installation, double = sent_to
    dying = Api(
        arguments=("-m", "tests.fixtures.fatal", "api", str(free_port())),
        environment=installation.environment | {FOLDER: str(tmp_path)},
    )
    await dying.start()
    worst, taken = 0.0, 0
    try:
        for _ in range(kills):
            async with installation.new_person() as person:
                bulk = await Bulk.prepared(installation, person, recipients=RECIPIENTS)
                await bulk.draft()
                installation.apis.insert(0, dying)
                arm(tmp_path, "committed")
                await bulk.switch("launchBulkSend")  # the other API answers: it is launched
                installation.apis.remove(dying)
                await eventually(lambda: not dying.is_running(), what="its end")
                assert not is_armed(tmp_path)
                compared = await bulk.ended(double)
                assert (compared.counts, compared.twice, compared.lost) == ({"sent": RECIPIENTS}, 0, 0)
                worst, taken = max(worst, await waited_s(bulk)), taken + compared.taken
            await installation.restart(dying)
    finally:
        if dying in installation.apis:
            installation.apis.remove(dying)
        await dying.stop()
    print(
        f"F3 bulk, {kills} kills of the API: {kills * RECIPIENTS} recipients, {taken} mails, worst start {worst:.2f} s"
    )
    assert worst <= WORST_S


async def test_f4_redis_is_emptied_killed_away_and_back_empty(
    sent_to: tuple[Installation, SmtpDouble],
) -> None:
    installation, double = sent_to
    assert installation.keeper is not None
    sends: list[Bulk] = []
    redis = Redis.from_url(installation.keeper.url)
    async with AsyncExitStack() as stack:

        async def under_way() -> None:
            person = await stack.enter_async_context(installation.new_person())
            sends.append(await Bulk.prepared(installation, person, recipients=RECIPIENTS))
            await sends[-1].launch()
            await eventually(lambda: sends[-1].taken(double), what="its first mail")

        await under_way()
        await redis.flushall()
        await redis.aclose()
        await under_way()
        await installation.kill_redis()
        await under_way()  # while it is away
        await installation.start_redis()
        await under_way()
        compared = [await one.ended(double) for one in sends]
        waits = [await waited_s(one) for one in sends]
    counts = sum((one.counts for one in compared), start=compared[0].counts - compared[0].counts)
    print(
        f"F4 bulk, Redis emptied, killed, away, back: {len(sends)} sends of {RECIPIENTS}, {dict(counts)}, "
        f"{sum(one.taken for one in compared)} mails, {sum(one.twice for one in compared)} twice, "
        f"worst start {max(waits):.2f} s"
    )
    assert counts == {"sent": RECIPIENTS * len(sends)}
    assert sum(one.twice + one.lost for one in compared) == 0
    assert max(waits) <= WORST_S
