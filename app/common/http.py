"""What every HTTP answer shares: a request id, a log line, safe headers, RFC 9457 problems."""

import time
from collections.abc import Mapping
from http import HTTPStatus

import structlog
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from app.common import telemetry
from app.settings import Settings

SAFE_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
QUIET_PATHS = frozenset({"/health/live", "/health/ready", "/metrics"})


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error outside /graphql, as application/problem+json."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return JSONResponse(body, status_code=status, headers=headers, media_type="application/problem+json")


class RequestLog:
    """Outermost middleware: the id ties an answer (`X-Request-Id`) to its log lines; a crash is a masked problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id, started, status = uuid7().hex, time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception as error:
                if scope["type"] == "websocket" or status:
                    raise
                await self._crash(error, scope, receive, send_with_headers)
            if scope["path"] not in QUIET_PATHS:
                _log(scope, status, time.perf_counter() - started)

    async def _crash(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        error_id = telemetry.new_error_id()
        telemetry.log.error(
            "unexpected error", error_id=error_id, error_type=type(error).__name__, exc_info=error
        )
        answer = problem(
            500, "INTERNAL_SERVER_ERROR", f"Unexpected error. Quote {error_id} to whoever runs this server."
        )
        await answer(scope, receive, send)


def loggable_path(scope: Scope) -> str:
    """The route's template, for what stands in its place may be a token; of a path nobody serves the first part."""
    route = scope.get("route")
    if route is None:
        first = scope["path"].split("/")[1:2]
        return f"/{first[0]}/…" if scope["path"].count("/") > 1 else str(scope["path"])
    return str(route.path if "{" in getattr(route, "path", "") else scope["path"])


def _log(scope: Scope, status: int, seconds: float) -> None:
    telemetry.log.info(
        "request" if scope["type"] == "http" else "websocket closed",
        method=scope.get("method", "WS"),
        path=loggable_path(scope),
        status=status,
        duration_ms=round(seconds * 1000, 1),
    )


def cors(settings: Settings) -> list[Middleware]:
    """For browsers whose pages come from elsewhere: exact origins, no credentials."""
    if not settings.allowed_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.allowed_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-disposition", "content-type"],
            max_age=600,
        )
    ]
