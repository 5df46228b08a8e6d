"""F3, F4, F5: the API dies before it rings, Redis is emptied, killed or away, PostgreSQL stops at once: what was
accepted is sent, and once."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app.embedded.processes import free_port
from tests.fixtures.fatal import FOLDER, arm
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Api, eventually
from tests.fixtures.sends import Sends
from tests.fixtures.smtp import ScriptedSmtp

pytestmark = pytest.mark.xdist_group("send outages")
LEASE_S, TIMEOUT_S = 15, 5
"""No worker is killed here: a machine that stands still for a moment makes no outcome unknown."""
STARTS = """
SELECT extract(epoch FROM t.started_at - d.created_at)::float AS waited_s
FROM delivery_attempt t JOIN delivery d ON (d.workspace_id, d.id) = (t.workspace_id, t.delivery_id)
WHERE t.workspace_id = $1 AND t.n = 1 ORDER BY 1
"""
STUCK = """
SELECT count(*) AS n FROM delivery
WHERE status IN ('claimed', 'sending') AND lease_until < now() - interval '5 seconds'
"""
MESSAGE_ID = re.compile(rb"^Message-ID: <([^@>]+)@", re.MULTILINE | re.IGNORECASE)


@pytest.fixture(scope="module")
def smtp() -> Iterator[ScriptedSmtp]:
    with ScriptedSmtp.started() as server:
        yield server


@pytest.fixture(scope="module")
async def installation(smtp: ScriptedSmtp) -> AsyncIterator[Installation]:
    async with Installation.started(
        apis=1,
        workers=1,
        SALESPAD_DELIVERY_LEASE_S=str(LEASE_S),
        SALESPAD_SEND_TIMEOUT_S=str(TIMEOUT_S),
        SALESPAD_MAILBOX_SMTP_URL=smtp.url,
        SALESPAD_WEB_REQUESTS_PER_MINUTE="100000",
    ) as installation:
        yield installation


@pytest.fixture
async def sends(installation: Installation) -> AsyncIterator[Sends]:
    async with installation.new_person() as person:
        yield await Sends.prepared(installation, person)


def keys(smtp: ScriptedSmtp, before: int) -> list[str]:
    found = [MESSAGE_ID.search(mail.content) for mail in smtp.mails[before:]]
    return [match[1].decode() for match in found if match]


async def waits(sends: Sends) -> list[float]:
    """From accepted to the first attempt, seconds, in their order."""
    return [row["waited_s"] for row in await sends.installation.sql(STARTS, sends.person.workspace_id)]


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.full)])
async def test_f3_the_api_dies_after_the_commit_and_before_it_rings(
    installation: Installation, sends: Sends, smtp: ScriptedSmtp, tmp_path: Path, kills: int
) -> None:
    before = len(smtp.mails)
    dying = Api(
        arguments=("-m", "tests.fixtures.fatal", "api", str(free_port())),
        environment=installation.environment | {FOLDER: str(tmp_path)},
    )
    await dying.start()
    installation.apis.insert(0, dying)
    try:
        for _ in range(kills):
            arm(tmp_path, "committed")
            await sends.accept(1)  # the other API answers, with the message that had been committed
            await eventually(lambda: not dying.is_running(), what="its end")
            await installation.restart(dying)
    finally:
        installation.apis.remove(dying)
        await dying.stop()
    counts, sent = await sends.ended(), keys(smtp, before)
    worst = (await waits(sends))[-1]
    print(
        f"F3 {kills} kills of the API: {kills} accepted, {counts['sent']} sent, {len(sent)} mails, "
        f"worst start {worst:.2f} s"
    )
    assert counts == {"sent": kills}
    assert len(sent) == len(set(sent)) == kills
    assert worst <= 2.5


async def test_f4_redis_is_emptied_killed_away_and_back_empty(
    installation: Installation, sends: Sends, smtp: ScriptedSmtp
) -> None:
    before, size = len(smtp.mails), 16
    assert installation.keeper is not None
    redis = Redis.from_url(installation.keeper.url)
    await asyncio.gather(sends.accept(size), redis.flushall())
    await redis.flushall()
    await redis.aclose()
    await asyncio.gather(sends.accept(size), installation.kill_redis())
    await sends.accept(size)  # while it is away
    await sends.ended()
    await asyncio.gather(sends.accept(size), installation.start_redis())
    counts, sent, waited = await sends.ended(), keys(smtp, before), await waits(sends)
    p99 = waited[int(len(waited) * 0.99) - 1]
    print(
        f"F4 Redis emptied, killed, away, back: {4 * size} accepted, {counts['sent']} sent, {len(sent)} mails, "
        f"{len(set(sent))} distinct, p99 start {p99:.2f} s"
    )
    assert counts == {"sent": 4 * size}
    assert len(sent) == len(set(sent)) == 4 * size


@pytest.mark.parametrize("count", [100, pytest.param(500, marks=pytest.mark.full)])
async def test_f5_postgres_stops_at_once_and_comes_back(
    installation: Installation, sends: Sends, smtp: ScriptedSmtp, count: int
) -> None:
    before = len(smtp.mails)
    accepting = asyncio.create_task(sends.accept(count))
    await eventually(lambda: len(smtp.mails) - before >= count // 10, what="the first sends")
    for _ in range(2):
        await installation.kill_postgres(signal.SIGQUIT)
        await installation.start_postgres()
        reached = len(smtp.mails)
        await eventually(lambda: accepting.done() or len(smtp.mails) >= reached + 5, what="more sends")  # noqa: B023
    await accepting
    counts, sent = await sends.ended(timeout_s=60), keys(smtp, before)
    (stuck,) = await installation.sql(STUCK)
    print(
        f"F5 PostgreSQL stopped twice during {count} sends: {dict(counts)}, {len(sent)} mails, "
        f"{len(sent) - len(set(sent))} twice, {stuck['n']} stuck past lease + 5 s"
    )
    assert counts["sent"] + counts["unknown"] == count
    assert len(sent) == len(set(sent))
    assert stuck["n"] == 0
    assert {str(id) for id in await sends.sent_ids()} <= set(sent)
