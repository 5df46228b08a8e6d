"""What is served under /graphiql and in GraphiQL's place, without a browser."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.embedded import web_assets
from app.graphql import graphiql
from app.settings import Settings

SETTINGS = Settings.model_validate({"public_url": "https://sales.example.com"})


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the assets would be; nothing is there yet."""
    root = tmp_path / "dist" / "graphiql"
    monkeypatch.setattr(graphiql, "_ROOT", root)
    monkeypatch.setattr(graphiql, "_PAGE", root / "graphiql.html")
    monkeypatch.setattr(web_assets, "FAILURE", tmp_path / "dist.failed")
    return root


@pytest.fixture
async def client(dist: Path) -> AsyncIterator[httpx.AsyncClient]:
    def page(_: Request) -> Response:
        return graphiql.graphiql_page(SETTINGS)

    app = Starlette(routes=[*graphiql.graphiql_routes(SETTINGS), Route("/graphql", page)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


def build(dist: Path) -> None:
    (dist / "assets").mkdir(parents=True)
    (dist / "graphiql.html").write_text("<!doctype html>GraphiQL")
    (dist / "stamp").write_text("secret")
    for name in ("page-abc.js", "page-abc.css", "codicon-abc.ttf"):
        (dist / "assets" / name).write_text(name)


async def test_until_it_is_built_a_page_says_so_and_reloads(client: httpx.AsyncClient, dist: Path) -> None:
    answer = await client.get("/graphql")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "is being built" in answer.text
    assert "está sendo montado" in answer.text
    assert '<meta http-equiv="refresh" content="2">' in answer.text
    assert (await client.get("/graphiql/assets/page-abc.js")).status_code == 404

    build(dist)
    assert (await client.get("/graphql")).text == "<!doctype html>GraphiQL"
    assert (await client.get("/graphiql/assets/page-abc.js")).text == "page-abc.js"


async def test_a_failed_build_is_told_without_being_believed(client: httpx.AsyncClient) -> None:
    web_assets.FAILURE.write_text("`npm ci` failed with status 1:\n<script>alert(1)</script>")
    answer = await client.get("/graphql")
    assert "`npm ci` failed" in answer.text
    assert "<script>" not in answer.text
    assert "python3 -m app doctor" in answer.text
    assert "refresh" not in answer.text


async def test_the_page_lets_in_only_our_own_scripts_and_addresses(
    client: httpx.AsyncClient, dist: Path
) -> None:
    build(dist)
    headers = (await client.get("/graphql")).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["worker-src"] == "'self'"
    assert policy["connect-src"] == "'self' wss://sales.example.com"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Vary"] == "Accept"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("page-abc.js", "text/javascript; charset=utf-8"),
        ("page-abc.css", "text/css; charset=utf-8"),
        ("codicon-abc.ttf", "font/ttf"),
    ],
)
async def test_assets_have_their_media_type_and_may_be_kept(
    client: httpx.AsyncClient, dist: Path, name: str, media_type: str
) -> None:
    build(dist)
    answer = await client.get(f"/graphiql/assets/{name}")
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = await client.get(f"/graphiql/assets/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path", ["../stamp", "..%2fstamp", "%2e%2e/stamp", "/etc/passwd", "..\\stamp", "%00"]
)
async def test_nothing_beside_the_assets_is_served(client: httpx.AsyncClient, dist: Path, path: str) -> None:
    build(dist)
    answer = await client.get(httpx.URL("http://test", raw_path=f"/graphiql/assets/{path}".encode()))
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_switched_off_it_has_no_routes() -> None:
    assert graphiql.graphiql_routes(Settings.model_validate({"graphiql": False})) == []


async def test_its_short_address_leads_to_the_page(client: httpx.AsyncClient) -> None:
    assert (await client.get("/graphiql")).headers["Location"] == "/graphql"


def test_what_the_tabs_say_is_seen_whole_on_a_small_screen() -> None:
    """Half of 1280 pixels, less the editor's own buttons: longer lines end below them."""
    tabs = "".join(path.read_text() for path in sorted((web_assets.WEB / "src/graphiql/tabs").glob("*.ts")))
    said = re.findall(r"say\(\s*`(.*?)`,\s*`(.*?)`,\s*\)", tabs, re.DOTALL)
    assert len(said) == 18
    assert [line for both in said for text in both for line in text.splitlines() if len(line) > 49] == []
