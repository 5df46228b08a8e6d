import asyncio
from typing import Any

import httpx
import pytest

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member, audited, sign_in, sign_up, told

LEAVE = """
mutation ($input: SwitchWorkspaceInput!) { leaveWorkspace(input: $input) { ok errors { code message path } } }
"""
VIEWER = "{ viewer { workspace { id } memberships { workspace { id } } } }"


async def leave(person: Person, workspace_id: object) -> Any:
    return (await person.run(LEAVE, {"input": {"workspaceId": str(workspace_id)}}))["leaveWorkspace"]


def codes(payload: Any) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN, Role.OWNER])
async def test_ends_ones_own_membership_whatever_the_role(ana: Person, doors: Doors, role: Role) -> None:
    bruno = await add_member(doors, ana, role=role)
    assert await leave(bruno, ana.workspace_id) == {"ok": True, "errors": []}
    assert (await bruno.post(VIEWER)).status_code == 401
    (event,) = await told(doors, ana.workspace_id)
    assert (list(event.entity_ids), event.changed, event.actor) == (
        [bruno.user_id],
        ["removed"],
        bruno.user_id,
    )
    row = (await audited(doors, ana.workspace_id))[-1]
    assert (row.action, row.object_id, row.actor_id) == ("member.left", bruno.user_id, bruno.user_id)
    assert (row.before, row.after) == ({"role": role.value}, {})


async def test_one_may_leave_another_than_this_sessions_and_go_on(ana: Person, doors: Doors) -> None:
    in_anas = await add_member(doors, ana, role=Role.MEMBER)
    memberships = (await in_anas.run(VIEWER))["viewer"]["memberships"]
    (home,) = {one["workspace"]["id"] for one in memberships} - {str(ana.workspace_id)}
    at_home = await sign_in(in_anas, workspace_id=home)
    assert (await leave(at_home, ana.workspace_id))["ok"]
    assert (await at_home.run(VIEWER))["viewer"]["memberships"] == [{"workspace": {"id": home}}]
    assert (await in_anas.post(VIEWER)).status_code == 401


async def test_the_last_owner_cannot(ana: Person, doors: Doors) -> None:
    await add_member(doors, ana, role=Role.ADMIN)
    refused = await leave(ana, ana.workspace_id)
    assert codes(refused) == [("CONFLICT", ["workspaceId"])]
    assert "make somebody else owner first" in refused["errors"][0]["message"]
    assert await told(doors, ana.workspace_id) == []
    await add_member(doors, ana, role=Role.OWNER, name="Carla")
    assert (await leave(ana, ana.workspace_id))["ok"]


@pytest.mark.parametrize("workspace_id", ["", "x", "01990000-0000-7000-8000-000000000000"])
async def test_no_workspace_of_theirs(ana: Person, eve: Person, workspace_id: str) -> None:
    unknown = await leave(ana, workspace_id)
    assert codes(unknown) == [("NOT_FOUND", ["workspaceId"])]
    assert await leave(ana, eve.workspace_id) == unknown


async def test_of_the_last_two_owners_who_leave_at_once_one_stays(
    http: httpx.AsyncClient, doors: Doors
) -> None:
    for _ in range(8):
        ana = await sign_up(http)
        bruno = await add_member(doors, ana, role=Role.OWNER)
        answers = await asyncio.gather(leave(ana, ana.workspace_id), leave(bruno, ana.workspace_id))
        assert sorted(answer["ok"] for answer in answers) == [False, True]
        assert [code for answer in answers for code, _ in codes(answer)] == ["CONFLICT"]


async def test_an_extension_may_not(ana: Person, doors: Doors) -> None:
    bruno = await add_member(doors, ana, role=Role.MEMBER, client=ClientKind.EXTENSION)
    assert codes(await leave(bruno, ana.workspace_id)) == [("FORBIDDEN", [])]
