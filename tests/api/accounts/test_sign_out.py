import asyncio
from datetime import timedelta

from app.accounts.infrastructure.revocations import RevocationService
from app.accounts.infrastructure.tokens import TokenService
from app.common.work import Doors
from app.settings import Settings
from tests.api.accounts.visitor import REFRESH, SIGN_OUT, VIEWER, Visitor, execute, ids


async def test_ends_the_session_and_its_access_tokens_at_once(visitor: Visitor) -> None:
    session = await visitor.sign_up()
    assert await visitor.ask(SIGN_OUT, refreshToken=session["refreshToken"]) == {"ok": True, "errors": []}
    refused = await visitor.post(VIEWER, session["accessToken"])
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (
        401,
        "UNAUTHENTICATED",
    )
    payload = await visitor.ask(REFRESH, refreshToken=session["refreshToken"])
    assert [error["code"] for error in payload["errors"]] == ["UNAUTHENTICATED"]


async def test_twice_or_with_no_session_is_no_error(visitor: Visitor) -> None:
    token = (await visitor.sign_up())["refreshToken"]
    for text in (token, token, "x" * 43 + "." + "x" * 43, "", "\x00"):
        assert (await visitor.ask(SIGN_OUT, refreshToken=text))["ok"]


async def test_another_process_knows_by_the_poll(visitor: Visitor, doors: Doors, settings: Settings) -> None:
    session = await visitor.sign_up()
    actor = TokenService(settings).verify(session["accessToken"])
    elsewhere = RevocationService(settings, doors)
    await elsewhere.start()
    socket = asyncio.create_task(elsewhere.until_revoked(actor))
    await asyncio.sleep(0)
    assert not elsewhere.is_revoked(actor)
    await visitor.ask(SIGN_OUT, refreshToken=session["refreshToken"])
    await asyncio.wait_for(socket, 10)
    assert elsewhere.is_revoked(actor)
    await elsewhere.stop()


async def test_a_member_or_user_revoked_may_come_back_with_a_newer_token(
    visitor: Visitor, doors: Doors, settings: Settings
) -> None:
    insert = (
        "INSERT INTO revocation (kind, user_id, workspace_id, at) "
        "VALUES (:kind, :user_id, :workspace_id, now() + :age)"
    )
    for kind in ("MEMBER", "USER"):
        session = await visitor.sign_up()
        actor = TokenService(settings).verify(session["accessToken"])
        revocations = RevocationService(settings, doors)
        for age, is_revoked in ((-60, False), (1, True)):
            await execute(doors, insert, kind=kind, age=timedelta(seconds=age), **ids(session))
            await revocations.refresh()
            assert revocations.is_revoked(actor) is is_revoked


async def test_what_is_of_no_use_is_thrown_away(visitor: Visitor, doors: Doors, settings: Settings) -> None:
    session = await visitor.sign_up()
    user_id = ids(session)["user_id"]
    await visitor.ask(SIGN_OUT, refreshToken=session["refreshToken"])
    await execute(
        doors,
        "UPDATE session SET expires_at = now() - interval '1 hour' WHERE user_id = :user_id",
        user_id=user_id,
    )
    await execute(
        doors,
        "UPDATE revocation SET at = now() - interval '1 hour' WHERE user_id = :user_id",
        user_id=user_id,
    )
    await RevocationService(settings, doors).clean()
    left = await execute(
        doors,
        "SELECT (SELECT count(*) FROM session WHERE user_id = :user_id) "
        "+ (SELECT count(*) FROM revocation WHERE user_id = :user_id)",
        user_id=user_id,
    )
    assert left.scalar_one() == 0
