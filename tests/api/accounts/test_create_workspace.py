import asyncio
from typing import Any

import pytest

from app.accounts.domain.workspace import MAX_OWNED
from app.common.domain import ClientKind, Role
from app.common.work import Doors
from tests.api.accounts.visitor import execute
from tests.factories.accounts import Person, add_member, audited, sign_in

CREATE = """
mutation ($input: CreateWorkspaceInput!) {
  createWorkspace(input: $input) {
    workspace { id name locale timeZone phoneRegion } errors { code message path }
  }
}
"""
SWITCH = """
mutation ($input: SwitchWorkspaceInput!) {
  switchWorkspace(input: $input) { session { accessToken viewer { role } } errors { code } }
}
"""
INSIDE = "{ stages { name } leads { totalCount } feedCursor viewer { workspace { id } } }"
OWN = "SELECT count(*) FROM member WHERE user_id = :user_id AND role = 'OWNER'"


async def create(person: Person, **input: Any) -> Any:
    return (await person.run(CREATE, {"input": {"name": "Filial"} | input}))["createWorkspace"]


def codes(payload: Any) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def owned(doors: Doors, person: Person) -> int:
    return int((await execute(doors, OWN, user_id=person.user_id)).scalar_one())


async def test_whole_from_its_beginning_and_the_session_stays_where_it_is(ana: Person, doors: Doors) -> None:
    made = await create(ana, name=" Filial ")
    assert made["errors"] == []
    workspace = made["workspace"]
    usual = {"locale": "pt-BR", "timeZone": "America/Sao_Paulo", "phoneRegion": "BR"}
    assert workspace == {"id": workspace["id"], "name": "Filial"} | usual
    assert (await ana.run(INSIDE))["viewer"]["workspace"]["id"] == str(ana.workspace_id)

    there = await sign_in(ana, workspace_id=workspace["id"])
    inside = await there.run(INSIDE)
    assert inside["stages"][0] == {"name": "Novo"}
    assert len(inside["stages"]) == 7
    assert inside["leads"]["totalCount"] == 0
    assert inside["feedCursor"].startswith("1.")
    row = (await audited(doors, there.workspace_id))[0]
    assert (row.action, row.object_id, row.actor_id) == (
        "workspace.created",
        there.workspace_id,
        ana.user_id,
    )


async def test_is_gone_to_with_switch_workspace(ana: Person) -> None:
    workspace = (await create(ana))["workspace"]
    switched = (await ana.run(SWITCH, {"input": {"workspaceId": workspace["id"]}}))["switchWorkspace"]
    assert (switched["errors"], switched["session"]["viewer"]["role"]) == ([], "OWNER")


async def test_in_another_language_and_time_zone(ana: Person) -> None:
    made = await create(ana, locale="en", timeZone="Asia/Tokyo")
    assert [made["workspace"][field] for field in ("locale", "timeZone", "phoneRegion")] == [
        "en",
        "Asia/Tokyo",
        "US",
    ]
    there = await sign_in(ana, workspace_id=made["workspace"]["id"])
    assert (await there.run(INSIDE))["stages"][0] == {"name": "New"}
    assert (await create(ana, locale=None, timeZone=None))["workspace"]["locale"] == "pt-BR"


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ({"name": " "}, [["name"]]),
        ({"timeZone": "Mars/Base"}, [["timeZone"]]),
        ({"name": "x" * 201, "locale": "fr", "timeZone": ""}, [["name"], ["locale"], ["timeZone"]]),
    ],
)
async def test_each_field_that_cannot_be_taken_is_named(
    ana: Person, doors: Doors, given: dict[str, str], paths: list[list[str]]
) -> None:
    assert codes(await create(ana, **given)) == [("INVALID", path) for path in paths]
    assert await owned(doors, ana) == 1


async def test_a_person_owns_so_many_and_no_more_also_at_once(ana: Person, doors: Doors) -> None:
    await execute(
        doors,
        "WITH made AS (INSERT INTO workspace (name, locale, time_zone, phone_region) "
        "SELECT 'w', 'en', 'UTC', 'US' FROM generate_series(1, :count) RETURNING id) "
        "INSERT INTO member (workspace_id, user_id, role) SELECT id, :user_id, 'OWNER' FROM made",
        count=MAX_OWNED - 3,
        user_id=ana.user_id,
    )
    payloads = await asyncio.gather(*(create(ana) for _ in range(6)))
    assert sum(payload["workspace"] is not None for payload in payloads) == 2
    assert [code for payload in payloads for code, _ in codes(payload)] == ["LIMIT_REACHED"] * 4
    assert await owned(doors, ana) == MAX_OWNED


async def test_a_viewer_may_and_an_extension_may_not(ana: Person, doors: Doors) -> None:
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert (await create(viewer))["errors"] == []
    extension = await add_member(doors, ana, role=Role.MEMBER, client=ClientKind.EXTENSION)
    assert codes(await create(extension)) == [("FORBIDDEN", [])]
