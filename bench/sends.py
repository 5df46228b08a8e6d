"""What the ledger costs: messages a second of one sender in one lane, with the full ledger and without any.

The same messages to the same SMTP sink in another process. Without: the sender alone, one message after the other.
With: claim, intent, call, record for each, one lane, as a worker does it. The goal: at least 0.4 of the bare rate; a
real account allows 1 to 20 a second. Beside it, what claims in batches reach.
"""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from statistics import median
from uuid import UUID

import asyncpg

from app.channels.domain.ports import Accepted, OutboundMessage, SendingAccount
from app.channels.wiring import senders
from app.common.domain import Channel
from app.common.work import Doors
from app.conversations.wiring import deliveries
from app.settings import Settings
from tests.fixtures.ledger import Desk
from workers.main import registry

MESSAGES = 200
CONVERSATIONS = 50
ROUNDS = 5
CLAIMED = 5_000
BATCH = 100
SINK = """
import asyncio
from aiosmtpd.smtp import SMTP

class Taken:
    async def handle_DATA(self, server, session, envelope):
        return "250 2.0.0 OK"

async def serve():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Taken(), loop=loop, hostname="sink.test"), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""
FILL = """
INSERT INTO delivery (workspace_id, status, account_id, lead_id, origin_kind, origin_id)
SELECT workspace_id, 'queued', account_id, lead_id, 'BENCH', gen_random_uuid()
FROM conversation, generate_series(1, :each) WHERE workspace_id = :workspace_id
"""


async def run() -> None:
    sink = await asyncio.create_subprocess_exec(sys.executable, "-c", SINK, stdout=asyncio.subprocess.PIPE)
    assert sink.stdout is not None
    port = int(await sink.stdout.readline())
    os.environ["SALESPAD_MAILBOX_SMTP_URL"] = f"smtp://127.0.0.1:{port}"
    settings = Settings()
    doors = Doors(settings)
    try:
        figures = [await one(doors, settings) for _ in range(ROUNDS + 1)][1:]  # the first warms the caches
        claimed = await claims(doors, settings)
    finally:
        await doors.close()
        sink.terminate()
        await sink.wait()
    bare, ledger = median(one[0] for one in figures), median(one[1] for one in figures)
    ratio = median(with_ledger / without for without, with_ledger in figures)
    print(f"without a ledger  median {bare:6.0f} messages/s")
    print(f"with the ledger   median {ledger:6.0f} messages/s")
    print(f"with / without    median {ratio:6.2f}   goal 0.40")
    print(f"claims in batches of {BATCH}: {claimed:,.0f} rows/s")


async def one(doors: Doors, settings: Settings) -> tuple[float, float]:
    """Messages a second: without a ledger, and with it."""
    desk = await Desk.opened(doors, settings, conversations=CONVERSATIONS)
    without = await bare(settings, desk.account_id)
    for number in range(MESSAGES):
        await desk.accept(number % CONVERSATIONS)
    await analyse()
    due = registry(settings)["delivery"]
    started, sent = time.perf_counter(), 0
    while sent < MESSAGES:
        async with doors.open_system(plans_once=True) as system:
            held = await deliveries.claim(system, lease_s=due.lease_s, limit=due.batch, key=desk.account_id)
        for claim in held:
            await due.handle(doors, settings, claim, lambda: False)
        sent += len(held)
    took_s = time.perf_counter() - started
    states = await desk.states()
    assert {row.status for row in states.values()} == {"sent"}, "not everything was sent"
    assert due.close is not None
    await due.close()
    return without, MESSAGES / took_s


async def bare(settings: Settings, account_id: UUID) -> float:
    """The sender alone."""
    outgoing = senders(settings)
    sender = outgoing.of(Channel.EMAIL)
    account = SendingAccount(
        workspace_id=account_id,
        id=account_id,
        name="Sales",
        address="sales@ours.example",
        url=settings.mailbox_smtp_url or "",
        is_local=True,
    )
    started = time.perf_counter()
    for number in range(MESSAGES):
        answer = await sender.send(account, message(number))
        assert isinstance(answer, Accepted), answer
    took_s = time.perf_counter() - started
    await outgoing.close()
    return MESSAGES / took_s


async def claims(doors: Doors, settings: Settings) -> float:
    """Rows a second that one worker claims in batches."""
    desk = await Desk.opened(doors, settings, conversations=CONVERSATIONS)
    await desk.sql(FILL, each=CLAIMED // CONVERSATIONS)
    await analyse()
    started, taken = time.perf_counter(), 0
    while taken < CLAIMED:
        async with doors.open_system(plans_once=True) as system:
            taken += len(await deliveries.claim(system, lease_s=60, limit=BATCH, key=desk.account_id))
    return CLAIMED / (time.perf_counter() - started)


def message(number: int) -> OutboundMessage:
    return OutboundMessage(
        key=f"bench-{number}",
        to_address="bia@example.com",
        to_name="Bia",
        from_name="Sales",
        subject="Hello",
        text="Hello",
        message_id=f"<bench-{number}@ours.example>",
        date=datetime.now(UTC),
    )


async def analyse() -> None:
    """As autovacuum does within a minute: a plan made for empty tables is none for full ones."""
    connection = await asyncpg.connect(os.environ["SALESPAD_DATABASE_URL"])
    try:
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
