"""Changes to many leads, as the web app asks for them."""

import secrets
from typing import Any

from tests.factories.accounts import Person
from tests.fixtures.processes import eventually

CHANGE = """
mutation ($input: ChangeLeadsInput!) {
  changeLeads(input: $input) { bulkChange { id status total done } errors { code message path } }
}
"""
STATE = """
query ($id: ID!) { bulkChange(id: $id) { status total done changed failure createdAt finishedAt } }
"""


def asked(change: dict[str, Any], filter: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "input": {
            "filter": filter or {},
            "change": change,
            "idempotencyKey": secrets.token_hex(8),
            **fields,
        }
    }


async def change_leads(
    person: Person, change: dict[str, Any], filter: dict[str, Any] | None = None, **fields: Any
) -> str:
    """The id of an accepted bulk change."""
    answer = (await person.run(CHANGE, asked(change, filter, **fields)))["changeLeads"]
    assert answer["errors"] == [], answer
    return str(answer["bulkChange"]["id"])


async def change_state(person: Person, id: str) -> dict[str, Any]:
    state: dict[str, Any] = (await person.run(STATE, {"id": id}))["bulkChange"]
    return state


async def change_ended(person: Person, id: str, *, timeout_s: float = 30) -> dict[str, Any]:
    state: dict[str, Any] = {}

    async def is_over() -> bool:
        state.update(await change_state(person, id))
        return state["status"] != "RUNNING"

    await eventually(is_over, timeout_s=timeout_s, what="the end of the bulk change")
    return state


async def changed(
    person: Person, change: dict[str, Any], filter: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The state of a bulk change once it has ended."""
    return await change_ended(person, await change_leads(person, change, filter))
