"""From a mail in the local mailbox by its link to the page, in a browser: an invitation accepted, a password reset."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from app.accounts.presentation.pages import LANGUAGES, people_pages
from app.embedded.processes import free_port
from app.settings import Settings
from tests.factories.accounts import PASSWORD, SIGN_IN, Person, new_email, sign_up
from tests.fixtures.graphql import post
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Child, Worker, eventually

pytestmark = pytest.mark.xdist_group("people pages")
INVITE = """
mutation ($email: String!) {
  inviteMember(input: {email: $email, role: MEMBER}) { acceptUrl errors { message } }
}
"""
REQUEST = (
    "mutation ($email: String!) { requestPasswordReset(input: {email: $email}) { ok errors { message } } }"
)
NEW = "an entirely other password"


@dataclass
class Mailbox(Child):
    arguments: tuple[str, ...] = ("-m", "app", "mailbox")

    async def until_ready(self) -> None:
        port = int(self.environment["SALESPAD_MAILBOX_SMTP_URL"].rpartition(":")[2])

        async def listens() -> bool:
            assert self.is_running(), f"the mailbox ended:\n{self.log()}"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await eventually(listens, what="the mailbox")


@dataclass(frozen=True)
class Site:
    url: str
    http: httpx.AsyncClient
    page: Page

    async def open_mail(self, to: str) -> None:
        """By the list of the local mailbox, once it has come."""

        async def listed() -> bool:
            await self.page.goto(f"{self.url}/mailbox")
            return await self.page.locator("tr", has_text=to).count() == 1

        await eventually(listed, what=f"the mail to {to}")
        await self.page.locator("tr", has_text=to).get_by_role("link").click()


@pytest.fixture(scope="module")
async def installed() -> AsyncIterator[str]:
    """Its URL."""
    mailbox = {"SALESPAD_MAILBOX_SMTP_URL": f"smtp://127.0.0.1:{free_port()}"}
    async with Installation.started(apis=1, workers=0, redis=False, **mailbox) as installation:
        url = installation.apis[0].url
        own = installation.environment | {"SALESPAD_PUBLIC_URL": url}
        children = [Mailbox(environment=own), Worker(environment=own)]
        try:
            for child in children:
                await child.start()
            yield url
        finally:
            for child in children:
                if child.process is not None:
                    await child.stop()


@pytest.fixture
async def site(installed: str, browser: Browser) -> AsyncIterator[Site]:
    async with httpx.AsyncClient(base_url=installed, timeout=30, trust_env=False) as http:
        context = await browser.new_context(locale="en-GB")
        page = await context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield Site(installed, http, page)
        await context.close()
        assert [text for text in said if "Content Security Policy" in text or "Error:" in text] == []


async def invited(site: Site, ana: Person) -> str:
    email = new_email()
    answer = await ana.run(INVITE, {"email": email})
    assert answer["inviteMember"]["errors"] == []
    return email


@pytest.mark.browser
async def test_an_invitation_is_accepted_from_its_mail(site: Site, tmp_path: Path) -> None:
    ana = await sign_up(site.http, locale="en")
    email = await invited(site, ana)
    await site.open_mail(email)
    await site.page.locator("pre a").click()
    await expect(site.page).to_have_url(re.compile(r"/invitation#[\w-]{43}$"))
    await site.page.get_by_role("button", name="Accept").click()
    await expect(site.page.locator("#name")).to_be_focused()
    await expect(site.page.locator("#name-error")).to_have_text("Write your name, in at most 200 characters.")
    await expect(site.page.locator("#password")).to_have_attribute("aria-invalid", "true")
    await site.page.screenshot(path=tmp_path / "refused.png", full_page=True)
    await site.page.get_by_role("link", name="Português").click()
    await expect(site.page.locator("h1")).to_have_text("Aceitar o convite")
    await site.page.get_by_label("Seu nome").fill("Bia")
    await site.page.get_by_label("Senha", exact=True).fill("short")
    await site.page.get_by_role("button", name="Aceitar").click()
    await expect(site.page.locator("#password-error")).to_contain_text("8 a 1.000")
    await site.page.get_by_label("Senha", exact=True).fill(NEW)
    await site.page.get_by_role("button", name="Aceitar").click()
    await expect(site.page.locator("#done-text")).to_contain_text(
        "Agora você faz parte de “Ana's workspace”."
    )
    await expect(site.page.get_by_role("heading", name="Boas-vindas!")).to_be_focused()
    assert "#" not in site.page.url
    await site.page.screenshot(path=tmp_path / "accepted.png", full_page=True)
    answer = (await post(site.http, SIGN_IN, {"input": {"email": email, "password": NEW}})).json()
    viewer = answer["data"]["signIn"]["session"]["viewer"]
    assert viewer["workspace"]["id"] == str(ana.workspace_id)


@pytest.mark.browser
async def test_a_password_is_reset_from_its_mail_once(site: Site) -> None:
    ana = await sign_up(site.http)
    assert (await ana.run(REQUEST, {"email": ana.email}))["requestPasswordReset"]["ok"]
    await site.open_mail(ana.email)
    await site.page.locator("pre a").click()
    link = site.page.url
    await site.page.get_by_label("New password").fill("short")
    await site.page.keyboard.press("Enter")
    await expect(site.page.locator("#newPassword-error")).to_have_text("Choose 8 to 1,000 characters.")
    await site.page.get_by_label("New password").fill(NEW)
    await site.page.get_by_label("Show the password").check()
    await expect(site.page.get_by_label("New password")).to_have_attribute("type", "text")
    await site.page.get_by_role("button", name="Save the password").click()
    await expect(site.page.locator("h1")).to_have_text("Your password is changed")
    for password, is_right in ((PASSWORD, False), (NEW, True)):
        given = {"input": {"email": ana.email, "password": password}}
        answer = (await post(site.http, SIGN_IN, given)).json()
        assert (answer["data"]["signIn"]["session"] is not None) is is_right
    await site.page.goto("about:blank")
    await site.page.goto(link)
    await site.page.get_by_label("New password").fill(NEW)
    await site.page.keyboard.press("Enter")
    await expect(site.page.locator("#problem")).to_contain_text("no longer good")


@pytest.mark.browser
async def test_who_has_no_good_link_asks_for_one_and_signs_in(site: Site) -> None:
    ana = await sign_up(site.http)
    await site.page.goto(f"{site.url}/password-reset#dead")
    await site.page.get_by_role("link", name="Ask for a new link").click()
    await expect(site.page.locator("h1")).to_have_text("Ask for a new password")
    await site.page.get_by_role("button", name="Send the link").click()
    await expect(site.page.get_by_label("E-mail")).to_be_focused()
    await expect(site.page.locator("#email-error")).to_contain_text("whole e-mail address")
    await site.page.get_by_label("E-mail").fill(ana.email)
    await site.page.keyboard.press("Enter")
    await expect(site.page.get_by_role("heading", name="Look into your mail")).to_be_focused()
    await expect(site.page.get_by_label("E-mail")).to_be_hidden()
    await site.open_mail(ana.email)
    await site.page.locator("pre a").click()
    await site.page.get_by_label("New password").fill(NEW)
    await site.page.keyboard.press("Enter")
    await expect(site.page.locator("h1")).to_have_text("Your password is changed")


@pytest.mark.browser
async def test_a_link_without_its_token_says_so(site: Site) -> None:
    await site.page.goto(f"{site.url}/invitation")
    await expect(site.page.locator("#problem")).to_contain_text("not whole")
    await expect(site.page.locator("form")).to_be_hidden()


# ── without a browser ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
async def pages() -> AsyncIterator[httpx.AsyncClient]:
    from starlette.applications import Starlette

    transport = httpx.ASGITransport(Starlette(routes=[*people_pages(Settings(graphiql=False))]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize("path", ["/invitation", "/password-reset", "/forgot-password"])
async def test_a_page_runs_only_its_own_script_and_is_found_by_no_search(
    pages: httpx.AsyncClient, path: str
) -> None:
    answer = await pages.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert (answer.headers["Referrer-Policy"], answer.headers["X-Robots-Tag"]) == ("no-referrer", "noindex")
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script[^>]*>[^<]|<style|\son\w+=|\sstyle=|https?://", answer.text)
    for url in re.findall(r'(?:src|href)="(/people/[^"]+)"', answer.text):
        asset = await pages.get(url)
        assert (asset.status_code, "immutable" in asset.headers["Cache-Control"]) == (200, True)


@pytest.mark.parametrize(
    ("accepts", "query", "language"),
    [
        ("pt-PT,en;q=0.5", "", "pt-BR"),
        ("de,en;q=0.5,pt", "", "en"),
        ("", "", "en"),
        ("en", "?lang=pt-BR", "pt-BR"),
        ("pt", '?lang="><script>', "pt-BR"),
    ],
)
async def test_a_page_speaks_the_reader_s_language(
    pages: httpx.AsyncClient, accepts: str, query: str, language: str
) -> None:
    text = (await pages.get(f"/invitation{query}", headers={"Accept-Language": accepts})).text
    assert f'<html lang="{language}">' in text
    assert "<script>" not in text
    assert all(name in text for code, name in LANGUAGES.items() if code != language)


def test_both_languages_say_the_same_things() -> None:
    from app.accounts.presentation.pages import PAGES, SHARED

    for words in (SHARED, *(page.words for page in PAGES)):
        said: dict[str, Any] = {language: set(texts) for language, texts in words.items()}
        assert said["en"] == said["pt-BR"]
