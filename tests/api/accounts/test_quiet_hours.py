"""Quiet hours of a workspace: set, read back, removed, refused."""

from typing import Any
from zoneinfo import available_timezones

import phonenumbers.tzdata
import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member, audited

UPDATE = """
mutation ($input: UpdateWorkspaceInput!) {
  updateWorkspace(input: $input) {
    workspace { name quietHours { from to weekdays } } errors { code message path }
  }
}
"""
VIEWER = "{ viewer { workspace { quietHours { from to weekdays } } } }"
HOURS = {"from": "20:00", "to": "08:00", "weekdays": [5, 1, 2, 3, 4]}
KEPT = {"from": "20:00", "to": "08:00", "weekdays": [1, 2, 3, 4, 5]}


async def update(person: Person, **input: Any) -> Any:
    return (await person.run(UPDATE, {"input": input}))["updateWorkspace"]


async def read(person: Person) -> Any:
    return (await person.run(VIEWER))["viewer"]["workspace"]["quietHours"]


async def changes(doors: Doors, person: Person) -> list[Any]:
    rows = await audited(doors, person.workspace_id)
    return [row.after["changed"] for row in rows if row.action == "workspace.updated"]


async def test_they_are_set_kept_and_removed(ana: Person, doors: Doors) -> None:
    assert await read(ana) is None
    answer = await update(ana, quietHours=HOURS)
    assert (answer["errors"], answer["workspace"]["quietHours"]) == ([], KEPT)
    assert await read(ana) == KEPT
    await update(ana, quietHours=KEPT)
    assert await changes(doors, ana) == [["quiet_hours"]], "the same again is no change"
    await update(ana, name="Other")
    assert await read(ana) == KEPT, "what is left out stays"
    assert (await update(ana, quietHours=None))["workspace"]["quietHours"] is None
    assert await read(ana) is None
    assert await changes(doors, ana) == [["quiet_hours"], ["name"], ["quiet_hours"]]


async def test_each_part_that_cannot_be_taken_is_named_and_nothing_is_changed(
    ana: Person, doors: Doors
) -> None:
    wrong = {"from": "8:00", "to": "24:00", "weekdays": [8]}
    answer = await update(ana, name="", quietHours=wrong)
    assert [(error["code"], error["path"]) for error in answer["errors"]] == [
        ("INVALID", ["name"]),
        ("INVALID", ["quietHours", "from"]),
        ("INVALID", ["quietHours", "to"]),
        ("INVALID", ["quietHours", "weekdays"]),
    ]
    assert all(error["message"] for error in answer["errors"])
    answer = await update(
        ana, name="Fine", quietHours={"from": "00:00", "to": "00:00", "weekdays": list(range(1, 8))}
    )
    assert [error["path"] for error in answer["errors"]] == [["quietHours"]]
    assert await read(ana) is None
    assert await changes(doors, ana) == []


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.VIEWER])
async def test_only_an_owner_sets_them_and_everybody_reads_them(
    ana: Person, doors: Doors, role: Role
) -> None:
    other = await add_member(doors, ana, role=role)
    assert [error["code"] for error in (await update(other, quietHours=HOURS))["errors"]] == ["FORBIDDEN"]
    await update(ana, quietHours=HOURS)
    assert await read(other) == KEPT


async def test_the_database_knows_every_zone_that_may_be_asked_of_it(doors: Doors) -> None:
    """It would refuse to tell an hour there, in the midst of sending."""
    async with doors.open_system() as system:
        found = await system.execute(text("SELECT name FROM pg_timezone_names"))
        known = {row.name for row in found}
    of_phones = {zone for zones in phonenumbers.tzdata.TIMEZONE_DATA.values() for zone in zones}
    assert of_phones - known == set()
    assert {zone for zone in available_timezones() if zone[0].isupper()} - known == set()
