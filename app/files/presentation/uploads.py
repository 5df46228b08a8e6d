"""`POST /uploads` takes a file in as it streams; `GET /files/{token}` gives one out. Errors are RFC 9457 problems.

What is given out can do nothing in a browser: an attachment but for four kinds of pictures, its type as sniffed and
not to be sniffed again, in a sandbox that may load nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from app.accounts.wiring import AccountsServices
from app.common.domain import Actor
from app.common.http import Refused, problem, sign_in_member, try_again
from app.common.work import Doors, Unavailable
from app.files.domain.media import SHOWN_INLINE, LyingType, claimed_type
from app.files.domain.names import content_disposition, file_name
from app.files.domain.uploads import Empty, StorageFull, TooLarge, UploadGone, UploadRefused
from app.files.wiring import Expired, FileTokens, file_store, find_stored, receive_upload, upload_sizes
from app.settings import Settings

if TYPE_CHECKING:
    from app.common.ratelimit import RateLimiter

IDLE_S = 60
"""How long a client may send nothing in the middle of an upload."""
REFUSALS: dict[type[UploadRefused], tuple[HTTPStatus, str]] = {
    TooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "PAYLOAD_TOO_LARGE"),
    Empty: (HTTPStatus.BAD_REQUEST, "BAD_REQUEST"),
    StorageFull: (HTTPStatus.INSUFFICIENT_STORAGE, "INSUFFICIENT_STORAGE"),
    UploadGone: (HTTPStatus.REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
}
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-site",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True)
class Files:
    """What the two routes need."""

    settings: Settings
    doors: Doors
    accounts: AccountsServices
    limiter: "Callable[[], RateLimiter]"

    # ── in ────────────────────────────────────────────────────────────────────────────────────────────────────────
    async def take_in(self, request: Request) -> Response:
        try:
            needs = "Uploading needs the role MEMBER and the web app."
            actor = await sign_in_member(request, self.accounts, self.limiter(), needs=needs)
            answer = await self._receive(request, actor)
        except Refused as refused:
            answer = refused.answer
        except UploadRefused as refusal:
            status, code = REFUSALS[type(refusal)]
            answer = problem(status, code, str(refusal))
        except LyingType as lie:
            answer = problem(415, "UNSUPPORTED_MEDIA_TYPE", str(lie))
        except TimeoutError:
            answer = problem(408, "REQUEST_TIMEOUT", f"Nothing came for {IDLE_S} s: send it again.")
        except ClientDisconnect:
            answer = problem(
                400, "BAD_REQUEST", "The body ended early."
            )  # nobody reads it: the log line does
        except Unavailable:
            answer = try_again()
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def _receive(self, request: Request, actor: Actor) -> Response:
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            detail = "Send the body without Content-Encoding."
            raise Refused(problem(415, "UNSUPPORTED_MEDIA_TYPE", detail))
        name = file_name(request.headers.get("content-disposition", ""))
        claimed = claimed_type(request.headers.get("content-type", ""), name)
        self._check_length(request, claimed)
        file, token = await receive_upload(
            self.doors, self.settings, actor, name=name, claimed=claimed, chunks=_chunks(request)
        )
        told = {"fileName": file.name, "size": file.size, "mediaType": file.media_type}
        return JSONResponse({"uploadToken": token, **told}, status_code=201)

    def _check_length(self, request: Request, claimed: str) -> None:
        """What its header says already. Raises Empty, TooLarge."""
        length = request.headers.get("content-length")
        largest = upload_sizes(self.settings).largest(claimed)
        if length == "0":
            raise Empty
        if length is not None and int(length) > largest:
            raise TooLarge(largest)

    # ── out ───────────────────────────────────────────────────────────────────────────────────────────────────────
    async def give_out(self, request: Request) -> Response:
        try:
            return await self._open_link(request)
        except Expired:
            return problem(410, "GONE", "This link is too old: load the page again for a new one.", SAFE)
        except Unavailable:
            return try_again()

    async def _open_link(self, request: Request) -> Response:
        """Raises Expired."""
        link = FileTokens(self.settings).read_link(request.path_params["token"])
        if link is None:
            return _no_such_file()
        async with self.doors.open_reads(link.workspace_id) as reads:
            row = await find_stored(reads, link.workspace_id, link.file_id)
        path = file_store(self.settings).path(link.workspace_id, link.file_id)
        try:
            stat = await asyncio.to_thread(path.stat)
        except FileNotFoundError:
            return _no_such_file()
        if row is None:
            return _no_such_file()
        kind = "inline" if row["media_type"] in SHOWN_INLINE else "attachment"
        headers = SAFE | {
            "Content-Type": row["media_type"],
            "Content-Disposition": content_disposition(kind, row["name"]),
            "Cache-Control": f"private, max-age={self.settings.file_link_ttl_s}, immutable",
        }
        return FileResponse(path, headers=headers, stat_result=stat)


def file_routes(
    settings: Settings, doors: Doors, accounts: AccountsServices, limiter: "Callable[[], RateLimiter]"
) -> list[Route]:
    """`limiter` is asked at each upload: it counts them with the person's other requests."""
    files = Files(settings, doors, accounts, limiter)
    return [
        Route("/uploads", files.take_in, methods=["POST"]),
        Route("/files/{token}", files.give_out, methods=["GET"]),
    ]


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """Raises ClientDisconnect, TimeoutError."""
    stream = request.stream().__aiter__()
    while True:
        async with asyncio.timeout(IDLE_S):
            try:
                chunk = await anext(stream)
            except StopAsyncIteration:
                return
        if chunk:
            yield chunk


def _no_such_file() -> Response:
    return problem(404, "NOT_FOUND", "There is no such file, or the link is not whole.", SAFE)
