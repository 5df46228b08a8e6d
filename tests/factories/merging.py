"""Merges, and what a lead is at a moment, to the byte."""

import re
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.common.work import Doors
from app.people.wiring import export_person
from tests.factories.accounts import Person
from tests.fixtures.reacted import until_reacted

MERGE = """mutation ($input: MergeLeadsInput!) {
  mergeLeads(input: $input) { merge { id mergedIds at kept { id } } errors { code message path } } }"""
UNMERGE = """mutation ($input: UnmergeLeadsInput!) {
  unmergeLeads(input: $input) { leads { id deletedAt } errors { code message path } } }"""


async def asked_to_merge(person: Person, keep_id: object, *merge_ids: object) -> dict[str, Any]:
    """The payload."""
    given = {"keepId": str(keep_id), "mergeIds": [str(id) for id in merge_ids]}
    return (await person.run(MERGE, {"input": given}))["mergeLeads"]  # type: ignore[no-any-return]


async def merged(person: Person, keep_id: object, *merge_ids: object) -> str:
    """The merge's id."""
    payload = await asked_to_merge(person, keep_id, *merge_ids)
    assert payload["errors"] == [], payload
    return str(payload["merge"]["id"])


async def asked_to_unmerge(person: Person, merge_id: object) -> dict[str, Any]:
    return (await person.run(UNMERGE, {"input": {"mergeId": str(merge_id)}}))["unmergeLeads"]  # type: ignore[no-any-return]


async def unmerged(person: Person, merge_id: object) -> None:
    payload = await asked_to_unmerge(person, merge_id)
    assert payload["errors"] == [], payload


async def exports(person: Person, doors: Doors, *lead_ids: UUID) -> list[bytes]:
    """All there is about each, once they are scored: whatever worker there is, it changes nothing afterwards."""
    await until_reacted(doors, person.workspace_id, "scoring")
    async with doors.open_reads(person.workspace_id) as reads:
        found = [await export_person(reads, person.workspace_id, id) for id in lead_ids]
    assert all(found), "each is there"
    return [one for one in found if one is not None]


def refusals(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


def id_in(message: str) -> str:
    """The one id that a message names."""
    (found,) = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", message)
    return str(found)


LEAD = """query ($id: ID!) { lead(id: $id) { name email phone company title engagement score version metadata
  owner { id } tags { name } identities { id kind value isPrimary } merges { id mergedIds kept { id } }
  provenance { row } } }"""


async def lead_of(person: Person, id: object) -> Any:
    """None: it is not there, or deleted."""
    return (await person.run(LEAD, {"id": str(id)}))["lead"]


async def run_sql(person: Person, doors: Doors, sql: str, **values: object) -> list[Any]:
    """Behind the API, in the person's workspace; the rows it returns."""
    async with doors.open_work(person.workspace_id) as work:
        given = {"workspace_id": person.workspace_id, **values}
        return list(await work.execute(text(sql), given))
