import asyncio
from typing import Any

import httpx
import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member, audited, sign_in, sign_up, told
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api
from tests.fixtures.sockets import closed_with

CHANGE = """
mutation ($input: ChangeMemberRoleInput!) {
  changeMemberRole(input: $input) { member { role user { id name } joinedAt } errors { code message path } }
}
"""
ROLES = "{ members { user { id } role } }"


async def change(person: Person, user_id: object, role: Role) -> Any:
    payload = await person.run(CHANGE, {"input": {"userId": str(user_id), "role": role.value}})
    return payload["changeMemberRole"]


async def roles(person: Person) -> dict[str, str]:
    return {one["user"]["id"]: one["role"] for one in (await person.run(ROLES))["members"]}


def codes(payload: Any) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def test_the_member_has_the_new_role_and_their_old_token_is_void(
    ana: Person, doors: Doors, api_server: Api
) -> None:
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    async with open_socket(api_server.ws_url, bruno.token) as socket:
        changed = await change(ana, bruno.user_id, Role.ADMIN)
        assert changed["errors"] == []
        assert (changed["member"]["role"], changed["member"]["user"]["id"]) == ("ADMIN", str(bruno.user_id))
        assert await closed_with(socket) == 4403
    assert (await bruno.post(ROLES)).status_code == 401
    again = await sign_in(bruno, workspace_id=ana.workspace_id)  # within the same second, with the new role
    assert (await roles(again))[str(bruno.user_id)] == "ADMIN"

    (event,) = await told(doors, ana.workspace_id)
    assert (list(event.entity_ids), event.changed, event.actor) == ([bruno.user_id], ["role"], ana.user_id)
    assert (event.before, event.after) == ({"role": "MEMBER"}, {"role": "ADMIN"})
    (row,) = [row for row in await audited(doors, ana.workspace_id) if row.action == "member.role_changed"]
    assert (row.object_id, row.actor_id, row.client) == (bruno.user_id, ana.user_id, "WEB")
    assert (row.before, row.after) == ({"role": "MEMBER"}, {"role": "ADMIN"})


async def test_the_same_role_again_does_nothing(ana: Person, doors: Doors) -> None:
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    for person, role in ((bruno, Role.MEMBER), (ana, Role.OWNER)):
        unchanged = await change(ana, person.user_id, role)
        assert (unchanged["errors"], unchanged["member"]["role"]) == ([], role.value)
    assert await told(doors, ana.workspace_id) == []
    assert (await bruno.post(ROLES)).status_code == 200


async def test_an_admin_changes_members_but_no_owner(ana: Person, doors: Doors) -> None:
    admin = await add_member(doors, ana, role=Role.ADMIN, name="Carla")
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    for user_id, role, path in (
        (bruno.user_id, Role.OWNER, "role"),
        (admin.user_id, Role.OWNER, "role"),
        (ana.user_id, Role.MEMBER, "userId"),
    ):
        assert codes(await change(admin, user_id, role)) == [("FORBIDDEN", [path])]
    assert codes(await change(bruno, bruno.user_id, Role.ADMIN)) == [("FORBIDDEN", [])]
    assert await told(doors, ana.workspace_id) == []
    assert codes(await change(admin, bruno.user_id, Role.VIEWER)) == []
    assert codes(await change(ana, admin.user_id, Role.OWNER)) == []
    assert sorted((await roles(ana)).values()) == ["OWNER", "OWNER", "VIEWER"]


async def test_the_last_owner_stays_one(ana: Person, doors: Doors) -> None:
    bruno = await add_member(doors, ana, role=Role.OWNER)
    await change(ana, bruno.user_id, Role.ADMIN)
    assert codes(await change(ana, ana.user_id, Role.ADMIN)) == [("CONFLICT", ["userId"])]
    assert (await roles(ana))[str(ana.user_id)] == "OWNER"


@pytest.mark.parametrize("user_id", ["", "x", "01990000-0000-7000-8000-000000000000"])
async def test_nobody_of_such_an_id(ana: Person, eve: Person, doors: Doors, user_id: str) -> None:
    unknown = await change(ana, user_id, Role.VIEWER)
    assert codes(unknown) == [("NOT_FOUND", ["userId"])]
    assert await change(ana, eve.user_id, Role.VIEWER) == unknown
    assert (await roles(eve))[str(eve.user_id)] == "OWNER"


async def attempted(person: Person, user_id: object) -> str:
    """The role that came of it, or why it did not."""
    given = {"input": {"userId": str(user_id), "role": "ADMIN"}}
    body = (await person.post(CHANGE, given)).json()
    if "errors" in body:
        return str(body["errors"][0]["extensions"]["code"])
    payload = body["data"]["changeMemberRole"]
    return str(payload["member"]["role"] if payload["member"] else payload["errors"][0]["code"])


async def test_two_owners_who_unmake_each_other_at_once_leave_one(
    http: httpx.AsyncClient, doors: Doors
) -> None:
    """Whoever comes second is no owner any more, whatever their token says."""
    for _ in range(8):
        ana = await sign_up(http)
        bruno = await add_member(doors, ana, role=Role.OWNER)
        answers = sorted(await asyncio.gather(attempted(ana, bruno.user_id), attempted(bruno, ana.user_id)))
        # Where the second comes later still, its token is void.
        assert answers in (["ADMIN", "FORBIDDEN"], ["ADMIN", "UNAUTHENTICATED"])
        assert len(await told(doors, ana.workspace_id)) == 1
