"""How the SMTP sender comes to a server: TLS, logins, names; and in what a mail travels."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.channels.domain.ports import Accepted, Answer, OutboundMessage, Rejected, Retry
from app.channels.infrastructure.compose import compose_mail
from app.channels.infrastructure.smtp import SmtpSender
from app.common.egress import Egress
from app.settings import Settings
from tests.factories.smtp import PASSWORD, account, message
from tests.fixtures.smtp import Certificate, ScriptedSmtp


@pytest.fixture
def server() -> Iterator[ScriptedSmtp]:
    with ScriptedSmtp.started() as server:
        yield server


@pytest.fixture
async def sender() -> AsyncIterator[SmtpSender]:
    sender = SmtpSender(Settings(send_timeout_s=5), compose_mail)
    yield sender
    await sender.close()


async def send(sender: SmtpSender, server: ScriptedSmtp, **changed: Any) -> Answer:
    return await sender.send(account(server.url), message(**changed))


# ── login and TLS ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_login_is_made_once_a_connection(sender: SmtpSender) -> None:
    with ScriptedSmtp.started(users={"ana@acme": PASSWORD}) as server:
        own = account(server.url)
        for _ in range(2):
            assert isinstance(await sender.send(own, message()), Accepted)
        assert {mail.user for mail in server.mails} == {"ana@acme"}
        assert server.commands.count("AUTH") == 1


async def test_a_refused_login_breaks_the_account_and_is_not_repeated(sender: SmtpSender) -> None:
    with ScriptedSmtp.started(users={"ana": "right"}) as server:
        answer = await sender.send(account(server.url_as("ana", PASSWORD)), message())
        assert isinstance(answer, Retry)
        assert (answer.code, answer.is_account_broken) == ("LOGIN_REFUSED", True)
        assert PASSWORD not in answer.message
        assert server.refused_logins == 1


async def test_a_password_in_a_servers_words_is_not_told(sender: SmtpSender) -> None:
    with ScriptedSmtp.started(users={"ana": PASSWORD}) as server:
        server.then("AUTH", f"535 5.7.8 {PASSWORD} is wrong")
        answer = await sender.send(account(server.url), message())
        assert isinstance(answer, Retry)
        assert "is wrong" in answer.message
        assert PASSWORD not in repr(answer)


async def test_a_login_put_off_breaks_nothing(sender: SmtpSender) -> None:
    with ScriptedSmtp.started(users={"ana": PASSWORD}) as server:
        server.then("AUTH", "454 4.7.0 Not now")
        answer = await sender.send(account(server.url), message())
        assert isinstance(answer, Retry)
        assert not answer.is_account_broken


async def test_a_server_that_wants_a_login_we_do_not_have(sender: SmtpSender) -> None:
    with ScriptedSmtp.started(users={"ana": PASSWORD}) as server:
        answer = await sender.send(account(server.url_as(None)), message())
        assert isinstance(answer, Retry)
        assert answer.is_account_broken


async def test_a_server_without_logins(sender: SmtpSender, server: ScriptedSmtp) -> None:
    answer = await sender.send(account(server.url_as("ana", PASSWORD)), message())
    assert isinstance(answer, Retry)
    assert (answer.code, answer.is_account_broken) == ("LOGIN_NOT_OFFERED", True)


@pytest.mark.parametrize("is_implicit", [True, False])
async def test_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_implicit: bool) -> None:
    certificate = Certificate.made(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.ca))
    sender = SmtpSender(Settings(), compose_mail)
    with ScriptedSmtp.started(
        users={"ana": PASSWORD}, certificate=certificate, is_implicit_tls=is_implicit
    ) as server:
        assert isinstance(await send(sender, server), Accepted)
        assert server.mails[0].is_encrypted
        await sender.close()


@pytest.mark.parametrize("is_implicit", [True, False])
async def test_an_unknown_certificate_gets_no_password(
    sender: SmtpSender, tmp_path: Path, is_implicit: bool
) -> None:
    with ScriptedSmtp.started(
        users={"ana": PASSWORD}, certificate=Certificate.made(tmp_path), is_implicit_tls=is_implicit
    ) as server:
        answer = await send(sender, server)
        assert isinstance(answer, Retry)
        assert answer.code == "CERTIFICATE"
        assert "AUTH" not in server.commands


async def test_a_certificate_for_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = Certificate.made(tmp_path, "mail.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.ca))
    sender = SmtpSender(Settings(), compose_mail)
    with ScriptedSmtp.started(certificate=certificate, is_implicit_tls=True) as server:
        answer = await send(sender, server)
    assert isinstance(answer, Retry)
    assert answer.code == "CERTIFICATE"


async def test_tls_where_there_is_none(sender: SmtpSender, server: ScriptedSmtp) -> None:
    answer = await sender.send(account(server.url.replace("smtp:", "smtps:")), message())
    assert isinstance(answer, Retry)
    assert answer.code == "TLS_FAILED"


def far(server: ScriptedSmtp, *, is_production: bool = True) -> Egress:
    """As if the server were somewhere on the internet."""
    return Egress(
        is_production,
        resolver=lambda host, port: ["93.184.215.14"],
        connector=lambda address, port: ("127.0.0.1", server.port),
    )


@pytest.mark.parametrize("is_production", [True, False])
async def test_a_far_server_without_tls_gets_no_password(is_production: bool) -> None:
    with ScriptedSmtp.started(users={"ana": PASSWORD}) as server:
        sender = SmtpSender(Settings(), compose_mail, far(server, is_production=is_production))
        answer = await sender.send(account("smtp://ana:pw@smtp.example.com:587"), message())
        assert isinstance(answer, Retry)
        assert answer.code == "NO_TLS"
        assert "AUTH" not in server.commands


async def test_a_far_server_is_asked_for_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to the checked address; the certificate must be the name's."""
    certificate = Certificate.made(tmp_path, "smtp.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.ca))
    with ScriptedSmtp.started(certificate=certificate) as server:
        sender = SmtpSender(Settings(), compose_mail, far(server))
        assert isinstance(await sender.send(account("smtp://smtp.example.com:587"), message()), Accepted)
        assert server.mails[0].is_encrypted
        await sender.close()


# ── addresses and encodings ───────────────────────────────────────────────────────────────────────────────────────────
async def test_a_domain_goes_out_in_punycode(sender: SmtpSender, server: ScriptedSmtp) -> None:
    assert isinstance(await send(sender, server, to_address="bia@straße.de"), Accepted)
    assert server.mails[0].rcpt_tos == ["bia@xn--strae-oqa.de"]
    assert "SMTPUTF8" not in server.mails[0].mail_options


def utf8_mail(address: str, message: OutboundMessage) -> bytes:
    headers = f"From: {address}\r\nTo: {message.to_address}\r\nMIME-Version: 1.0\r\n"
    kind = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    return f"{headers}{kind}\r\nOlá\r\n".encode()


async def test_a_name_beyond_ascii_goes_only_where_it_is_offered() -> None:
    sender = SmtpSender(Settings(), utf8_mail)
    with ScriptedSmtp.started() as server:
        assert isinstance(await send(sender, server, to_address="josé@example.com"), Accepted)
        assert server.mails[0].rcpt_tos == ["josé@example.com"]
        assert "SMTPUTF8" in server.mails[0].mail_options
    with ScriptedSmtp.started(takes_utf8=False) as server:
        answer = await send(sender, server, to_address="josé@example.com")
        assert isinstance(answer, Rejected)
        assert (answer.code, answer.is_address_bad) == ("NO_SMTPUTF8", False)
        assert "MAIL" not in server.commands
    await sender.close()


async def test_eight_bits_go_only_where_they_are_offered() -> None:
    sender = SmtpSender(Settings(), utf8_mail)
    with ScriptedSmtp.started() as server:
        await send(sender, server)
        assert "BODY=8BITMIME" in server.mails[0].mail_options
        assert "Olá".encode() in server.mails[0].content
    with ScriptedSmtp.started(takes_utf8=False, takes_8bit=False) as server:
        assert isinstance(await send(sender, server), Accepted)
        assert server.mails[0].content.isascii()
    await sender.close()


@pytest.mark.parametrize("to_address", ["nobody", "a@b c.example", "a\r\nRCPT TO:<x@example.com>@b.example"])
async def test_what_is_no_address_goes_nowhere(
    sender: SmtpSender, server: ScriptedSmtp, to_address: str
) -> None:
    answer = await send(sender, server, to_address=to_address)
    assert isinstance(answer, Rejected)
    assert answer.is_address_bad
    assert server.sessions == 0


async def test_an_account_whose_login_cannot_be_had(sender: SmtpSender) -> None:
    for is_local in (True, False):
        answer = await sender.send(account("", is_local=is_local), message())
        assert isinstance(answer, Retry)
        assert answer.is_account_broken
