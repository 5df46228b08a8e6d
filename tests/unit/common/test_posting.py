"""One POST to a server of ours: where it goes, what it takes of an answer, and how long it waits."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from app.common.egress import Egress, EgressProblem, EgressRefused
from app.common.posting import post
from app.common.webhooks import Answer, CannotPost, Target
from tests.fixtures.processes import eventually
from tests.fixtures.receivers import HOST, LOOPBACK, PUBLIC, Receiver, hang, status, then_endless

LONG_S = 60.0
"""Longer than a test takes: what ends before was not ended by it."""


async def said_by(receiver: Receiver, *, timeout_s: float = LONG_S) -> Answer:
    """To a POST over http."""
    egress = Egress(True, networks=LOOPBACK)
    return await post(Target.of(receiver.url), b"{}", {}, egress, timeout_s=timeout_s)


async def reason_of(receiver: Receiver, *, timeout_s: float = LONG_S) -> str:
    with pytest.raises(CannotPost) as cannot:
        await said_by(receiver, timeout_s=timeout_s)
    return cannot.value.reason


async def test_a_public_host_is_called_over_tls_under_its_name() -> None:
    async with Receiver.started(name=HOST) as receiver:
        target = Target.of(f"https://{HOST}/a/b?c=d")
        answer = await post(
            target, b'{"a":1}', {"webhook-id": "one"}, receiver.plays(), context=receiver.context
        )
    assert answer == Answer(200, None)
    assert answer.is_accepted
    (called,) = receiver.called
    assert (called.target, called.body) == ("/a/b?c=d", b'{"a":1}')
    sent = {name: called.headers[name] for name in ("host", "content-type", "content-length", "webhook-id")}
    assert sent == {
        "host": HOST,
        "content-type": "application/json",
        "content-length": "7",
        "webhook-id": "one",
    }


async def test_the_certificate_has_to_be_the_hosts_own() -> None:
    async with Receiver.started(name="other.example.com") as receiver:
        with pytest.raises(CannotPost) as cannot:
            await post(Target.of(f"https://{HOST}/"), b"{}", {}, receiver.plays(), context=receiver.context)
        with pytest.raises(CannotPost) as unknown:  # by the authorities that there are
            await post(Target.of("https://other.example.com/"), b"{}", {}, receiver.plays())
    assert (cannot.value.reason, unknown.value.reason) == ("TLS", "TLS")
    assert receiver.called == []


async def test_a_name_that_rebinds_is_judged_at_each_call_and_asked_once() -> None:
    async with Receiver.started(name=HOST) as receiver:
        egress, target = receiver.plays([PUBLIC], ["127.0.0.1"]), Target.of(f"https://{HOST}/")
        assert (await post(target, b"{}", {}, egress, context=receiver.context)).is_accepted
        with pytest.raises(EgressRefused) as refused:
            await post(target, b"{}", {}, egress, context=receiver.context)
    assert refused.value.problem is EgressProblem.PRIVATE_ADDRESS
    assert receiver.connections == 1


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "127.1",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ],
)
async def test_loopback_is_not_reached_under_any_name(host: str) -> None:
    async with Receiver.started() as receiver:
        for url in (
            f"https://{host}/",
            f"http://{host}:{receiver.port}/",
            f"https://{host}:{receiver.port}/",
        ):
            with pytest.raises(EgressRefused):
                await post(Target.of(url), b"{}", {}, Egress(True))
    assert receiver.connections == 0


async def test_the_next_address_is_tried_where_one_takes_no_connections() -> None:
    async with Receiver.started() as receiver:
        egress = Egress(True, resolver=lambda *_: ["127.0.0.2", "127.0.0.1"], networks=LOOPBACK)
        answer = await post(Target.of(receiver.url), b"{}", {}, egress)
    assert answer.is_accepted


async def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver.started() as proxy, Receiver.started() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await said_by(receiver)).is_accepted
    assert (proxy.connections, receiver.connections) == (0, 1)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer(code: int) -> None:
    async with (
        Receiver.started() as inner,
        Receiver.started(status(code, f"Location: {inner.url}")) as receiver,
    ):
        answer = await said_by(receiver)
    assert (answer.status, answer.is_accepted, answer.may_change) == (code, False, False)
    assert inner.connections == 0


async def test_who_says_nothing_is_left() -> None:
    async with Receiver.started(hang) as receiver:
        assert await reason_of(receiver, timeout_s=0.2) == "TIMEOUT"
        await eventually(lambda: receiver.left == 1, what="the end of the connection")


async def test_who_accepts_a_connection_and_no_tls_is_left() -> None:
    """The handshake never ends: the server waits for a request in plain text."""
    async with Receiver.started() as receiver:
        with pytest.raises(CannotPost) as cannot:
            await post(Target.of(f"https://{HOST}/"), b"{}", {}, receiver.plays(), timeout_s=0.2)
        await eventually(lambda: receiver.left == 1, what="the end of the connection")
    assert cannot.value.reason == "TIMEOUT"
    assert receiver.called == []


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["10 MB", "93 GB", "endless"],
)
async def test_of_a_long_answer_the_status_is_enough(head: bytes) -> None:
    async with Receiver.started(then_endless(head)) as receiver:
        assert (await said_by(receiver)).is_accepted
        await eventually(lambda: receiver.left == 1, what="the end of the connection")


async def test_chunks_of_a_byte_are_not_counted_to_the_end() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n" * 1000)
            await writer.drain()

    async with Receiver.started(drip) as receiver:
        assert (await said_by(receiver)).is_accepted


async def test_a_body_that_does_not_come_takes_nothing_from_its_status() -> None:
    async def stop_midway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Away\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        await reader.read()

    async with Receiver.started(stop_midway) as receiver:
        assert (await said_by(receiver, timeout_s=0.5)).status == 503


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.6\r\n", b"", b"HTTP/1.1 abc\r\n\r\n", then_endless(b"HTTP/1.1 200 OK\r\nX: ")],
    ids=["another protocol", "nothing", "no status", "endless head"],
)
async def test_what_is_no_http_is_no_answer(answer: bytes) -> None:
    async with Receiver.started(answer) as receiver:
        assert await reason_of(receiver) in ("PROTOCOL", "CONNECTION")


async def test_nobody_listens() -> None:
    async with Receiver.started() as receiver:
        pass
    assert await reason_of(receiver) == "CONNECTION"


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("120", 120.0), ("0", 0.0), ("86400", 3600.0), ("9" * 400, 3600.0), ("-5", None), ("soon", None), ("", None),
        ("1.5", None), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), ("٣", None),
        (f"Fri, 31 Dec {'9' * 20} 00:00:00 GMT", None),
    ],
)  # fmt: skip
async def test_when_to_come_again(said: str, wait_s: float | None) -> None:
    line = b"Retry-After: " + said.encode()
    async with Receiver.started(status(429).replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n")) as receiver:
        answer = await said_by(receiver)
    assert (answer.retry_after_s, answer.may_change) == (wait_s, True)


async def test_when_to_come_again_by_a_date() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)
    async with Receiver.started(status(503, f"Retry-After: {at}")) as receiver:
        assert (await said_by(receiver)).retry_after_s == 3600.0
