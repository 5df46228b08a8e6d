"""What is fetched as a spreadsheet, in a stream: begun when its turn comes, written page by page.

A page is read in a short transaction and written before the next is read: memory stays as it is however many rows there
are, and a slow client holds no transaction. What cannot be finished is cut off without the end that HTTP gives a whole
answer, so that a client knows it for broken.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.common import telemetry
from app.common.domain import Actor
from app.common.exporting import Crowded, Turns
from app.common.http import Refused, problem, try_again, wait_for_exports
from app.common.work import Unavailable

if TYPE_CHECKING:
    from app.common.ratelimit import RateLimiter

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Without it Excel takes UTF-8 for the computer's own code page."""


class Revocations(Protocol):
    def is_revoked(self, actor: Actor) -> bool: ...


async def check_holder(actor: Actor, revocations: Revocations, limiter: "RateLimiter") -> None:
    """Of a link: whoever asked for it still may, and no more often than one may. Raises Refused."""
    if revocations.is_revoked(actor):
        raise Refused(problem(403, "FORBIDDEN", "Whoever asked for this link has signed out or left."))
    allowance = await limiter.hit(actor)
    if not allowance.is_allowed:
        raise Refused(problem(429, "RATE_LIMITED", "Too many requests: wait a little.", allowance.headers))


def link_too_old() -> Response:
    return problem(410, "GONE", "This link is too old: ask for a new one.")


class Download(Response):
    """One that begins when its turn comes, and none beyond the process's turns.

    `begin` gives the pages once it has the first one: what fails before is answered as a problem. It raises Refused and
    Unavailable; so may the pages raise Unavailable, and PermissionError once the person may not any more.
    """

    def __init__(
        self,
        turns: Turns,
        begin: Callable[[], Awaitable[AsyncIterator[bytes]]],
        *,
        file_name: str,
        has_body: bool,
        stuck_s: float,
    ) -> None:
        self._turns, self._begin, self._has_body, self._stuck_s = turns, begin, has_body, stuck_s
        self._told = {
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{file_name}"',
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._turns.take():
                answer = await self._answer()
                await answer(scope, receive, send)
        except Crowded:
            await wait_for_exports()(scope, receive, send)

    async def _answer(self) -> Response:
        if not self._has_body:
            return Response(headers=self._told)
        try:
            return _Stream(await self._begin(), headers=self._told, stuck_s=self._stuck_s)
        except Refused as refused:
            return refused.answer
        except Unavailable:
            return try_again()


class _Stream(StreamingResponse):
    """Cut off where the database, the person's right or the client's patience ends: without its last chunk."""

    def __init__(self, pages: AsyncIterator[bytes], *, headers: dict[str, str], stuck_s: float) -> None:
        super().__init__(pages, headers=headers)
        self._stuck_s = stuck_s

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: dict[str, object]) -> None:
            async with asyncio.timeout(self._stuck_s):
                await send(message)

        try:
            await super().stream_response(send_in_time)  # type: ignore[arg-type]
        except (Unavailable, TimeoutError, PermissionError) as error:
            telemetry.log.warning("export cut off", reason=type(error).__name__)


def csv_lines(lines: Sequence[Sequence[str]], delimiter: str = ",") -> bytes:
    """RFC 4180."""
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\r\n").writerows(lines)
    return written.getvalue().encode()
