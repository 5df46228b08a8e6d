"""GraphiQL's page and its assets, served from `web/dist/`, and a plain page while there are none.

Nothing is loaded from elsewhere and no script runs that did not come from this origin: a policy that says so
goes with every answer. Whether GraphiQL is served at all is the setting `graphiql`.
"""

import os
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.embedded import web_assets
from app.settings import Settings

_ROOT = web_assets.DIST / "graphiql"
_PAGE = _ROOT / "graphiql.html"

# The machine's own table of media types may lack any of these; with nosniff a wrong one breaks the page.
_MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".map": "application/json",
    ".wasm": "application/wasm",
}
_ASSET_HEADERS = {
    # A file's name holds the hash of its content.
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Workers take their policy from their own file's answer.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'",
}


def graphiql_routes(settings: Settings) -> list[BaseRoute]:
    """The routes under `/graphiql`; none when GraphiQL is switched off."""
    if not settings.serves_graphiql:
        return []
    return [
        Mount(
            "/graphiql/assets", Assets(directory=_ROOT / "assets", check_dir=False), name="graphiql-assets"
        ),
        Route("/graphiql", to_page),
        Route("/graphiql/", to_page),
    ]


def graphiql_page(settings: Settings) -> Response:
    """The page for `GET /graphql` with `Accept: text/html`."""
    try:
        page = _PAGE.read_text(encoding="utf-8")
    except OSError:
        return waiting_page()
    return HTMLResponse(page, headers=page_headers(settings))


def to_page(_: Request) -> Response:
    return RedirectResponse("/graphql", status_code=307, headers={"Cache-Control": "no-store"})


class Assets(StaticFiles):
    """Static files of a folder that may come into being after the start."""

    async def check_config(self) -> None:
        """Starlette's own check raises for a missing folder; ours answers 404 until the build has made it."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        headers = MutableHeaders(raw=response.raw_headers)
        headers.update(_ASSET_HEADERS)
        media_type = _MEDIA_TYPES.get(Path(full_path).suffix)
        if media_type is not None and isinstance(response, FileResponse):
            headers["Content-Type"] = media_type
        return response


def page_headers(settings: Settings) -> dict[str, str]:
    policy = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Monaco places its lines and markers by inline styles
        "img-src 'self' data:",
        "font-src 'self' data:",
        f"connect-src 'self' {websocket_origins(settings)}",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Cache-Control": "no-cache",
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def websocket_origins(settings: Settings) -> str:
    """Our own websocket origin: named, because not every browser counts it among 'self'."""
    address = urlsplit(settings.base_url)
    scheme = "wss" if address.scheme == "https" else "ws"
    origins = [f"{scheme}://{address.netloc}"]
    if address.hostname in {"127.0.0.1", "localhost", "0.0.0.0", "::1"}:  # noqa: S104 - a comparison, nothing listens
        origins = [
            f"{scheme}://{host}:{address.port or settings.port}" for host in ("127.0.0.1", "localhost")
        ]
    return " ".join(origins)


def waiting_page() -> Response:
    """What stands in for GraphiQL: "being built", which reloads itself, or why the build failed."""
    reason = web_assets.failure()
    body = _WAITING if reason is None else _FAILED.replace("{reason}", escape(reason.strip()))
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    return HTMLResponse(
        body,
        headers={
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Vary": "Accept",
            "X-Content-Type-Options": "nosniff",
        },
    )


_STYLE = (
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1rem}"
    "pre{white-space:pre-wrap}</style>"
)

_WAITING = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta http-equiv="refresh" content="2">
<title>SalesPad API</title>{_STYLE}</head>
<body>
<h1>GraphiQL is being built…</h1>
<p>The first build takes up to a minute; this page reloads by itself. The API itself is already there:
POST to <code>/graphql</code>. If this lasts, <code>python3 -m app doctor</code> says why.</p>
<section lang="pt-BR">
<h2>O GraphiQL está sendo montado…</h2>
<p>A primeira montagem leva até um minuto; esta página se recarrega sozinha. A API já está no ar:
faça POST em <code>/graphql</code>. Se demorar, <code>python3 -m app doctor</code> diz por quê.</p>
</section>
</body>
</html>
"""

_FAILED = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>SalesPad API</title>{_STYLE}</head>
<body>
<h1>GraphiQL could not be built</h1>
<p>The API works without it: POST to <code>/graphql</code>.
<code>python3 -m app doctor</code> says what to do.</p>
<section lang="pt-BR">
<h2>Não foi possível montar o GraphiQL</h2>
<p>A API funciona sem ele: faça POST em <code>/graphql</code>.
<code>python3 -m app doctor</code> diz o que fazer.</p>
</section>
<pre>{{reason}}</pre>
</body>
</html>
"""
