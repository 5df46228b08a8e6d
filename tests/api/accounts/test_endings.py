"""What ends sessions and voids tokens, as other use cases of accounts call it."""

from typing import Any
from uuid import UUID, uuid4

from app.accounts.infrastructure.endings import (
    end_all_sessions,
    end_membership,
    end_other_sessions,
    end_session,
    void_tokens,
)
from app.accounts.infrastructure.revocations import RevocationService
from app.accounts.infrastructure.tokens import TokenService
from app.common.work import Doors
from app.settings import Settings
from tests.api.accounts.visitor import PASSWORD, REFRESH, SIGN_IN, Visitor, execute, ids


async def test_one_session_ends_and_no_other_user_s(
    visitor: Visitor, doors: Doors, settings: Settings
) -> None:
    session, other = await two_sessions(visitor)
    user_id, session_id = ids(session)["user_id"], session_of(session, settings)
    async with doors.open_system() as system:
        assert not await end_session(system, uuid4(), session_id)
        assert not await end_session(system, user_id, uuid4())
        assert await end_session(system, user_id, session_id)
        assert not await end_session(system, user_id, session_id)
    assert await void(doors, settings, session, other) == [True, False]
    assert not await lives(visitor, session)
    assert await lives(visitor, other)


async def test_all_but_one_end(visitor: Visitor, doors: Doors, settings: Settings) -> None:
    session, other = await two_sessions(visitor)
    user_id = ids(session)["user_id"]
    async with doors.open_system() as system:
        assert await end_other_sessions(system, user_id, session_of(session, settings)) == 1
    assert await void(doors, settings, session, other) == [False, True]
    assert await lives(visitor, session)
    assert not await lives(visitor, other)


async def test_all_end(visitor: Visitor, doors: Doors, settings: Settings) -> None:
    session, other = await two_sessions(visitor)
    async with doors.open_system() as system:
        await end_all_sessions(system, ids(session)["user_id"])
    assert await void(doors, settings, session, other) == [True, True]
    assert not await lives(visitor, session)
    assert not await lives(visitor, other)


async def test_a_membership_ends_by_the_tenant_s_door(
    visitor: Visitor, doors: Doors, settings: Settings
) -> None:
    session = await visitor.sign_up()
    workspace_id, user_id = ids(session)["workspace_id"], ids(session)["user_id"]
    await execute(
        doors,
        "INSERT INTO api_key (workspace_id, name, role, secret_hash, last_four, created_by) "
        "VALUES (:workspace_id, 'key', 'ADMIN', sha256(uuidv7()::text::bytea), '0000', :user_id)",
        **ids(session),
    )
    async with doors.open_work(workspace_id) as work:
        await end_membership(work, workspace_id, user_id)
    assert await void(doors, settings, session) == [True]
    assert not await lives(visitor, session)
    revoked = await execute(doors, "SELECT revoked_at FROM api_key WHERE workspace_id = :id", id=workspace_id)
    assert revoked.scalar_one() is not None


async def test_after_a_change_of_role_the_session_goes_on_with_a_fresh_token(
    visitor: Visitor, doors: Doors, settings: Settings
) -> None:
    session = await visitor.sign_up()
    workspace_id, user_id = ids(session)["workspace_id"], ids(session)["user_id"]
    async with doors.open_work(workspace_id) as work:
        await void_tokens(work, workspace_id, user_id)
    assert await void(doors, settings, session) == [True]
    assert await lives(visitor, session)


async def test_what_is_rolled_back_ends_nothing(visitor: Visitor, doors: Doors, settings: Settings) -> None:
    session = await visitor.sign_up()
    try:
        async with doors.open_system() as system:
            await end_all_sessions(system, ids(session)["user_id"])
            raise LookupError
    except LookupError:
        pass
    assert await void(doors, settings, session) == [False]
    assert await lives(visitor, session)


async def two_sessions(visitor: Visitor) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of one person."""
    session = await visitor.sign_up()
    email = session["viewer"]["user"]["email"]
    payload = await visitor.ask(SIGN_IN, email=email, password=PASSWORD)
    return session, payload["session"]


def session_of(session: dict[str, Any], settings: Settings) -> UUID:
    return TokenService(settings).verify(session["accessToken"]).session_id


async def void(doors: Doors, settings: Settings, *sessions: dict[str, Any]) -> list[bool]:
    """Whether another process takes their access tokens for void."""
    revocations = RevocationService(settings, doors)
    await revocations.refresh()
    tokens = TokenService(settings)
    return [revocations.is_revoked(tokens.verify(session["accessToken"])) for session in sessions]


async def lives(visitor: Visitor, session: dict[str, Any]) -> bool:
    """Whether it can be refreshed."""
    payload = await visitor.ask(REFRESH, refreshToken=session["refreshToken"])
    return payload["session"] is not None
