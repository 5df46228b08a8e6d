import asyncio
from typing import Any

from app.accounts.domain.system_mail import SystemMailKind
from app.common.domain import Role
from app.common.work import Doors
from app.settings import Settings
from tests.api.accounts.test_switch_workspace import JOIN
from tests.api.accounts.visitor import PASSWORD, SIGN_IN, VIEWER, Visitor, execute, ids
from tests.factories.accounts import audited
from tests.factories.system_mail import mails_to

CHANGE = """
mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { ok errors { code message path retryAt } } }
"""
NEW = "another battery, another horse"


async def change(visitor: Visitor, session: dict[str, Any], current: str = PASSWORD, new: str = NEW) -> Any:
    return await visitor.ask(CHANGE, session["accessToken"], currentPassword=current, newPassword=new)


async def may_sign_in(visitor: Visitor, session: dict[str, Any], password: str) -> bool:
    email = session["viewer"]["user"]["email"]
    return bool((await visitor.ask(SIGN_IN, email=email, password=password))["session"])


async def warnings(doors: Doors, settings: Settings, session: dict[str, Any]) -> int:
    """To this person only: other tests change passwords at the same time."""
    mails = await mails_to(doors, settings, session["viewer"]["user"]["email"])
    return sum(mail.kind is SystemMailKind.PASSWORD_CHANGED for _, mail in mails)


def codes(payload: Any) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def test_the_new_one_holds_and_the_other_sessions_end(
    visitor: Visitor, doors: Doors, settings: Settings
) -> None:
    session = await visitor.sign_up()
    email, person = session["viewer"]["user"]["email"], ids(session)
    elsewhere = ids(await visitor.sign_up())["workspace_id"]
    await execute(doors, JOIN, workspace_id=elsewhere, user_id=person["user_id"], role=Role.VIEWER)
    other = (await visitor.ask(SIGN_IN, email=email, password=PASSWORD, workspaceId=str(elsewhere)))[
        "session"
    ]

    assert await change(visitor, session) == {"ok": True, "errors": []}
    assert (await visitor.post(VIEWER, session["accessToken"])).status_code == 200
    assert (await visitor.post(VIEWER, other["accessToken"])).status_code == 401
    assert not await may_sign_in(visitor, session, PASSWORD)
    assert await may_sign_in(visitor, session, NEW)

    assert await warnings(doors, settings, session) == 1
    for workspace_id in (person["workspace_id"], elsewhere):
        (row,) = [row for row in await audited(doors, workspace_id) if row.action == "password.changed"]
        assert (row.object_id, row.actor_id) == (person["user_id"], person["user_id"])
        assert (row.before, row.after) == ({}, {})


async def test_a_wrong_one_changes_nothing(visitor: Visitor, doors: Doors, settings: Settings) -> None:
    session = await visitor.sign_up()
    assert codes(await change(visitor, session, current="wrong")) == [("INVALID", ["currentPassword"])]
    for bad in ("", "short", "x" * 1001):
        assert codes(await change(visitor, session, new=bad)) == [("INVALID", ["newPassword"])]
    assert await may_sign_in(visitor, session, PASSWORD)
    assert await warnings(doors, settings, session) == 0


async def test_the_same_one_again_will_do(visitor: Visitor) -> None:
    """Whoever wants only to end all other sessions may."""
    session = await visitor.sign_up()
    assert (await change(visitor, session, new=PASSWORD))["ok"]
    assert await may_sign_in(visitor, session, PASSWORD)


async def test_a_reset_under_way_is_void(visitor: Visitor, doors: Doors) -> None:
    session = await visitor.sign_up()
    user_id = ids(session)["user_id"]
    await execute(
        doors,
        "UPDATE app_user SET reset_hash = '\\x01', reset_expires_at = now() + interval '1 hour' WHERE id = :id",
        id=user_id,
    )
    await change(visitor, session)
    left = await execute(
        doors, "SELECT count(reset_hash) + count(reset_expires_at) FROM app_user WHERE id = :id", id=user_id
    )
    assert left.scalar_one() == 0


async def test_five_tries_a_minute(visitor: Visitor) -> None:
    session = await visitor.sign_up()
    for _ in range(5):
        assert codes(await change(visitor, session, current="wrong")) == [("INVALID", ["currentPassword"])]
    answer = await visitor.post(CHANGE, session["accessToken"], currentPassword=PASSWORD, newPassword=NEW)
    (error,) = answer.json()["data"]["changePassword"]["errors"]
    assert (error["code"], bool(error["retryAt"])) == ("THROTTLED", True)
    assert await may_sign_in(visitor, session, PASSWORD)


async def test_of_two_at_once_one_wins(visitor: Visitor, doors: Doors, settings: Settings) -> None:
    for _ in range(6):
        session = await visitor.sign_up()
        chosen = (NEW, NEW[::-1])
        payloads = await asyncio.gather(*(change(visitor, session, new=new) for new in chosen))
        won = [new for new, payload in zip(chosen, payloads, strict=True) if payload["ok"]]
        assert len(won) == 1, payloads
        # Who comes late is told so, or (having begun late) that their password is none any more.
        assert {code for payload in payloads for code, _ in codes(payload)} <= {"CONFLICT", "INVALID"}
        assert await may_sign_in(visitor, session, won[0])
        assert await warnings(doors, settings, session) == 1
