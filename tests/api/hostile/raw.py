"""HTTP as an attacker speaks it: bytes, whatever they are."""

import asyncio
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

import httpx

from tests.fixtures.processes import Api

CLOSE = "Connection: close"
KEEP = "Connection: keep-alive"
"""For what is answered before it is all sent: closing on unread bytes, TCP may take the answer back."""


def request(method: str, path: str, *headers: str, body: bytes = b"", host: str = "127.0.0.1") -> bytes:
    """With a Content-Length unless the headers frame the body themselves; the last on its connection unless kept."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(() if KEEP in headers else (CLOSE,)), *headers]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def graphql(body: bytes | str | object, *headers: str) -> bytes:
    """A POST of this body; what is no text is sent as JSON."""
    if isinstance(body, str):
        body = body.encode()
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request("POST", "/graphql", "Content-Type: application/json", *headers, body=sent)


def chunked(parts: Iterable[bytes], *headers: str) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return request(
        "POST",
        "/graphql",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
        *headers,
        body=body,
    )


async def exchange(api: Api, sent: bytes) -> httpx.Response | None:
    """The answer; None where the connection ended without one. An answer may come before all is sent."""
    parts = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        async with asyncio.timeout(30):
            sending = asyncio.create_task(_send(writer, sent))
            received = b""
            with suppress(ConnectionError):
                while not _is_whole(received) and (part := await reader.read(65_536)):
                    received += part
            sending.cancel()
    finally:
        writer.transport.abort()
    return _parse(received) if received else None


async def _send(writer: asyncio.StreamWriter, sent: bytes) -> None:
    with suppress(ConnectionError):
        for start in range(0, len(sent), 65_536):
            writer.write(sent[start : start + 65_536])
            await writer.drain()


def _is_whole(received: bytes) -> bool:
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return length is not None and len(body) >= int(length[1])


def _parse(received: bytes) -> httpx.Response:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, text.strip()) for name, _, text in (line.partition(":") for line in lines)]
    if ("transfer-encoding", "chunked") in [(name.lower(), text) for name, text in headers]:
        headers, body = [pair for pair in headers if pair[0].lower() != "transfer-encoding"], _dechunk(body)
    return httpx.Response(int(first.split()[1]), headers=headers, content=body)


def _dechunk(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        count = int(size, 16)
        whole, body = whole + rest[:count], rest[count + 2 :] if count else b""
    return whole
