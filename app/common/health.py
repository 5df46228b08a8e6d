"""What those who run it look at: `/health/live`, `/health/ready`, `/metrics`."""

from collections.abc import Mapping
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.common import telemetry
from app.common.leases import DueTable
from app.common.reaction_log import reactions_behind
from app.common.revision import older_revisions
from app.common.work import Doors, Unavailable


def health_routes(doors: Doors, due_tables: Mapping[str, DueTable]) -> list[Route]:
    """What those who run it look at."""

    older = older_revisions()

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:
        """Database reachable and migrated; Redis is told, not required."""
        redis = "up" if telemetry.redis_up._value.get() else "away"
        try:
            async with doors.open_system() as system:
                revision = (await system.execute(text("SELECT version_num FROM alembic_version"))).scalar()
        except Unavailable:
            return JSONResponse(
                {"status": "unavailable", "database": "away", "redis": redis}, status_code=503
            )
        is_behind = revision is None or revision in older
        database = "not migrated: run python3 -m app migrate" if is_behind else "ok"
        status = 200 if database == "ok" else 503
        return JSONResponse(
            {"status": "ok" if status == 200 else "unavailable", "database": database, "redis": redis},
            status_code=status,
        )

    async def metrics(request: Request) -> Response:
        with suppress(Unavailable):  # an outage is when the other figures are wanted most
            async with doors.open_system() as system:
                for kind, table in due_tables.items():
                    telemetry.due_rows.labels(kind).set(await table.count(system))
                for lag in await reactions_behind(system):
                    telemetry.reactions_behind.labels(lag.consumer).set(lag.events)
                    telemetry.reactions_behind_seconds.labels(lag.consumer).set(lag.oldest_s)
                    telemetry.reactions_set_aside.labels(lag.consumer).set(lag.set_aside)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", metrics)]
