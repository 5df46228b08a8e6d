"""What others POST to an account: a mail, or what became of mails of ours.

`/webhooks/email/{token}`: one raw mail (RFC 822) in, stored as it came, then 200.

The token is the whole authority: who has it may write to that account's inbox and do nothing else. Whatever the body
is, it is no error of ours: reading it is the worker's business. Only the database's absence is answered 503, for then
nothing is stored and the sender must try again.

`/webhooks/ses/{token}` and `/webhooks/sendgrid/{token}`: the token names the account, the signature says who tells it.
What is genuine is stored as it came, in one transaction, and answered 200; the worker does the rest. Anything else is
not kept.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.channels.domain.feedback import FeedbackAccount, FeedbackProvider, Forged, Stale
from app.channels.wiring import (
    find_account_by_token,
    find_feedback_account,
    sns_verifier,
    take_feedback,
    take_mail,
    verified_by_sendgrid,
)
from app.common.http import problem
from app.common.https import CannotFetch
from app.common.work import Doors, Unavailable
from app.settings import Settings

BODIES_AT_ONCE = 4
"""As many mails of the largest size a process holds in memory; further senders are asked to come back."""
RETRY_AFTER_S = "5"
FEEDBACK_MAX_BYTES = 1_000_000
Verifier: TypeAlias = Callable[[FeedbackAccount, Mapping[str, str], bytes], Awaitable[Mapping[str, bytes]]]
"""What is to be stored, by the provider's ids. Raises Forged, Stale, CannotFetch."""


class TooLarge(Exception):
    """The body is over the limit."""


class Crowded(Exception):
    """Too much is being received at once."""


class Room:
    """The memory that bodies of requests may take together, in bytes."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, count: int) -> None:
        """Raises Crowded, and takes nothing then."""
        if count > self._left:
            raise Crowded
        self._left -= count

    def give_back(self, count: int) -> None:
        self._left += count


def webhook_routes(
    settings: Settings, doors: Doors, verifiers: Mapping[FeedbackProvider, Verifier] | None = None
) -> list[Route]:
    """`verifiers` are for tests, whose authorities no system knows."""
    limit = settings.inbound_mail_max_bytes
    room = Room(BODIES_AT_ONCE * limit)

    async def email(request: Request) -> Response:
        try:
            return await _take(request, doors, room, limit)
        except TooLarge:
            return problem(413, "PAYLOAD_TOO_LARGE", f"The mail is larger than {limit} bytes.")
        except ClientDisconnect:
            return problem(400, "BAD_REQUEST", "The mail ended before its end.")
        except (Unavailable, Crowded):
            answer = problem(503, "UNAVAILABLE", "Nothing was taken. Send it again in a moment.")
            answer.headers["Retry-After"] = RETRY_AFTER_S
            return answer

    return [
        Route("/webhooks/email/{token}", email, methods=["POST"]),
        *_feedback_routes(settings, doors, verifiers),
    ]


async def _take(request: Request, doors: Doors, room: Room, limit: int) -> Response:
    account = await find_account_by_token(doors, request.path_params["token"])
    if account is None:  # before the body: a stranger's is not even read
        return problem(
            404, "NOT_FOUND", "There is no such address. Copy it again from the account's settings."
        )
    body = await read_body(request, room, limit)
    try:
        if not body:
            return problem(400, "BAD_REQUEST", "Send the raw mail (message/rfc822) as the body.")
        await take_mail(doors, *account, bytes(body))
        return JSONResponse({"status": "accepted"})
    finally:
        room.give_back(len(body))


async def read_body(request: Request, room: Room, limit: int) -> bytearray:
    """The body, its bytes taken from the room. Raises TooLarge, Crowded or ClientDisconnect with all given back."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise TooLarge
    body, taken = bytearray(), 0
    try:
        async for chunk in request.stream():
            room.take(len(chunk))
            taken += len(chunk)
            if taken > limit:
                raise TooLarge
            body += chunk
    except BaseException:
        room.give_back(taken)
        raise
    return body


# ── what providers tell of mails they have taken ──────────────────────────────────────────────────────────────────────
def _feedback_routes(
    settings: Settings, doors: Doors, verifiers: Mapping[FeedbackProvider, Verifier] | None
) -> list[Route]:
    known = {FeedbackProvider.SES: _by_sns(settings), FeedbackProvider.SENDGRID: _by_sendgrid}
    room = Room(BODIES_AT_ONCE * FEEDBACK_MAX_BYTES)
    return [
        _route(provider, {**known, **(verifiers or {})}[provider], doors, room)
        for provider in FeedbackProvider
    ]


def _by_sns(settings: Settings) -> Verifier:
    made = cache(lambda: sns_verifier(settings))  # most installations never ask it

    async def verify(account: FeedbackAccount, _: Mapping[str, str], raw: bytes) -> Mapping[str, bytes]:
        return {await made().verified(account, raw): raw}

    return verify


async def _by_sendgrid(
    account: FeedbackAccount, headers: Mapping[str, str], raw: bytes
) -> Mapping[str, bytes]:
    return verified_by_sendgrid(account, headers, raw)


def _route(provider: FeedbackProvider, verify: Verifier, doors: Doors, room: Room) -> Route:
    async def take(request: Request) -> Response:
        try:
            return await _take_feedback(request, provider, verify, doors, room)
        except Forged:
            return problem(
                401,
                "UNAUTHENTICATED",
                "The signature is not that of this account's provider, or there is none.",
            )
        except Stale:
            return problem(400, "BAD_REQUEST", "It was signed too long ago.")
        except TooLarge:
            return problem(413, "PAYLOAD_TOO_LARGE", f"It is larger than {FEEDBACK_MAX_BYTES} bytes.")
        except ClientDisconnect:
            return problem(400, "BAD_REQUEST", "The body ended before its end.")
        except (Unavailable, Crowded, CannotFetch):
            answer = problem(503, "UNAVAILABLE", "Nothing was taken. Send it again in a moment.")
            answer.headers["Retry-After"] = RETRY_AFTER_S
            return answer

    return Route(f"/webhooks/{provider.slug}/{{token}}", take, methods=["POST"])


async def _take_feedback(
    request: Request, provider: FeedbackProvider, verify: Verifier, doors: Doors, room: Room
) -> Response:
    account = await find_feedback_account(doors, request.path_params["token"], provider)
    if account is None:  # before the body: a stranger's is not even read
        return problem(
            404, "NOT_FOUND", "There is no such address. Copy it again from the account's settings."
        )
    body = await read_body(request, room, FEEDBACK_MAX_BYTES)
    try:
        await take_feedback(doors, account, await verify(account, request.headers, bytes(body)))
        return JSONResponse({"status": "accepted"})
    finally:
        room.give_back(len(body))
