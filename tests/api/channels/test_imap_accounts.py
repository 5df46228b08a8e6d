"""The IMAP mailboxes of accounts: tried when they are given, and read from there on."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.channels.wiring import imap_server
from app.common.work import Doors
from app.embedded.config import OFF
from app.settings import Settings
from tests.factories.accounts import Person, sign_up
from tests.factories.channels import accounts, connect, connected, disconnect, refusal, update
from tests.fixtures.databases import bare_database
from tests.fixtures.imap_script import DROP, HANG, ScriptedImap
from tests.fixtures.processes import Api
from tests.fixtures.smtp import Certificate


@pytest.fixture
def server() -> Iterator[ScriptedImap]:
    with ScriptedImap.started() as server:
        yield server


@pytest.fixture(scope="module")
async def alone(servers: None) -> Settings:
    """A database where no worker reads these mailboxes meanwhile."""
    return await bare_database(Settings())


@pytest.fixture(scope="module")
async def doors(alone: Settings) -> AsyncIterator[Doors]:
    doors = Doors(alone)
    yield doors
    await doors.close()


@pytest.fixture(scope="module")
async def api_server(alone: Settings) -> AsyncIterator[Api]:
    assert alone.database_url is not None
    async with Api.started(SALESPAD_DATABASE_URL=alone.database_url, SALESPAD_REDIS_URL=OFF) as api:
        yield api


@pytest.fixture(scope="module")
async def http(api_server: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api_server.url, timeout=30, trust_env=False) as client:
        yield client


async def reading_of(doors: Doors, id: str) -> dict[str, Any] | None:
    async with doors.open_system() as system:
        found = await system.execute(
            text(
                "SELECT status, uid_validity, uid, attempt, token, run_at <= now() AS is_due "
                "FROM imap_mailbox WHERE id = :id"
            ),
            {"id": id},
        )
        row = found.one_or_none()
        return None if row is None else dict(row._mapping)


async def read_up_to(doors: Doors, id: str, uid: int) -> None:
    """As a worker that has the row in its hands leaves it."""
    async with doors.open_system() as system:
        await system.execute(
            text(
                "UPDATE imap_mailbox SET uid = :uid, status = 'claimed', attempt = 3, "
                "token = gen_random_uuid(), lease_until = now() WHERE id = :id"
            ),
            {"uid": uid, "id": id},
        )


FRESH = {"status": "queued", "attempt": 0, "token": None, "is_due": True}


async def test_a_mailbox_is_read_from_now_on(
    ana: Person, server: ScriptedImap, doors: Doors, settings: Settings, api_server: Api
) -> None:
    account = await connected(ana, imapUrl=server.url)
    assert server.commands[-2:] == ["EXAMINE", "LOGOUT"]
    assert await reading_of(doors, account["id"]) == FRESH | {"uid_validity": 7, "uid": 41}
    async with doors.open_reads(ana.workspace_id) as reads:
        found = await imap_server(reads, settings, ana.workspace_id, UUID(account["id"]))
    assert found is not None
    assert (found.user, found.password) == (server.user, server.password)
    assert server.password not in repr(found) + api_server.log()


async def test_a_new_password_of_the_same_mailbox_misses_nothing(
    ana: Person, server: ScriptedImap, doors: Doors
) -> None:
    id = (await connected(ana, imapUrl=server.url))["id"]
    await read_up_to(doors, id, 50)
    server.password, server.uid_next = "new one", 90
    assert (await update(ana, id=id, imapUrl=server.url))["errors"] == []
    assert await reading_of(doors, id) == FRESH | {"uid_validity": 7, "uid": 50}


@pytest.mark.parametrize("change", [{"uid_validity": 8}, {"user": "bia@acme"}])
async def test_another_mailbox_is_read_from_its_own_end(
    ana: Person, server: ScriptedImap, doors: Doors, change: dict[str, Any]
) -> None:
    id = (await connected(ana, imapUrl=server.url))["id"]
    await read_up_to(doors, id, 50)
    for name, value in change.items():
        setattr(server, name, value)
    server.uid_next = 10
    assert (await update(ana, id=id, imapUrl=server.url))["errors"] == []
    assert await reading_of(doors, id) == FRESH | {"uid_validity": server.uid_validity, "uid": 9}


async def test_null_ends_the_reading_and_so_does_the_end_of_the_account(
    ana: Person, server: ScriptedImap, doors: Doors
) -> None:
    id = (await connected(ana, imapUrl=server.url))["id"]
    assert (await update(ana, id=id, name="Sales"))["errors"] == []
    assert await reading_of(doors, id) is not None
    assert (await update(ana, id=id, imapUrl=None))["errors"] == []
    assert await reading_of(doors, id) is None
    assert (await update(ana, id=id, imapUrl=server.url))["errors"] == []
    assert (await disconnect(ana, id))["errors"] == []
    assert await reading_of(doors, id) is None


@pytest.mark.parametrize(
    ("command", "answer", "words"),
    [
        ("GREETING", DROP, "ended the connection"),
        ("GREETING", "* BYE Too many", "ended the connection"),
        ("LOGIN", "NO [AUTHENTICATIONFAILED] Application-specific password required", "Application-specific"),
        ("LOGIN", "NO [UNAVAILABLE] Directory is away", "try again in a few minutes"),
        ("LOGIN", DROP, "ended the connection"),
        ("LOGIN", HANG, "did not answer in time"),
        ("EXAMINE", "NO [NOPERM] Not for you", "switch IMAP on"),
    ],
)
async def test_what_fails_says_what_to_do(
    ana: Person, server: ScriptedImap, command: str, answer: str, words: str
) -> None:
    server.answers[command] = answer
    payload = await connect(ana, imapUrl=server.url)
    assert refusal(payload) == ("INVALID", ["imapUrl"])
    assert words in payload["errors"][0]["message"]
    assert await accounts(ana) == []


async def test_a_wrong_password_is_not_told(ana: Person, server: ScriptedImap, api_server: Api) -> None:
    url, server.password = server.url.replace("p%40ss", "wr0ng-w0rd"), "right"
    payload = await connect(ana, imapUrl=url)
    assert "refuses the login" in payload["errors"][0]["message"]
    assert "wr0ng-w0rd" not in str(payload) + api_server.log()


async def test_an_unknown_certificate_gets_no_password(ana: Person, tmp_path: Path) -> None:
    for is_implicit in (True, False):
        with ScriptedImap.started(
            certificate=Certificate.made(tmp_path), is_implicit_tls=is_implicit
        ) as server:
            payload = await connect(ana, imapUrl=server.url)
            assert "certificate" in payload["errors"][0]["message"]
            assert "LOGIN" not in server.commands


@pytest.fixture
async def trusting(servers: None, tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Certificate]]:
    """An API that trusts a certificate of ours."""
    certificate = Certificate.made(tmp_path)
    async with (
        Api.started(SSL_CERT_FILE=str(certificate.ca)) as api,
        httpx.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as client,
    ):
        yield client, certificate


async def test_over_tls(trusting: tuple[httpx.AsyncClient, Certificate]) -> None:
    http, certificate = trusting
    person = await sign_up(http)
    for is_implicit in (True, False):
        with ScriptedImap.started(certificate=certificate, is_implicit_tls=is_implicit) as server:
            await connected(person, imapUrl=server.url)
            assert ("STARTTLS" in server.commands) is not is_implicit
