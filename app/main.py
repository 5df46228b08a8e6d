"""The API process: its routes, its lifespan, what lives as long as it does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Self

from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route, WebSocketRoute

from app.accounts.presentation.http import auth_routes
from app.accounts.presentation.pages import people_pages
from app.accounts.wiring import SYSTEM_MAIL, accounts_services, system_mails
from app.automations.wiring import CALL_DUE as AUTOMATION_CALL
from app.automations.wiring import DUE as AUTOMATION_RUN
from app.automations.wiring import automation_calls, automation_runs
from app.channels.presentation.webhooks import webhook_routes
from app.channels.wiring import IMAP, INBOUND, imap_mailboxes, inbound_events
from app.common import garbage, telemetry, tracing
from app.common.exporting import Turns
from app.common.feed.hub import Hub
from app.common.health import health_routes
from app.common.hosts import front_door
from app.common.jobs import LocalBells, RedisBells, create_bells
from app.common.roles import check_roles
from app.common.sharing import Shares
from app.common.starting import refuse_missing_database, refuse_weak_secrets
from app.common.work import Doors
from app.conversations.presentation.pages import unsubscribe_routes
from app.conversations.wiring import DELIVERY, deliveries, presence_service
from app.embedded.mailbox_page import mailbox_routes
from app.files.presentation.uploads import file_routes
from app.graphql.graphiql import graphiql_routes
from app.graphql.inputs import lead_filter
from app.graphql.view import GraphQLView
from app.imports.presentation.exports import error_report_routes
from app.imports.wiring import DUE, import_jobs
from app.leads.presentation.exports import lead_export_routes
from app.leads.wiring import DUE as BULK_CHANGE
from app.leads.wiring import SCORE_SWEEP, bulk_changes, score_sweeps
from app.outreach.wiring import DUE as BULK_SEND
from app.outreach.wiring import bulk_sends
from app.people.presentation.exports import export_routes
from app.settings import Settings, read_settings

DUE_TABLES = {
    AUTOMATION_CALL: automation_calls,
    AUTOMATION_RUN: automation_runs,
    BULK_CHANGE: bulk_changes,
    BULK_SEND: bulk_sends,
    DELIVERY: deliveries,
    DUE: import_jobs,
    IMAP: imap_mailboxes,
    INBOUND: inbound_events,
    SCORE_SWEEP: score_sweeps,
    SYSTEM_MAIL: system_mails,
}
"""Whose due rows `/metrics` counts."""
WARMED_UP = ("app.common.ratelimit", "puremagic", "saq.queue.redis")


@dataclass
class Process:
    """What lives as long as the process: made before the first request."""

    bells: RedisBells | LocalBells
    doors: Doors
    hub: Hub
    services: dict[str, Any]
    """Of the modules, by name; each starts and stops with the process."""
    shares: Shares

    @classmethod
    def of(cls, settings: Settings) -> Self:
        bells = create_bells(settings)
        doors = Doors(settings, bells)
        services = {
            "accounts": accounts_services(settings, doors),
            "presence": presence_service(settings, bells),
        }
        return cls(bells, doors, Hub(doors, settings), services, Shares(is_on=settings.share_execution))

    async def start(self) -> None:
        await check_roles(self.doors)
        await self.bells.start()
        self.bells.listen(self.hub)
        await self.hub.start()
        for service in self.services.values():
            await service.start()

    async def stop(self) -> None:
        for service in reversed(self.services.values()):
            await service.stop()
        await self.hub.stop()
        await self.bells.stop()
        await self.doors.close()


def create_app(settings: Settings | None = None) -> Starlette:
    settings = settings or read_settings()
    refuse_missing_database(settings)
    refuse_weak_secrets(settings)
    telemetry.configure_logging(settings)
    tracing.configure_tracing(settings, "api")
    process = Process.of(settings)
    view = GraphQLView(settings, process)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        garbage.settle()
        try:
            await process.start()
        except SystemExit as refusal:  # uvicorn prints no exception's words
            telemetry.log.critical("refused to start", reason=str(refusal))
            raise
        warming = asyncio.create_task(asyncio.to_thread(_warm_up))
        yield
        await warming
        await process.stop()
        await asyncio.to_thread(tracing.flush)

    return Starlette(
        routes=[
            *([Route("/", RedirectResponse("/graphql"))] if settings.serves_graphiql else []),
            Route("/graphql", view),
            WebSocketRoute("/graphql", view),
            *graphiql_routes(settings),
            *auth_routes(settings, lambda: process.services["accounts"]),
            *people_pages(settings),
            *mailbox_routes(settings),
            *webhook_routes(settings, process.doors),
            *unsubscribe_routes(settings, process.doors, lambda: view.limiter),
            *_member_routes(settings, process, view),
            *health_routes(process.doors, DUE_TABLES),
        ],
        middleware=front_door(settings),
        lifespan=lifespan,
    )


def _member_routes(settings: Settings, process: Process, view: GraphQLView) -> list[Route]:
    """Beside /graphql what members send files to and fetch files from."""
    shared = (settings, process.doors, process.services["accounts"], lambda: view.limiter)
    turns = Turns()
    return [
        *file_routes(*shared),
        *export_routes(*shared, turns),
        *lead_export_routes(*shared, lead_filter, turns),
        *error_report_routes(*shared, turns),
    ]


def _warm_up() -> None:
    """What the first answers can do without, loaded while the API answers already."""
    for name in WARMED_UP:
        import_module(name)
