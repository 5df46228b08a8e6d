"""Websockets that no client of ours opens (W of the table): each ends with a code, no statement and no line of alarm.

The protocol's own rules are in tests/api/test_websocket.py; how a socket ends in tests/api/feed/test_socket_ends.py.
"""

import asyncio
import base64
import json
import os
import struct
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api.hostile.raw import exchange, request
from tests.api.hostile.target import Target, assert_no_leak
from tests.factories.accounts import Person
from tests.fixtures.graphql import open_socket

UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + base64.b64encode(b"0" * 16).decode(),
)
PROTOCOL = "Sec-WebSocket-Protocol: graphql-transport-ws"
TEXT, BINARY, CLOSE, PING, CONTINUED = 1, 2, 8, 9, 0
Frames = list[bytes]


def frame(payload: bytes | str, *, opcode: int = TEXT, first: int = 0x80, is_masked: bool = True) -> bytes:
    data = payload.encode() if isinstance(payload, str) else payload
    mask = 0x80 if is_masked else 0
    if len(data) < 126:
        head = struct.pack("!BB", first | opcode, mask | len(data))
    elif len(data) < 65_536:
        head = struct.pack("!BBH", first | opcode, mask | 126, len(data))
    else:
        head = struct.pack("!BBQ", first | opcode, mask | 127, len(data))
    return head + (b"\0\0\0\0" if is_masked else b"") + data


def message(**told: object) -> bytes:
    return frame(json.dumps(told))


def subscribe(query: object, **told: object) -> bytes:
    return message(type="subscribe", id="1", payload={"query": query}, **told)


BEFORE_INIT: dict[str, tuple[Frames, int | None]] = {
    "nothing that is JSON": ([frame("{")], 4400),
    "100,000 nested [": ([frame("[" * 100_000)], 4400),
    "100,000 nested [ that are closed": ([frame("[" * 100_000 + "]" * 100_000)], 4400),
    "bad UTF-8": ([frame(b'{"type": "\xff"}')], 1007),
    "binary": ([frame(b"{}", opcode=BINARY)], 4400),
    "1 MiB": ([frame(b"x" * 2**20)], 1009),
    "1 MiB in pieces": (
        [frame(b"x" * 2**16, first=0)] + [frame(b"x" * 2**16, opcode=CONTINUED, first=0)] * 15,
        1009,
    ),
    "a length of 2**62": ([struct.pack("!BBQ", 0x81, 0xFF, 2**62) + b"\0" * 8], 1009),
    "no mask": ([frame("{}", is_masked=False)], 1002),
    "reserved bits": ([frame("{}", first=0xF0)], 1002),
    "an opcode there is not": ([frame("{}", opcode=3)], 1002),
    "a long ping": ([frame(b"x" * 200, opcode=PING)], 1002),
    "a continuation of nothing": ([frame("{}", opcode=CONTINUED)], 1002),
    "a close of one byte": ([frame(b"x", opcode=CLOSE)], 1002),
    "HTTP": ([b"GET / HTTP/1.1\r\n\r\n" * 20], None),
    "1,000 pings of the protocol": ([frame("x", opcode=PING)] * 1000 + [frame("{")], 4400),
    "an init that is nested": ([frame('{"type": "connection_init", "payload": ' + "[" * 50_000 + "}")], 4400),
    "an init with a list": ([message(type="connection_init", payload=["Bearer"])], 4400),
    "an init with another's token": (
        [message(type="connection_init", payload={"authorization": "Bearer a.b.c"})], 4403,
    ),
    "an init with half an emoji": (
        [frame('{"type": "connection_init", "payload": {"authorization": "Bearer \\ud800"}}')], 4403,
    ),
    "a token of 200 kB": (
        [message(type="connection_init", payload={"authorization": "Bearer " + "x" * 200_000})], 4403,
    ),
    "a token that is none": ([message(type="connection_init", payload={"authorization": {"a": []}})], 4403),
    "subscribe": ([subscribe("{ __typename }")], 4401),
}  # fmt: skip


LARGE, BREATH_S = 2**16, 0.1
"""After so large a frame, the time in which its answer may come."""


async def opened(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """After the handshake, without a library that would refuse to send what we do."""
    parts = urlsplit(target.api.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request("GET", "/graphql", *UPGRADE, PROTOCOL).replace(b"Connection: close\r\n", b""))
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head.partition(b"\r\n")[0], head
    return reader, writer


async def close_code(reader: asyncio.StreamReader) -> int | None:
    """Of the frame that the server closes with; what comes before is passed over."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            first, size = await reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
            payload = await reader.readexactly(size)
            if first & 0x0F == CLOSE:
                return int.from_bytes(payload[:2]) if payload else 1005
    return None


@pytest.mark.parametrize("what", BEFORE_INIT)
async def test_a_stranger_is_closed_with_a_code(target: Target, what: str) -> None:
    frames, expected = BEFORE_INIT[what]
    async with target.watched(f"26: {what}") as watch, asyncio.timeout(20):
        reader, writer = await opened(target)
        closing = asyncio.create_task(close_code(reader))
        with suppress(ConnectionError):
            for one in frames:
                writer.write(one)
                await writer.drain()
                # Writing on where it was closed fails, and asyncio then drops what was not read yet: the code.
                if len(one) >= LARGE and (await asyncio.wait({closing}, timeout=BREATH_S))[0]:
                    break
        code = await closing
        writer.transport.abort()
    assert expected in (None, code)
    watch.assert_harmless()


HANDSHAKES = {
    "another site": ([*UPGRADE, PROTOCOL, "Origin: https://evil.example"], (403,)),
    "an origin that is none": ([*UPGRADE, PROTOCOL, "Origin: \xff"], (403,)),
    "no key": ([*UPGRADE[:3], PROTOCOL], (400, 403)),
    "a short key": ([*UPGRADE[:3], PROTOCOL, "Sec-WebSocket-Key: eA=="], (400,)),
    "an old version": ([*UPGRADE[:2], UPGRADE[3], PROTOCOL, "Sec-WebSocket-Version: 7"], (400, 426)),
    "extensions that are none": ([*UPGRADE, PROTOCOL, "Sec-WebSocket-Extensions: ;;;=,"], (400, 101)),
    "a host that is not ours": ([*UPGRADE, PROTOCOL, "Host: evil.example"], (400,)),
}


@pytest.mark.parametrize("what", HANDSHAKES)
async def test_a_bad_handshake_is_refused(target: Target, what: str) -> None:
    headers, statuses = HANDSHAKES[what]
    sent = request("GET", "/graphql", *headers).replace(b"Connection: close\r\n", b"")
    async with target.watched(f"27: {what}") as watch:
        answer = await asyncio.wait_for(exchange(target.api, sent), 20)
    assert answer is not None
    assert answer.status_code in statuses
    assert "Server" not in answer.headers
    assert_no_leak(answer.text)
    watch.assert_harmless()


@pytest.mark.parametrize("path", ["/graphql\xff", "/nowhere", "/graphql/%00", "/health/live"])
async def test_a_handshake_elsewhere_is_refused(target: Target, path: str) -> None:
    sent = request("GET", path, *UPGRADE, PROTOCOL).replace(b"Connection: close\r\n", b"")
    async with target.watched(f"27: {path}") as watch:
        answer = await asyncio.wait_for(exchange(target.api, sent), 20)
    assert answer is None or answer.status_code in (400, 403, 404)
    watch.assert_harmless()


AFTER_INIT: dict[str, tuple[dict[str, Any], str]] = {
    "a document of 200 kB": ({"query": "{ a }" + " " * 200_000}, "QUERY_TOO_COMPLEX"),
    "2,001 tokens": ({"query": "{ " + "a " * 2_001 + "}"}, "GRAPHQL_PARSE_FAILED"),
    "depth 600": ({"query": "{ a " * 600 + "}" * 600}, "GRAPHQL_PARSE_FAILED"),
    "a cycle": ({"query": "subscription { ...a } fragment a on Subscription { ...a }"}, "QUERY_TOO_COMPLEX"),
    "30 subscriptions in one": (
        {"query": "subscription { " + " ".join(f"a{n}: feed {{ kind }}" for n in range(20)) + " }"},
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "half an emoji": ({"query": "{ \ud800 }"}, "GRAPHQL_PARSE_FAILED"),
    "variables nested": (
        {"query": "query ($id: ID!) { lead(id: $id) { id } }", "variables": {"id": [[[[[[]]]]]]}},
        "BAD_USER_INPUT",
    ),
    "a cursor that is none": ({"query": 'subscription { feed(after: "\'; --") { kind } }'}, "BAD_USER_INPUT"),
    "a conversation that is none": (
        {"query": 'subscription { messageAdded(conversationId: "x") { cursor } }'}, "NOT_FOUND",
    ),
    "no such operation": (
        {"query": "query a { __typename } query b { __typename }", "operationName": "c"},
        "GRAPHQL_VALIDATION_FAILED",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", AFTER_INIT)
async def test_a_bad_operation_is_an_error_and_the_socket_lives(
    target: Target, victim: Person, what: str
) -> None:
    payload, code = AFTER_INIT[what]
    async with open_socket(target.api.ws_url, victim.token) as socket, target.watched(f"26: {what}") as watch:
        await socket.send({"type": "subscribe", "id": "1", "payload": payload})
        told = await socket.receive()
        errors = told["payload"] if told["type"] == "error" else told["payload"]["errors"]
        assert errors[0]["extensions"]["code"] == code, errors
        assert len(json.dumps(told)) < 5_000
        assert_no_leak(json.dumps(told))
        if told["type"] == "next":
            assert (await socket.receive())["type"] == "complete"
        await socket.send({"type": "ping"})
        assert (await socket.receive())["type"] == "pong"
    watch.assert_harmless(statements=None if "conversation" in what else 0)


async def test_who_says_nothing_or_goes_in_the_middle_leaves_nothing(target: Target) -> None:
    async with target.watched("28: gone") as watch, asyncio.timeout(20):
        for sent in (b"", b"\x81", frame("{}")[:4], frame(b"x" * 1000, first=0), os.urandom(100)):
            _, writer = await opened(target)
            writer.write(sent)
            await writer.drain()
            writer.transport.abort()
    watch.assert_harmless()
