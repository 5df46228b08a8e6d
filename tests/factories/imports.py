"""Batches as the extension sends them."""

import secrets
from collections.abc import Sequence
from typing import Any

from tests.factories.accounts import Person
from tests.fixtures.processes import eventually

IMPORT = """
mutation ($input: ImportLeadsInput!) {
  importLeads(input: $input) {
    leadImport { id status totalRows processedRows }
    errors { code message path }
  }
}
"""
STATE = """
query ($id: ID!) {
  leadImport(id: $id) {
    status totalRows processedRows rowsPerSecond finishAt failure finishedAt
    counts { outcome count } rowErrors { row code field message }
  }
}
"""


def profile(handle: str, **fields: Any) -> dict[str, Any]:
    """One row: an Instagram profile."""
    return {"profileUrl": f"https://www.instagram.com/{handle}/", "username": handle, **fields}


def batch(rows: Sequence[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {"platform": "INSTAGRAM", "leads": list(rows), "idempotencyKey": secrets.token_hex(8), **fields}


async def import_leads(person: Person, rows: Sequence[dict[str, Any]], **fields: Any) -> str:
    """The id of an accepted import."""
    answer = (await person.run(IMPORT, {"input": batch(rows, **fields)}))["importLeads"]
    assert answer["errors"] == [], answer
    return str(answer["leadImport"]["id"])


async def import_state(person: Person, import_id: str) -> dict[str, Any]:
    """`counts` by outcome, zeros left out."""
    state: dict[str, Any] = (await person.run(STATE, {"id": import_id}))["leadImport"]
    state["counts"] = {one["outcome"]: one["count"] for one in state["counts"] if one["count"]}
    return state


async def finished(person: Person, import_id: str, *, timeout_s: float = 30) -> dict[str, Any]:
    """The state of an import once it has ended."""
    state: dict[str, Any] = {}

    async def is_over() -> bool:
        state.update(await import_state(person, import_id))
        return state["status"] not in ("QUEUED", "RUNNING")

    await eventually(is_over, timeout_s=timeout_s, what="the end of the import")
    return state


async def imported(person: Person, rows: Sequence[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return await finished(person, await import_leads(person, rows, **fields))
