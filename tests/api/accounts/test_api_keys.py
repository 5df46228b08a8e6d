"""API keys from making to revoking, over HTTP, the websocket and the upload route."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
import websockets
from sqlalchemy import text

from app.accounts.domain.api_key import MAX_KEYS, ApiKeySecret
from app.accounts.infrastructure.key_ring import MISSES_A_MINUTE
from app.common.domain import Role
from app.common.work import Doors
from tests.api.accounts.test_switch_workspace import JOIN, SWITCH
from tests.api.accounts.visitor import Visitor, execute, ids
from tests.factories.accounts import Person, add_member, new_email
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api, eventually

CREATE = """
mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { apiKey { id name role lastFour lastUsedAt } secret errors { code path } }
}
"""
REVOKE = "mutation ($input: ApiKeyInput!) { revokeApiKey(input: $input) { ok errors { code path } } }"
LIST = "{ apiKeys { id name role lastFour lastUsedAt } }"
WHO = "{ viewer { role user { id } workspace { id } memberships { workspace { id } } } }"
CHANGE_ROLE = (
    "mutation ($input: ChangeMemberRoleInput!) { changeMemberRole(input: $input) { errors { code } } }"
)
REMOVE = "mutation ($input: MemberInput!) { removeMember(input: $input) { errors { code } } }"
TAG = 'mutation { createTag(input: {name: "by a key"}) { errors { code } } }'


async def created(person: Person, role: Role = Role.MEMBER) -> dict[str, Any]:
    payload = (await person.run(CREATE, {"input": {"name": "CRM sync", "role": role}}))["createApiKey"]
    assert payload["errors"] == [], payload
    return payload  # type: ignore[no-any-return]


async def by_key(http: httpx.AsyncClient, secret: str, query: str = WHO) -> httpx.Response:
    return await http.post("/graphql", json={"query": query}, headers={"Authorization": f"Bearer {secret}"})


async def role_by_key(http: httpx.AsyncClient, secret: str) -> str | None:
    """None when it is refused."""
    answer = await by_key(http, secret)
    return answer.json()["data"]["viewer"]["role"] if answer.status_code == 200 else None


async def test_a_key_acts_for_its_maker_in_one_workspace(ana: Person, doors: Doors) -> None:
    made = await created(ana, Role.ADMIN)
    key, secret = made["apiKey"], made["secret"]
    assert (key["name"], key["role"], key["lastFour"]) == ("CRM sync", "ADMIN", secret[-4:])
    viewer = (await by_key(ana.http, secret)).json()["data"]["viewer"]
    assert (viewer["role"], viewer["user"]["id"]) == ("ADMIN", str(ana.user_id))
    assert viewer["memberships"] == [{"workspace": {"id": str(ana.workspace_id)}}]
    assert (await by_key(ana.http, secret, TAG)).json()["data"]["createTag"] == {"errors": []}

    async def used() -> object:
        (listed,) = (await ana.run(LIST))["apiKeys"]
        assert {**listed, "lastUsedAt": None} == key
        return listed["lastUsedAt"]

    await eventually(used, what="when the key was used")
    stored = await execute(
        doors,
        "SELECT k::text || coalesce(a.after::text, '') AS row, a.action FROM api_key k "
        "JOIN audit_event a ON a.object_id = k.id WHERE k.workspace_id = :id",
        id=ana.workspace_id,
    )
    (row,) = stored.all()
    assert row.action == "api_key.created"
    assert secret not in row.row


async def test_no_personal_matter_and_no_other_key_by_a_key(ana: Person) -> None:
    secret = (await created(ana, Role.OWNER))["secret"]
    create = 'mutation { createApiKey(input: {name: "x"}) { secret errors { code path } } }'
    refused = (await by_key(ana.http, secret, create)).json()["data"]["createApiKey"]
    assert refused == {"secret": None, "errors": [{"code": "FORBIDDEN", "path": []}]}
    answer = (await by_key(ana.http, secret, "{ sessions { id } }")).json()
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_key_makes_and_unmakes_no_owner(ana: Person, doors: Doors) -> None:
    """Whoever stole it would stay when it is revoked."""
    secret = (await created(ana, Role.OWNER))["secret"]
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    carla = await add_member(doors, ana, role=Role.OWNER)
    assert await role_by_key(ana.http, secret) == "OWNER"
    for field, given, expected in (
        ("inviteMember", 'email: "thief@example.com", role: OWNER', ["FORBIDDEN"]),
        ("inviteMember", f'email: "{new_email()}", role: ADMIN', []),
        ("changeMemberRole", f'userId: "{bruno.user_id}", role: OWNER', ["FORBIDDEN"]),
        ("changeMemberRole", f'userId: "{carla.user_id}", role: MEMBER', ["FORBIDDEN"]),
        ("removeMember", f'userId: "{carla.user_id}"', ["FORBIDDEN"]),
        ("changeMemberRole", f'userId: "{bruno.user_id}", role: ADMIN', []),
    ):
        asked = f"mutation {{ {field}(input: {{{given}}}) {{ errors {{ code }} }} }}"
        payload = (await by_key(ana.http, secret, asked)).json()["data"][field]
        assert [error["code"] for error in payload["errors"]] == expected, asked


async def test_a_key_may_do_no_more_than_its_maker(ana: Person, doors: Doors) -> None:
    admin = await add_member(doors, ana, role=Role.ADMIN)
    asked = (await admin.run(CREATE, {"input": {"name": "x", "role": "OWNER"}}))["createApiKey"]
    assert (asked["secret"], asked["errors"]) == (None, [{"code": "FORBIDDEN", "path": ["role"]}])
    secret = (await created(admin, Role.ADMIN))["secret"]
    assert await role_by_key(ana.http, secret) == "ADMIN"
    change = {"userId": str(admin.user_id), "role": "VIEWER"}
    assert (await ana.run(CHANGE_ROLE, {"input": change}))["changeMemberRole"]["errors"] == []
    assert await role_by_key(ana.http, secret) == "VIEWER"
    removed = await ana.run(REMOVE, {"input": {"userId": str(admin.user_id)}})
    assert removed["removeMember"]["errors"] == []
    assert await role_by_key(ana.http, secret) is None
    assert (await ana.run(LIST))["apiKeys"] == []


async def test_a_revoked_key_is_refused_at_once_and_by_other_processes(ana: Person, eve: Person) -> None:
    made = await created(ana)
    given = {"input": {"id": made["apiKey"]["id"]}}
    foreign = (await eve.run(REVOKE, given))["revokeApiKey"]
    assert foreign == {"ok": False, "errors": [{"code": "NOT_FOUND", "path": ["id"]}]}
    async with Api.started() as other, httpx.AsyncClient(base_url=other.url, trust_env=False) as there:
        assert await role_by_key(there, made["secret"]) == "MEMBER"
        async with open_socket(other.ws_url, made["secret"]) as socket:
            assert (await ana.run(REVOKE, given))["revokeApiKey"] == {"ok": True, "errors": []}
            assert await role_by_key(ana.http, made["secret"]) is None
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(socket.receive(), 10)
            assert socket.connection.close_code == 4403
        assert await role_by_key(there, made["secret"]) is None
    again = (await ana.run(REVOKE, given))["revokeApiKey"]
    assert again == {"ok": False, "errors": [{"code": "NOT_FOUND", "path": ["id"]}]}


async def test_unknown_revoked_and_misspelt_are_refused_alike(ana: Person) -> None:
    made = await created(ana)
    await ana.run(REVOKE, {"input": {"id": made["apiKey"]["id"]}})
    answers = [
        await by_key(ana.http, secret)
        for secret in (made["secret"], ApiKeySecret.mint().text, made["secret"][:-1], "sp_live_", "sp_live_x")
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


async def test_uploads_take_a_key(ana: Person) -> None:
    headers = {"Content-Type": "text/csv", "Content-Disposition": 'attachment; filename="a.csv"'}
    for secret, status in ((await created(ana))["secret"], 201), (ApiKeySecret.mint().text, 401):
        given = headers | {"Authorization": f"Bearer {secret}"}
        assert (await ana.http.post("/uploads", content=b"name\nAna\n", headers=given)).status_code == status


async def test_twenty_at_once_stop_at_the_limit(ana: Person, doors: Doors) -> None:
    await execute(
        doors,
        "INSERT INTO api_key (workspace_id, name, role, secret_hash, last_four, created_by) "
        "SELECT :workspace_id, 'many', 'VIEWER', sha256(uuidv7()::text::bytea), '0000', :user_id "
        "FROM generate_series(1, :many)",
        workspace_id=ana.workspace_id,
        user_id=ana.user_id,
        many=MAX_KEYS - 5,
    )
    asked = [ana.run(CREATE, {"input": {"name": "x"}}) for _ in range(20)]
    errors = [answer["createApiKey"]["errors"] for answer in await asyncio.gather(*asked)]
    assert errors.count([]) == 5
    assert errors.count([{"code": "LIMIT_REACHED", "path": []}]) == 15


async def test_guessing_reaches_the_database_only_so_often(visitor: Visitor, doors: Doors) -> None:
    """Unknown keys are looked up so many times a minute a network; a known one goes on being taken."""
    session = await visitor.sign_up()
    made = await visitor.ask(CREATE, session["accessToken"], name="x", role="VIEWER")
    assert (await visitor.post(WHO, made["secret"])).status_code == 200
    unknown = ApiKeySecret.mint().text
    assert [(await visitor.post(WHO, unknown)).status_code for _ in range(5)] == [401] * 5  # looked up once
    statuses = [
        (await visitor.post(WHO, ApiKeySecret.mint().text)).status_code
        for _ in range(2 * MISSES_A_MINUTE + 2)
    ]
    assert statuses.count(401) <= 2 * MISSES_A_MINUTE  # the minute may turn once
    assert 429 in statuses
    assert (await visitor.post(WHO, made["secret"])).status_code == 200

    # Nor is it kept out when what was kept of it is void, as it is every ten minutes.
    here, maker_id, other = ids(session)["workspace_id"], ids(session)["user_id"], await visitor.sign_up()
    await execute(doors, JOIN, workspace_id=here, user_id=ids(other)["user_id"], role=Role.OWNER)
    owner = (await visitor.ask(SWITCH, other["accessToken"], workspaceId=str(here)))["session"]
    changed = await visitor.ask(CHANGE_ROLE, owner["accessToken"], userId=str(maker_id), role="MEMBER")
    assert changed["errors"] == []
    assert (await visitor.post(WHO, ApiKeySecret.mint().text)).status_code == 429
    assert (await visitor.post(WHO, made["secret"])).status_code == 200


async def test_what_a_key_did_and_who_made_it_is_in_the_audit_log(ana: Person, doors: Doors) -> None:
    made = await created(ana)
    key_id = made["apiKey"]["id"]
    await ana.run(REVOKE, {"input": {"id": key_id}})
    async with doors.open_system() as system:
        found = await system.execute(
            text("SELECT action, actor_id, ip_prefix FROM audit_event WHERE object_id = :id ORDER BY id"),
            {"id": UUID(key_id)},
        )
    rows = [(row.action, row.actor_id, row.ip_prefix) for row in found]
    assert rows == [
        ("api_key.created", ana.user_id, "127.0.0.0/24"),
        ("api_key.revoked", ana.user_id, "127.0.0.0/24"),
    ]
