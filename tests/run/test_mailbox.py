"""The local mailbox: its SMTP server, its folder, its pages, and `run` that starts it."""

import asyncio
import os
import signal
import smtplib
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from app.channels.wiring import take_local_mail
from app.common.work import Doors, Unavailable
from app.embedded import mailbox
from app.embedded.mailbox_page import mailbox_routes
from app.embedded.maildir import Maildir
from app.embedded.processes import free_port
from app.settings import Environment, Settings
from tests.factories.accounts import Person
from tests.factories.mail import add_mailbox, new_mail, stored_mails
from tests.fixtures.processes import Child, eventually
from tests.run.conftest import Launcher, wait_until

SCRIPT = "<script>alert('<b>')</script>"


class Site:
    """A mailbox in this process: where it listens, what it keeps, its pages."""

    def __init__(self, port: int, kept: Maildir, pages: httpx.AsyncClient) -> None:
        self.port, self.kept, self.pages = port, kept, pages

    async def send(
        self, raw: bytes, *to: str, sender: str = "bia@example.org", options: Sequence[str] = ()
    ) -> int:
        """The code that answers the mail."""

        def transact() -> int:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=20) as client:
                client.ehlo()
                client.mail(sender, options)
                for address in to:
                    client.rcpt(address)
                return client.data(raw)[0]

        return await asyncio.to_thread(transact)

    def mails(self) -> list[bytes]:
        kept, _ = self.kept.newest(skip=0, limit=1000)
        return [found[1] for one in kept if (found := self.kept.read(one.id))]

    async def get(self, path: str = "/mailbox", **headers: str) -> httpx.Response:
        return await self.pages.get(path, headers=headers)

    async def open_newest(self) -> httpx.Response:
        (one,), _ = self.kept.newest(skip=0, limit=1)
        return await self.get(f"/mailbox/{one.id}")


@asynccontextmanager
async def started(deliver: mailbox.Deliver, settings: Settings, home: Path) -> AsyncIterator[Site]:
    listener = mailbox.listen(0)
    port = listener.getsockname()[1]
    own = settings.model_copy(update={"home": home, "mailbox_smtp_url": f"smtp://127.0.0.1:{port}"})
    kept = Maildir(home / "mailbox")
    server = await mailbox.start(listener, mailbox.Handler(deliver, kept), max_bytes=1_000_000)
    transport = httpx.ASGITransport(Starlette(routes=mailbox_routes(own)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as pages:
        yield Site(port, kept, pages)
    server.close()


@pytest.fixture
async def site(settings: Settings, doors: Doors, tmp_path: Path) -> AsyncIterator[Site]:
    async with started(lambda to, raw: take_local_mail(doors, to, raw), settings, tmp_path) as one:
        yield one


def with_html(html: str, *, subject: str = "Oi") -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Ana <ana@example.com>", "bia@example.org", subject
    mail.set_content("Só texto.")
    mail.add_alternative(html, subtype="html")
    mail.add_attachment(b"x", maintype="application", subtype="pdf", filename=f"{SCRIPT}.pdf")
    return mail.as_bytes(policy=SMTP)


# ── what is taken ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_mail_to_a_connected_address_comes_in_and_is_not_kept(
    site: Site, ana: Person, eve: Person, doors: Doors
) -> None:
    account, other, raw = await add_mailbox(doors, ana), await add_mailbox(doors, eve), new_mail()
    assert await site.send(raw, account.address.upper()) == 250
    (row,) = await stored_mails(doors, ana.workspace_id)
    assert (row.raw, row.account_id) == (raw, account.id)
    assert await site.send(raw, account.address, other.address) == 250  # again, and to somebody else as well
    assert len(await stored_mails(doors, ana.workspace_id)) == 1
    assert len(await stored_mails(doors, eve.workspace_id)) == 1
    assert site.mails() == []


async def test_mail_to_anybody_else_is_kept_once(site: Site, ana: Person, doors: Doors) -> None:
    account, raw = await add_mailbox(doors, ana), new_mail()
    gone = await add_mailbox(doors, ana, status="DISCONNECTED")
    elsewhere = await add_mailbox(doors, ana, smtp_secret=b"smtp://of.a.provider")
    recipients = (account.address, "bia@example.org", gone.address, elsewhere.address)
    for _ in range(3):  # a sender that did not hear the answer
        assert await site.send(raw, *recipients) == 250
    assert len(await stored_mails(doors, ana.workspace_id)) == 1
    (kept,) = site.mails()
    assert [line for line in kept.split(b"\r\n") if line.startswith(b"Delivered-To")] == [
        f"Delivered-To: {address}".encode() for address in recipients[1:]
    ]
    assert kept.endswith(raw)


async def test_nothing_is_taken_that_is_not_durable(settings: Settings, tmp_path: Path) -> None:
    is_away = True

    async def deliver(addresses: Sequence[str], raw: bytes) -> set[str]:
        if is_away:
            raise Unavailable("The database cannot answer right now.")
        return set()

    async with started(deliver, settings, tmp_path) as site:
        assert await site.send(new_mail(), "bia@example.org") == 451
        assert site.mails() == []
        is_away = False
        (tmp_path / "mailbox").write_text("a file where the folder should be")
        assert await site.send(new_mail(), "bia@example.org") == 451
        (tmp_path / "mailbox").unlink()
        assert await site.send(new_mail(), "bia@example.org") == 250
        assert len(site.mails()) == 1


async def test_strange_mails_are_taken(site: Site) -> None:
    assert await site.send(b"Subject: \xff\xfe\r\n\r\n" + b"x" * 200_000, "bia@example.org", sender="") == 250
    assert await site.send(b"\x00", "a@example.org", options=["BODY=8BITMIME"]) == 250
    assert await site.send(b"x\r\n" * 400_000, "a@example.org") == 552
    assert len(site.mails()) == 2
    assert (await site.get()).status_code == (await site.open_newest()).status_code == 200


async def test_addresses_beyond_ascii(site: Site) -> None:
    def transact() -> int:
        with smtplib.SMTP("127.0.0.1", site.port, timeout=20) as client:
            client.ehlo()
            client.command_encoding = "utf-8"
            client.mail("joão@example.org", ["SMTPUTF8", "BODY=8BITMIME"])
            client.rcpt("ação@exãmple.org")
            return client.data("Subject: olá\r\n\r\nção".encode())[0]

    assert await asyncio.to_thread(transact) == 250
    assert "Delivered-To: ação@exãmple.org" in site.mails()[0].decode()
    assert "olá" in (await site.get()).text


async def test_half_a_mail_is_none(site: Site) -> None:
    def hang_up() -> None:
        with socket.create_connection(("127.0.0.1", site.port)) as client:
            client.sendall(
                b"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: x\r\n"
            )
            while b"354" not in client.recv(1000):
                pass

    await asyncio.to_thread(hang_up)
    assert await site.send(new_mail(), "bia@example.org") == 250
    assert len(site.mails()) == 1


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_pages_in_two_languages(site: Site) -> None:
    assert "Nada foi enviado ainda." in (await site.get(**{"Accept-Language": "pt-BR,en;q=0.5"})).text
    assert "Nothing has been sent yet." in (await site.get()).text
    await site.send(new_mail(subject="Proposta"), "bia@example.org")
    page = await site.get(**{"Accept-Language": "fr, pt;q=0.8"})
    assert '<html lang="pt-BR">' in page.text
    assert "Bia Souza &lt;bia@example.org&gt;" in page.text
    assert "Proposta</a>" in page.text


async def test_fifty_a_page_newest_first(site: Site) -> None:
    for number in range(51):
        site.kept.keep(f"Subject: number {number}.\r\n\r\n".encode(), sender="", recipients=["a@example.org"])
    first, second = (await site.get()).text, (await site.get("/mailbox?page=2")).text
    assert first.index("number 50.") < first.index("number 49.")
    assert first.count("<tr><td") == 50
    assert second.count("<tr><td") == 1
    assert "number 0." in second
    for odd in ("0", "-1", "x", "99999999", "9" * 5000, "²"):
        assert (await site.get(f"/mailbox?page={odd}")).status_code == 200


async def test_a_hostile_mail_is_text(site: Site) -> None:
    raw = with_html(f"{SCRIPT}<img src=http://127.0.0.1:1/x onerror=alert(1)></iframe>\"'>", subject=SCRIPT)
    raw = raw.replace(b"Ana <ana@example.com>", f'"{SCRIPT}" <ana@example.com>\r\nX: \x00\x1b[2J'.encode())
    await site.send(raw, f'"{SCRIPT}"@example.org')
    for page in (await site.get(), await site.open_newest()):
        assert "<script" not in page.text
        assert "alert(&#x27;" in page.text
        assert not {"\x00", "\x1b"} & set(page.text)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
    page = await site.open_newest()
    assert (
        page.text.count("<iframe sandbox ") == page.text.count("<iframe") == page.text.count("</iframe") == 1
    )
    assert "<img" not in page.text


async def test_the_raw_mail(site: Site) -> None:
    raw = with_html("<p>Oi</p>")
    await site.send(raw, "bia@example.org")
    (one,), _ = site.kept.newest(skip=0, limit=1)
    answer = await site.get(f"/mailbox/{one.id}/raw")
    assert answer.content.endswith(raw)
    assert answer.headers["content-disposition"] == f'attachment; filename="{one.id}.eml"'
    for odd in ("x", "..%2F..%2Fsecrets.json", "a" * 40, "A" * 40, one.id + "0"):
        assert (await site.get(f"/mailbox/{odd}/raw")).status_code == 404
        assert (await site.get(f"/mailbox/{odd}")).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("[::1]:8000", 200),
        ("127.0.0.1", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
    ],
)
async def test_foreign_names_are_not_answered(site: Site, host: str, status: int) -> None:
    await site.send(new_mail(subject="Segredo"), "bia@example.org")
    answer = await site.get(Host=host)
    assert (answer.status_code, "Segredo" in answer.text) == (status, status == 200)


def test_no_pages_in_production_or_without_the_mailbox(servers: None) -> None:
    def routes(env: Environment, smtp_url: str | None) -> int:
        return len(mailbox_routes(Settings(env=env, mailbox_smtp_url=smtp_url)))

    assert routes(Environment.DEVELOPMENT, "smtp://127.0.0.1:2525") == 3
    assert routes(Environment.PRODUCTION, "smtp://127.0.0.1:2525") == 0
    assert routes(Environment.DEVELOPMENT, "") == routes(Environment.DEVELOPMENT, None) == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00" * 100,
        b"Subject: =?x-none?B?////?= =?utf-8?q?=FF?=\r\n\r\n",
        b"Content-Type: text/plain; charset=\"no such\"\r\n\r\n\xff",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" * 3000,
        b"Content-Type: message/rfc822\r\n\r\n" * 3000,
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        b"Content-Disposition: attachment; filename*=utf-9''%FF; filename*0*=x''\r\n\r\n",
        b"From: " + b"(" * 100_000 + b"\r\n\r\n",
    ],
)  # fmt: skip
async def test_no_mail_breaks_a_page(site: Site, raw: bytes) -> None:
    site.kept.keep(raw, sender="", recipients=["a@example.org"])
    assert (await site.get()).status_code == 200
    assert (await site.open_newest()).status_code == 200


# ── the process ───────────────────────────────────────────────────────────────────────────────────────────────────────
class MailboxProcess(Child):
    async def until_ready(self) -> None:
        await eventually(lambda: "Mailbox listening" in self.log() or not self.is_running(), timeout_s=60)
        assert self.is_running(), self.log()


async def test_the_process_takes_mail_and_stops_though_somebody_is_idle(
    ana: Person, doors: Doors, tmp_path: Path
) -> None:
    port = free_port()
    process = MailboxProcess(
        ("-m", "app", "mailbox"),
        {"SALESPAD_MAILBOX_SMTP_URL": f"smtp://127.0.0.1:{port}", "SALESPAD_HOME": str(tmp_path)},
    )
    account = await add_mailbox(doors, ana)
    try:
        await process.start()
        site = Site(port, Maildir(tmp_path / "mailbox"), None)  # type: ignore[arg-type]
        assert await site.send(new_mail(), account.address, "bia@example.org") == 250
        assert len(await stored_mails(doors, ana.workspace_id)) == len(site.mails()) == 1
        assert account.address not in process.log()
        with socket.create_connection(("127.0.0.1", port)):  # whoever is idle is not waited for
            process.signal(signal.SIGTERM)
            assert process.process is not None
            assert await asyncio.wait_for(process.process.wait(), 10) == 0
    finally:
        await process.stop()


def test_run_starts_it_says_where_and_starts_it_again(launcher: Launcher) -> None:
    process = launcher.start_ready(command=[sys.executable, "-m", "app", "run"])
    wait_until(lambda: "Mailbox listening" in launcher.text, what="the mailbox")
    port = launcher.state()["mailbox_port"]
    assert f"  Mailbox    http://127.0.0.1:{launcher.port}/mailbox  (SMTP 127.0.0.1:{port})" in launcher.text
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("ana@example.com", ["bia@example.org"], new_mail(subject="Chegou"))
    page = httpx.get(f"http://127.0.0.1:{launcher.port}/mailbox", trust_env=False)
    assert "Chegou</a>" in page.text
    first = launcher.pids()["mailbox"]
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: launcher.text.count("Mailbox listening") == 2, what="another mailbox")
    assert launcher.state()["mailbox_port"] == port
    process.send_signal(signal.SIGTERM)
    assert process.wait(8) == 0
    assert launcher.pids() == {}
