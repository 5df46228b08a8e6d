"""Row 40 of the table: a bug of ours, a database and a Redis that are gone, as whoever asks sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from app.tags.presentation import queries
from tests.api.hostile.scene import Row, Rows, Scene, codes_of
from tests.fixtures.feed import CREATE_TAG, FEED
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually
from tests.fixtures.streams import open_stream
from tests.fixtures.tenants import in_process

ROWS = Rows()
SECRET = "hunter2-is-secret"
DSN = f"postgresql://sp_owner:{SECRET}@db.internal:5432/salespad"
TAGS = "{ tags { id } viewer { role } }"
READS = ("{ viewer { role } tags { id } }", "{ leads { totalCount } }", "{ feedCursor }")
RETRY_S = range(1, 61)


@asynccontextmanager
async def alone(scene: Scene) -> AsyncIterator[tuple[Installation, Scene]]:
    """Servers of its own, to be stopped."""
    async with (
        Installation.started(apis=1, workers=0, SALESPAD_LOG_FORMAT="console") as installation,
        installation.new_person() as person,
    ):
        there = replace(scene, victim=person)
        yield installation, there
        scene.answers += there.answers


@ROWS(40, "a resolver that raises with a DSN in its text")
async def raises(scene: Scene) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot connect to {DSN}") from ConnectionError(DSN)

    logged: pytest.CaptureFixture[str] = scene.fixture("capfd")
    scene.fixture("monkeypatch").setattr(queries, "list_tags", fail)
    async with in_process(scene.settings) as server:
        answer = await scene.post(TAGS, scene.victim.token, http=server.http)
        async with open_stream(server.http, TAGS, token=scene.victim.token) as stream:
            ((_, told), _) = await stream.rest()
    log = "".join(logged.readouterr())
    for body in (answer.json(), told):
        (error,) = body["errors"]
        assert error["message"] == "Unexpected error."
        assert error["extensions"].keys() == {"code", "errorId"}
        assert error["extensions"]["errorId"] in log
        assert SECRET not in str(body)
    assert SECRET not in log
    assert "db.internal" not in log


@ROWS(40, "a Redis and then a database that are gone")
async def servers_gone(scene: Scene) -> None:
    async with alone(scene) as (installation, there):
        await installation.kill_redis()
        await reads_go_on(there)
        await installation.start_redis()
        await installation.kill_postgres()
        for document, variables in ((TAGS, {}), (CREATE_TAG, {"name": "x"})):
            await refused(there, document, **variables)
        ready, told = await there.victim.http.get("/health/ready"), await streamed(there)
        assert ready.status_code == 503
        assert "UNAVAILABLE" in told
        await installation.start_postgres()
        await eventually(lambda: is_answered(there), what="an answer")
        for text in (ready.text, told, installation.apis[0].log()):
            assert not leaks(installation, text)
            assert "Traceback" not in text


async def reads_go_on(scene: Scene) -> None:
    for document in READS:
        assert codes_of((await scene.post(document, scene.victim.token)).json()) == []
    assert (await scene.ask(CREATE_TAG, scene.victim.token, name="still"))["errors"] == []
    assert (await scene.victim.http.get("/health/ready")).status_code == 200


async def is_answered(scene: Scene) -> bool:
    answer = await scene.victim.http.post(
        "/graphql", json={"query": TAGS}, headers=bearer(scene.victim.token)
    )
    return answer.status_code == 200


async def refused(scene: Scene, document: str, **variables: object) -> None:
    given = {"query": document, "variables": variables}
    answer = await scene.victim.http.post("/graphql", json=given, headers=bearer(scene.victim.token))
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) in RETRY_S
    assert codes_of({"errors": answer.json()["errors"]}) == ["UNAVAILABLE"] * len(answer.json()["errors"])
    assert len(answer.content) < 2_000
    assert "password" not in answer.text


async def streamed(scene: Scene) -> str:
    """What a subscription is told."""
    async with open_stream(scene.victim.http, FEED, token=scene.victim.token) as stream:
        return str(await stream.rest())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def leaks(installation: Installation, text: str) -> list[str]:
    """Of what opens the installation's doors."""
    settings = installation.environment
    parts = httpx.URL(settings["SALESPAD_DATABASE_URL"])
    secrets = (
        parts.password,
        settings["SALESPAD_JWT_SECRET"],
        settings["SALESPAD_CREDENTIAL_KEYS"],
        settings["SALESPAD_ERASURE_KEY"],
        "://sp_",
    )
    return [secret for secret in secrets if secret and secret in text]


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_a_fault_tells_nothing(scene: Scene, row: Row) -> None:
    await ROWS.play(row, scene)
