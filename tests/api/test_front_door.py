"""What every request passes whatever it asks for: safe headers, own host names, origins of other sites."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from websockets.typing import Origin, Subprotocol

from app.common.hosts import front_door
from app.common.http import SAFE_HEADERS
from app.main import create_app
from app.settings import Settings
from tests.factories.accounts import Person
from tests.fixtures.processes import Api

HTML_POLICY = {"default-src": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'"}
"""What the policy of every page says; what else it allows is its own matter."""
OWN_ORIGIN, SHOP = "https://app.example.com", "https://shop.example.com"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")


@asynccontextmanager
async def served(settings: Settings, **changes: object) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    application = create_app(Settings(**(settings.model_dump() | changes)))
    transport = httpx.ASGITransport(application)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client,
    ):
        yield application, client


def paths_of(routes: list[BaseRoute]) -> Iterator[str]:
    for route in routes:
        if isinstance(route, Route | WebSocketRoute):
            yield route.path_format.format_map(dict.fromkeys(route.param_convertors, "x"))
        else:
            assert isinstance(route, Mount), route
            yield f"{route.path}/nothing.js"


def missing_headers(answer: httpx.Response) -> list[str]:
    """What is wrong with them, in words."""
    wrong = [name for name in (*SAFE_HEADERS, "X-Request-Id") if name not in answer.headers]
    wrong += ["Server" for name in ("server", "x-powered-by") if name in answer.headers]
    if answer.headers.get("X-Content-Type-Options") != "nosniff":
        wrong.append("nosniff")
    policy = dict(
        part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";")
    )
    if policy.get("default-src") != "'none'" or "unsafe" in policy.get("script-src", ""):
        wrong.append("Content-Security-Policy")
    if "html" in answer.headers.get("Content-Type", ""):
        wrong += [name for name, value in HTML_POLICY.items() if policy.get(name) != value]
    return wrong


# ── headers ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_no_route_answers_without_the_safe_headers(settings: Settings, tmp_path: Path) -> None:
    """Every route of the app by every method, refusals and redirects with them; and a path that nobody serves."""
    changes = {"home": tmp_path, "mailbox_smtp_url": "smtp://127.0.0.1:1", "graphiql": True}
    async with served(settings, **changes) as (application, client):
        paths = sorted({*paths_of(application.routes), "/nobody/serves/this", "/graphql/"})
        assert {"/", "/graphql", "/graphiql/assets/nothing.js", "/mailbox", "/health/ready"} <= set(paths)
        wrong, seen = {}, set()
        for path in paths:
            for method in METHODS:
                answer = await client.request(method, path, headers={"Accept": "text/html"})
                seen.add(answer.status_code)
                assert answer.status_code < 500, (method, path)
                if missing := missing_headers(answer):
                    wrong[f"{method} {path}"] = missing
    assert wrong == {}
    assert {200, 307, 401, 404, 405, 415} <= seen


async def test_files_of_the_page_say_more_of_themselves(
    settings: Settings, monkeypatch: Any, tmp_path: Path
) -> None:
    from app.graphql import graphiql

    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "page.js").write_text("0")
    (tmp_path / "graphiql.html").write_text("<!doctype html>")
    monkeypatch.setattr(graphiql, "_ROOT", tmp_path)
    monkeypatch.setattr(graphiql, "_PAGE", tmp_path / "graphiql.html")
    async with served(settings, graphiql=True) as (_, client):
        for path in ("/graphiql/assets/page.js", "/graphql"):
            answer = await client.get(path, headers={"Accept": "text/html"})
            assert (answer.status_code, missing_headers(answer)) == (200, [])
            assert ("immutable" in answer.headers["Cache-Control"]) is ("assets" in path)


async def test_a_crash_has_them_too(settings: Settings) -> None:
    async def crash(_: Request) -> Response:
        raise RuntimeError("postgresql://sp_owner:hunter2@db")

    application = Starlette(routes=[Route("/", crash)], middleware=front_door(settings))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application), base_url="http://localhost"
    ) as client:
        answer = await client.get("/")
    assert (answer.status_code, missing_headers(answer)) == (500, [])
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(("public_url", "is_told"), [(OWN_ORIGIN, True), ("http://app.example.com", False)])
async def test_https_is_insisted_on_where_it_is_the_address(
    settings: Settings, public_url: str, is_told: bool
) -> None:
    async with served(settings, public_url=public_url) as (_, client):
        answer = await client.get("/health/live")
    assert ("max-age=31536000" in answer.headers.get("Strict-Transport-Security", "")) is is_told


@pytest.mark.parametrize(
    ("path", "origin"), [("/graphql", "https://evil.example"), ("/nowhere", None), ("/mailbox", None)]
)
async def test_a_refused_handshake_is_an_answer_like_any_other(
    api_server: Api, path: str, origin: str | None
) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await handshake(api_server, path=path, origin=Origin(origin) if origin else None)
    answer = refused.value.response
    assert answer.status_code == 403
    wrong = missing_headers(
        httpx.Response(403, headers=list(answer.headers.raw_items()), content=answer.body)
    )
    assert wrong == []
    assert answer.headers["Content-Type"] == "application/problem+json"


async def handshake(api: Api, *, path: str = "/graphql", **options: Any) -> None:
    address = api.ws_url.removesuffix("/graphql") + path
    wanted = [Subprotocol("graphql-transport-ws")]
    async with websockets.connect(address, subprotocols=wanted, proxy=None, **options):
        pass


# ── host names ────────────────────────────────────────────────────────────────────────────────────────────────────────
OWN_HOSTS = (
    "app.example.com",
    "APP.example.com:443",
    "app.example.com.",
    "crm.example.org:8443",
    "localhost",
    "localhost:8000",
    "127.0.0.1:8000",
    "10.1.2.3:8000",
    "[::1]:8000",
    "[2001:db8::1]",
)
FOREIGN_HOSTS = (
    "evil.example",
    "evil.example:8000",
    "app.example.com.evil.example",
    "evil-app.example.com",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "app.example.com@evil.example",
    "evil.example#app.example.com",
    "app.example.com:80:80",
    "app.example.com:x",
    "2130706433",
    "[evil.example]",
    "[::1].evil.example",
    "",
    " ",
    "é.example",
)


@pytest.fixture
async def named(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with served(settings, public_url=OWN_ORIGIN, allowed_hosts=("crm.example.org",)) as (_, client):
        yield client


@pytest.mark.parametrize("path", ["/graphql", "/health/live", "/metrics", "/nobody"])
async def test_only_own_names_are_answered_to(named: httpx.AsyncClient, path: str) -> None:
    for host in OWN_HOSTS:
        answer = await named.get(path, headers={"Host": host, "X-Forwarded-Host": "evil.example"})
        assert "SALESPAD_ALLOWED_HOSTS" not in answer.text, host
    for host in FOREIGN_HOSTS:
        answer = await named.get(path, headers={"Host": host.encode()})
        assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST"), host
        assert "SALESPAD_ALLOWED_HOSTS" in answer.json()["detail"]
        assert missing_headers(answer) == []


@pytest.mark.parametrize(
    ("hosts", "status"), [(["127.0.0.1"], 200), (["127.0.0.1", "127.0.0.1"], 400), ([], 400)]
)
async def test_there_is_one_host(named: httpx.AsyncClient, hosts: list[str], status: int) -> None:
    request = named.build_request("GET", "/health/live")
    others = [pair for pair in request.headers.raw if pair[0].lower() != b"host"]
    request.headers = httpx.Headers([*others, *((b"Host", host.encode()) for host in hosts)])
    assert (await named.send(request)).status_code == status


async def test_a_page_of_a_foreign_name_cannot_open_a_socket(ana: Person, api_server: Api) -> None:
    """Its name was bound to our address after it was loaded, so that Origin and Host agree."""
    port = api_server.url.rpartition(":")[2]
    with pytest.raises(websockets.InvalidStatus) as refused:
        await handshake_as(api_server, f"evil.example:{port}")
    assert refused.value.response.status_code == 400
    await handshake_as(api_server, f"localhost:{port}")


async def handshake_as(api: Api, host: str) -> None:
    async with asyncio.timeout(10):
        port = int(host.rpartition(":")[2])
        async with websockets.connect(
            f"ws://{host}/graphql",
            host="127.0.0.1",
            port=port,
            origin=Origin(f"http://{host}"),
            subprotocols=[Subprotocol("graphql-transport-ws")],
            proxy=None,
        ):
            pass


# ── origins ───────────────────────────────────────────────────────────────────────────────────────────────────────────
EXTENSION = "chrome-extension://abcdefghijklmnop"
FOREIGN_ORIGINS = (
    "null",
    "https://evil.example",
    "http://shop.example.com",
    f"{SHOP}.evil.example",
    f"{SHOP}:8443",
    f"{SHOP}/",
    "https://evil.example/https://shop.example.com",
    "https://evilshop.example.com",
    "https://SHOP.example.com",
    "https://shop_example.com",
    "chrome-extension://evil",
    "file://",
)


async def test_other_sites_are_let_in_by_their_exact_origin(settings: Settings) -> None:
    async with served(settings, allowed_origins=(SHOP, EXTENSION)) as (_, client):
        for origin in (SHOP, EXTENSION):
            asked = await preflight(client, origin)
            answer = await client.post(
                "/graphql", json={"query": "{ __typename }"}, headers={"Origin": origin}
            )
            assert (asked.status_code, answer.status_code) == (200, 200)
            assert asked.headers["Access-Control-Max-Age"] == "600"
            assert_is_for(origin, asked, answer)
        for origin in FOREIGN_ORIGINS:
            asked = await preflight(client, origin)
            answer = await client.post(
                "/graphql", json={"query": "{ __typename }"}, headers={"Origin": origin}
            )
            assert asked.status_code == 400
            assert_is_for(None, asked, answer)


def assert_is_for(origin: str | None, *answers: httpx.Response) -> None:
    for answer in answers:
        assert answer.headers.get("Access-Control-Allow-Origin") == origin
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Origin" in answer.headers["Vary"]


async def preflight(client: httpx.AsyncClient, origin: str, path: str = "/graphql") -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return await client.options(path, headers=headers)


async def test_nobody_is_let_in_unless_named(settings: Settings) -> None:
    async with served(settings, public_url=OWN_ORIGIN) as (_, client):
        for origin in (*FOREIGN_ORIGINS, SHOP, OWN_ORIGIN):
            answer = await preflight(client, origin)
            assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_cookies_and_other_headers_are_not_asked_for_by_other_sites(settings: Settings) -> None:
    async with served(settings, allowed_origins=(SHOP,)) as (_, client):
        asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
        for changes in (
            {"Access-Control-Request-Headers": "x-workspace"},
            {"Access-Control-Request-Method": "DELETE"},
            {"Access-Control-Request-Private-Network": "true"},
        ):
            assert (await client.options("/graphql", headers=asked | changes)).status_code == 400


@pytest.mark.parametrize(
    "origins", ["*", "https://*.example.com", "https://app.example.com/path", "null", "evil.example"]
)
def test_an_origin_that_is_none_stops_the_start(origins: str) -> None:
    with pytest.raises(ValidationError, match="Name each origin exactly"):
        Settings(allowed_origins=origins)  # type: ignore[arg-type]
