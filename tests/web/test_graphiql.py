"""GraphiQL in a real Chromium against the running API: requests stay on loopback, the console stays silent.

The page is driven as a person would: by labels, roles and the keyboard.
"""

import asyncio
import json
import re
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Route, expect
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from app.embedded import web_assets
from tests.factories.inbound import letter
from tests.fixtures.feed import metric
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Api, eventually
from tests.fixtures.smtp import ScriptedSmtp

pytestmark = [pytest.mark.browser, pytest.mark.full]
expect.set_options(timeout=30_000)  # two pages with editors on two busy cores: patience, not a measure

PASSWORD = "a long enough password"
ID = r'"id":\s*"([^"]+)"'
LEAD_NAMES = ("Beatriz Souza", "Carlos Lima", "Duda Alves")


@pytest.fixture(scope="module", autouse=True)
async def assets(browser: Browser) -> None:
    await asyncio.to_thread(web_assets.build)


@dataclass
class Visitor:
    """One person in one browser window, and what went wrong there."""

    page: Page
    problems: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("console", self.note_message)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.check_host(request.url))
        self.page.on("websocket", lambda socket: self.check_host(socket.url))

    def note_message(self, told: ConsoleMessage) -> None:
        if told.type == "error":
            self.problems.append(told.text)

    def check_host(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1":
            self.problems.append(f"request to {address}")

    async def create_account(self, email: str) -> None:
        await self.page.get_by_role("button", name="Create an account").click()
        await self.page.get_by_label("E-mail").fill(email)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_label("Your name").fill("Ana")
        await self.page.get_by_label("Workspace").fill("Acme")
        await self.page.get_by_role("button", name="Create account").click()
        await expect(self.page.get_by_role("status")).to_contain_text(f"Signed in as {email} · Acme")

    async def sign_up(self, email: str) -> None:
        """As the first tab has it."""
        await self.open_tab("SignUp")
        person = {"email": email, "password": PASSWORD, "name": "Ana", "workspaceName": "Acme"}
        await self.write("Variables", json.dumps({"input": person}))
        await self.run()
        await expect(self.page.get_by_role("status")).to_contain_text(email)

    async def sign_in(self, email: str) -> None:
        await self.page.get_by_label("E-mail").fill(email)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.keyboard.press("Enter")
        await expect(self.page.get_by_role("status")).to_contain_text(email)

    async def open_tab(self, name: str) -> None:
        tab = self.page.get_by_role("tab", name=re.compile(rf"^{name}\b"))
        await tab.click()
        await expect(tab).to_have_attribute("aria-selected", "true")

    async def run(self, operation: str | None = None) -> None:
        """Named where the tab has several: then the button opens a menu. As soon as the editor has read the tab: until
        then the button is the last one's."""
        button = self.page.get_by_role("button", name=re.compile("^Execute query"))
        if operation:
            await button.and_(self.page.locator("[aria-haspopup=menu]")).click()
            await self.page.get_by_role("menuitem", name=operation, exact=True).click()
        else:
            await button.and_(self.page.locator(":not([aria-haspopup=menu])")).click()

    async def write(self, editor: str, text: str) -> None:
        await self.page.locator(f"section[aria-label='{editor}'] .monaco-editor").first.click()
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.press("Delete")
        await self.page.keyboard.insert_text(text)

    async def expect_answer(self, text: str | re.Pattern[str]) -> None:
        await expect(self.page.locator(".result-window")).to_contain_text(text)

    async def found(self, pattern: str) -> str:
        """The first group, once the answer has it. The editors' spaces do not break."""
        pattern = pattern.replace(" ", r"\s")
        await self.expect_answer(re.compile(pattern))
        match = re.search(pattern, await self.answer())
        assert match is not None
        return match[1]

    async def answer(self) -> str:
        return (await self.page.locator(".result-window").inner_text()).replace("\xa0", " ")


async def visit(browser: Browser, server: Api, language: str = "en-US") -> Visitor:
    # High, because the editors hold in the page only the lines that can be seen.
    # From an address of its own: sign-ins are counted by address, and the suite signs in a lot.
    address = f"10.{secrets.randbelow(250)}.{secrets.randbelow(250)}.{secrets.randbelow(250)}"
    context = await browser.new_context(
        locale=language,
        viewport={"width": 1280, "height": 1600},
        extra_http_headers={"X-Forwarded-For": address},
    )
    visitor = Visitor(await context.new_page())
    visitor.listen()
    await visitor.page.goto(f"{server.url}/graphql")
    await expect(visitor.page.get_by_role("tab", name="ImportLeads", exact=True)).to_be_visible()
    return visitor


def new_email() -> str:
    return f"ana-{secrets.token_hex(4)}@example.com"


@pytest.mark.usefixtures("worker")
async def test_from_sign_up_to_the_imported_leads(browser: Browser, api_server: Api) -> None:
    visitor, email = await visit(browser, api_server), new_email()
    await visitor.create_account(email)

    watcher = await visit(browser, api_server)
    await watcher.sign_in(email)
    await watcher.open_tab("Feed")
    await watcher.run()
    await watcher.expect_answer("HEARTBEAT")

    await visitor.open_tab("ImportLeads")
    await visitor.run()
    await visitor.expect_answer('"errors": []')
    id = await visitor.found(ID)
    await watcher.expect_answer(re.compile("IMPORT_PROGRESSED|LEAD_CREATED"))

    await visitor.open_tab("ImportProgress")
    await visitor.write("Variables", json.dumps({"id": id}))
    await visitor.run()
    await visitor.expect_answer("COMPLETED")

    await visitor.open_tab("Leads")
    await visitor.run()
    for name in LEAD_NAMES:
        await visitor.expect_answer(name)
    assert visitor.problems == []
    assert watcher.problems == []


@pytest.mark.usefixtures("worker")
async def test_a_file_is_sent_and_its_columns_are_shown(browser: Browser, api_server: Api) -> None:
    visitor = await visit(browser, api_server)
    await visitor.sign_up(new_email())
    shown = await visitor.found(r'"accessToken":\s+"([^"]+)"')
    sent = {
        "Authorization": f"Bearer {''.join(shown.split())}",  # so long a text is wrapped
        "Content-Type": "text/csv",
        "Content-Disposition": 'attachment; filename="leads.csv"',
    }
    content = b"Nome;E-mail\nBia Souza;bia@example.com\n"
    taken = await visitor.page.request.post(f"{api_server.url}/uploads", headers=sent, data=content)
    upload_token = (await taken.json())["uploadToken"]

    await visitor.open_tab("StartCsvImport")
    given = {"uploadToken": upload_token, "idempotencyKey": "file", "policy": "UPSERT", "dryRun": True}
    await visitor.write("Variables", json.dumps({"input": given}))

    async def is_read() -> bool:
        await visitor.run()
        await visitor.expect_answer('"fileName": "leads.csv"')
        return "NEEDS_MAPPING" in await visitor.answer()

    await eventually(is_read, what="the columns")
    for part in ('"column": "Nome"', '"field": "EMAIL"', "Bia Souza", '"errors": []'):
        await visitor.expect_answer(part)
    assert visitor.problems == []


async def test_from_a_lead_to_an_answered_message(browser: Browser) -> None:
    """On servers of its own: they send to a mailbox that only this test has."""
    async with AsyncExitStack() as stack:
        smtp = stack.enter_context(ScriptedSmtp.started())
        installation = await stack.enter_async_context(
            Installation.started(apis=1, SALESPAD_MAILBOX_SMTP_URL=smtp.url)
        )
        (server,) = installation.apis
        visitor, email = await visit(browser, server), new_email()
        await visitor.create_account(email)
        await visitor.open_tab("ImportLeads")
        await visitor.run()
        await visitor.expect_answer('"errors": []')

        watcher = await visit(browser, server)
        await watcher.sign_in(email)
        await watcher.open_tab("MessageAdded")
        await watcher.run()
        await eventually(lambda: metric(server.url, "salespad_subscribers"), what="the subscription")

        lead_id = await found_lead(visitor, "Carlos Lima")
        await visitor.open_tab("ChannelAccounts")
        await visitor.run("ConnectEmail")
        account_id = await visitor.found(ID)
        given = {"input": {"leadId": lead_id, "accountId": account_id}}
        await visitor.write("Variables", json.dumps(given))
        await visitor.run("StartConversation")
        await visitor.expect_answer("carlos@example.com")
        conversation_id = await visitor.found(ID)

        await visitor.open_tab("SendMessage")
        words = {"subject": "An idea", "body": "Hello!", "idempotencyKey": secrets.token_hex(8)}
        await visitor.write("Variables", json.dumps({"input": words | {"conversationId": conversation_id}}))
        await visitor.run()
        await visitor.expect_answer('"errors": []')
        await watcher.expect_answer("OUTBOUND")
        await eventually(lambda: smtp.mails, what="the mail")

        (row,) = await installation.sql("SELECT address, inbound_token FROM channel_account")
        answer = letter(row["address"], sender="Carlos <carlos@example.com>", body="Tell me more.")
        assert await installation.post_mail(row["inbound_token"], answer) == 200
        await watcher.expect_answer("INBOUND")
        await watcher.expect_answer("Tell me more.")
        await visitor.open_tab("Inbox")
        await visitor.run()
        await visitor.expect_answer("Tell me more.")
        assert visitor.problems == []
        assert watcher.problems == []

        await server.kill()
        await installation.restart(server)
        late = letter(row["address"], sender="Carlos <carlos@example.com>", body="And something else.")
        assert await installation.post_mail(row["inbound_token"], late) == 200
        await watcher.expect_answer("And something else.")


async def found_lead(visitor: Visitor, name: str) -> str:
    """Its id, from the list."""
    await visitor.open_tab("Leads")

    async def is_there() -> bool:
        await visitor.run()
        await visitor.expect_answer('"edges"')
        return name in await visitor.answer()

    await eventually(is_there, what=f"the imported {name}")
    return await visitor.found(ID + rf',\s*"name":\s*"{name}"')


@pytest.mark.usefixtures("worker")
async def test_the_dashboard_counts_what_was_imported(browser: Browser, api_server: Api) -> None:
    visitor = await visit(browser, api_server)
    await visitor.create_account(new_email())
    await visitor.open_tab("ImportLeads")
    await visitor.run()
    await visitor.expect_answer('"errors": []')
    await found_lead(visitor, "Carlos Lima")

    await visitor.open_tab("BestLeads")
    await visitor.run("SaveScoreRules")
    await visitor.expect_answer('"errors": []')
    await visitor.run("BestLeads")
    await visitor.expect_answer('"halfLifeDays": 14')

    await visitor.open_tab("Dashboard")
    await visitor.run()
    await visitor.expect_answer(f'"leads": {len(LEAD_NAMES)}')
    assert visitor.problems == []


async def test_a_session_answered_in_the_editor_is_picked_up(browser: Browser, api_server: Api) -> None:
    visitor, email = await visit(browser, api_server), new_email()
    await visitor.sign_up(email)

    await visitor.page.reload()
    await expect(visitor.page.get_by_role("status")).to_contain_text(f"Signed in as {email}")
    await expect(visitor.page.get_by_role("tablist").get_by_role("tab")).to_have_count(18)
    await visitor.open_tab("Leads")
    await visitor.run()
    await visitor.expect_answer('"edges"')

    await visitor.page.get_by_role("button", name="Sign out").click()
    await expect(visitor.page.get_by_role("status")).to_contain_text("Not signed in")
    await expect(visitor.page.get_by_label("E-mail")).to_be_focused()
    assert visitor.problems == []


async def test_nothing_is_run_before_the_editors_are_there(browser: Browser, api_server: Api) -> None:
    visitor = await visit(browser, api_server)
    asked, may_come = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        asked.set()
        await may_come.wait()
        await route.continue_()

    await visitor.page.route("**/monaco-editor-*.js", late)
    await visitor.page.reload()
    await asyncio.wait_for(asked.wait(), timeout=60)
    await visitor.create_account(new_email())
    tab = visitor.page.locator("[role=tab]").filter(has_text="Feed")
    await expect(tab).to_be_visible()
    with pytest.raises(PlaywrightTimeoutError):
        await tab.click(timeout=500)

    may_come.set()
    await visitor.open_tab("Feed")
    await visitor.run()
    await visitor.expect_answer("HEARTBEAT")
    assert visitor.problems == []


async def test_refusals_are_told_in_the_form(browser: Browser, api_server: Api) -> None:
    visitor = await visit(browser, api_server, "pt-BR")
    await visitor.page.get_by_role("button", name="Criar uma conta").click()
    await visitor.page.get_by_label("E-mail").fill(new_email())
    await visitor.page.get_by_label("Senha").fill("curta")
    await visitor.page.get_by_label("Seu nome").fill("Ana")
    await visitor.page.get_by_label("Espaço de trabalho").fill("Acme")
    await visitor.page.get_by_role("button", name="Criar conta").click()
    await expect(visitor.page.locator(".session-problem")).not_to_be_empty()
    await expect(visitor.page.get_by_role("status")).to_contain_text("Sem sessão")
    assert visitor.problems == []
