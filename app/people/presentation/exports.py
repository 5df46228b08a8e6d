"""`GET /export/leads/{id}.json`: all there is about a person, as a file. Errors are RFC 9457 problems."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.accounts.wiring import AccountsServices
from app.common.domain import Actor
from app.common.exporting import Crowded, Turns
from app.common.http import Refused, problem, sign_in_member, try_again, wait_for_exports
from app.common.work import Doors, Unavailable
from app.people.wiring import LeadNotFound, export_into
from app.settings import Settings

if TYPE_CHECKING:
    from app.common.ratelimit import RateLimiter

IN_MEMORY_BYTES = 1_000_000
CHUNK_BYTES = 64 * 1024
SAFE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class PersonExport:
    """What the route needs."""

    settings: Settings
    doors: Doors
    accounts: AccountsServices
    limiter: "Callable[[], RateLimiter]"
    turns: Turns

    async def give_out(self, request: Request) -> Response:
        needs = "Exporting a person needs the role MEMBER and the web app or an API key."
        try:
            actor = await sign_in_member(request, self.accounts, self.limiter(), needs=needs)
            lead_id = UUID(request.path_params["id"])
            with self.turns.take():
                return await self._export(actor, lead_id)
        except Refused as refused:
            return refused.answer
        except (LeadNotFound, ValueError):
            return problem(404, "NOT_FOUND", "No such lead in this workspace: it may have been erased.", SAFE)
        except Crowded:
            return wait_for_exports()
        except Unavailable:
            return try_again()

    async def _export(self, actor: Actor, lead_id: UUID) -> Response:
        """Written aside first, however long it is: nobody's slow connection holds a transaction open, and what fails
        fails before the first byte. Raises LeadNotFound, Unavailable."""
        file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115 - closed by whoever reads it
        try:
            await export_into(file, self.doors, self.settings, actor, lead_id)
        except BaseException:
            file.close()
            raise
        size = file.tell()
        headers = SAFE | {
            "Content-Disposition": f'attachment; filename="lead-{lead_id}.json"',
            "Content-Length": str(size),
        }
        return StreamingResponse(_parts(file), media_type="application/json", headers=headers)


def export_routes(
    settings: Settings,
    doors: Doors,
    accounts: AccountsServices,
    limiter: "Callable[[], RateLimiter]",
    turns: Turns,
) -> list[Route]:
    export = PersonExport(settings, doors, accounts, limiter, turns)
    return [Route("/export/leads/{id}.json", export.give_out, methods=["GET"])]


async def _parts(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        file.seek(0)
        while part := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield part
