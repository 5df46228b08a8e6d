"""`POST /webhooks/email/{token}`: one raw mail (RFC 822) in, stored as it came, then 200.

The token is the whole authority: who has it may write to that account's inbox and do nothing else. Whatever the body
is, it is no error of ours: reading it is the worker's business. Only the database's absence is answered 503, for then
nothing is stored and the sender must try again.
"""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.channels.wiring import find_account_by_token, take_mail
from app.common.http import problem
from app.common.work import Doors, Unavailable
from app.settings import Settings

BODIES_AT_ONCE = 4
"""As many mails of the largest size a process holds in memory; further senders are asked to come back."""
RETRY_AFTER_S = "5"


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


def webhook_routes(settings: Settings, doors: Doors) -> list[Route]:
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

    return [Route("/webhooks/email/{token}", email, methods=["POST"])]


async def _take(request: Request, doors: Doors, room: Room, limit: int) -> Response:
    account = await find_account_by_token(doors, request.path_params["token"])
    if account is None:  # before the body: a stranger's is not even read
        return problem(
            404, "NOT_FOUND", "There is no such address. Copy it again from the account's settings."
        )
    body = await _read(request, room, limit)
    try:
        if not body:
            return problem(400, "BAD_REQUEST", "Send the raw mail (message/rfc822) as the body.")
        await take_mail(doors, *account, bytes(body))
        return JSONResponse({"status": "accepted"})
    finally:
        room.give_back(len(body))


async def _read(request: Request, room: Room, limit: int) -> bytearray:
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
