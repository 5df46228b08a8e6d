"""A whole send to many through an installation of its own: PostgreSQL as in production, Redis, one API, one worker.

How fast it goes without any limit and what the worker's memory does meanwhile; and what the inbox costs those who look
at it, at rest and while a paced send goes on.
"""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.factories.accounts import Person
from tests.factories.conversations import inbound, open_account, open_conversation, outbound
from tests.fixtures.bulk import Bulk
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually

CONVERSATIONS = 60
LOOKS_PER_S = 20
PACE = 20
"""Messages a second of the paced send: what a fast real account allows."""
SAMPLES = 10
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
LIST = """{ conversations(first: 20) { edges { node {
  id status unreadCount lead { id name } account { id name } lastMessage { id body status createdAt } } } } }"""
MESSAGES = """query ($id: ID!) { conversation(id: $id) { id messages(last: 30) { edges { node {
  id direction status body author { id name } createdAt } } } } }"""


async def run(url: str, *, recipients: int, seconds: float) -> None:
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(
            Installation.started(
                apis=1,
                workers=1,
                SALESPAD_MAILBOX_SMTP_URL=url,
                SALESPAD_WEB_REQUESTS_PER_MINUTE="1000000",
            )
        )
        person = await stack.enter_async_context(installation.new_person())
        inbox = await Inbox.filled(installation, person)
        await inbox.look(2)  # warms what is kept between requests
        calm = await inbox.look(seconds)
        paced = await Bulk.prepared(
            installation, person, recipients=int(PACE * seconds * 3), rate_per_minute=PACE * 60, burst=PACE
        )
        await paced.launch()
        await first_of(paced)
        busy = await inbox.look(seconds)
        sent = (await paced.counted())["sent"]
        await paced.switch("cancelBulkSend")
        show_looks(calm, busy, sent=sent)
        other = await stack.enter_async_context(installation.new_person())
        await whole(installation, other, inbox, recipients=recipients, seconds=seconds)


@dataclass
class Inbox:
    """Somebody's, and how long they wait for it."""

    person: Person
    ids: list[str] = field(default_factory=list)

    @classmethod
    async def filled(cls, installation: Installation, person: Person) -> "Inbox":
        inbox = cls(person)
        async with installation.doors() as doors:
            account_id = await open_account(person, doors)
            for _ in range(CONVERSATIONS):
                opened = await open_conversation(person, doors, account_id=account_id)
                await inbound(person, doors, opened.id)
                await outbound(person, doors, opened.id)
                inbox.ids.append(str(opened.id))
        return inbox

    async def look(self, seconds: float) -> list[float]:
        """Milliseconds of each request; they come at a steady beat, however long the ones before take."""
        took: list[float] = []
        started, looks = time.perf_counter(), []
        for number in range(int(seconds * LOOKS_PER_S)):
            await asyncio.sleep(max(0, started + number / LOOKS_PER_S - time.perf_counter()))
            looks.append(asyncio.create_task(self._once(number, took)))
        await asyncio.gather(*looks)
        return sorted(took)

    async def _once(self, number: int, took: list[float]) -> None:
        started = time.perf_counter()
        if number % 2:
            await self.person.run(LIST)
        else:
            await self.person.run(MESSAGES, {"id": self.ids[number // 2 % len(self.ids)]})
        took.append((time.perf_counter() - started) * 1000)


def show_looks(calm: list[float], busy: list[float], *, sent: int) -> None:
    print(f"inbox, {LOOKS_PER_S} requests a second             p50 ms   p99 ms")
    for name, took in (("at rest", calm), (f"during a send of {PACE}/s ({sent} sent)", busy)):
        print(f"{name:<42} {median(took):6.1f}   {p99(took):6.1f}")
    print(f"{'p99 during / at rest':<42} {p99(busy) / p99(calm):15.2f}   goal 2 at most", flush=True)


def p99(took: list[float]) -> float:
    return took[int(len(took) * 0.99) - 1]


async def first_of(bulk: Bulk) -> None:
    async def has_begun() -> bool:
        return bool((await bulk.counted())["sent"])

    await eventually(has_begun, timeout_s=60, what="the first mail")


async def whole(
    installation: Installation, person: Person, inbox: Inbox, *, recipients: int, seconds: float
) -> None:
    """Launched, taken in and sent as fast as it goes."""
    bulk = await Bulk.prepared(installation, person, recipients=recipients)
    (worker,) = installation.workers
    started = time.perf_counter()
    await bulk.launch()
    await first_of(bulk)
    print(
        f"{recipients:,} recipients without a limit: first sent after {time.perf_counter() - started:.1f} s"
    )
    print("      sent    seconds   messages/s   worker MB", flush=True)
    looking = asyncio.create_task(inbox.look(seconds))
    step, last = max(1, recipients // SAMPLES), (0, started)
    while True:
        counted = await bulk.counted()
        open_now = sum(counted[one] for one in ("queued", "claimed", "sending"))
        done, now = sum(counted.values()) - open_now, time.perf_counter()
        is_over = done >= recipients
        if done - last[0] >= step or is_over:
            rate = (done - last[0]) / (now - last[1])
            print(f"{done:10,} {now - started:10.1f} {rate:12.0f} {rss_mb(worker.pid):11.1f}", flush=True)
            last = (done, now)
        if is_over:
            break
        await asyncio.sleep(0.5)
    print(f"{dict(counted)}; the inbox meanwhile: p99 {p99(await looking):.1f} ms (no goal without a limit)")
    print(f"load average {os.getloadavg()[0]:.1f}")


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KB / 1024
