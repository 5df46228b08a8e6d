from typing import Any

import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.api.accounts.visitor import execute
from tests.factories.accounts import Person, add_member, audited

UPDATE = """
mutation ($input: UpdateWorkspaceInput!) {
  updateWorkspace(input: $input) {
    workspace { id name locale timeZone phoneRegion } errors { code message path }
  }
}
"""
CREATE_LEAD = """
mutation { createLead(input: {name: "Lead", phone: "213 456 789"}) { lead { phone } errors { code } } }
"""
VERSION = "SELECT version FROM workspace WHERE id = :id"


async def update(person: Person, **input: Any) -> Any:
    return (await person.run(UPDATE, {"input": input}))["updateWorkspace"]


def codes(payload: Any) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def version(doors: Doors, person: Person) -> int:
    return int((await execute(doors, VERSION, id=person.workspace_id)).scalar_one())


async def test_changes_what_is_given_and_keeps_the_rest(ana: Person, doors: Doors) -> None:
    payload = await update(ana, name=" Acme ", timeZone="Europe/Lisbon")
    assert payload["errors"] == []
    whole = {"id": str(ana.workspace_id), "name": "Acme", "timeZone": "Europe/Lisbon"}
    assert payload["workspace"] == whole | {"locale": "pt-BR", "phoneRegion": "BR"}
    assert (await update(ana, phoneRegion="PT", locale="en"))["workspace"] == whole | {
        "locale": "en",
        "phoneRegion": "PT",
    }
    assert await version(doors, ana) == 3
    rows = [row for row in await audited(doors, ana.workspace_id) if row.action == "workspace.updated"]
    assert [(row.object_id, row.actor_id, row.before, row.after) for row in rows] == [
        (ana.workspace_id, ana.user_id, {}, {"changed": ["name", "time_zone"]}),
        (ana.workspace_id, ana.user_id, {}, {"changed": ["locale", "phone_region"]}),
    ]


async def test_phone_numbers_are_read_in_the_new_region(ana: Person) -> None:
    await update(ana, phoneRegion="PT")
    answer = (await ana.run(CREATE_LEAD))["createLead"]
    assert answer == {"lead": {"phone": "+351213456789"}, "errors": []}


@pytest.mark.parametrize("given", [{}, {"locale": "pt-BR", "phoneRegion": "BR"}])
async def test_what_is_the_same_is_no_change(ana: Person, doors: Doors, given: dict[str, str]) -> None:
    assert (await update(ana, **given))["workspace"]["phoneRegion"] == "BR"
    assert await version(doors, ana) == 1
    assert "workspace.updated" not in [row.action for row in await audited(doors, ana.workspace_id)]


@pytest.mark.parametrize("field", ["name", "locale", "timeZone", "phoneRegion"])
async def test_each_field_that_cannot_be_taken_is_named(ana: Person, doors: Doors, field: str) -> None:
    for text in (None, "", "no such thing" * 20):
        assert codes(await update(ana, **{field: text})) == [("INVALID", [field])]
    both = {"name": "Fine", "locale": "en", field: None}
    assert codes(await update(ana, **both)) == [("INVALID", [field])]
    assert await version(doors, ana) == 1


async def test_only_an_owner(ana: Person, doors: Doors) -> None:
    admin = await add_member(doors, ana, role=Role.ADMIN)
    refused = await update(admin, name="Mine")
    assert codes(refused) == [("FORBIDDEN", [])]
    assert "Ask an owner of the workspace." in refused["errors"][0]["message"]
    assert await version(doors, ana) == 1
