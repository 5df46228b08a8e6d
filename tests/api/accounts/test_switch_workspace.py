import asyncio
import functools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.accounts.domain.session import LiveSession
from app.accounts.domain.user import Membership
from app.accounts.infrastructure.tokens import TokenService
from app.common.domain import ClientKind, Role
from app.common.work import Doors
from app.settings import Settings
from tests.api.accounts.test_remove_member import REMOVE
from tests.api.accounts.visitor import REFRESH, SESSION, VIEWER, Visitor, execute, ids
from tests.factories.accounts import Person, add_member, audited, sign_up
from tests.fixtures.processes import eventually

SWITCH = f"mutation ($input: SwitchWorkspaceInput!) {{ switchWorkspace(input: $input) {{ {SESSION} }} }}"
JOIN = "INSERT INTO member (workspace_id, user_id, role) VALUES (:workspace_id, :user_id, :role)"
COOKIE = "__Host-sp_rt"


async def joined(visitor: Visitor, doors: Doors, role: Role = Role.MEMBER) -> tuple[dict[str, Any], UUID]:
    """A session of somebody who belongs to a second workspace, and that workspace."""
    session, other = await visitor.sign_up(), ids(await visitor.sign_up(name="Eve"))
    given = {"workspace_id": other["workspace_id"], "user_id": ids(session)["user_id"], "role": role}
    await execute(doors, JOIN, **given)
    return session, other["workspace_id"]


async def test_the_session_goes_on_in_the_other_workspace(visitor: Visitor, doors: Doors) -> None:
    session, other_id = await joined(visitor, doors)
    payload = await visitor.ask(SWITCH, session["accessToken"], workspaceId=str(other_id))
    assert payload["errors"] == []
    fresh = payload["session"]
    viewer = fresh["viewer"]
    assert (viewer["workspace"]["id"], viewer["role"]) == (str(other_id), "MEMBER")
    assert len(viewer["memberships"]) == 2
    seen = await visitor.ask(VIEWER, fresh["accessToken"])
    assert seen["workspace"]["id"] == str(other_id)

    refreshed = await visitor.ask(REFRESH, refreshToken=session["refreshToken"])
    assert refreshed["session"]["viewer"]["workspace"]["id"] == str(other_id)

    rows = await execute(
        doors,
        "SELECT id, workspace_id FROM session WHERE user_id = :user_id",
        user_id=ids(session)["user_id"],
    )
    (row,) = rows.all()
    assert row.workspace_id == other_id
    entry = (await audited(doors, other_id))[-1]
    assert (entry.action, entry.object_id, entry.actor_id) == (
        "workspace.entered",
        row.id,
        ids(session)["user_id"],
    )
    assert (entry.before, entry.after) == ({}, {})


async def test_an_access_token_alone_becomes_no_session(
    visitor: Visitor, doors: Doors, settings: Settings
) -> None:
    """Whoever got hold of one has what it had left, however often they take it to and fro."""
    session, other_id = await joined(visitor, doors)
    tokens, home_id = TokenService(settings), ids(session)["workspace_id"]
    actor = tokens.verify(session["accessToken"])
    member = Membership(actor.user_id, home_id, actor.role)
    old = tokens.issue(
        LiveSession(actor.session_id, member, actor.client, datetime.now(UTC) - timedelta(minutes=5))
    )
    token = old.text
    for workspace_id in (other_id, home_id, home_id, other_id):
        answer = await visitor.post(SWITCH, token, workspaceId=str(workspace_id))
        moved = answer.json()["data"]["switchWorkspace"]["session"]
        assert (moved["refreshToken"], COOKIE in answer.cookies) == (None, False)
        assert datetime.fromisoformat(moved["expiresAt"]) == old.expires_at
        token = moved["accessToken"]


async def test_a_refresh_beside_it_ends_nothing(visitor: Visitor, doors: Doors) -> None:
    """Whichever comes first, the session goes on, in the other workspace."""
    for _ in range(10):
        session, other_id = await joined(visitor, doors)
        moved, refreshed = await asyncio.gather(
            visitor.ask(SWITCH, session["accessToken"], workspaceId=str(other_id)),
            visitor.ask(REFRESH, refreshToken=session["refreshToken"]),
        )
        assert (moved["errors"], refreshed["errors"]) == ([], [])
        after = await visitor.ask(REFRESH, refreshToken=refreshed["session"]["refreshToken"])
        assert after["session"]["viewer"]["workspace"]["id"] == str(other_id)


@pytest.mark.parametrize("workspace_id", ["", "x", "01990000-0000-7000-8000-000000000000", "foreign"])
async def test_no_workspace_of_theirs(visitor: Visitor, doors: Doors, workspace_id: str) -> None:
    session, _ = await joined(visitor, doors)
    if workspace_id == "foreign":
        workspace_id = str(ids(await visitor.sign_up())["workspace_id"])
    payload = await visitor.ask(SWITCH, session["accessToken"], workspaceId=workspace_id)
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [("NOT_FOUND", ["workspaceId"])]
    assert payload["errors"][0]["message"] == "You are not a member of such a workspace: ask its owner."
    unharmed = await visitor.ask(REFRESH, refreshToken=session["refreshToken"])
    assert unharmed["errors"] == []


async def test_of_two_at_once_one_wins(visitor: Visitor, doors: Doors) -> None:
    for _ in range(8):
        session, other_id = await joined(visitor, doors)
        payloads = await asyncio.gather(
            *(visitor.ask(SWITCH, session["accessToken"], workspaceId=str(other_id)) for _ in range(3))
        )
        won = [payload["session"] for payload in payloads if payload["session"]]
        assert len(won) == 1
        assert [error["code"] for payload in payloads for error in payload["errors"]] == ["CONFLICT"] * 2


async def test_an_ended_session_goes_nowhere(visitor: Visitor, doors: Doors) -> None:
    """Even while its access token is not known to be void here."""
    session, other_id = await joined(visitor, doors)
    await execute(
        doors,
        "UPDATE session SET revoked_at = now() WHERE user_id = :user_id",
        user_id=ids(session)["user_id"],
    )
    payload = await visitor.ask(SWITCH, session["accessToken"], workspaceId=str(other_id))
    assert [error["code"] for error in payload["errors"]] == ["CONFLICT"]


async def test_a_session_of_an_extension_stays_where_it_is(ana: Person, doors: Doors) -> None:
    in_anas = await add_member(doors, ana, role=Role.MEMBER, client=ClientKind.EXTENSION)
    away = await sign_up(ana.http)
    for workspace_id in (ana.workspace_id, away.workspace_id):
        given = {"input": {"workspaceId": str(workspace_id)}}
        (error,) = (await in_anas.run(SWITCH, given))["switchWorkspace"]["errors"]
        assert error["code"] == "FORBIDDEN"


async def test_who_is_removed_there_meanwhile_is_out(visitor: Visitor, ana: Person, doors: Doors) -> None:
    """Whichever comes first: nothing of the session or its tokens is good there afterwards."""
    for _ in range(6):
        session = await visitor.sign_up()
        user_id = ids(session)["user_id"]
        await execute(doors, JOIN, workspace_id=ana.workspace_id, user_id=user_id, role=Role.MEMBER)
        payload, removed = await asyncio.gather(
            visitor.ask(SWITCH, session["accessToken"], workspaceId=str(ana.workspace_id)),
            ana.run(REMOVE, {"input": {"userId": str(user_id)}}),
        )
        assert removed["removeMember"]["ok"]
        if payload["session"]:
            fresh = payload["session"]["accessToken"]
            await eventually(functools.partial(is_refused, visitor, fresh), what="the end of the session")
            after = await visitor.ask(REFRESH, refreshToken=session["refreshToken"])
            assert [error["code"] for error in after["errors"]] == ["UNAUTHENTICATED"]
        else:
            # Removed before, or before the answer was made.
            assert [error["code"] for error in payload["errors"]] in (["NOT_FOUND"], ["UNAUTHENTICATED"])


async def is_refused(visitor: Visitor, token: str) -> bool:
    return (await visitor.post(VIEWER, token)).status_code == 401
