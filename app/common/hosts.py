"""Whose host we are: a foreign name that points here would let its pages read along (DNS rebinding).

An IP address is nobody's name, so nothing can be bound to it anew: health checks and machines inside come by it. What
is sent out never holds the Host header; links come from SALESPAD_PUBLIC_URL.
"""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.common.http import RequestLog, cors, problem
from app.settings import Settings

HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+?)\.?)(?::[0-9]{0,5})?", re.IGNORECASE)
REFUSAL = (
    "This server does not go by that name: open it at SALESPAD_PUBLIC_URL's, "
    "or add the name to SALESPAD_ALLOWED_HOSTS."
)


def front_door(settings: Settings) -> list[Middleware]:
    """What every request passes, outermost first."""
    return [
        Middleware(RequestLog, settings=settings),
        Middleware(OwnHosts, settings=settings),
        *cors(settings),
    ]


class OwnHosts:
    """Middleware: requests and websocket handshakes under other names are 400."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._names = own_names(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_ours(scope):
            await self._app(scope, receive, send)
        else:
            await problem(400, "BAD_REQUEST", REFUSAL)(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        hosts = Headers(scope=scope).getlist("host")
        if not hosts:
            return bool(scope.get("http_version") == "1.0")  # which knows no Host; no browser speaks it
        return len(hosts) == 1 and self._is_own(hosts[0])

    def _is_own(self, host: str) -> bool:
        parts = HOST.fullmatch(host)
        return parts is not None and (
            is_address(parts["v6"] or parts["name"]) or (parts["name"] or "").lower() in self._names
        )


def own_names(settings: Settings) -> frozenset[str]:
    named = ("localhost", settings.host, urlsplit(settings.base_url).hostname, *settings.allowed_hosts)
    return frozenset(name.lower() for name in named if name)


def is_address(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return False
