"""Imports of files: uploaded, started and waited for as a client does."""

import secrets
from collections.abc import Mapping
from typing import Any

from tests.factories.accounts import Person
from tests.factories.files import uploaded
from tests.fixtures.processes import eventually

START = """
mutation ($input: StartCsvImportInput!) {
  startCsvImport(input: $input) { leadImport { id status } errors { code message path } }
}
"""
FILE_STATE = """
query ($id: ID!) {
  leadImport(id: $id) {
    status fileName totalRows processedRows rowsPerSecond finishAt failure keptOnUndo
    columns preview suggestedMapping { column field confidence }
    counts { outcome count } dryRunCounts { outcome count } rowErrors { row code field message }
  }
}
"""
UNDER_WAY = frozenset({"ANALYZING", "QUEUED", "RUNNING", "UNDOING"})


def mapped(mapping: Mapping[str, str]) -> list[dict[str, str]]:
    """`mapping`: field by column."""
    return [{"column": column, "field": field} for column, field in mapping.items()]


async def upload_csv(person: Person, content: Any, *, name: str = "people.csv") -> str:
    """The upload's token. `content`: bytes, or an async iterable of them."""
    answer = await uploaded(person, content, media_type="text/csv", name=name)
    return str(answer["uploadToken"])


async def start_csv(
    person: Person, token: str, *, mapping: Mapping[str, str] | None = None, **fields: Any
) -> str:
    """The id of the import, which must be accepted."""
    given = {"uploadToken": token, "idempotencyKey": secrets.token_hex(8), **fields}
    if mapping is not None:
        given["mapping"] = mapped(mapping)
    answer = (await person.run(START, {"input": given}))["startCsvImport"]
    assert answer["errors"] == [], answer
    return str(answer["leadImport"]["id"])


async def file_state(person: Person, import_id: str) -> dict[str, Any]:
    """Both counts by outcome, zeros left out."""
    state: dict[str, Any] = (await person.run(FILE_STATE, {"id": import_id}))["leadImport"]
    for name in ("counts", "dryRunCounts"):
        if state[name] is not None:
            state[name] = {one["outcome"]: one["count"] for one in state[name] if one["count"]}
    return state


async def at_rest(person: Person, import_id: str, *, timeout_s: float = 60) -> dict[str, Any]:
    """The state of an import that no worker has anything to do for."""
    state: dict[str, Any] = {}

    async def is_at_rest() -> bool:
        state.update(await file_state(person, import_id))
        return state["status"] not in UNDER_WAY

    await eventually(is_at_rest, timeout_s=timeout_s, what="an import at rest")
    return state
