"""Who may read and change automations, and who sees what their calls are signed with."""

import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.automation_rows import sealed_secret
from tests.factories.automations import (
    CREATE,
    DELETE,
    HOOK,
    NOTE,
    SWITCH,
    UPDATE,
    automation,
    automations,
    delete_automation,
    switch,
    the_automation,
    update_automation,
)
from tests.factories.sending import codes

STRANGE = ("nonsense", "01890000-0000-7000-8000-000000000000")


async def test_a_rule_that_calls_keeps_its_secret_which_admins_see(ana: Person, doors: Doors) -> None:
    made = await automation(ana)
    assert await sealed_secret(ana, doors, made["id"]) is None
    first = (await update_automation(ana, id=made["id"], version=1, actions=[HOOK]))["automation"]
    secret = first["actions"][0]["secret"]
    sealed = await sealed_secret(ana, doors, made["id"])
    assert secret.encode() not in sealed
    again = await update_automation(ana, id=made["id"], version=2, actions=[NOTE, HOOK])
    assert again["automation"]["actions"][1]["secret"] == secret
    assert await sealed_secret(ana, doors, made["id"]) == sealed
    other = await automation(ana, actions=[HOOK])
    assert other["actions"][0]["secret"] != secret
    for role in Role:
        person = await add_member(doors, ana, role=role)
        found = await the_automation(person, made["id"])
        assert found is not None
        may_see = role in (Role.OWNER, Role.ADMIN)
        assert found["actions"][1]["secret"] == (secret if may_see else None)


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
async def test_members_read_and_do_not_change(ana: Person, doors: Doors, role: Role) -> None:
    made = await automation(ana)
    person = await add_member(doors, ana, role=role)
    assert await automations(person) == [made]
    given = {"name": "x", "trigger": "TAG_ADDED", "actions": [NOTE]}
    for mutation, name, input in (
        (CREATE, "createAutomation", given),
        (UPDATE, "updateAutomation", {"id": made["id"], "version": 1, "name": "x"}),
        (SWITCH, "setAutomationEnabled", {"id": made["id"], "enabled": True}),
        (DELETE, "deleteAutomation", {"id": made["id"]}),
    ):
        payload = (await person.run(mutation, {"input": input}))[name]
        assert [error["code"] for error in payload["errors"]] == ["FORBIDDEN"]
    assert await automations(ana) == [made]


async def test_anothers_automation_is_as_unknown_as_none(ana: Person, eve: Person) -> None:
    made = await automation(ana)
    for id in (made["id"], *STRANGE):
        assert await the_automation(eve, id) is None
        assert codes(await update_automation(eve, id=id, version=1, name="x")) == [("NOT_FOUND", ["id"])]
        assert codes(await switch(eve, id, enabled=True)) == [("NOT_FOUND", ["id"])]
        assert codes(await delete_automation(eve, id)) == [("NOT_FOUND", ["id"])]
    assert await automations(eve) == []
    assert await the_automation(ana, made["id"]) == made
