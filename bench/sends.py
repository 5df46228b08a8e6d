"""What sending costs: `python -m bench sends [--recipients 5000] [--seconds 15]`, everything in one run.

The same messages to the same SMTP double in another process, one lane each: by the sender alone, one message after the
other; by the full ledger as a worker does it for people's messages (claim, intent, call, record, each its transaction);
and for a batch (record and next intent in one). The goal: a batch's at least 0.4 of the sender alone; a real account
allows 1 to 20 a second. Then what claims in batches reach, and a whole send to many (bulk_sends.py).
"""

import argparse
import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from statistics import median
from uuid import UUID

import asyncpg

from app.channels.domain.ports import Accepted, OutboundMessage, SendingAccount
from app.channels.wiring import senders
from app.common.domain import Channel
from app.common.leases import Claim
from app.common.work import Doors
from app.conversations.wiring import deliveries
from app.settings import Settings
from bench import bulk_sends
from tests.fixtures.batch_rows import add_leads, start_batch
from tests.fixtures.ledger import Desk
from workers.kinds import registry

MESSAGES = 200
CONVERSATIONS = 50
ROUNDS = 5
CLAIMED = 20_000
BATCH = 100
Rate = Callable[[Doors, Settings], Awaitable[float]]


async def run() -> None:
    options = parsed(sys.argv[2:])
    async with double() as url:
        os.environ["SALESPAD_MAILBOX_SMTP_URL"] = url
        settings = Settings()
        doors = Doors(settings)
        try:
            rates = {name: [await rate(doors, settings)] for name, rate in RATES.items()}  # warms the caches
            for _ in range(ROUNDS):
                for name, rate in RATES.items():
                    rates[name].append(await rate(doors, settings))
            claimed = await claims(doors, settings)
        finally:
            await doors.close()
        show({name: found[1:] for name, found in rates.items()}, claimed)
        await bulk_sends.run(url, recipients=options.recipients, seconds=options.seconds)


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench sends")
    parser.add_argument(
        "--recipients", type=int, default=5_000, help="of the whole send; the goal says 100000"
    )
    parser.add_argument("--seconds", type=float, default=15, help="for each look at the inbox")
    return parser.parse_args(arguments)


def show(rates: dict[str, list[float]], claimed: float) -> None:
    one, five, fifteen = os.getloadavg()
    print(f"load average {one:.1f}, {five:.1f}, {fifteen:.1f}; only ratios of one run mean something")
    print(f"{'one lane, median of ' + str(ROUNDS):<42} messages/s   of the sender alone")
    for name, found in rates.items():
        ratio = median(mine / bare for mine, bare in zip(found, rates[BARE], strict=True))
        goal = "   goal 0.40" if name == BATCHED else ""
        print(f"{name:<42} {median(found):10.0f}   {ratio:.2f}{goal}")
    print(f"{f'claims of a batch, {BATCH} at once':<42} {claimed:10,.0f} rows/s   goal 20,000", flush=True)


@asynccontextmanager
async def double() -> AsyncIterator[str]:
    """A process of its own; its address."""
    command = (sys.executable, "-m", "app", "smtp-double", "--quiet", "--log", os.devnull)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


async def of_people(doors: Doors, settings: Settings) -> float:
    """Messages that people wrote."""
    desk = await Desk.opened(doors, settings, conversations=CONVERSATIONS)
    for number in range(MESSAGES):
        await desk.accept(number % CONVERSATIONS)
    await analyse()
    due = registry(settings)["delivery"]
    assert due.handle is not None
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
    return MESSAGES / took_s


async def of_a_batch(doors: Doors, settings: Settings) -> float:
    """Rendered, with a conversation and a message made for each."""
    desk, batch_id = await batch(doors, settings, recipients=MESSAGES)
    kinds = registry(settings)
    due = kinds["send_batch"]
    assert due.handle_all is not None
    started, sent = time.perf_counter(), 0
    while sent < MESSAGES:
        async with doors.open_system(plans_once=True) as system:
            held = await due.table.claim(system, lease_s=due.lease_s, limit=due.batch, key=batch_id)
        assert held, "no limit binds"
        sent += await due.handle_all(doors, held, lambda: False, failed)
    took_s = time.perf_counter() - started
    assert await desk.sql(SENT, batch_id=batch_id) == MESSAGES, "not everything was sent"
    close = kinds["delivery"].close
    assert close is not None
    await close()
    return MESSAGES / took_s


SENT = "SELECT count(*) FROM delivery WHERE send_batch_id = :batch_id AND status = 'sent'"


async def failed(claim: Claim, error: Exception) -> None:
    raise error


async def batch(doors: Doors, settings: Settings, *, recipients: int) -> tuple[Desk, UUID]:
    desk = await Desk.opened(doors, settings, conversations=0)
    domain = f"{secrets.token_hex(6)}.example"
    await add_leads(doors, desk.workspace_id, count=recipients, domain=domain)
    batch_id = await start_batch(doors, desk.workspace_id, account_id=desk.account_id, domain=domain)
    await analyse()
    return desk, batch_id


async def bare(doors: Doors, settings: Settings) -> float:
    """The sender alone."""
    outgoing = senders(settings)
    sender, id = outgoing.of(Channel.EMAIL), UUID(int=1)
    account = SendingAccount(
        workspace_id=id,
        id=id,
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


BARE, BATCHED = "the sender alone", "a batch, by the full ledger"
RATES: dict[str, Rate] = {BARE: bare, "people's messages, by the full ledger": of_people, BATCHED: of_a_batch}


async def claims(doors: Doors, settings: Settings) -> float:
    """Rows a second that one worker claims of a batch."""
    _, batch_id = await batch(doors, settings, recipients=CLAIMED)
    due = registry(settings)["send_batch"]
    started, taken = time.perf_counter(), 0
    while taken < CLAIMED:
        async with doors.open_system(plans_once=True) as system:
            held = await due.table.claim(system, lease_s=due.lease_s, limit=BATCH, key=batch_id)
        assert held, "no limit binds"
        taken += len(held)
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
