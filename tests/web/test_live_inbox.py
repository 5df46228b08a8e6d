"""Two pages with the real graphql-ws client show the whole inbox, in order and once, whatever is killed meanwhile.

The pages come from an origin of their own, as a web app in development or on another host does; what they do is
`tests/web/live_inbox/follow.js`, the example of docs/architecture.md.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page

from app.embedded import web_assets
from tests.factories.accounts import Person
from tests.factories.conversations import inbound
from tests.factories.inbound import letter
from tests.fixtures.installation import Installation
from tests.fixtures.processes import ROOT, eventually
from tests.fixtures.sends import Sends
from tests.fixtures.smtp import ScriptedSmtp

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("live inbox")]

AT_ONCE = 4
GRAPHQL_WS = web_assets.WEB / "node_modules" / "graphql-ws"
SHOWN = """() => Object.fromEntries([...document.querySelectorAll('ol')].map(
  (list) => [list.id, [...list.children].map((line) => [line.id, line.dataset.status])]))"""
STORED = """
SELECT conversation_id::text, id::text, status FROM message WHERE workspace_id = $1 ORDER BY conversation_id, position
"""
INBOUND_TOKEN = "SELECT inbound_token FROM channel_account WHERE workspace_id = $1"
FORGET = "UPDATE feed_head SET floor = seq WHERE workspace_id = $1"

Shown = dict[str, list[list[str]]]
"""Of each conversation: ids and states of its messages, in their order."""


class Files(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        """The page's own files, and beside them those of the package as npm brought it."""
        name = path.partition("?")[0]
        if name.startswith("/graphql-ws/"):
            return str(GRAPHQL_WS / "dist" / Path(name).name)
        return str(ROOT / "tests" / "web" / "live_inbox" / (Path(name).name or "index.html"))

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def static_server() -> Iterator[str]:
    """Its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = Thread(target=server.serve_forever, name="static files", daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
async def origin(browser: Browser) -> AsyncIterator[str]:
    if not GRAPHQL_WS.is_dir():
        await asyncio.to_thread(web_assets.install_packages, web_assets.WEB)
    with static_server() as origin:
        yield origin


@pytest.fixture
def smtp() -> Iterator[ScriptedSmtp]:
    with ScriptedSmtp.started() as server:
        yield server


@pytest.fixture
async def installation(origin: str, smtp: ScriptedSmtp) -> AsyncIterator[Installation]:
    settings = {
        "SALESPAD_ALLOWED_ORIGINS": origin,
        "SALESPAD_WEB_REQUESTS_PER_MINUTE": "100000",
        "SALESPAD_INBOUND_LEASE_S": "1",
        "SALESPAD_DELIVERY_LEASE_S": "5",
        "SALESPAD_SEND_TIMEOUT_S": "3",
        "SALESPAD_MAILBOX_SMTP_URL": smtp.url,
    }
    async with Installation.started(apis=1, workers=1, **settings) as installation:
        yield installation


@pytest.fixture
async def person(installation: Installation) -> AsyncIterator[Person]:
    async with installation.new_person() as person:
        yield person


@dataclass
class Inbox:
    """One browser window with the page of tests/web/live_inbox."""

    page: Page
    problems: list[str] = field(default_factory=list)

    @classmethod
    async def opened(cls, browser: Browser, origin: str, api: str, token: str, *, by: str) -> "Inbox":
        context = await browser.new_context(viewport={"width": 1280, "height": 1600})
        inbox = cls(await context.new_page())
        inbox.page.on("pageerror", lambda error: inbox.problems.append(str(error)))
        given = json.dumps({"api": f"{api}/graphql", "token": token, "by": by})
        await inbox.page.goto(f"{origin}/#{quote(given)}")
        await eventually(inbox.is_live, what=f"the page's subscription of {by}")
        return inbox

    async def told(self) -> dict[str, Any]:
        return await self.page.evaluate("() => window.told")  # type: ignore[no-any-return]

    async def is_live(self) -> bool:
        return bool((await self.told())["isLive"])

    async def shown(self) -> Shown:
        return await self.page.evaluate(SHOWN)  # type: ignore[no-any-return]

    async def count(self) -> int:
        return sum(map(len, (await self.shown()).values()))


@dataclass
class Traffic:
    """Mails that come in and, every fourth, a message that goes out: a few at once, each until there is an answer."""

    sends: Sends
    inbound_token: str
    total: int
    begun: int = 0

    @classmethod
    async def prepared(cls, installation: Installation, person: Person, total: int) -> "Traffic":
        sends = await Sends.prepared(installation, person, conversations=3)
        (row,) = await installation.sql(INBOUND_TOKEN, person.workspace_id)
        return cls(sends, row["inbound_token"], total)

    async def run(self) -> None:
        async def go() -> None:
            while self.begun < self.total:
                self.begun += 1
                await self.one(self.begun)

        await asyncio.gather(*(go() for _ in range(AT_ONCE)))

    async def one(self, number: int) -> None:
        opened = self.sends.conversations[number % 3]
        if number % 4 == 0:
            await self.sends.accept_one(opened, f"Answer {number}")
        else:
            raw = letter("sales@example.com", sender=f"Bia <{opened.address}>", body=f"Mail {number}")
            assert await self.sends.installation.post_mail(self.inbound_token, raw) == 200

    async def until(self, part: float) -> None:
        """So much of it has begun."""
        await eventually(
            lambda: self.begun >= part * self.total, timeout_s=60, what=f"{part:.0%} of the messages"
        )


async def upset(installation: Installation, traffic: Traffic, inboxes: list[Inbox]) -> None:
    """The API dies once while Redis is away too, and once alone: after both pages are back."""
    (api,), (worker,) = installation.apis, installation.workers
    await traffic.until(0.1)
    await installation.kill_redis()
    await traffic.until(0.25)
    await api.kill()
    await installation.restart(api)
    await traffic.until(0.45)
    await installation.start_redis()
    await traffic.until(0.6)
    await worker.kill()
    await installation.restart(worker)
    await traffic.until(0.8)
    for inbox in inboxes:
        await eventually(inbox.is_live, timeout_s=60, what="the page's subscription again")
    await api.kill()
    await installation.restart(api)


async def stored(installation: Installation, person: Person) -> Shown:
    shown: Shown = {}
    for row in await installation.sql(STORED, person.workspace_id):
        shown.setdefault(row["conversation_id"], []).append([row["id"], row["status"]])
    return shown


def ids(shown: Shown) -> dict[str, list[str]]:
    return {conversation: [id for id, _ in lines] for conversation, lines in shown.items()}


async def same(inboxes: list[Inbox], wanted: Shown) -> None:
    """Each page comes to show this, in this order; that of the feed with each message's state."""
    listener, follower = inboxes

    async def is_same() -> bool:
        return ids(await listener.shown()) == ids(wanted) and await follower.shown() == wanted

    try:
        await eventually(is_same, timeout_s=30)
    except AssertionError:
        told = [(await inbox.told(), await inbox.count()) for inbox in inboxes]
        raise AssertionError(f"{sum(map(len, wanted.values()))} messages, the pages: {told}") from None


async def test_two_pages_show_all_of_it_in_order(
    browser: Browser, origin: str, installation: Installation, person: Person, request: pytest.FixtureRequest
) -> None:
    total = 300 if request.config.getoption("--full") else 60
    began = time.monotonic()
    traffic = await Traffic.prepared(installation, person, total)
    inboxes = [
        await Inbox.opened(browser, origin, installation.apis[0].url, person.token, by=by)
        for by in ("messageAdded", "feed")
    ]
    await asyncio.gather(traffic.run(), upset(installation, traffic, inboxes))
    outcomes = await traffic.sends.ended()
    assert set(outcomes) <= {"sent", "unknown"}, "unknown is what the worker had in hand when it died"
    assert outcomes["unknown"] <= AT_ONCE
    await eventually(
        lambda: all_stored(installation, person, total), timeout_s=30, what="the last mail's message"
    )
    await same(inboxes, await stored(installation, person))
    arrived_s = time.monotonic() - began
    for one in [await inbox.told() for inbox in inboxes]:
        assert (one["snapshots"], one["repeated"], one["refused"]) == (1, 0, []), one
        assert one["connections"] == 3, "one at first, one after each death of the API"

    await expire(installation, person, traffic)
    await same(inboxes, await stored(installation, person))
    assert [(await inbox.told())["snapshots"] for inbox in inboxes] == [2, 2]
    assert [inbox.problems for inbox in inboxes] == [[], []]
    told = [await inbox.told() for inbox in inboxes]
    print(
        f"live inbox: {total} messages in {arrived_s:.0f} s, kill -9 of Redis once, the API 3 times, the worker once; "
        f"2 pages, {sum(one['connections'] - 1 for one in told)} reconnects, 0 gaps, 0 doubles, 2 expired cursors; "
        f"{time.monotonic() - began:.0f} s"
    )


async def all_stored(installation: Installation, person: Person, total: int) -> bool:
    return sum(map(len, (await stored(installation, person)).values())) == total


async def expire(installation: Installation, person: Person, traffic: Traffic) -> None:
    """While nobody is there, more comes than the feed still has when they are back."""
    (api,) = installation.apis
    await api.kill()
    async with installation.doors() as doors:
        for opened in traffic.sends.conversations:
            await inbound(person, doors, opened.id)
    await installation.sql(FORGET, person.workspace_id)
    await installation.restart(api)
