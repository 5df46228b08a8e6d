"""What nobody wrote: bounces and automatic answers, each told only where it is sure."""

from pathlib import Path

import pytest

from app.channels.infrastructure.bounces import is_hard
from app.channels.infrastructure.mime import read_mail

MAILS = Path(__file__).parents[2] / "fixtures" / "mails"


@pytest.mark.parametrize(
    ("name", "ids", "recipient", "hard", "delayed", "status"),
    [
        ("bounce_postfix", ["<0199-c@acme.example.com>"], "nobody@example.org", True, False, "5.1.1"),
        ("bounce_exchange_full", ["<0199-d@acme.example.com>"], "cheio@example.org", False, False, "5.2.2"),
        ("bounce_delayed", ["<0199-e@acme.example.com>"], "lento@example.org", False, True, "4.4.1"),
        ("bounce_qmail", ["<0199-f@acme.example.com>"], "gone@example.org", True, False, "5.1.1"),
        ("bounce_exim", ["<0199-g@acme.example.com>"], "foi@example.org", False, False, "5.7.1"),
    ],
)
def test_bounces(name: str, ids: list[str], recipient: str, hard: bool, delayed: bool, status: str) -> None:
    mail = read_mail((MAILS / f"{name}.eml").read_bytes())
    assert mail.bounce is not None
    assert (mail.bounce.message_ids, mail.bounce.recipient) == (ids, recipient)
    assert (mail.bounce.is_hard, mail.bounce.is_delayed, mail.bounce.status_code) == (hard, delayed, status)
    assert mail.is_auto_reply
    assert mail.text


@pytest.mark.parametrize(
    ("status", "diagnostic", "hard"),
    [
        ("5.1.1", "", True),
        ("5.1.2", "", True),
        ("5.1.10", "null MX", True),
        ("5.2.1", "disabled", True),
        ("5.4.4", "Host or domain name not found", True),
        ("5.4.310", "DNS domain does not exist", True),
        ("5.0.0", "smtp; 550 5.1.1 no such user", True),
        ("5.0.0", "smtp; 550 No such user here", True),
        ("5.5.0", "smtp; 550 Requested action not taken: mailbox unavailable", True),
        ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied.", True),
        (
            "5.0.0",
            "554 delivery error: dd This user doesn't have a yahoo.com account (b@yahoo.com) [0]",
            True,
        ),
        (None, "554 30 Sorry, your message cannot be delivered. This mailbox is disabled (554.30).", True),
        (None, "550 unknown user", True),
        (None, "no such user", False),
        ("5.0.0", "", False),
        ("5.0.0", "smtp; 550 5.7.1 blocked", False),
        ("5.0.0", "550 user unknown or blocked for spam", False),
        ("5.1.7", "sender address", False),
        ("5.1.8", "sender domain", False),
        ("5.2.2", "mailbox full", False),
        ("5.2.3", "too large", False),
        ("5.3.0", "", False),
        ("5.4.1", "no answer from host", False),
        ("5.4.7", "expired", False),
        ("5.7.1", "user unknown", False),
        ("5.7.26", "dmarc", False),
        ("4.1.1", "user unknown", False),
        ("4.4.1", "", False),
        (None, "", False),
    ],
)
def test_only_a_dead_address_is_hard(status: str | None, diagnostic: str, hard: bool) -> None:
    assert is_hard(status, diagnostic) is hard


def report(fields: str) -> bytes:
    return (
        "From: x@example.org\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
        f"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns;x\r\n\r\n{fields}\r\n--b--"
    ).encode()


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", "", "nonsense"])
def test_a_report_of_no_trouble_is_no_bounce(action: str) -> None:
    mail = read_mail(report(f"Final-Recipient: rfc822;a@example.org\r\nAction: {action}\r\nStatus: 2.0.0"))
    assert mail.bounce is None
    assert mail.is_auto_reply


def test_of_several_recipients_the_worst_counts() -> None:
    fields = (
        "Final-Recipient: rfc822;a@example.org\r\nAction: delayed\r\nStatus: 4.0.0\r\n\r\n"
        "Final-Recipient: rfc822;b@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        "Final-Recipient: rfc822;c@example.org\r\nAction: failed\r\nStatus: 5.2.2"
    )
    bounce = read_mail(report(fields)).bounce
    assert bounce is not None
    assert (bounce.recipient, bounce.is_hard) == ("b@example.org", True)


@pytest.mark.parametrize(
    ("headers", "is_auto"),
    [
        ("Auto-Submitted: auto-replied", True),
        ("Auto-Submitted: AUTO-GENERATED; x=y", True),
        ("Auto-Submitted: no", False),
        ("Auto-Submitted: No (a person)", False),
        ("X-Autoreply: yes", True),
        ("X-Autorespond: Re", True),
        ("X-Autoreply: no", False),
        ("Precedence: auto_reply", True),
        ("Precedence: bulk", False),
        ("Precedence: list\r\nList-Id: <x>", False),
        ("X-Auto-Response-Suppress: All", False),
        ("Subject: Out of office: proposal", False),
        ("Subject: Out of office\r\nX-Auto-Response-Suppress: All", True),
        ("Subject: =?utf-8?q?Resposta_autom=C3=A1tica?=\r\nPrecedence: bulk", True),
        ("Subject: Automatic reply: x\r\nReturn-Path: <>", True),
        ("Subject: Re: automatic reply\r\nPrecedence: bulk", False),
        ("Subject: Undelivered Mail", False),
        ("Return-Path: <>", False),
    ],
)
def test_automatic_answers(headers: str, is_auto: bool) -> None:
    mail = read_mail(f"From: Bia <bia@example.org>\r\n{headers}\r\n\r\nhi".encode())
    assert mail.is_auto_reply is is_auto
    assert mail.bounce is None


def test_a_person_who_quotes_a_bounce_is_no_bounce() -> None:
    raw = b"From: bia@example.org\r\nSubject: Undeliverable?\r\n\r\nI got: Hi. This is the qmail-send program. 5.1.1"
    mail = read_mail(raw)
    assert (mail.bounce, mail.is_auto_reply) == (None, False)


def test_an_answer_while_away() -> None:
    mail = read_mail((MAILS / "vacation_pt.eml").read_bytes())
    assert (mail.is_auto_reply, mail.bounce, mail.text) == (True, None, "Estou de férias até 10/11.")
