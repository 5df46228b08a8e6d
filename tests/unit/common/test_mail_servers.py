"""Addresses of mail servers, and what is said of them."""

import pytest

from app.common.domain import Invalid
from app.common.mail_servers import (
    CannotReach,
    Protocol,
    ReachProblem,
    mail_server,
    scrubbed,
    what_to_do,
)


@pytest.mark.parametrize(
    ("url", "host", "port", "is_implicit_tls", "user", "password"),
    [
        ("smtp://u:p@smtp.example.com:587", "smtp.example.com", 587, False, "u", "p"),
        ("smtp://SMTP.Example.com", "smtp.example.com", 587, False, None, None),
        ("smtps://a%40b.c:p%2Fq%3A%25@h.example.com/", "h.example.com", 465, True, "a@b.c", "p/q:%"),
        ("smtp://ana@acme.com:pw@h.example.com:25", "h.example.com", 25, False, "ana@acme.com", "pw"),
        ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, False, None, None),
        ("smtp://[::1]:2525", "::1", 2525, False, None, None),
        ("smtp://bücher.example:587", "xn--bcher-kva.example", 587, False, None, None),
        ("smtps://u:pá@h.example.com", "h.example.com", 465, True, "u", "pá"),
    ],
)
def test_smtp_addresses(
    url: str, host: str, port: int, is_implicit_tls: bool, user: str | None, password: str | None
) -> None:
    server = mail_server(Protocol.SMTP, f" {url} ")
    assert (server.host, server.port, server.is_implicit_tls) == (host, port, is_implicit_tls)
    assert (server.user, server.password) == (user, password)


def test_a_server_shows_no_login() -> None:
    shown = repr(mail_server(Protocol.SMTP, "smtp://somebody:hunter2@h.example.com"))
    assert "h.example.com" in shown
    assert "somebody" not in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "smtp", "smtp://", "smtp://:25", "http://u:p@h.example.com", "imaps://u:p@h.example.com",
        "smtp://h.example.com:99999", "smtp://h.example.com:0", "smtp://h.example.com:x",
        "smtp://u@h.example.com", "smtp://:p@h.example.com", "smtp://h.example.com/path",
        "smtp://h.example.com?x=1", "smtp://h.example.com#x", "smtp://u:p/q@h.example.com",
        "smtp://u:p%0d%0aQUIT@h.example.com", "smtp://u:p%00@h.example.com", "smtp://u:p%ff@h.example.com",
        "smtp://u:p@h example.com", "smtp://u:p@h.exam\nple.com", "smtp://u:p@[::1", "smtp://u:\ud800@h.example.com",
        "smtp://u:" + "p" * 2000 + "@h.example.com", "smtp://u:p@" + "h" * 300 + ".example.com", "smtp://u:p@h..example.com",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        mail_server(Protocol.SMTP, url, "smtpUrl")
    assert refused.value.path == ("smtpUrl",)
    assert "%40" in refused.value.message
    assert "h.example" not in refused.value.message
    assert refused.value.__cause__ is None


def test_imap_needs_a_login() -> None:
    assert mail_server(Protocol.IMAP, "imaps://u:p@h.example.com").port == 993
    assert mail_server(Protocol.IMAP, "imap://u:p@h.example.com").port == 143
    with pytest.raises(Invalid):
        mail_server(Protocol.IMAP, "imaps://h.example.com")


def test_the_same_mailbox_has_the_same_host_and_user() -> None:
    first = mail_server(Protocol.IMAP, "imaps://u:old@h.example.com")
    assert first.is_mailbox_of(mail_server(Protocol.IMAP, "imap://u:new@H.example.com:143"))
    assert not first.is_mailbox_of(mail_server(Protocol.IMAP, "imaps://v:old@h.example.com"))


@pytest.mark.parametrize("problem", ReachProblem)
def test_every_problem_says_what_to_do(problem: ReachProblem) -> None:
    server = mail_server(Protocol.SMTP, "smtp://u:hidden@h.example.com")
    said = what_to_do(server, CannotReach(problem, "No."))
    assert "{" not in said
    assert "hidden" not in said
    assert said.endswith("It says: No.")


def test_what_a_server_says_is_one_line_without_secrets() -> None:
    assert scrubbed("535 bad\r\n pass\x00word\ud800 hunter2 !", ["hunter2", None]) == "535 bad pass word … !"
    assert len(scrubbed("x" * 10_000, [])) == 200
