"""The query `sessions`, and the mutation `revokeSession`."""

from typing import Any
from uuid import uuid4

import pytest

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member, audited, sign_in
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api
from tests.fixtures.sockets import closed_with

SESSIONS = """
{ sessions { id client userAgent ipPrefix createdAt lastUsedAt current workspace { id name } } }
"""
REVOKE = """
mutation ($input: SessionInput!) { revokeSession(input: $input) { ok errors { code message path } } }
"""


async def sessions(person: Person) -> list[dict[str, Any]]:
    return list((await person.run(SESSIONS))["sessions"])


async def revoke(person: Person, id: str) -> Any:
    return (await person.run(REVOKE, {"input": {"id": id}}))["revokeSession"]


async def test_all_ones_own_live_ones_the_one_used_last_first(ana: Person, eve: Person, doors: Doors) -> None:
    bruno = await add_member(doors, ana, role=Role.VIEWER)
    phone = await sign_in(bruno, workspace_id=ana.workspace_id, client=ClientKind.API)
    found = await sessions(bruno)
    assert [one["client"] for one in found] == ["API", "WEB", "WEB"]
    assert [one["current"] for one in found] == [False, True, False]
    assert [one["current"] for one in await sessions(phone)] == [True, False, False]
    assert found[0]["workspace"]["id"] == str(ana.workspace_id)
    assert found[2]["workspace"]["id"] != str(ana.workspace_id)
    assert found[0]["userAgent"].startswith("python-httpx")
    assert found[0]["lastUsedAt"] > found[1]["lastUsedAt"] > found[2]["createdAt"]
    assert len(await sessions(eve)) == 1


async def test_ends_another_one_and_its_socket(ana: Person, doors: Doors, api_server: Api) -> None:
    phone = await sign_in(ana, workspace_id=ana.workspace_id)
    theirs = next(one for one in await sessions(ana) if not one["current"])
    async with open_socket(api_server.ws_url, phone.token) as socket:
        assert await revoke(ana, theirs["id"]) == {"ok": True, "errors": []}
        assert await closed_with(socket) == 4403
    assert (await phone.post(SESSIONS)).status_code == 401
    assert [one["current"] for one in await sessions(ana)] == [True]
    row = (await audited(doors, ana.workspace_id))[-1]
    assert (row.action, str(row.object_id), row.actor_id) == (
        "session.revoked",
        theirs["id"],
        ana.user_id,
    )
    again = await revoke(ana, theirs["id"])
    assert [(error["code"], error["path"]) for error in again["errors"]] == [("NOT_FOUND", ["id"])]


async def test_ending_the_one_in_use_is_signing_out(ana: Person) -> None:
    (own,) = await sessions(ana)
    assert (await revoke(ana, own["id"]))["ok"]
    assert (await ana.post(SESSIONS)).status_code == 401


@pytest.mark.parametrize("id", ["", "x", "01990000-0000-7000-8000-000000000000", "foreign"])
async def test_nobody_elses(ana: Person, eve: Person, id: str) -> None:
    (hers,) = await sessions(eve)
    refused = await revoke(ana, hers["id"] if id == "foreign" else id)
    assert refused == await revoke(ana, str(uuid4()))
    assert [(error["code"], error["path"]) for error in refused["errors"]] == [("NOT_FOUND", ["id"])]
    assert len(await sessions(eve)) == 1


async def test_an_extension_may_not(ana: Person, doors: Doors) -> None:
    extension = await add_member(doors, ana, role=Role.MEMBER, client=ClientKind.EXTENSION)
    assert await extension.refused(SESSIONS) == "FORBIDDEN"
    refused = await revoke(extension, str(uuid4()))
    assert [error["code"] for error in refused["errors"]] == ["FORBIDDEN"]
