"""What every HTTP answer shares: a request id, a log line, safe headers, RFC 9457 problems."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import structlog
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from app.common import telemetry, tracing
from app.common.domain import Actor, ClientKind, Role, Throttled, Unauthenticated
from app.common.garbage import Ended
from app.settings import Settings

if TYPE_CHECKING:
    from app.common.ratelimit import RateLimiter

SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer that does not say otherwise: what is served may do nothing, be framed by nobody and kept nowhere."""
HSTS = {"Strict-Transport-Security": "max-age=31536000"}
DENIAL = "websocket.http.response"
"""The ASGI extension by which a refused websocket handshake gets an answer of its own."""
RESPONSE_STARTS = frozenset({"http.response.start", f"{DENIAL}.start"})
NO_SOCKET = (
    "There is no websocket here, or not for a page of another site: SALESPAD_ALLOWED_ORIGINS names who may."
)
QUIET_PATHS = frozenset({"/health/live", "/health/ready", "/metrics"})


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error outside /graphql, as application/problem+json."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return JSONResponse(body, status_code=status, headers=headers, media_type="application/problem+json")


class Refused(Exception):
    """An answer before any byte of the body is read."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


class Authenticates(Protocol):
    async def authenticate(self, text: str, ip: str) -> Actor: ...


async def sign_in_member(
    request: Request, accounts: Authenticates, limiter: "RateLimiter", *, needs: str
) -> Actor:
    """Whose access token the request carries: a member of the web app or an API key, and no more requests than one
    may make. `needs` says to others what it takes. Raises Refused: 401, 403, 429.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise Unauthenticated("Send the access token as Authorization: Bearer …")
        ip = request.client.host if request.client else ""
        actor = await accounts.authenticate(token.strip(), ip)
    except Unauthenticated as error:
        headers = {"WWW-Authenticate": "Bearer"}
        raise Refused(problem(401, "UNAUTHENTICATED", error.message, headers)) from None
    except Throttled as error:
        raise Refused(problem(429, "RATE_LIMITED", error.message, {"Retry-After": "60"})) from None
    if actor.client is ClientKind.EXTENSION or not actor.role.includes(Role.MEMBER):
        raise Refused(problem(403, "FORBIDDEN", needs))
    allowance = await limiter.hit(actor)
    if not allowance.is_allowed:
        raise Refused(problem(429, "RATE_LIMITED", "Too many requests: wait a little.", allowance.headers))
    return actor


def try_again() -> Response:
    return problem(503, "UNAVAILABLE", "Try again in a moment.", {"Retry-After": "1"})


def wait_for_exports() -> Response:
    detail = "Several exports are being written: try again in a moment."
    return problem(503, "UNAVAILABLE", detail, {"Retry-After": "10"})


class RequestLog:
    """Outermost middleware: the id ties an answer (`X-Request-Id`) to its log lines; a crash is a masked problem, and
    no answer is without the safe headers.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._ended = Ended()
        is_https = urlsplit(settings.base_url).scheme == "https"
        headers = SAFE_HEADERS | HSTS if is_https else SAFE_HEADERS
        self._safe = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id, started, status = uuid7().hex, time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "websocket.accept":
                status = HTTPStatus.SWITCHING_PROTOCOLS.value
            elif (
                message["type"] == "websocket.close" and not status and DENIAL in scope.get("extensions", {})
            ):
                await problem(403, "FORBIDDEN", NO_SOCKET)(scope, receive, send_with_headers)
                return
            if message["type"] in RESPONSE_STARTS:
                status = int(message["status"])  # some say it by an HTTPStatus, which a log writes otherwise
                headers = list(message.get("headers", ()))
                told = {name for name, _ in headers}
                headers += [pair for pair in self._safe if pair[0] not in told]
                message["headers"] = [*headers, (b"x-request-id", request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id), _span(scope):
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception as error:
                if scope["type"] == "websocket" or status:
                    raise
                await self._crash(error, scope, receive, send_with_headers)
            finally:
                self._ended.tell(time.perf_counter() - started)
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


def _span(scope: Scope) -> AbstractContextManager[None]:
    if scope["type"] != "http" or scope["path"] in QUIET_PATHS:
        return nullcontext()
    return tracing.span("http request", method=scope["method"])


def loggable_path(scope: Scope) -> str:
    """The route's template, for what stands in its place may be a token; nothing of a path nobody serves, which is the
    client's word."""
    route = scope.get("route")
    if route is None:
        return "/…"
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
            expose_headers=["ratelimit", "ratelimit-policy", "retry-after", "x-request-id"],
            max_age=600,
        )
    ]
