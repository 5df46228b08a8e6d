"""Mails that come in while things are killed, and the same one from everywhere at once: each is there once."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.factories.accounts import Person
from tests.factories.inbound import letter
from tests.factories.mail import Mailbox, add_mailbox
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually

pytestmark = pytest.mark.xdist_group("inbound faults")
MAILS = 50
PERSONS = 10
UNDONE = "SELECT id FROM inbound_event WHERE workspace_id = $1 AND status IN ('queued', 'claimed')"


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(apis=2, workers=2, SALESPAD_INBOUND_LEASE_S="1") as installation:
        yield installation


@pytest.fixture
async def person(installation: Installation) -> AsyncIterator[Person]:
    async with installation.new_person() as person:
        yield person


@pytest.fixture
async def mailbox(installation: Installation, person: Person) -> Mailbox:
    async with installation.doors() as doors:
        return await add_mailbox(doors, person)


async def ended(installation: Installation, person: Person) -> None:
    async def all_ended() -> bool:
        try:
            return not await installation.sql(UNDONE, person.workspace_id)
        except (OSError, TimeoutError):
            return False

    await eventually(all_ended, timeout_s=90, what="the end of every mail")


async def table(installation: Installation, person: Person, name: str) -> list[Any]:
    return await installation.sql(
        f"SELECT * FROM {name} WHERE workspace_id = $1 ORDER BY 1, 2",
        person.workspace_id,
    )


async def check(installation: Installation, person: Person, *, mails: int, people: int) -> None:
    """What must hold whatever was killed: each mail once, whole, told of once, and nothing beside."""
    messages = await table(installation, person, "message")
    assert sorted(one["body"] for one in messages) == sorted({one["body"] for one in messages})
    assert len(messages) == mails
    talks = await table(installation, person, "conversation")
    assert len(talks) == len(await table(installation, person, "lead")) == people
    for talk in talks:
        own = [one for one in messages if one["conversation_id"] == talk["id"]]
        assert sorted(one["position"] for one in own) == list(range(1, len(own) + 1))
        assert talk["message_count"] == talk["inbound_count"] == len(own)
    attached = await table(installation, person, "attachment")
    files = await table(installation, person, "file")
    assert len(attached) == len(files) == mails
    assert {one["file_id"] for one in attached} == {one["id"] for one in files}
    assert {one["message_id"] for one in attached} == {one["id"] for one in messages}
    folder = Path(installation.environment["SALESPAD_HOME"]) / "files" / str(person.workspace_id)
    assert {one.name for one in folder.iterdir()} == {str(one["id"]) for one in files}
    assert len(await table(installation, person, "interaction")) == mails
    told = await installation.sql(
        "SELECT kind, count(*) AS n FROM feed_event WHERE workspace_id = $1 GROUP BY kind",
        person.workspace_id,
    )
    counts = {row["kind"]: row["n"] for row in told}
    assert (counts["message.created"], counts["lead.created"]) == (mails, people), counts


def numbered(mailbox: Mailbox, n: int) -> bytes:
    return letter(
        mailbox.address,
        sender=f"p{n % PERSONS}@example.org",
        body=f"Mail {n}",
        files=[(f"{n}.txt", "text/plain", f"File {n}".encode())],
    )


async def test_f10_one_mail_fifty_times_from_two_processes_at_once(
    installation: Installation, person: Person, mailbox: Mailbox
) -> None:
    """Every second one has come another way, so it is a row of its own, and both workers read it."""
    raw = numbered(mailbox, 0)
    sent = [b"Received: by hop %d\r\n" % n + raw if n % 2 else raw for n in range(50)]
    answers = await asyncio.gather(
        *(installation.post_mail(mailbox.token, one, api=n) for n, one in enumerate(sent))
    )
    assert answers == [200] * 50
    await ended(installation, person)
    events = await table(installation, person, "inbound_event")
    assert len(events) == 26
    assert sorted(one["error"] or "" for one in events) == [""] + ["DUPLICATE"] * 25
    assert {one["status"] for one in events} == {"done"}
    await check(installation, person, mails=1, people=1)
    print("F10: 50 posts to 2 processes, 26 ways: 50 x 200, 1 message, 1 conversation, 1 lead, 1 event")


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.full)])
async def test_the_worker_is_killed_at_random_moments(
    installation: Installation, person: Person, mailbox: Mailbox, kills: int
) -> None:
    worker, other = installation.workers
    await other.kill()
    try:
        posting = asyncio.gather(
            *(installation.post_mail(mailbox.token, numbered(mailbox, n)) for n in range(MAILS))
        )
        for number in range(kills):
            mark = int((number + random.random()) * MAILS / (kills + 1))
            await eventually(lambda mark=mark: _has(installation, person, mark), timeout_s=60)  # type: ignore[misc]
            await worker.kill()
            await installation.restart(worker)
        assert await posting == [200] * MAILS
        await ended(installation, person)
    finally:
        await installation.restart(other)
    await check(installation, person, mails=MAILS, people=PERSONS)
    again = max(one["attempt"] for one in await table(installation, person, "inbound_event"))
    print(f"inbound: {kills} kills, {MAILS} mails, {MAILS} messages, at most {again} attempts")


async def _has(installation: Installation, person: Person, messages: int) -> bool:
    return len(await table(installation, person, "message")) >= messages


async def test_a_worker_that_wakes_after_its_lease_changes_nothing(
    installation: Installation, person: Person, mailbox: Mailbox
) -> None:
    """Stalled while it holds mails: the other one takes them over, and the late one's writes find no row."""
    worker, _ = installation.workers
    posting = asyncio.gather(
        *(installation.post_mail(mailbox.token, numbered(mailbox, n)) for n in range(20))
    )
    await eventually(lambda: _has(installation, person, 3), timeout_s=60)
    worker.signal(signal.SIGSTOP)
    try:
        await posting
        (held,) = await installation.sql(
            "SELECT coalesce(max(lease_until), now()) AS until FROM inbound_event"
        )
        await eventually(lambda: _is_past(installation, held["until"]))
    finally:
        worker.signal(signal.SIGCONT)
    late = numbered(mailbox, 20)
    assert await installation.post_mail(mailbox.token, late) == 200
    await ended(installation, person)
    await check(installation, person, mails=21, people=PERSONS)


async def _is_past(installation: Installation, moment: datetime) -> bool:
    (row,) = await installation.sql("SELECT now() > $1 AS is_past", moment)
    return bool(row["is_past"])


async def test_the_database_is_stopped_at_once_in_between(
    installation: Installation, person: Person, mailbox: Mailbox
) -> None:
    posting = asyncio.gather(
        *(installation.post_mail(mailbox.token, numbered(mailbox, n), api=n) for n in range(MAILS))
    )
    await eventually(lambda: _has(installation, person, 5), timeout_s=60)
    await installation.kill_postgres(signal.SIGQUIT)
    await installation.start_postgres()
    assert await posting == [200] * MAILS
    await ended(installation, person)
    await check(installation, person, mails=MAILS, people=PERSONS)
