"""`GET /imports/{id}/errors.csv`: the rows that were rejected, to be corrected and uploaded again. Errors are RFC 9457
problems."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.accounts.wiring import AccountsServices, member_by_id
from app.common.domain import Actor, ClientKind, Role
from app.common.downloads import BYTE_ORDER_MARK, Download, check_holder, csv_lines, link_too_old
from app.common.exporting import Turns
from app.common.graphql import parse_id
from app.common.http import Refused, problem, sign_in_member, try_again
from app.common.links import LinkExpired
from app.common.work import Doors, Unavailable
from app.imports.domain.outcomes import RowCode
from app.imports.domain.reports import report_delimiter, report_headings, report_line
from app.imports.wiring import ReportedFile, rejected_page, report_links, reported_file
from app.leads.wiring import role_now
from app.settings import Settings

if TYPE_CHECKING:
    from app.common.ratelimit import RateLimiter

NEEDS = "An import's errors need the role MEMBER and the web app or an API key."


def error_report_url(settings: Settings, actor: Actor, import_id: str) -> str | None:
    """Where they can be fetched, for five minutes, by whoever has the link; None for who may not."""
    if actor.client is ClientKind.EXTENSION or not actor.role.includes(Role.MEMBER):
        return None
    link = report_links(settings).make(actor, import_id)
    return f"{settings.base_url}/imports/{import_id}/errors.csv?link={link}"


@dataclass
class ErrorReports:
    """What the route needs."""

    settings: Settings
    doors: Doors
    accounts: AccountsServices
    limiter: "Callable[[], RateLimiter]"
    turns: Turns

    async def give_out(self, request: Request) -> Response:
        try:
            if set(request.query_params) - {"link"} or len(request.query_params.multi_items()) > 1:
                raise Refused(problem(400, "BAD_REQUEST", "Give `link`, once, and nothing else."))
            import_id = parse_id(request.path_params["id"])
            actor = await self._asked_by(request, import_id)
            if import_id is None:
                raise Refused(_no_such_import())
        except Refused as refused:
            return refused.answer
        except LinkExpired:
            return link_too_old()
        except Unavailable:
            return try_again()
        return Download(
            self.turns,
            partial(self._begin, actor, import_id),
            file_name="errors.csv",
            has_body=request.method != "HEAD",
            stuck_s=self.settings.socket_stuck_s,
        )

    async def _asked_by(self, request: Request, import_id: UUID | None) -> Actor:
        """Raises Refused, LinkExpired, Unavailable."""
        text = request.query_params.get("link")
        if text is None:
            return await sign_in_member(request, self.accounts, self.limiter(), needs=NEEDS)
        found = report_links(self.settings).read(text)
        if found is None or found[1] != str(import_id):
            raise Refused(problem(404, "NOT_FOUND", "There is no such report, or the link is not whole."))
        await check_holder(found[0], self.accounts.revocations, self.limiter())
        return found[0]

    async def _begin(self, actor: Actor, import_id: UUID) -> AsyncIterator[bytes]:
        """Raises Refused, Unavailable."""
        workspace_id = actor.workspace_id
        async with self.doors.open_reads(workspace_id) as reads:
            role = await role_now(reads, workspace_id, actor.user_id)
            person = await member_by_id(reads, workspace_id, actor.user_id)
            if person is None or role is None or not role.includes(Role.MEMBER):
                raise Refused(problem(403, "FORBIDDEN", NEEDS))
            file = await reported_file(reads, workspace_id, import_id)
            if file is None:
                raise Refused(_no_such_import())
            rows = await rejected_page(reads, workspace_id, import_id, after=0)
        return self._pages(actor, import_id, file, rows, person["locale"])

    async def _pages(
        self, actor: Actor, import_id: UUID, file: ReportedFile, rows: list[asyncpg.Record], locale: str
    ) -> AsyncIterator[bytes]:
        """Raises Unavailable, PermissionError once the person may not any more."""
        delimiter = report_delimiter(file.delimiter, file.name, locale)
        yield BYTE_ORDER_MARK + csv_lines([report_headings(file.columns)], delimiter)
        while rows:
            after = rows[-1]["row"]
            yield await asyncio.to_thread(_page, file, rows, locale, delimiter)
            if self.accounts.revocations.is_revoked(actor):
                raise PermissionError("revoked")
            async with self.doors.open_reads(actor.workspace_id) as reads:
                rows = await rejected_page(reads, actor.workspace_id, import_id, after=after)


def error_report_routes(
    settings: Settings,
    doors: Doors,
    accounts: AccountsServices,
    limiter: "Callable[[], RateLimiter]",
    turns: Turns,
) -> list[Route]:
    reports = ErrorReports(settings, doors, accounts, limiter, turns)
    return [Route("/imports/{id}/errors.csv", reports.give_out, methods=["GET"])]


def _page(file: ReportedFile, rows: Sequence[asyncpg.Record], locale: str, delimiter: str) -> bytes:
    lines = [
        report_line(
            len(file.columns),
            orjson.loads(row["payload"]) if row["payload"] else None,
            row=row["row"],
            code=RowCode(row["code"]),
            field=row["field"],
            locale=locale,
            delimiter=delimiter,
        )
        for row in rows
    ]
    return csv_lines(lines, delimiter)


def _no_such_import() -> Response:
    return problem(404, "NOT_FOUND", "No such import in this workspace.")
