"""SalesPad's own mails, from the row to the server: real sockets, a scripted server."""

from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.accounts.domain.system_mail import NO_WORKSPACE, SystemMail, SystemMailKind
from app.accounts.infrastructure.system_mails import SENDING, queue_system_mail
from app.accounts.wiring import create_postman, drop_old_mails, system_mails
from app.common.crypto import SecretBox
from app.common.leases import Claim, LostLease
from app.common.work import Doors
from app.settings import Settings
from tests.factories.accounts import Person, new_email
from tests.fixtures.smtp import CLOSE, DROP, HANG, Certificate, ScriptedSmtp

AT = {"at": "2026-11-22T10:00:00+00:00"}


@pytest.fixture
def server() -> Iterator[ScriptedSmtp]:
    with ScriptedSmtp.started() as server:
        yield server


@pytest.fixture
def own(settings: Settings, server: ScriptedSmtp) -> Settings:
    return mailing(settings, server.url)


def mailing(settings: Settings, url: str | None) -> Settings:
    changed = {
        "system_smtp_url": url,
        "mailbox_smtp_url": None,
        "send_timeout_s": 1.0,
        "public_url": "https://sales.example.com",
    }
    return Settings.model_validate(settings.model_dump() | changed)


def mail(kind: SystemMailKind = SystemMailKind.PASSWORD_CHANGED, **changed: Any) -> SystemMail:
    return SystemMail(**{"kind": kind, "to": new_email(), "locale": "pt-BR", "words": AT} | changed)


async def claimed(doors: Doors, settings: Settings, given: SystemMail) -> Claim:
    """Queued and in our hands at once: no other worker sees it."""
    async with doors.open_system() as work:
        await queue_system_mail(work, SecretBox(settings.credential_keys), NO_WORKSPACE, given)
        ((_, key),) = work.due
        (claim,) = await system_mails.claim(work, lease_s=60, key=key)
    return claim


async def again(doors: Doors, claim: Claim) -> Claim:
    """The next try, at once."""
    values = {"id": claim.id, "token": uuid4()}
    async with doors.open_system() as work:
        await work.execute(
            text(
                f"UPDATE system_mail SET status = '{SENDING}', token = :token, attempt = attempt + 1, "
                "lease_until = now() + interval '1 minute' WHERE id = :id"
            ),
            values,
        )
    return Claim(claim.workspace_id, claim.id, values["token"], claim.attempt + 1)


async def row(doors: Doors, claim: Claim) -> Any:
    async with doors.open_system() as system:
        found = await system.execute(
            text(
                "SELECT status, sealed IS NULL AS is_empty, error, run_at > now() AS waits FROM system_mail "
                "WHERE id = :id"
            ),
            {"id": claim.id},
        )
        return found.one()


async def send(doors: Doors, settings: Settings, claim: Claim) -> None:
    assert await create_postman(settings).send(doors, settings, claim, lambda: False)


async def test_a_mail_goes_out_whole_and_its_row_is_emptied(
    doors: Doors, own: Settings, server: ScriptedSmtp
) -> None:
    given = mail()
    claim = await claimed(doors, own, given)
    await send(doors, own, claim)
    (caught,) = server.mails
    assert (caught.mail_from, caught.rcpt_tos) == ("no-reply@sales.example.com", [given.to])
    read = message_from_bytes(caught.content, policy=default)
    assert read["Message-ID"] == f"<{claim.id}@sales.example.com>"
    assert read["Auto-Submitted"] == "auto-generated"
    assert read["From"] == "SalesPad <no-reply@sales.example.com>"
    assert read["Subject"] == "Sua senha do SalesPad foi alterada"
    assert [part.get_content_type() for part in read.iter_parts()] == ["text/plain", "text/html"]
    for part in read.iter_parts():
        assert part.get_content_charset() == "utf-8"
        assert "2026-11-22 10:00 UTC" in part.get_content()
    assert tuple(await row(doors, claim)) == ("sent", True, None, False)
    assert server.commands[-1] == "QUIT"


@pytest.mark.parametrize(
    ("stage", "action", "error"),
    [
        ("CONNECT", "421 Go away", "SERVER_REFUSED"),
        ("CONNECT", HANG, "TIMEOUT"),
        ("MAIL", "550 Who are you", "MAIL 550"),
        ("RCPT", "450 4.2.1 Greylisted", "RCPT 450"),
        ("END", "451 Later", "DATA 451"),
        ("END", CLOSE, "CONNECTION_LOST"),
        ("END", DROP, "CONNECTION_LOST"),
        ("END", HANG, "TIMEOUT"),
    ],
)
async def test_what_surely_or_perhaps_did_not_go_out_goes_out_again(
    doors: Doors, own: Settings, server: ScriptedSmtp, stage: str, action: Any, error: str
) -> None:
    """Also what the server has, and did not say so: the second carries the same Message-ID."""
    server.then(stage, action)
    claim = await claimed(doors, own, mail())
    await send(doors, own, claim)
    assert tuple(await row(doors, claim)) == ("queued", False, error, True)
    await send(doors, own, await again(doors, claim))
    assert (await row(doors, claim)).status == "sent"
    ids = {message_from_bytes(caught.content)["Message-ID"] for caught in server.mails}
    assert ids == {f"<{claim.id}@sales.example.com>"}
    assert len(server.mails) == (2 if stage == "END" and not isinstance(action, str) else 1)


@pytest.mark.parametrize(("stage", "error"), [("RCPT", "RCPT 550"), ("END", "DATA 550")])
async def test_a_refusal_for_good_ends_it_at_once_without_the_server_s_words(
    doors: Doors, own: Settings, server: ScriptedSmtp, stage: str, error: str
) -> None:
    given = mail()
    server.then(stage, f"550 5.1.1 <{given.to}> unknown")
    claim = await claimed(doors, own, given)
    await send(doors, own, claim)
    assert tuple(await row(doors, claim)) == ("failed", True, error, False)


async def test_the_fifth_try_is_the_last(doors: Doors, own: Settings, server: ScriptedSmtp) -> None:
    server.always("RCPT", "450 Not now")
    claim = await claimed(doors, own, mail())
    for _ in range(4):
        await send(doors, own, claim)
        assert (await row(doors, claim)).status == "queued"
        claim = await again(doors, claim)
    await send(doors, own, claim)
    assert tuple(await row(doors, claim)) == ("failed", True, "RCPT 450", False)


async def test_without_a_server_it_waits_and_says_why(doors: Doors, settings: Settings) -> None:
    own = mailing(settings, None)
    claim = await claimed(doors, own, mail())
    await send(doors, own, claim)
    assert tuple(await row(doors, claim)) == ("queued", False, "NO_MAIL_SERVER", True)


async def test_a_login_and_tls_are_used(
    doors: Doors, settings: Settings, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = Certificate.made(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.ca))
    for is_implicit in (True, False):
        with ScriptedSmtp.started(
            users={"ana": "p@ss/word"}, certificate=certificate, is_implicit_tls=is_implicit
        ) as server:
            own = mailing(settings, server.url)
            await send(doors, own, await claimed(doors, own, mail()))
            (caught,) = server.mails
            assert (caught.user, caught.is_encrypted) == ("ana", True)


@pytest.mark.parametrize("address", ["joão@exemplo.com.br", "ana@bücher.example"])
async def test_addresses_beyond_ascii(
    doors: Doors, own: Settings, server: ScriptedSmtp, address: str
) -> None:
    claim = await claimed(doors, own, mail(to=address))
    await send(doors, own, claim)
    (caught,) = server.mails
    assert caught.rcpt_tos == [address.replace("bücher", "xn--bcher-kva")]


@pytest.mark.parametrize(
    ("changed", "sender"),
    [
        ({"public_url": None}, "SalesPad <no-reply@localhost>"),
        ({"public_url": "http://crm.local:8000"}, "SalesPad <no-reply@crm.local>"),
        ({"system_mail_from": "Padaria São João <oi@bücher.example>"}, None),
    ],
)
async def test_the_sender_is_the_operator_s_or_named_after_the_host(
    doors: Doors, own: Settings, server: ScriptedSmtp, changed: dict[str, Any], sender: str | None
) -> None:
    own = Settings.model_validate(own.model_dump() | changed)
    await send(doors, own, await claimed(doors, own, mail()))
    (caught,) = server.mails
    read = message_from_bytes(caught.content, policy=default)
    assert read["From"] == (sender or "Padaria São João <oi@xn--bcher-kva.example>")


async def test_a_key_that_is_gone_ends_it_with_a_reason(
    doors: Doors, own: Settings, server: ScriptedSmtp
) -> None:
    claim = await claimed(doors, own, mail())
    await send(doors, own.model_copy(update={"credential_keys": ("k" * 40,)}), claim)
    assert tuple(await row(doors, claim)) == ("failed", True, "UNREADABLE", False)
    assert server.mails == []


async def test_who_lost_the_row_sends_nothing(doors: Doors, own: Settings, server: ScriptedSmtp) -> None:
    claim = await claimed(doors, own, mail())
    await again(doors, claim)
    with pytest.raises(LostLease):
        await send(doors, own, claim)
    assert server.mails == []


async def test_an_unknown_address_gets_nothing_and_its_row_does_not_tell(
    doors: Doors, own: Settings, server: ScriptedSmtp, ana: Person
) -> None:
    states = []
    for address in (new_email(), ana.email):
        claim = await claimed(doors, own, mail(SystemMailKind.PASSWORD_RESET, to=address, words={}))
        await send(doors, own, claim)
        states.append(tuple(await row(doors, claim)))
    assert states == [("sent", True, None, False)] * 2
    (caught,) = server.mails
    assert caught.rcpt_tos == [ana.email]


async def test_a_reset_that_was_asked_for_long_ago_is_not_sent(
    doors: Doors, own: Settings, server: ScriptedSmtp, ana: Person
) -> None:
    claim = await claimed(doors, own, mail(SystemMailKind.PASSWORD_RESET, to=ana.email, words={}))
    await age(doors, claim.id, hours=2)
    await send(doors, own, claim)
    assert tuple(await row(doors, claim)) == ("failed", True, "OVER", False)
    assert server.mails == []


async def test_a_reset_comes_again_with_the_same_link_unless_a_newer_one_went_out(
    doors: Doors, own: Settings, server: ScriptedSmtp, ana: Person
) -> None:
    server.then("END", DROP)
    reset = mail(SystemMailKind.PASSWORD_RESET, to=ana.email, words={})
    first = await claimed(doors, own, reset)
    await send(doors, own, first)
    await send(doors, own, await again(doors, first))
    assert len({link_in(caught.content) for caught in server.mails}) == 1 != len(server.mails)
    server.then("RCPT", "450 Not now")
    second = await claimed(doors, own, reset)
    await send(doors, own, second)
    third = await claimed(doors, own, reset)
    await send(doors, own, third)
    await send(doors, own, await again(doors, second))
    assert tuple(await row(doors, second)) == ("failed", True, "OVER", False)
    assert len({link_in(caught.content) for caught in server.mails}) == 2


def link_in(content: bytes) -> str:
    read = message_from_bytes(content, policy=default)
    body = read.get_body(("plain",))
    assert body is not None
    (link,) = [line for line in body.get_content().splitlines() if line.startswith("https://")]
    assert link.startswith("https://sales.example.com/password-reset#")
    return link


async def age(doors: Doors, id: UUID, *, hours: int) -> None:
    async with doors.open_system() as system:
        await system.execute(
            text(
                "UPDATE system_mail SET created_at = created_at - :hours * interval '1 hour' WHERE id = :id"
            ),
            {"id": id, "hours": hours},
        )


async def test_rows_go_a_week_after_they_were_asked_for(
    doors: Doors, own: Settings, server: ScriptedSmtp
) -> None:
    old, waiting, young = [await claimed(doors, own, mail()) for _ in range(3)]
    await send(doors, own, old)
    await send(doors, own, young)
    await age(doors, old.id, hours=169)
    await age(doors, waiting.id, hours=169)
    async with doors.open_system() as system:
        await drop_old_mails(system, limit=1000)
        left = await system.execute(
            text("SELECT id FROM system_mail WHERE id = ANY (:ids)"),
            {"ids": [old.id, waiting.id, young.id]},
        )
        assert set(left.scalars()) == {waiting.id, young.id}
