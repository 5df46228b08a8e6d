"""The refresh cookie, and the two routes that read it. Nothing else in the app reads a cookie.

`__Host-` binds it to this very host; SameSite=Strict, the JSON content type and the Origin check each keep
other sites from using it (security.md 3.1). Errors are RFC 9457 problems.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.accounts.domain.session import Caller
from app.accounts.wiring import AccountsServices
from app.common.domain import ErrorCode, SalesPadError
from app.common.work import Unavailable
from app.settings import Settings

COOKIE = "__Host-sp_rt"
STATUS = {ErrorCode.CONFLICT: HTTPStatus.CONFLICT, ErrorCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED}
SAME_SITE = {"same-origin", "same-site"}
RETRY_LATER = {"Retry-After": "1"}
LOOPBACK = ("127.0.0.1", "localhost")


def set_refresh_cookie(response: Response, refresh_token: str, settings: Settings) -> None:
    response.set_cookie(
        COOKIE,
        refresh_token,
        max_age=settings.refresh_token_ttl_s,
        path="/",
        secure=True,
        httponly=True,
        samesite="strict",
    )


def clear_refresh_cookie(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


def auth_routes(settings: Settings, services: Callable[[], AccountsServices]) -> list[Route]:
    """`services` is asked at each request: it may be built after the routes."""

    async def refresh(request: Request) -> Response:
        try:
            opened = await services().sessions.refresh_session(
                request.cookies.get(COOKIE, ""), caller_of(request)
            )
        except SalesPadError as refusal:
            answer = problem(STATUS[refusal.code], refusal.code, refusal.message)
            if refusal.code is ErrorCode.UNAUTHENTICATED:
                clear_refresh_cookie(answer)
            return answer
        expires_at = opened.access.expires_at.isoformat().replace("+00:00", "Z")
        answer = no_store({"accessToken": opened.access.text, "expiresAt": expires_at})
        set_refresh_cookie(answer, opened.refresh.text, settings)
        return answer

    async def sign_out(request: Request) -> Response:
        await services().sessions.sign_out(request.cookies.get(COOKIE, ""), caller_of(request))
        answer = no_store({"ok": True})
        clear_refresh_cookie(answer)
        return answer

    return [
        Route("/auth/refresh", own_pages_only(settings, refresh), methods=["POST"]),
        Route("/auth/sign-out", own_pages_only(settings, sign_out), methods=["POST"]),
    ]


Endpoint = Callable[[Request], Awaitable[Response]]


def own_pages_only(settings: Settings, endpoint: Endpoint) -> Endpoint:
    origins = allowed_origins(settings)

    async def guarded(request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "INVALID", "Send Content-Type: application/json."
            )
        site = request.headers.get("sec-fetch-site", "same-origin")
        if request.headers.get("origin") not in origins or site not in SAME_SITE:
            return problem(HTTPStatus.FORBIDDEN, "FORBIDDEN", "Only the app's own pages may call this.")
        try:
            return await endpoint(request)
        except Unavailable:
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE", "Try again in a moment.", RETRY_LATER
            )

    return guarded


def allowed_origins(settings: Settings) -> frozenset[str]:
    """The app's own and the configured web pages, no extension: it has a session of its own. On a loopback
    address, both its names.
    """
    own = settings.base_url
    others = (origin for origin in settings.allowed_origins if origin.startswith(("http://", "https://")))
    names = {own.replace(f"//{one}", f"//{other}", 1) for one in LOOPBACK for other in LOOPBACK}
    return frozenset({own, *names, *others})


def caller_of(request: Request) -> Caller:
    return Caller.of(request.client.host if request.client else "", request.headers.get("user-agent", ""))


def no_store(body: dict[str, object]) -> Response:
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def problem(status: HTTPStatus, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    body = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail, "code": code}
    return JSONResponse(
        body,
        status,
        media_type="application/problem+json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
