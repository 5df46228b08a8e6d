"""The SMTP double: what its rules say it does, and its log is what it has."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import aiosmtplib
import pytest

from app.channels.domain.ports import Accepted, Rejected, Retry, Unknown
from app.channels.infrastructure.compose import compose_mail
from app.channels.infrastructure.smtp import SmtpSender
from app.embedded.config import ROOT
from app.embedded.smtp_double import SmtpDouble
from app.embedded.smtp_log import read_log
from app.embedded.smtp_rules import BadRule, Rule
from app.settings import Settings
from tests.factories.smtp import account, message
from tests.fixtures.processes import eventually

BY_SENDER = [
    pytest.param("rcpt * 550 5.1.1 No such user", Rejected, 0, id="5xx at rcpt"),
    pytest.param("rcpt * 450 4.2.1 Busy", Retry, 0, id="4xx at rcpt"),
    pytest.param("connect * 421 4.3.2 Closing", Retry, 0, id="421 at connect"),
    pytest.param("ehlo * drop", Retry, 0, id="dropped at ehlo"),
    pytest.param("mail * 452 4.3.1 Full", Retry, 0, id="4xx at mail"),
    pytest.param("data * 554 5.7.1 No", Rejected, 0, id="5xx at data"),
    pytest.param("data * close", Retry, 0, id="closed at data"),
    pytest.param("body * drop", Unknown, 0, id="dropped in the text"),
    pytest.param("dot * drop", Unknown, 0, id="dropped before it was kept"),
    pytest.param("dot * hang", Unknown, 0, id="silent before it was kept"),
    pytest.param("end * drop", Unknown, 1, id="dropped after it was kept"),
    pytest.param("end * hang", Unknown, 1, id="silent after it was kept"),
    pytest.param("end * 452 4.3.1 Full", Retry, 0, id="4xx at the end"),
    pytest.param("end * 554 5.6.0 Spam", Rejected, 0, id="5xx at the end"),
    pytest.param("rcpt * limit 0/60", Retry, 0, id="over its limit"),
    pytest.param("rcpt *@elsewhere.example 550 no", Accepted, 1, id="a rule for others"),
    pytest.param("dot * drop times=0", Accepted, 1, id="a rule used up"),
    pytest.param("rcpt * wait 0.01", Accepted, 1, id="slow"),
]
BAD = [
    *("", "rcpt", "rcpt *", "rcpt * nonsense", "rset * drop", "mail *@a.example drop", "rcpt * wait long"),
    *("data * greylist 3", "rcpt * limit 3", "rcpt * drop share=much", "rcpt * drop times=some"),
]


@pytest.mark.parametrize(("rule", "answer", "has_it"), BY_SENDER)
async def test_a_rule_as_our_sender_sees_it(rule: str, answer: type[object], has_it: int) -> None:
    impatient = Settings(send_timeout_s=1)
    sender, sent = SmtpSender(impatient, compose_mail), message()
    with SmtpDouble.started(rule) as double:
        assert isinstance(await sender.send(account(double.url), sent), answer)
        await sender.close()
        assert [(one.message_id, one.recipient) for one in double.taken] == [
            (sent.message_id, sent.to_address)
        ] * has_it
        assert double.counts["mails"] == has_it


@pytest.mark.parametrize("text", BAD)
def test_a_bad_rule_says_how_one_is_written(text: str) -> None:
    with pytest.raises(BadRule, match=r"a rule is|the stage is|no recipient is known|greylisting is done"):
        Rule.parsed(text)


async def test_greylisting_knows_client_sender_and_recipient() -> None:
    with SmtpDouble.started("rcpt * greylist 0.3") as double:
        async with aiosmtplib.SMTP(hostname=double.host, port=double.port) as client:
            assert (await _mailed(client, "a@x.example"))[0] == 451
            assert (await _mailed(client, "a@x.example"))[0] == 451, "too soon"
            await eventually(lambda: _is_taken(client, "a@x.example"), what="the end of the greylisting")
            assert (await _mailed(client, "a@x.example"))[0] == 250, "known from now on"
            assert (await _mailed(client, "b@x.example"))[0] == 451, "another recipient"
    assert [one.recipient for one in double.taken] == ["a@x.example"] * 2


async def test_a_share_falls_to_the_same_mails_again() -> None:
    recipients = [f"lead-{number}@x.example" for number in range(200)]
    runs = [await _refused(recipients, seed=7), await _refused(recipients[::-1], seed=7)]
    assert runs[0] == runs[1] != await _refused(recipients, seed=8)
    assert 20 <= len(runs[0]) <= 80, "about a quarter"


async def test_a_whole_mail_at_once_and_what_comes_byte_by_byte(tmp_path: Path) -> None:
    """Pipelined, with a rule that makes it wait meanwhile; a line of dots ends nothing; a folded Message-ID is read."""
    mail = b"Subject: x\r\nMessage-ID:\r\n <folded@x.example>\r\n\r\n..\r\n.. \r\n\r\n.\r\n"
    said = b"EHLO me\r\nMAIL FROM:<me@x.example>\r\nRCPT TO:<You@X.example>\r\nDATA\r\n" + mail + b"QUIT\r\n"
    with SmtpDouble.started("rcpt * wait 0.05", log=tmp_path / "log") as double:
        for size in (len(said), 1):
            reader, writer = await asyncio.open_connection(double.host, double.port)
            for start in range(0, len(said), size):
                writer.write(said[start : start + size])
                await writer.drain()
            answers = re.findall(r"^(\d\d\d) ", (await reader.read()).decode(), re.MULTILINE)
            writer.close()
            assert answers == ["220", "250", "250", "250", "354", "250", "221"]
        empty = b"MAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n.\r\n"
        empty += b"NONSENSE\r\nDATA\r\nRCPT TO:<>\r\nMAIL me\r\nQUIT\r\n"
        reader, writer = await asyncio.open_connection(double.host, double.port)
        writer.write(empty)
        answers = re.findall(r"^(\d\d\d) ", (await reader.read()).decode(), re.MULTILINE)
        writer.close()
        assert answers == ["220", "250", "250", "354", "250", "500", "503", "501", "501", "221"]
    log = read_log(tmp_path / "log")
    assert [(one.message_id, one.recipient) for one in log] == [
        ("<folded@x.example>", "you@x.example"),
        ("<folded@x.example>", "you@x.example"),
        ("-", "a@x.example"),
    ]
    assert log[0].at <= log[1].at <= log[2].at


async def test_as_a_command_it_writes_down_what_it_took_before_it_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [
        sys.executable,
        "-m",
        "app",
        "smtp-double",
        "--log",
        str(log),
        "--rule",
        "end *@odd.example drop",
    ]
    double = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert double.stdout is not None
        port = int((await double.stdout.readline()).decode().rpartition(":")[2])
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port) as client:
            assert (await _mailed(client, "a@x.example"))[0] == 250
            with pytest.raises(aiosmtplib.SMTPServerDisconnected):
                await _mailed(client, "b@odd.example")
            double.send_signal(signal.SIGKILL)
            await double.wait()
    finally:
        if double.returncode is None:
            double.kill()
            await double.wait()
    assert [one.recipient for one in read_log(log)] == ["a@x.example", "b@odd.example"]


def test_a_bad_rule_on_the_command_line_is_a_sentence() -> None:
    command = [sys.executable, "-m", "app", "smtp-double", "--rule", "rcpt * explode"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ)
    assert told.returncode == 1
    assert told.stderr.strip() == "'rcpt * explode': a rule is `stage recipients act [share=0.1] [times=3]`"


def test_a_taken_port_is_a_sentence() -> None:
    with SmtpDouble.started() as double:
        command = [sys.executable, "-m", "app", "smtp-double", "--port", str(double.port)]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ)
    assert told.returncode == 1
    assert told.stderr.strip() == f"Port {double.port} on 127.0.0.1 is taken: choose another with --port."


async def _mailed(client: aiosmtplib.SMTP, recipient: str) -> tuple[int, str]:
    """The server's last word on a mail."""
    await client.mail("me@x.example")
    try:
        await client.rcpt(recipient)
    except aiosmtplib.SMTPResponseException as error:
        await client.rset()
        return error.code, error.message
    answer = await client.data(b"Message-ID: <x@x.example>\r\n\r\nHello\r\n")
    return answer.code, answer.message


async def _is_taken(client: aiosmtplib.SMTP, recipient: str) -> bool:
    return (await _mailed(client, recipient))[0] == 250


async def _refused(recipients: list[str], *, seed: int) -> set[str]:
    with SmtpDouble.started("rcpt * 550 5.1.1 No share=0.25", seed=seed) as double:
        async with aiosmtplib.SMTP(hostname=double.host, port=double.port) as client:
            return {one for one in recipients if (await _mailed(client, one))[0] == 550}
