"""One GET over HTTPS to a host that somebody else named: to a checked address, of a few bytes, in a few seconds.

No redirect is followed, no proxy asked, nothing kept open. The certificate has to be the host's own.
"""

import asyncio
import re
import ssl
from functools import lru_cache
from urllib.parse import urlsplit

from app.common.egress import Egress, EgressRefused

PORTS = frozenset({443})
MAX_BYTES = 100_000
TIMEOUT_S = 5.0
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?:[ \r\n]|$)")
LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
CHUNKED = re.compile(rb"^transfer-encoding:[ \t]*chunked[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})(?=[ ;\t]|$)")


class CannotFetch(Exception):
    """No answer, or not one of 200. Try again later."""


async def https_get(url: str, egress: Egress, *, context: ssl.SSLContext | None = None) -> bytes:
    """The body. Raises CannotFetch."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    if parts.scheme != "https" or not host or not f"{host}{target}".isascii() or " " in target:
        raise CannotFetch("It is no https address.")
    try:
        async with asyncio.timeout(TIMEOUT_S):
            raw = await _exchange(host, parts.port or 443, target, egress, context or _trusted())
    except (
        OSError,
        EgressRefused,
        asyncio.IncompleteReadError,
        ValueError,
    ) as error:  # TimeoutError is an OSError
        raise CannotFetch(type(error).__name__) from error
    return _body(raw)


async def _exchange(host: str, port: int, target: str, egress: Egress, context: ssl.SSLContext) -> bytes:
    connection, _ = await egress.connect(host, port, ports=PORTS, timeout_s=TIMEOUT_S)
    try:
        reader, writer = await asyncio.open_connection(sock=connection, ssl=context, server_hostname=host)
    except BaseException:
        connection.close()
        raise
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii"))
        received = bytearray()
        while chunk := await reader.read(65_536):
            received += chunk
            if len(received) > MAX_BYTES:
                raise CannotFetch("The answer is too long.")
        return bytes(received)
    finally:
        writer.close()


def _body(raw: bytes) -> bytes:
    head, separator, body = raw.partition(b"\r\n\r\n")
    status = STATUS_LINE.match(head)
    if status is None or not separator:
        raise CannotFetch("That is no HTTP.")
    if status[1] != b"200":
        raise CannotFetch(f"It answered {status[1].decode()}.")
    if CHUNKED.search(head):
        return _unchunked(body)
    length = LENGTH.search(head)
    if length is not None and len(body) < int(length[1]):
        raise CannotFetch("The answer ended before its end.")
    return body[: int(length[1])] if length else body


def _unchunked(body: bytes) -> bytes:
    content = bytearray()
    while True:
        line, _, body = body.partition(b"\r\n")
        size = CHUNK_SIZE.match(line)
        if size is None or len(body) < int(size[1], 16):
            raise CannotFetch("The answer ended before its end.")
        if int(size[1], 16) == 0:
            return bytes(content)
        content += body[: int(size[1], 16)]
        body = body[int(size[1], 16) + 2 :]


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()
