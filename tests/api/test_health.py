"""What those who run it look at, when things are not as they should be."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from app.common.health import health_routes
from app.common.leases import DueTable
from app.common.migrations import head_revision
from app.common.revision import older_revisions
from app.common.work import Unavailable
from app.imports.wiring import DUE, import_jobs
from app.main import DUE_TABLES
from app.settings import Settings
from tests.factories.accounts import Person
from tests.fixtures.logs import leaks
from tests.fixtures.processes import Api, eventually
from workers.kinds import registry


class Migrated:
    """Doors to a database at a revision; None: it is away."""

    def __init__(self, revision: str | None) -> None:
        self.revision = revision

    @asynccontextmanager
    async def open_system(self) -> AsyncIterator[Any]:
        if self.revision is None:
            raise Unavailable("The database cannot answer right now.")
        yield self

    async def execute(self, clause: object) -> Any:
        return SimpleNamespace(scalar=lambda: self.revision)


async def get(path: str, revision: str | None) -> httpx.Response:
    routes = health_routes(Migrated(revision), {DUE: import_jobs})  # type: ignore[arg-type]
    transport = httpx.ASGITransport(Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("revision", "status"),
    [(min(older_revisions()), 503), (head_revision(), 200), ("of the next release", 200), (None, 503)],
)
async def test_ready_with_the_newest_schema_and_with_the_next_releases(
    revision: str | None, status: int
) -> None:
    """While replicas are replaced one by one, those still running meet a database that is ahead of them."""
    assert (await get("/health/ready", revision)).status_code == status


async def test_metrics_are_told_while_the_database_is_away() -> None:
    answer = await get("/metrics", None)
    assert answer.status_code == 200
    assert "salespad_redis_up" in answer.text


def test_every_kind_of_due_row_is_counted(settings: Settings) -> None:
    kinds = registry(settings)
    assert {kind: due.table for kind, due in kinds.items() if isinstance(due.table, DueTable)} == DUE_TABLES


async def test_a_path_nobody_serves_is_not_logged(api_server: Api) -> None:
    async with httpx.AsyncClient(base_url=api_server.url, trust_env=False) as client:
        for path in (
            "/nobody-7f3a",
            "/nobody-7f3a/serves?nobody-7f3a",
            "/files/nobody-7f3a",
            "/graphql?a=nobody-7f3a",
        ):
            await client.get(path)
        await client.post("/auth/refresh", content=b"no JSON")
    await eventually(lambda: "path=/auth/refresh" in api_server.log(), what="a refusal's log line")
    assert "HTTPStatus" not in api_server.log()
    await eventually(lambda: "path=/… " in api_server.log(), what="a log line")
    await eventually(lambda: "path=/files/{token} " in api_server.log(), what="the other's log line")
    assert "nobody-7f3a" not in api_server.log()


LABEL = re.compile(r"[a-z][a-z _]*|unknown")
BOUND = re.compile(r"[\d.e+-]+|\+Inf")


async def test_metrics_name_nobody(ana: Person) -> None:
    """A label's values are words of the code: no id, no name, no address, and so few of them that a server can keep
    their series."""
    await ana.run("{ viewer { user { id } } }")
    await ana.post("{ nothing }")
    text = (await ana.http.get("/metrics")).text
    assert "salespad_operations_total{" in text
    assert leaks(text) == []
    for family in text_string_to_metric_families(text):
        for sample in family.samples if family.name.startswith(("salespad_", "feed_")) else []:
            for name, value in sample.labels.items():
                assert (BOUND if name == "le" else LABEL).fullmatch(value), sample
