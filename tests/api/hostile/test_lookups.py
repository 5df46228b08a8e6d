"""Ids and cursors that are none, of something else or of others (T of the table): all the same to whoever asks."""

from typing import Any

import pytest

from app.common.work import Doors
from tests.api.hostile.target import Target, at
from tests.factories.accounts import Person
from tests.factories.conversations import make_lead, open_conversation

NO_IDS = (
    "",
    "x",
    "' OR 1=1 --",
    "00000000-0000-0000-0000-000000000000",
    "a" * 10_000,
    "é",
    "\u202e",
    "-1",
    "null",
)
BY_ID = ("lead", "conversation", "leadImport")
LISTS = ("leads", "leadImports", "conversations")


async def test_what_is_not_there_is_null_whatever_it_is(
    target: Target, victim: Person, eve: Person, doors: Doors
) -> None:
    mine, hers = await make_lead(victim), await make_lead(eve)
    foreign = (await open_conversation(eve, doors)).id
    async with at(target, victim) as person:
        for name in BY_ID:
            query = f"query ($id: ID!) {{ {name}(id: $id) {{ id }} }}"
            for id in (*NO_IDS, str(hers), str(foreign), str(victim.user_id), str(victim.workspace_id)):
                assert (await person.post(query, {"id": id})).json() == {"data": {name: None}}, (name, id)
        found = await person.run("query ($id: ID!) { lead(id: $id) { id } }", {"id": str(mine)})
    assert found["lead"] == {"id": str(mine)}


@pytest.mark.parametrize("name", LISTS)
async def test_a_cursor_that_is_none_is_bad_input(
    target: Target, victim: Person, eve: Person, name: str
) -> None:
    await make_lead(eve)
    page = f"query ($after: String) {{ {name}(after: $after) {{ edges {{ cursor }} }} }}"
    (edge,) = (await eve.run("{ leads { edges { cursor } } }"))["leads"]["edges"]
    async with at(target, victim) as person:
        for cursor in (*NO_IDS[1:], "AQ", "=" * 50, "AXx4"):
            assert await person.refused(page, {"after": cursor}) == "BAD_USER_INPUT", cursor
        foreign: dict[str, Any] = (await person.post(page, {"after": edge["cursor"]})).json()
    told = foreign.get("errors")
    assert told[0]["extensions"]["code"] == "BAD_USER_INPUT" if told else foreign["data"] is not None
