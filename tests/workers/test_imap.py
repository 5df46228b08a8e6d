"""Following a mailbox over IMAP, against a real server: every mail once, whatever ends in between."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text

from app.common.work import Doors
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.mail import Mailbox, add_mailbox, follow_imap, new_mail, stored_mails
from tests.fixtures.imap import PASSWORD, USER, ImapServer, wire
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Worker, eventually

pytestmark = pytest.mark.xdist_group("imap")
STATE = text(
    "SELECT m.status, m.attempt, m.error, m.uid_validity, m.uid, "
    "extract(epoch FROM m.run_at - clock_timestamp()) AS wait_s, "
    "a.status AS account, a.status_reason AS reason FROM imap_mailbox m JOIN channel_account a "
    "ON a.workspace_id = m.workspace_id AND a.id = m.id WHERE m.id = :id"
)
FAST = {
    "SALESPAD_POLL_S": "0.2",
    "SALESPAD_IMAP_LEASE_S": "3",
    "SALESPAD_IMAP_POLL_S": "1",
    "SALESPAD_INBOUND_MAIL_MAX_BYTES": "3500000",
}


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    """Of this module's own: another test's worker would follow these mailboxes too."""
    async with Installation.started(apis=1, workers=0) as one:
        yield one


@pytest.fixture(scope="module")
async def doors(installation: Installation) -> AsyncIterator[Doors]:
    async with installation.doors() as doors:
        yield doors


@pytest.fixture(scope="module")
def settings(installation: Installation) -> Settings:
    keys = (installation.environment["SALESPAD_CREDENTIAL_KEYS"],)
    return Settings(database_url=installation.cluster.url, credential_keys=keys)


@pytest.fixture
async def ana(installation: Installation) -> AsyncIterator[Person]:
    async with installation.new_person() as person:
        yield person


@pytest.fixture(scope="module")
async def imap() -> AsyncIterator[ImapServer]:
    async with ImapServer.started() as server:
        yield server


@pytest.fixture(autouse=True)
async def let_go(ana: Person, doors: Doors) -> AsyncIterator[None]:
    """A worker follows every mailbox there is: those of one test would take the lanes of the next."""
    yield
    async with doors.open_system() as system:
        await system.execute(
            text("DELETE FROM imap_mailbox WHERE workspace_id = :id"), {"id": ana.workspace_id}
        )


def url(port: int, *, password: str = PASSWORD) -> str:
    return f"imap://{USER}:{quote(password)}@127.0.0.1:{port}"


async def followed(
    doors: Doors, settings: Settings, person: Person, server: ImapServer, *, port: int = 0
) -> Mailbox:
    """An account whose reading begins at what is newest now."""
    mailbox = await add_mailbox(doors, person)
    await follow_imap(doors, settings, mailbox, url(port or server.port), await server.place())
    return mailbox


async def state(doors: Doors, mailbox: Mailbox) -> Any:
    async with doors.open_system() as system:
        return (await system.execute(STATE, {"id": mailbox.id})).one()


async def until_came(doors: Doors, mailbox: Mailbox, raws: Sequence[bytes]) -> None:
    """Exactly these, in this order, and nothing else."""

    async def came() -> bool:
        return len(await stored_mails(doors, mailbox.workspace_id)) >= len(raws)

    await eventually(came, what=f"{len(raws)} mails")
    assert [row.raw for row in await stored_mails(doors, mailbox.workspace_id)] == list(raws)


async def until_idle(doors: Doors, mailbox: Mailbox) -> None:
    async def is_held() -> bool:
        now = await state(doors, mailbox)
        return bool(now.status == "claimed" and now.attempt == 0)

    await eventually(is_held, what="a worker that follows it")


Start = Callable[..., AbstractAsyncContextManager[Worker]]


@pytest.fixture(scope="module")
async def working(installation: Installation) -> AsyncIterator[Start]:
    """A worker with these settings; the one of the test before while it has them and lives."""
    now: Worker | None = None

    @asynccontextmanager
    async def start(**environment: str) -> AsyncIterator[Worker]:
        nonlocal now
        wanted = installation.environment | FAST | environment
        if now is None or not now.is_running() or now.environment != wanted:
            if now is not None:
                await now.stop()
            now = Worker(environment=wanted)
            await now.start()
        yield now

    yield start
    if now is not None:
        await now.stop()


async def test_mail_comes_in_and_stays_unread(
    ana: Person, doors: Doors, settings: Settings, working: Start, imap: ImapServer
) -> None:
    await imap.append(new_mail(subject="From before"))
    mailbox = await followed(doors, settings, ana, imap)
    before = new_mail(subject="Between connecting and following")
    await imap.append(before)
    async with working():
        await until_came(doors, mailbox, [before])
        await until_idle(doors, mailbox)
        while_idle = [new_mail() for _ in range(3)]
        await imap.append(*while_idle)
        await until_came(doors, mailbox, [before, *while_idle])
    (first, *_) = await stored_mails(doors, ana.workspace_id)
    validity, last = await imap.place()
    assert first.external_id.startswith(f"imap:{validity}:{last - 3}:")
    assert ((await state(doors, mailbox)).uid_validity, (await state(doors, mailbox)).uid) == (validity, last)
    flags = await imap.ask(
        lambda client: (client.select_folder("INBOX"), client.get_flags(range(last - 3, last + 1)))[1]
    )
    assert all(b"\\Seen" not in found for found in flags.values())


async def test_idle_brings_news_at_once(
    ana: Person, doors: Doors, settings: Settings, working: Start, imap: ImapServer
) -> None:
    mailbox = await followed(doors, settings, ana, imap)
    async with working(SALESPAD_IMAP_POLL_S="60"):
        await until_idle(doors, mailbox)
        raw, began = new_mail(), time.monotonic()
        await imap.append(raw)
        await until_came(doors, mailbox, [raw])
        assert time.monotonic() - began < 5


async def test_a_server_without_idle_is_polled(
    ana: Person, doors: Doors, settings: Settings, working: Start, imap: ImapServer
) -> None:
    async with wire(imap, hides=b" IDLE") as line, working():
        mailbox = await followed(doors, settings, ana, imap, port=line.port)
        await until_idle(doors, mailbox)
        raw = new_mail()
        await imap.append(raw)
        await until_came(doors, mailbox, [raw])
        assert line.came == 1  # polled by the connection that is there


@pytest.mark.full
async def test_a_worker_that_is_killed_loses_and_doubles_nothing(
    ana: Person, doors: Doors, settings: Settings, working: Start, imap: ImapServer
) -> None:
    mailbox = await followed(doors, settings, ana, imap)
    raws: list[bytes] = []
    for _ in range(3):
        async with working(SALESPAD_IMAP_LEASE_S="1") as worker:
            added = [new_mail(body=secrets.token_hex(2000)) for _ in range(40)]
            raws += added
            appending = asyncio.create_task(imap.append(*added))
            count = len(raws) - 40

            async def has_begun(count: int = count) -> bool:
                return len(await stored_mails(doors, ana.workspace_id)) > count

            await eventually(has_begun, what="some of them")
            await worker.kill()
            await appending
    async with working(SALESPAD_IMAP_LEASE_S="1"):
        await until_came(doors, mailbox, raws)


async def test_a_server_that_goes_away_and_comes_back(
    ana: Person, doors: Doors, settings: Settings, working: Start, imap: ImapServer
) -> None:
    async with wire(imap) as line, working():
        mailbox = await followed(doors, settings, ana, imap, port=line.port)
        await until_idle(doors, mailbox)
        await line.cut()
        raw = new_mail()
        await imap.append(raw)

        async def waits() -> bool:
            now = await state(doors, mailbox)
            return bool(now.status == "queued" and now.attempt == 2 and now.wait_s > 3)

        await eventually(waits, what="a growing wait")
        assert (await state(doors, mailbox)).account == "CONNECTED"  # so far it may pass
        await line.mend()
        await until_came(doors, mailbox, [raw])


async def test_another_uidvalidity_reads_what_is_recent(
    ana: Person, doors: Doors, settings: Settings, working: Start
) -> None:
    async with ImapServer.started() as server:
        mailbox, first = await followed(doors, settings, ana, server), new_mail()
        await server.append(first)
        async with working():
            await until_came(doors, mailbox, [first])
            await server.kill()
            await server.start()  # empty, and numbered anew
            again = [first, new_mail()]
            await server.append(*again)
            async with doors.open_system() as system:
                await system.execute(
                    text("UPDATE imap_mailbox SET run_at = now() WHERE id = :id"), {"id": mailbox.id}
                )
            await until_came(doors, mailbox, [first, *again])  # what came twice is known by what it is
            ids = [row.external_id for row in await stored_mails(doors, ana.workspace_id)]
            assert len({id.split(":")[1] for id in ids}) == 2


async def test_a_refused_login_is_told_and_tried_seldom(
    ana: Person, doors: Doors, settings: Settings, working: Start, imap: ImapServer
) -> None:
    mailbox = await add_mailbox(doors, ana)
    await follow_imap(doors, settings, mailbox, url(imap.port, password="wrong"), await imap.place())
    async with working():

        async def is_told() -> bool:
            return bool((await state(doors, mailbox)).account == "NEEDS_REAUTH")

        await eventually(is_told, what="NEEDS_REAUTH")
        now = await state(doors, mailbox)
        assert now.reason.startswith("Reading: 127.0.0.1 refuses the login")
        assert "wrong" not in now.reason + now.error
        assert now.wait_s > 300
        raw = new_mail()
        await imap.append(raw)
        await follow_imap(doors, settings, mailbox, url(imap.port), (None, 0))
        await until_came(doors, mailbox, [raw])

        async def is_well() -> bool:
            now = await state(doors, mailbox)
            return bool(now.account == "CONNECTED" and now.reason is None)

        await eventually(is_well, what="CONNECTED")


async def test_large_mails_come_and_too_large_ones_stay(
    ana: Person, doors: Doors, settings: Settings, working: Start, imap: ImapServer
) -> None:
    mailbox = await followed(doors, settings, ana, imap)
    large, small = new_mail(body="x" * 70 + ("\n" + "y" * 70) * 42_000), new_mail()
    assert 2_900_000 < len(large) < 3_200_000
    async with working() as worker:
        await imap.append(large, b"x" * 3_500_001, small)
        await until_came(doors, mailbox, [large, small])

        async def is_logged() -> bool:  # after the commit that shows the others
            return "mails over the limit were left in their mailbox" in worker.log()

        await eventually(is_logged, what="the line about what was left")
        assert mailbox.address not in worker.log()


@pytest.mark.full
async def test_more_mailboxes_than_lanes(
    ana: Person, doors: Doors, settings: Settings, working: Start, imap: ImapServer
) -> None:
    place = await imap.place()
    mailboxes = [await add_mailbox(doors, ana) for _ in range(20)]
    for mailbox in mailboxes:
        await follow_imap(doors, settings, mailbox, url(imap.port), place)
    async with working():
        for _ in range(2):
            await imap.append(new_mail())
        wanted = {(mailbox.id, place[1] + n) for mailbox in mailboxes for n in (1, 2)}

        async def all_came() -> bool:
            rows = await stored_mails(doors, ana.workspace_id)
            return {(row.account_id, int(row.external_id.split(":")[2])) for row in rows} == wanted

        await eventually(all_came, timeout_s=40, what="both mails in every mailbox")


async def test_a_worker_that_stops_gives_the_mailbox_back(
    ana: Person, doors: Doors, settings: Settings, working: Start, imap: ImapServer
) -> None:
    mailbox = await followed(doors, settings, ana, imap)
    async with working() as worker:
        await until_idle(doors, mailbox)
        await worker.stop()
    now = await state(doors, mailbox)
    assert (now.status, now.attempt) == ("queued", 0)
    assert now.wait_s <= 0


async def test_a_disconnected_account_is_let_go(
    ana: Person, doors: Doors, settings: Settings, working: Start, imap: ImapServer
) -> None:
    mailbox = await followed(doors, settings, ana, imap)
    async with working() as worker:
        await until_idle(doors, mailbox)
        async with doors.open_system() as system:
            await system.execute(text("DELETE FROM imap_mailbox WHERE id = :id"), {"id": mailbox.id})
        other = await followed(doors, settings, ana, imap)
        await imap.append(new_mail())
        await eventually(lambda: stored_mails(doors, ana.workspace_id), what="the other one's mail")
        assert [row.account_id for row in await stored_mails(doors, ana.workspace_id)] == [other.id]
        assert "due row failed" not in worker.log()
