"""Leads on a board, and a client that keeps the board by the feed alone."""

from typing import Any

from tests.factories.accounts import Person

CREATE_LEAD = """mutation ($input: CreateLeadInput!) {
  createLead(input: $input) { lead { id version rank stage { id } } errors { code message path } } }"""
MOVE = """mutation ($input: MoveLeadInput!) {
  moveLead(input: $input) {
    lead { id version rank lostReason stageEnteredAt stage { id name } }
    errors { code message path } } }"""
BOARD = """query ($filter: LeadFilter, $first: Int! = 100) {
  board(filter: $filter) {
    stage { id name kind position } totalCount
    leads(first: $first) { feedCursor pageInfo { hasNextPage endCursor }
      edges { node { id name version rank } } } } }"""
STAGES = "{ stages { id name kind position } }"


async def stages(person: Person) -> list[dict[str, Any]]:
    return (await person.run(STAGES))["stages"]  # type: ignore[no-any-return]


async def stage_ids(person: Person) -> list[str]:
    return [one["id"] for one in await stages(person)]


async def lead_in(person: Person, stage_id: str, name: str = "Bia") -> str:
    answer = (await person.run(CREATE_LEAD, {"input": {"name": name, "stageId": stage_id}}))["createLead"]
    assert answer["errors"] == [], answer
    return str(answer["lead"]["id"])


async def move(
    person: Person, id: str, stage_id: str, after: str | None = None, **more: object
) -> dict[str, Any]:
    given = {"id": id, "stageId": stage_id, "afterLeadId": after, **more}
    return (await person.run(MOVE, {"input": given}))["moveLead"]  # type: ignore[no-any-return]


async def moved(person: Person, id: str, stage_id: str, after: str | None = None, **more: object) -> Any:
    """The lead as it is after a move that must be done."""
    payload = await move(person, id, stage_id, after, **more)
    assert payload["errors"] == [], payload
    return payload["lead"]


async def board(person: Person, filter: dict[str, Any] | None = None) -> dict[str, list[str]]:
    """The leads of each stage, in their order, by ids."""
    columns = (await person.run(BOARD, {"filter": filter}))["board"]
    assert not any(column["leads"]["pageInfo"]["hasNextPage"] for column in columns)
    return {
        column["stage"]["id"]: [edge["node"]["id"] for edge in column["leads"]["edges"]] for column in columns
    }


def refusals(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]
