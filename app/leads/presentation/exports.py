"""`GET /export/leads.csv`: the leads of a filter as a spreadsheet, in a stream (`app/common/downloads.py`). Errors are
RFC 9457 problems.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import asyncpg
import orjson
import strawberry
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.accounts.domain.audit import Author
from app.accounts.wiring import AccountsServices, record_audit
from app.common.domain import Actor, Role, SalesPadError
from app.common.downloads import BYTE_ORDER_MARK, Download, check_holder, csv_lines, link_too_old
from app.common.exporting import Turns
from app.common.graphql import Info, query
from app.common.http import Refused, problem, sign_in_member, try_again
from app.common.links import LinkExpired
from app.common.paging import Keyset
from app.common.work import Doors, Unavailable
from app.leads.domain.sheet import SEPARATOR, headings, identity_cells, phone_cell, text_cell
from app.leads.presentation.types import LeadFilter, lead_conditions
from app.leads.wiring import (
    ExportLinks,
    LeadConditions,
    count_leads,
    export_locale,
    export_page,
    role_now,
)
from app.settings import Settings

if TYPE_CHECKING:
    from app.common.ratelimit import RateLimiter

PATH = "/export/leads.csv"
PAGE_ROWS = 1000
MAX_FILTER = 20_000
NEEDS = "Exporting leads needs the role MEMBER and the web app or an API key."


@strawberry.type
class LeadExportsQuery:
    @query(
        requires=Role.MEMBER,
        description="Where the leads of a filter can be fetched as CSV, for five minutes, by whoever has the link: as "
        "the one who asked for it, as long as they may.",
    )
    async def leads_export_url(
        self,
        info: Info,
        filter: Annotated[LeadFilter | None, strawberry.argument(description="Which; null: all.")] = None,
    ) -> str:
        settings = info.context.settings
        link = ExportLinks(settings).make(info.context.signed_in, lead_conditions(filter))
        return f"{settings.base_url}{PATH}?link={link}"


@dataclass
class LeadExports:
    """What the route needs."""

    settings: Settings
    doors: Doors
    accounts: AccountsServices
    limiter: "Callable[[], RateLimiter]"
    filter_of: Callable[[object], LeadFilter]
    """From parsed JSON. Raises Invalid."""
    turns: Turns

    async def give_out(self, request: Request) -> Response:
        try:
            strange = set(request.query_params) - {"filter", "link"}
            if strange or len(request.query_params) != len(request.query_params.multi_items()):
                raise Refused(problem(400, "BAD_REQUEST", "Give `filter` or `link`, once, and nothing else."))
            actor, conditions = await self._asked_for(request)
        except Refused as refused:
            return refused.answer
        except LinkExpired:
            return link_too_old()
        except SalesPadError as refusal:
            at = ".".join(dict.fromkeys(("filter", *refusal.path)))
            return problem(400, "BAD_REQUEST", f"{at}: {refusal.message}")
        except GraphQLError as error:
            return problem(400, "BAD_REQUEST", f"filter: {error.message}")
        except Unavailable:
            return try_again()
        return Download(
            self.turns,
            partial(self._begin, actor, conditions),
            file_name=f"leads-{datetime.now(UTC):%Y-%m-%d}.csv",
            has_body=request.method != "HEAD",
            stuck_s=self.settings.socket_stuck_s,
        )

    async def _asked_for(self, request: Request) -> tuple[Actor, LeadConditions]:
        """Who asks for what. Raises Refused, LinkExpired, Invalid, GraphQLError, Unavailable."""
        text = request.query_params.get("link")
        if text is None:
            actor = await sign_in_member(request, self.accounts, self.limiter(), needs=NEEDS)
            return actor, self._conditions(request.query_params.get("filter"))
        link = ExportLinks(self.settings).read(text)
        if link is None or "filter" in request.query_params:
            raise Refused(problem(404, "NOT_FOUND", "There is no such export, or the link is not whole."))
        await check_holder(link.actor, self.accounts.revocations, self.limiter())
        return link.actor, link.conditions

    def _conditions(self, filter: str | None) -> LeadConditions:
        """Raises Refused, Invalid, GraphQLError."""
        if filter is None:
            return LeadConditions()
        try:
            if len(filter) > MAX_FILTER:
                raise ValueError("too long")
            given = orjson.loads(filter)
        except ValueError:
            detail = f"filter: Give a LeadFilter as JSON, of at most {MAX_FILTER:,} characters."
            raise Refused(problem(400, "BAD_REQUEST", detail)) from None
        return lead_conditions(self.filter_of(given))

    async def _begin(self, actor: Actor, conditions: LeadConditions) -> AsyncIterator[bytes]:
        """Written down in the audit log. Raises Refused, Unavailable."""
        workspace_id = actor.workspace_id
        async with self.doors.open_work(workspace_id, actor) as work:
            role = await role_now(work, workspace_id, actor.user_id)
            if role is None or not role.includes(Role.MEMBER):
                raise Refused(problem(403, "FORBIDDEN", NEEDS))
            count = await count_leads(work, workspace_id, conditions)
            locale = await export_locale(work, workspace_id)
            told = {"leads": count} if count is not None else {"leadsMoreThan": 10_000}
            told["conditions"] = len(conditions.used)
            await record_audit(work, workspace_id, Author.of(actor), "leads.exported", after=told)
            rows = await export_page(work, workspace_id, conditions, limit=PAGE_ROWS, after=None)
        return self._pages(actor, conditions, locale, rows)

    async def _pages(
        self, actor: Actor, conditions: LeadConditions, locale: str, rows: list[asyncpg.Record]
    ) -> AsyncIterator[bytes]:
        """Raises Unavailable, PermissionError once the person may not any more."""
        yield BYTE_ORDER_MARK + csv_lines([headings(locale)])
        while rows:
            after = Keyset(rows[-1]["moment"], rows[-1]["id"])
            is_last = len(rows) < PAGE_ROWS
            yield await asyncio.to_thread(_page, rows)
            if is_last:
                return
            if self.accounts.revocations.is_revoked(actor):
                raise PermissionError("revoked")
            async with self.doors.open_reads(actor.workspace_id) as reads:
                rows = await export_page(reads, actor.workspace_id, conditions, limit=PAGE_ROWS, after=after)


def lead_export_routes(
    settings: Settings,
    doors: Doors,
    accounts: AccountsServices,
    limiter: "Callable[[], RateLimiter]",
    filter_of: Callable[[object], LeadFilter],
    turns: Turns,
) -> list[Route]:
    exports = LeadExports(settings, doors, accounts, limiter, filter_of, turns)
    return [Route(PATH, exports.give_out, methods=["GET"])]


def _page(rows: Sequence[asyncpg.Record]) -> bytes:
    return csv_lines([_cells(row) for row in rows])


def _cells(row: asyncpg.Record) -> list[str]:
    return [
        str(row["id"]),
        text_cell(row["name"]),
        text_cell(row["email"]),
        phone_cell(row["phone"]),
        text_cell(row["company"]),
        text_cell(row["title"]),
        *identity_cells(row["identities"]),
        text_cell(row["stage"]),
        text_cell(row["owner"]),
        text_cell(row["owner_email"]),
        row["source"],
        row["engagement"],
        str(row["score"]),
        text_cell(SEPARATOR.join(row["tags"])),
        *(_moment(row[name]) for name in ("created_at", "updated_at", "last_touch_at")),
        "" if row["metadata"] == "{}" else text_cell(row["metadata"]),
    ]


def _moment(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""
