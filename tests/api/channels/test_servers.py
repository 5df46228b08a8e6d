"""The SMTP servers of accounts: tried when they are given, their logins sealed, and what is said where they fail."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.channels.wiring import sending_account
from app.common.work import Doors
from app.embedded.processes import free_port
from app.settings import Settings
from tests.factories.accounts import Person, sign_up
from tests.factories.channels import accounts, connect, connected, disconnect, refusal, update
from tests.fixtures.processes import Api
from tests.fixtures.smtp import CLOSE, DROP, HANG, Certificate, ScriptedSmtp

PASSWORD = "p@ss/word:5d0c39fe%"


@pytest.fixture
def server() -> Iterator[ScriptedSmtp]:
    with ScriptedSmtp.started(users={"ana@acme": PASSWORD}) as server:
        yield server


async def secrets_of(doors: Doors, id: str) -> tuple[bytes | None, bytes | None]:
    async with doors.open_system() as system:
        found = await system.execute(
            text("SELECT smtp_secret, imap_secret FROM channel_account WHERE id = :id"), {"id": id}
        )
        row = found.one()
        return row.smtp_secret, row.imap_secret


async def test_a_server_is_tried_and_its_login_sealed(
    ana: Person, server: ScriptedSmtp, doors: Doors, settings: Settings, api_server: Api
) -> None:
    account = await connected(ana, smtpUrl=server.url)
    assert server.commands == ["CONNECT", "EHLO", "AUTH", "QUIT"]
    sealed, _ = await secrets_of(doors, account["id"])
    assert sealed
    assert b"acme" not in sealed
    async with doors.open_reads(ana.workspace_id) as reads:
        sending = await sending_account(reads, settings, ana.workspace_id, UUID(account["id"]))
    assert sending is not None
    assert sending.url == server.url
    assert not sending.is_local
    for secret in (PASSWORD, quote(PASSWORD, safe="")):
        assert secret not in str(account) + repr(sending) + api_server.log()


async def test_a_disconnected_accounts_login_is_forgotten(
    ana: Person, server: ScriptedSmtp, doors: Doors, settings: Settings
) -> None:
    account = await connected(ana, smtpUrl=server.url)
    await disconnect(ana, account["id"])
    assert await secrets_of(doors, account["id"]) == (None, None)
    async with doors.open_reads(ana.workspace_id) as reads:
        assert await sending_account(reads, settings, ana.workspace_id, UUID(account["id"])) is None


async def test_a_new_login_mends_an_account(ana: Person, server: ScriptedSmtp, doors: Doors) -> None:
    account = await connected(ana, smtpUrl=server.url)
    async with doors.open_system() as system:
        await system.execute(
            text("UPDATE channel_account SET status = 'NEEDS_REAUTH', status_reason = 'x' WHERE id = :id"),
            {"id": account["id"]},
        )
    server.users["ana@acme"] = "another"
    assert refusal(await update(ana, id=account["id"], smtpUrl=server.url_as("ana@acme", PASSWORD))) == (
        "INVALID",
        ["smtpUrl"],
    )
    assert (await accounts(ana))[0]["status"] == "NEEDS_REAUTH"
    assert (await update(ana, id=account["id"], smtpUrl=server.url))["account"] == account


async def test_an_account_goes_to_the_local_mailbox_and_back(
    ana: Person, eve: Person, server: ScriptedSmtp, doors: Doors
) -> None:
    account = await connected(ana, smtpUrl=server.url)
    local = await connected(eve, address=account["address"])
    assert refusal(await update(ana, id=account["id"], smtpUrl=None)) == ("CONFLICT", ["smtpUrl"])
    await disconnect(eve, local["id"])
    assert (await update(ana, id=account["id"], smtpUrl=None))["errors"] == []
    assert await secrets_of(doors, account["id"]) == (None, None)
    assert (await update(ana, id=account["id"], smtpUrl=server.url))["errors"] == []


def words_of(payload: dict[str, object]) -> str:
    assert refusal(payload) == ("INVALID", ["smtpUrl"])
    message = payload["errors"][0]["message"]  # type: ignore[index]
    assert PASSWORD not in message
    assert quote(PASSWORD, safe="") not in message
    return str(message)


@pytest.mark.parametrize(
    ("stage", "action", "words"),
    [
        ("CONNECT", "554 5.7.1 You are on a list", "You are on a list"),
        ("CONNECT", HANG, "did not answer in time"),
        ("CONNECT", CLOSE, "ended the connection"),
        ("EHLO", DROP, "ended the connection"),
        ("AUTH", f"535 5.7.8 Not {PASSWORD}", "refuses the login"),
        ("AUTH", "454 4.7.0 Later", "try again in a few minutes"),
        ("AUTH", DROP, "ended the connection"),
    ],
)
async def test_what_fails_says_what_to_do(
    ana: Person, server: ScriptedSmtp, stage: str, action: str, words: str
) -> None:
    server.then(stage, action)
    assert words in words_of(await connect(ana, smtpUrl=server.url))
    assert await accounts(ana) == []


async def test_nobody_there_says_what_to_do(ana: Person) -> None:
    words = words_of(await connect(ana, smtpUrl=f"smtp://127.0.0.1:{free_port()}"))
    assert "takes no connections" in words
    assert "check its spelling" in words_of(await connect(ana, smtpUrl="smtp://no-such-host.invalid"))


async def test_an_unknown_certificate_says_what_to_do(ana: Person, tmp_path: Path) -> None:
    with ScriptedSmtp.started(certificate=Certificate.made(tmp_path), is_implicit_tls=True) as server:
        assert "certificate" in words_of(await connect(ana, smtpUrl=server.url))


async def test_both_servers_are_tried_and_both_are_named(ana: Person) -> None:
    payload = await connect(ana, smtpUrl="smtp://127.0.0.1:1", imapUrl="imap://u:p@127.0.0.1:1")
    assert sorted(error["path"] for error in payload["errors"]) == [["imapUrl"], ["smtpUrl"]]


# ── production ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
async def production(servers: None) -> AsyncIterator[httpx.AsyncClient]:
    """The API as it runs in production, with no local mailbox."""
    environment = {"SALESPAD_ENV": "production", "SALESPAD_MAILBOX_SMTP_URL": ""}
    async with (
        Api.started(**environment) as api,
        httpx.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
async def test_private_addresses_are_refused_in_production(production: httpx.AsyncClient, host: str) -> None:
    person = await sign_up(production)
    for field, url in (("smtpUrl", f"smtp://u:p@{host}:587"), ("imapUrl", f"imaps://u:p@{host}:993")):
        other = {"smtpUrl": f"smtp://u:p@{host}:587"} if field == "imapUrl" else {}
        payload = await connect(person, **other, **{field: url})
        message = next(error["message"] for error in payload["errors"] if error["path"] == [field])
        assert "private address" in message or "no host" in message
        assert payload["account"] is None


async def test_other_ports_are_refused_in_production(
    production: httpx.AsyncClient, server: ScriptedSmtp
) -> None:
    person = await sign_up(production)
    words = words_of(await connect(person, smtpUrl=server.url))
    assert "use 25 or 465 or 587 or 2525" in words
    assert server.sessions == 0


async def test_production_has_no_local_mailbox(production: httpx.AsyncClient) -> None:
    person = await sign_up(production)
    assert words_of(await connect(person)).startswith("This installation has no local mailbox")
