import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member, audited, sign_in, sign_up, told
from tests.fixtures.feed import FEED
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api
from tests.fixtures.sockets import closed_with

REMOVE = """
mutation ($input: MemberInput!) { removeMember(input: $input) { ok errors { code message path } } }
"""
CREATE_LEAD = """
mutation ($input: CreateLeadInput!) { createLead(input: $input) { lead { id } errors { code path } } }
"""
VIEWER = "{ viewer { workspace { id } } }"
MEMBERS = "{ members { user { id } } }"
REFRESH = """
mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { session { accessToken } errors { code } } }
"""


async def remove(person: Person, user_id: object) -> Any:
    return (await person.run(REMOVE, {"input": {"userId": str(user_id)}}))["removeMember"]


def codes(payload: Any) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def members(person: Person) -> list[str]:
    return [one["user"]["id"] for one in (await person.run(MEMBERS))["members"]]


async def test_their_sessions_sockets_and_keys_end_here_and_nowhere_else(
    ana: Person, doors: Doors, api_server: Api
) -> None:
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(
            text(
                "INSERT INTO api_key (workspace_id, name, role, secret_hash, last_four, created_by) "
                "VALUES (:workspace_id, 'theirs', 'MEMBER', sha256(uuid_send(:user_id)), 'abcd', :user_id)"
            ),
            {"workspace_id": ana.workspace_id, "user_id": bruno.user_id},
        )
    async with doors.open_system() as system:
        home = await system.execute(
            text("SELECT workspace_id FROM member WHERE user_id = :user_id ORDER BY joined_at LIMIT 1"),
            {"user_id": bruno.user_id},
        )
        at_home = await sign_in(bruno, workspace_id=home.scalar_one())
    async with open_socket(api_server.ws_url, bruno.token) as socket:
        assert await remove(ana, bruno.user_id) == {"ok": True, "errors": []}
        assert await closed_with(socket) == 4403
    assert (await bruno.post(VIEWER)).status_code == 401
    refreshed = await bruno.http.post(
        "/graphql", json={"query": REFRESH, "variables": {"input": {"refreshToken": bruno.refresh_token}}}
    )
    assert refreshed.json()["data"]["refreshSession"]["errors"] == [{"code": "UNAUTHENTICATED"}]
    assert (await at_home.post(VIEWER)).status_code == 200
    async with doors.open_work(ana.workspace_id) as work:
        live = await work.execute(text("SELECT count(*) FROM api_key WHERE revoked_at IS NULL"))
        assert live.scalar_one() == 0
    assert await members(ana) == [str(ana.user_id)]


async def test_the_feed_and_the_audit_log_tell_of_it(ana: Person, doors: Doors, api_server: Api) -> None:
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    async with open_socket(api_server.ws_url, ana.token) as socket:
        feed = socket.subscribe(FEED)
        await anext(feed)
        await remove(ana, bruno.user_id)
        heard = (await anext(feed))["data"]["feed"]
    assert (heard["kind"], heard["ids"]) == ("MEMBER_CHANGED", [str(bruno.user_id)])
    (event,) = await told(doors, ana.workspace_id)
    assert (list(event.entity_ids), event.changed, event.actor) == ([bruno.user_id], ["removed"], ana.user_id)
    assert (event.before, event.after) == ({"role": "MEMBER"}, {})
    row = (await audited(doors, ana.workspace_id))[-1]
    assert (row.action, row.object_id, row.actor_id) == ("member.removed", bruno.user_id, ana.user_id)
    assert (row.before, row.after) == ({"role": "MEMBER"}, {})
    assert codes(await remove(ana, bruno.user_id)) == [("NOT_FOUND", ["userId"])]
    assert len(await told(doors, ana.workspace_id)) == 1


async def test_an_admin_removes_members_and_themselves_but_no_owner(ana: Person, doors: Doors) -> None:
    admin = await add_member(doors, ana, role=Role.ADMIN, name="Carla")
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    assert codes(await remove(bruno, bruno.user_id)) == [("FORBIDDEN", [])]
    assert codes(await remove(admin, ana.user_id)) == [("FORBIDDEN", ["userId"])]
    assert codes(await remove(ana, ana.user_id)) == [("CONFLICT", ["userId"])]
    assert await told(doors, ana.workspace_id) == []
    assert (await remove(admin, bruno.user_id))["ok"]
    assert (await remove(admin, admin.user_id))["ok"]
    assert (await admin.post(VIEWER)).status_code == 401
    assert await members(ana) == [str(ana.user_id)]


@pytest.mark.parametrize("user_id", ["", "x", "01990000-0000-7000-8000-000000000000"])
async def test_nobody_of_such_an_id(ana: Person, eve: Person, user_id: str) -> None:
    unknown = await remove(ana, user_id)
    assert codes(unknown) == [("NOT_FOUND", ["userId"])]
    assert await remove(ana, eve.user_id) == unknown
    assert await members(eve) == [str(eve.user_id)]


async def test_two_owners_who_remove_each_other_at_once_leave_one(
    http: httpx.AsyncClient, doors: Doors
) -> None:
    for _ in range(5):
        ana = await sign_up(http)
        bruno = await add_member(doors, ana, role=Role.OWNER)
        answers = await asyncio.gather(
            ana.post(REMOVE, {"input": {"userId": str(bruno.user_id)}}),
            bruno.post(REMOVE, {"input": {"userId": str(ana.user_id)}}),
        )
        # Who came second is refused at the door, or inside: they are no member any more.
        done = [one for one in answers if '"ok":true' in one.text.replace(" ", "")]
        assert len(done) == 1, [one.text for one in answers]
        assert len(await told(doors, ana.workspace_id)) == 1


TOLD_OF = text("SELECT kind FROM feed_event WHERE kind IN ('lead.created', 'member.changed') ORDER BY seq")
"""Not of what a worker then makes of the removal."""


async def test_a_lead_assigned_meanwhile_is_told_of_before_the_removal_or_not_at_all(
    http: httpx.AsyncClient, doors: Doors
) -> None:
    """So who reacts to the removal finds every lead that was theirs."""
    for _ in range(5):
        ana = await sign_up(http)
        bruno = await add_member(doors, ana, role=Role.MEMBER)
        made, removed = await asyncio.gather(
            ana.run(CREATE_LEAD, {"input": {"name": "Lead", "ownerId": str(bruno.user_id)}}),
            remove(ana, bruno.user_id),
        )
        assert removed["ok"]
        async with doors.open_work(ana.workspace_id) as work:
            kinds = (await work.execute(TOLD_OF)).scalars().all()
        if made["createLead"]["lead"]:
            assert kinds == ["lead.created", "member.changed"]
        else:
            assert made["createLead"]["errors"] == [{"code": "NOT_FOUND", "path": ["ownerId"]}]
            assert kinds == ["member.changed"]
