import asyncio

from app.common.work import Doors
from tests.api.accounts.visitor import REFRESH, VIEWER, Visitor, execute, ids

AGED = "UPDATE session SET rotated_at = rotated_at - interval '11 seconds' WHERE user_id = :user_id"


async def refresh(visitor: Visitor, token: str) -> tuple[str | None, str | None]:
    """The next refresh token, or the refusal's code."""
    payload = await visitor.ask(REFRESH, refreshToken=token)
    if payload["session"]:
        return payload["session"]["refreshToken"], None
    return None, payload["errors"][0]["code"]


async def test_each_token_is_good_for_the_next(visitor: Visitor) -> None:
    signed_up = await visitor.sign_up()
    payload = await visitor.ask(REFRESH, refreshToken=signed_up["refreshToken"])
    session = payload["session"]
    assert session["viewer"] == signed_up["viewer"]
    assert session["refreshToken"] != signed_up["refreshToken"]
    assert await visitor.ask(VIEWER, session["accessToken"])
    token, _ = await refresh(visitor, session["refreshToken"])
    assert token


async def test_two_at_once_are_one_rotation_and_the_session_lives(visitor: Visitor) -> None:
    token = (await visitor.sign_up())["refreshToken"]
    outcomes = await asyncio.gather(*(refresh(visitor, token) for _ in range(5)))
    fresh = [token for token, _ in outcomes if token]
    assert len(fresh) == 1
    assert {code for _, code in outcomes if code} == {"CONFLICT"}
    assert (await refresh(visitor, fresh[0]))[0]


async def test_a_used_token_ends_its_session_after_the_grace(visitor: Visitor, doors: Doors) -> None:
    session = await visitor.sign_up()
    fresh, _ = await refresh(visitor, session["refreshToken"])
    assert fresh
    await execute(doors, AGED, user_id=ids(session)["user_id"])
    assert await refresh(visitor, session["refreshToken"]) == (None, "UNAUTHENTICATED")
    assert await refresh(visitor, fresh) == (None, "UNAUTHENTICATED")
    assert (await visitor.post(VIEWER, session["accessToken"])).status_code == 401


async def test_another_browser_has_no_grace(visitor: Visitor, stranger: Visitor) -> None:
    token = (await visitor.sign_up())["refreshToken"]
    fresh, _ = await refresh(visitor, token)
    assert fresh
    assert await refresh(stranger, token) == (None, "UNAUTHENTICATED")
    assert await refresh(visitor, fresh) == (None, "UNAUTHENTICATED")


async def test_a_token_used_long_ago_ends_its_session_too(visitor: Visitor) -> None:
    first = (await visitor.sign_up())["refreshToken"]
    second, _ = await refresh(visitor, first)
    third, _ = await refresh(visitor, second or "")
    assert third
    assert await refresh(visitor, first) == (None, "UNAUTHENTICATED")
    assert await refresh(visitor, third) == (None, "UNAUTHENTICATED")


async def test_other_sessions_of_the_person_live_on(visitor: Visitor, stranger: Visitor) -> None:
    one, other = await visitor.sign_up(), await visitor.sign_up()
    await refresh(visitor, one["refreshToken"])
    await refresh(stranger, one["refreshToken"])
    assert await visitor.ask(VIEWER, other["accessToken"])


async def test_what_is_unknown_expired_or_of_no_member_is_refused(visitor: Visitor, doors: Doors) -> None:
    assert await refresh(visitor, "x") == (None, "UNAUTHENTICATED")
    assert await refresh(visitor, "x" * 43 + "." + "x" * 43) == (None, "UNAUTHENTICATED")
    for sql in (
        "UPDATE session SET expires_at = now() WHERE user_id = :user_id",
        "DELETE FROM member WHERE user_id = :user_id",
    ):
        session = await visitor.sign_up()
        await execute(doors, sql, user_id=ids(session)["user_id"])
        assert await refresh(visitor, session["refreshToken"]) == (None, "UNAUTHENTICATED")


async def test_a_session_ends_90_days_after_it_began(visitor: Visitor, doors: Doors) -> None:
    session = await visitor.sign_up()
    await execute(
        doors,
        "UPDATE session SET created_at = now() - interval '90 days 1 second' WHERE user_id = :user_id",
        user_id=ids(session)["user_id"],
    )
    fresh, _ = await refresh(visitor, session["refreshToken"])
    assert await refresh(visitor, fresh or "") == (None, "UNAUTHENTICATED")
