"""One POST to an address that somebody else named: connected to where it was judged, answered in seconds, once.

The name is resolved once and the connection goes to an address that `Egress` allowed; the certificate has to be the
host's own. No redirect is followed, no proxy asked, no connection kept. Of the answer only its status counts: its body
is read to its end, or as far as MAX_BYTES, so that who sends it is not cut off, and thrown away.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import httpcore2

from app.common.egress import Egress
from app.common.webhooks import TIMEOUT_S, Answer, CannotPost, Target

MAX_BYTES = 2_000_000
MAX_PIECES = 1000
"""Of chunks of a byte each two millions would be too many."""
MAX_RETRY_AFTER_S = 3600
NETWORK_ERRORS = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError)


class CheckedBackend(httpcore2.AnyIOBackend):
    """Connections to addresses that are allowed, in the resolver's order, each for its share of the time."""

    def __init__(self, egress: Egress, target: Target, timeout_s: float) -> None:
        super().__init__()
        self._egress, self._target, self._timeout_s = egress, target, timeout_s
        self._stream: httpcore2.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises EgressRefused, ConnectError, ConnectTimeout."""
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        addresses = await self._egress.addresses(host, port, ports=self._target.ports)
        for number, address in enumerate(addresses, start=1):
            share_s = (deadline - asyncio.get_running_loop().time()) / (len(addresses) - number + 1)
            place = self._egress.connector(address, port)
            try:
                self._stream = await super().connect_tcp(*place, share_s, local_address, socket_options)
                return self._stream
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise httpcore2.ConnectError

    async def close(self) -> None:
        """Also what a cancelled handshake left open."""
        if self._stream is not None:
            await self._stream.aclose()


async def post(
    target: Target,
    body: bytes,
    headers: Mapping[str, str],
    egress: Egress,
    *,
    context: ssl.SSLContext | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Raises EgressRefused, CannotPost."""
    origin = httpcore2.Origin(target.scheme.encode(), target.host.encode(), target.port)
    backend = CheckedBackend(egress, target, timeout_s)
    connection = httpcore2.AsyncHTTPConnection(origin, context or _trusted(), network_backend=backend)
    request = _request(target, body, headers)
    answer: Answer | None = None
    try:
        async with asyncio.timeout(timeout_s):
            response = await connection.handle_async_request(request)
            answer = Answer(response.status, _retry_after_s(response))
            await _read_out(response)
    except NETWORK_ERRORS as error:
        if answer is None:
            raise CannotPost(_reason(error)) from error
    finally:
        await backend.close()
    assert answer is not None
    return answer


def _request(target: Target, body: bytes, headers: Mapping[str, str]) -> httpcore2.Request:
    url = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    sent = {
        "Host": target.authority,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "User-Agent": "SalesPad",
        "Accept": "*/*",
        "Connection": "close",
        **headers,
    }
    return httpcore2.Request("POST", url, headers=list(sent.items()), content=body)


async def _read_out(response: httpcore2.Response) -> None:
    read = pieces = 0
    async for chunk in response.aiter_stream():
        read, pieces = read + len(chunk), pieces + 1
        if read > MAX_BYTES or pieces > MAX_PIECES:
            return


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError | httpcore2.TimeoutException):
        return "TIMEOUT"
    if isinstance(error.__cause__, ssl.SSLError):
        return "TLS"
    return "PROTOCOL" if isinstance(error, httpcore2.ProtocolError) else "CONNECTION"


def _retry_after_s(response: httpcore2.Response) -> float | None:
    """In seconds or as a date; at most an hour. None where it is not said, or makes no sense."""
    said = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
    text = said.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), MAX_RETRY_AFTER_S))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    left_s = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)
    return min(max(left_s.total_seconds(), 0.0), MAX_RETRY_AFTER_S)


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()
