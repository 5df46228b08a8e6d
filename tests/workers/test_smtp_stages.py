"""What the SMTP sender says of a message, by the stage at which something happens: real sockets, a scripted server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.channels.domain.ports import (
    Accepted,
    Answer,
    Rejected,
    Retry,
    Unknown,
)
from app.channels.infrastructure import smtp
from app.channels.infrastructure.compose import compose_mail
from app.channels.infrastructure.smtp import SmtpSender
from app.common.egress import Egress
from app.embedded.processes import free_port
from app.settings import Settings
from tests.factories.smtp import ADDRESS, account, message
from tests.fixtures.processes import eventually
from tests.fixtures.smtp import CLOSE, DROP, HANG, Hold, ScriptedSmtp, Wait


@pytest.fixture
def server() -> Iterator[ScriptedSmtp]:
    with ScriptedSmtp.started() as server:
        yield server


@pytest.fixture
async def sender() -> AsyncIterator[SmtpSender]:
    sender = SmtpSender(Settings(send_timeout_s=5), compose_mail)
    yield sender
    await sender.close()


@pytest.fixture
async def hasty() -> AsyncIterator[SmtpSender]:
    """Its patience ends soon, but not before a slow machine has come to the stage."""
    sender = SmtpSender(Settings(send_timeout_s=3), compose_mail)
    yield sender
    await sender.close()


async def send(sender: SmtpSender, server: ScriptedSmtp, **changed: Any) -> Answer:
    return await sender.send(account(server.url), message(**changed))


# ── accepted ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_mail_is_handed_over_as_it_was_written(sender: SmtpSender, server: ScriptedSmtp) -> None:
    assert await send(sender, server) == Accepted("T1")
    (mail,) = server.mails
    assert (mail.mail_from, mail.rcpt_tos) == (ADDRESS, ["bia@example.com"])
    assert b"\r\nA line.\r\n.hidden\r\n" in mail.content


async def test_an_account_keeps_its_connection(sender: SmtpSender, server: ScriptedSmtp) -> None:
    own = account(server.url)
    for _ in range(3):
        assert isinstance(await sender.send(own, message()), Accepted)
    assert server.sessions == 1
    assert server.commands.count("RSET") == 2
    assert isinstance(await sender.send(account(server.url), message()), Accepted)
    assert server.sessions == 2, "another account has its own"


async def test_a_connection_is_used_a_hundred_times(
    sender: SmtpSender, server: ScriptedSmtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "USES_MAX", 2)
    own = account(server.url)
    for _ in range(3):
        await sender.send(own, message())
    assert [mail.session for mail in server.mails] == [1, 1, 2]
    assert "QUIT" in server.commands


async def test_an_idle_connection_is_let_go(
    sender: SmtpSender, server: ScriptedSmtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "IDLE_S", 0.05)
    await send(sender, server)
    await eventually(lambda: server.open_sessions == 0, what="the end of the connection")


async def test_many_at_once_share_a_few_connections(sender: SmtpSender, server: ScriptedSmtp) -> None:
    own = account(server.url)
    server.then("END", *(Wait(0.05) for _ in range(12)))
    answers = await asyncio.gather(*(sender.send(own, message()) for _ in range(12)))
    assert len([one for one in answers if isinstance(one, Accepted)]) == 12
    assert 1 < server.sessions <= smtp.CONNECTIONS_MAX


async def test_a_slow_server_leaves_none_in_doubt_for_having_waited(server: ScriptedSmtp) -> None:
    """It takes every mail within the time that one has; those that wait for a connection have less."""
    sender = SmtpSender(Settings(send_timeout_s=3), compose_mail)
    own = account(server.url)
    server.then("END", *(Wait(2) for _ in range(12)))
    answers = await asyncio.gather(*(sender.send(own, message()) for _ in range(12)))
    await sender.close()
    assert len([one for one in answers if isinstance(one, Retry) and one.is_busy]) == 8
    assert len([one for one in answers if isinstance(one, Accepted)]) == smtp.CONNECTIONS_MAX


async def test_closing_ends_every_connection(server: ScriptedSmtp) -> None:
    sender = SmtpSender(Settings(), compose_mail)
    await send(sender, server)
    await sender.close()
    await eventually(lambda: server.open_sessions == 0, what="the end of the connection")


@pytest.mark.parametrize("end", [DROP, CLOSE, "421 4.4.2 Idle too long", "500 5.5.1 What?", HANG])
async def test_a_stale_connection_is_replaced_before_mail(
    sender: SmtpSender, server: ScriptedSmtp, end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "ALIVE_S", 0.2)
    own = account(server.url)
    await sender.send(own, message())
    server.then("RSET", end)
    assert isinstance(await sender.send(own, message()), Accepted)
    assert len(server.mails) == 2
    assert server.sessions == 2


async def test_a_changed_address_begins_anew(sender: SmtpSender, server: ScriptedSmtp) -> None:
    own = account(server.url)
    await sender.send(own, message())
    with ScriptedSmtp.started() as other:
        await sender.send(account(other.url, id=own.id), message())
        assert len(other.mails) == 1
    await eventually(lambda: server.open_sessions == 0, what="the end of the old connection")


# ── before the text: it surely did not go out ─────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("CONNECT", "421 4.3.2 Too busy"),
        ("CONNECT", "554 5.7.1 Your address is on a list"),
        ("EHLO", "421 4.3.2 Going down"),
        ("MAIL", "451 4.3.0 Not now"),
        ("MAIL", "421 4.7.0 Too fast"),
        ("RCPT", "450 4.2.1 Greylisted"),
        ("RCPT", "421 4.7.0 Too fast"),
        ("DATA", "451 4.3.0 Not now"),
        ("END", "451 4.3.0 Not now"),
        ("END", "421 4.3.0 Going down"),
    ],
)
async def test_a_no_for_now_is_tried_again(
    sender: SmtpSender, server: ScriptedSmtp, stage: str, reply: str
) -> None:
    own = account(server.url)
    server.then(stage, reply)
    answer = await sender.send(own, message())
    assert isinstance(answer, Retry)
    assert not answer.is_account_broken
    assert reply[:3] in answer.message
    assert server.mails == []
    assert isinstance(await sender.send(own, message()), Accepted), "the next one is not held up by it"


@pytest.mark.parametrize("stage", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("end", [DROP, CLOSE])
async def test_a_connection_lost_before_the_text_is_tried_again(
    sender: SmtpSender, server: ScriptedSmtp, stage: str, end: Any
) -> None:
    server.then(stage, end)
    answer = await send(sender, server)
    assert isinstance(answer, Retry)
    # Reset at once, it may not have been seen to stand.
    assert answer.code in ("CONNECTION_LOST", "CONNECTION_REFUSED" if stage == "CONNECT" else "")


async def silent(sender: SmtpSender, stage: str) -> Answer:
    """What is said of a server that says nothing any more from there on."""
    with ScriptedSmtp.started() as server:
        server.then(stage, HANG)
        answer = await send(sender, server)
        await eventually(lambda: server.open_sessions == 0, what="the end of the connection")
    return answer


async def test_silence_before_the_text_is_tried_again(hasty: SmtpSender) -> None:
    stages = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA")
    answers = await asyncio.gather(*(silent(hasty, stage) for stage in stages))
    assert [isinstance(one, Retry) and one.code for one in answers] == ["TIMEOUT"] * len(stages)


async def test_nobody_there_is_tried_again(sender: SmtpSender) -> None:
    answer = await sender.send(account(f"smtp://127.0.0.1:{free_port()}"), message())
    assert isinstance(answer, Retry)
    assert answer.code == "CONNECTION_REFUSED"


async def test_a_host_that_does_not_exist_is_tried_again() -> None:
    sender = SmtpSender(Settings(), compose_mail, Egress(False, resolver=lambda host, port: []))
    answer = await sender.send(account("smtp://smtp.example.com"), message())
    assert isinstance(answer, Retry)
    assert answer.code == "HOST_NOT_FOUND"


# ── a no for good ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("stage", "reply", "code", "is_address_bad"),
    [
        ("MAIL", "553 5.7.1 Not your address", "5.7.1", False),
        ("MAIL", "552 5.3.4 Too big", "5.3.4", False),
        ("RCPT", "550 5.1.1 No such user", "5.1.1", True),
        ("RCPT", "550 5.1.10 No such domain", "5.1.10", True),
        ("RCPT", "553 5.1.8 Bad sender's domain", "5.1.8", False),
        ("RCPT", "552 5.2.2 Mailbox full", "5.2.2", False),
        ("RCPT", "550 No", "550", False),
        ("DATA", "554 5.5.1 No valid recipients", "5.5.1", False),
        ("END", "554 5.7.1 Spam", "5.7.1", False),
        ("END", "550 5.1.1 No such user", "5.1.1", False),
    ],
)
async def test_a_no_for_good_is_rejected(
    sender: SmtpSender, server: ScriptedSmtp, stage: str, reply: str, code: str, is_address_bad: bool
) -> None:
    own = account(server.url)
    server.then(stage, reply)
    answer = await sender.send(own, message())
    assert answer == Rejected(code, reply, is_address_bad=is_address_bad)
    assert server.mails == []
    assert isinstance(await sender.send(own, message()), Accepted)
    assert server.sessions == 1, "a refusal costs no connection"


# ── the moment of doubt ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("stage", ["BODY", "END"])
@pytest.mark.parametrize("end", [DROP, CLOSE])
async def test_a_connection_lost_after_the_text_began_is_unknown(
    sender: SmtpSender, server: ScriptedSmtp, stage: str, end: Any
) -> None:
    own = account(server.url)
    server.then(stage, end)
    assert isinstance(await sender.send(own, message()), Unknown)
    assert len(server.mails) == (stage == "END"), "the server may have it, and may not"
    assert isinstance(await sender.send(own, message()), Accepted)


async def test_silence_after_the_text_began_is_unknown(hasty: SmtpSender) -> None:
    answers = await asyncio.gather(*(silent(hasty, stage) for stage in ("BODY", "END")))
    assert [type(one) for one in answers] == [Unknown, Unknown]


@pytest.mark.parametrize("reply", ["354 Go on", "what?", "150 Maybe"])
async def test_an_answer_that_says_nothing_is_unknown(
    sender: SmtpSender, server: ScriptedSmtp, reply: str
) -> None:
    own = account(server.url)
    server.then("END", reply)
    assert isinstance(await sender.send(own, message()), Unknown)
    await sender.send(own, message())
    assert server.sessions == 2, "the connection is not trusted any more"


async def test_cancelled_in_doubt_it_raises_and_the_connection_is_gone(
    sender: SmtpSender, server: ScriptedSmtp
) -> None:
    own = account(server.url)
    hold: Hold = server.then("END", Hold())
    sending = asyncio.create_task(sender.send(own, message()))
    await eventually(hold.reached.is_set, what="the final dot")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    hold.release()
    assert isinstance(await sender.send(own, message()), Accepted)
    assert server.sessions == 2


async def test_a_large_mail_cut_in_the_middle_is_unknown(sender: SmtpSender, server: ScriptedSmtp) -> None:
    server.then("BODY", DROP)
    assert isinstance(await send(sender, server, text="x" * 70 + "\n" * 100_000), Unknown)
