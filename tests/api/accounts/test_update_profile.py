from typing import Any

import pytest

from app.common.domain import ClientKind, Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member, told

UPDATE = """
mutation ($input: UpdateProfileInput!) {
  updateProfile(input: $input) { user { id name email locale } errors { code message path } }
}
"""
MEMBERS = "{ members { user { id name } } }"
HOME = "{ viewer { memberships { workspace { id } } } }"


async def update(person: Person, **input: Any) -> Any:
    return (await person.run(UPDATE, {"input": input}))["updateProfile"]


async def test_changes_what_is_given_and_every_workspace_is_told(ana: Person, doors: Doors) -> None:
    bruno = await add_member(doors, ana, role=Role.VIEWER)
    payload = await update(bruno, name="  Bruno Lima ")
    assert payload["errors"] == []
    user = {"id": str(bruno.user_id), "name": "Bruno Lima", "email": bruno.email, "locale": "pt-BR"}
    assert payload["user"] == user
    assert (await update(bruno, locale="en"))["user"] == user | {"locale": "en"}
    seen = (await ana.run(MEMBERS))["members"]
    assert {"id": str(bruno.user_id), "name": "Bruno Lima"} in [one["user"] for one in seen]

    memberships = (await bruno.run(HOME))["viewer"]["memberships"]
    assert len(memberships) == 2
    for membership in memberships:
        events = await told(doors, membership["workspace"]["id"])
        assert [(event.changed, list(event.entity_ids), event.actor) for event in events] == [
            (["profile"], [bruno.user_id], bruno.user_id)
        ] * 2
        assert all((event.before, event.after) == ({}, {}) for event in events)


@pytest.mark.parametrize("given", [{}, {"name": "Ana"}, {"name": " Ana ", "locale": "pt-BR"}])
async def test_what_is_the_same_is_told_to_nobody(ana: Person, doors: Doors, given: dict[str, str]) -> None:
    payload = await update(ana, **given)
    assert (payload["errors"], payload["user"]["name"], payload["user"]["locale"]) == ([], "Ana", "pt-BR")
    assert await told(doors, ana.workspace_id) == []


async def test_each_field_that_cannot_be_taken_is_named(ana: Person, doors: Doors) -> None:
    for given, paths in (
        ({"name": "", "locale": "fr"}, [["name"], ["locale"]]),
        ({"name": None}, [["name"]]),
        ({"name": "x" * 201, "locale": "en"}, [["name"]]),
        ({"name": "a\x00b"}, [["name"]]),
        ({"locale": None}, [["locale"]]),
    ):
        payload = await update(ana, **given)
        assert [(error["code"], error["path"]) for error in payload["errors"]] == [
            ("INVALID", path) for path in paths
        ]
        assert payload["user"] is None
    assert (await update(ana))["user"]["locale"] == "pt-BR"
    assert await told(doors, ana.workspace_id) == []


async def test_an_extension_may_not(ana: Person, doors: Doors) -> None:
    extension = await add_member(doors, ana, role=Role.MEMBER, client=ClientKind.EXTENSION)
    assert [error["code"] for error in (await update(extension, name="X"))["errors"]] == ["FORBIDDEN"]
