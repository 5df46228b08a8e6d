"""board through HTTP: columns, their pages, filters and counts."""

from typing import Any
from uuid import UUID

import pytest

from app.common.domain import Role
from app.common.work import Doors
from app.leads.infrastructure import board_reads
from app.leads.infrastructure.board_reads import WantedColumn, column_pages
from app.leads.infrastructure.reads import LeadConditions
from tests.factories.accounts import Person, add_member
from tests.factories.board import board, lead_in, moved, stage_ids

PAGE = """query ($filter: LeadFilter, $after: String, $first: Int! = 2) {
  board(filter: $filter) { stage { id } totalCount
    leads(first: $first, after: $after) { totalCount edges { node { id } } pageInfo { hasNextPage endCursor } } } }"""
WEB = """{ board { stage { id name kind position } totalCount
  leads(first: 50) { feedCursor pageInfo { hasNextPage endCursor } edges { cursor node {
    id name email phone company title avatarUrl rank score version engagement stageEnteredAt lostReason
    stage { id } owner { id name } tags { id name color } identities { kind value } } } } } }"""
ALIASES = """{
  a: board { leads(first: 1) { edges { node { id } } } }
  b: board(filter: {search: "bruna"}) {
    totalCount few: leads(first: 1) { edges { node { id } } } all: leads(first: 3) { edges { node { id } } } } }"""
TOO_MUCH = (
    "{ a: board { x: leads(first: 100) { edges { cursor } } y: leads(first: 100) { edges { cursor } } } }"
)
CREATE_STAGE = "mutation ($name: String!) { createStage(input: {name: $name}) { stage { id } } }"


def ids_of(page: dict[str, Any]) -> list[str]:
    return [edge["node"]["id"] for edge in page["edges"]]


async def test_each_column_is_paged_by_itself(ana: Person) -> None:
    ids = await stage_ids(ana)
    leads = [await lead_in(ana, ids[0]) for _ in range(5)]
    other = await lead_in(ana, ids[1])
    columns = (await ana.run(PAGE))["board"]
    assert [one["stage"]["id"] for one in columns] == ids
    assert [one["totalCount"] for one in columns] == [5, 1, 0, 0, 0, 0, 0]
    assert [one["leads"]["totalCount"] for one in columns] == [5, 1, 0, 0, 0, 0, 0]
    assert ids_of(columns[1]["leads"]) == [other]
    seen, page = [], columns[0]["leads"]
    while page["pageInfo"]["hasNextPage"]:
        seen += ids_of(page)
        asked = {"filter": {"stageIds": [ids[0]]}, "after": page["pageInfo"]["endCursor"]}
        (column,) = (await ana.run(PAGE, asked))["board"]
        page = column["leads"]
    assert [*seen, *ids_of(page)] == leads


async def test_the_filter_holds_for_each_column(ana: Person) -> None:
    ids = await stage_ids(ana)
    a, b = await lead_in(ana, ids[0], "Ana Lúcia"), await lead_in(ana, ids[1], "Bruna Costa")
    c = await lead_in(ana, ids[0], "Bruna Lima")
    await moved(ana, c, ids[0])
    found = await board(ana, {"search": "bruna"})
    assert (found[ids[0]], found[ids[1]]) == ([c], [b])
    assert (await board(ana, {"ownerIds": ["nonsense"]}))[ids[0]] == []
    assert list(await board(ana, {"stageIds": [ids[1], ids[0], "nonsense"]})) == ids[:2]
    answer = await ana.run(ALIASES)
    assert [ids_of(one["leads"]) for one in answer["a"][:2]] == [[c], [b]]
    assert [one["totalCount"] for one in answer["b"][:2]] == [1, 1]
    assert [ids_of(one["few"]) for one in answer["b"][:2]] == [[c], [b]]
    assert [ids_of(one["all"]) for one in answer["b"][:2]] == [[c], [b]]
    assert a in (await board(ana))[ids[0]]


@pytest.mark.parametrize("hits_max", [0, 1, 2], ids=["none looked up", "too many", "looked up"])
async def test_a_search_finds_the_same_by_its_index_and_by_walking(
    ana: Person, doors: Doors, monkeypatch: pytest.MonkeyPatch, hits_max: int
) -> None:
    monkeypatch.setattr(board_reads, "HITS_MAX", hits_max)
    ids = [UUID(id) for id in await stage_ids(ana)]
    first, second = [UUID(await lead_in(ana, str(id), "Bruna Costa")) for id in ids[:2]]
    await lead_in(ana, str(ids[0]), "Ana")
    wanted = [WantedColumn(id, 5, "", UUID(int=0)) for id in ids]
    board_reads._pages_statement.cache_clear()
    try:
        async with doors.open_reads(ana.workspace_id) as reads:
            conditions = LeadConditions(terms=["bruna"])
            found = await column_pages(reads, ana.workspace_id, conditions, wanted)
    finally:
        board_reads._pages_statement.cache_clear()
    assert [[row["key"] for row in one.page.rows] for one in found[:3]] == [[first], [second], []]


async def test_a_document_of_the_web_is_no_more_than_may_be_asked(ana: Person, doors: Doors) -> None:
    ids = await stage_ids(ana)
    await lead_in(ana, ids[0])
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    columns = (await viewer.run(WEB))["board"]
    assert [len(one["leads"]["edges"]) for one in columns] == [1, 0, 0, 0, 0, 0, 0]
    assert len({one["leads"]["feedCursor"] for one in columns}) == 1


async def test_more_leads_than_an_answer_holds_are_refused(ana: Person) -> None:
    for n in range(20):
        await ana.run(CREATE_STAGE, {"name": f"Stage {n}"})
    assert await ana.refused(TOO_MUCH) == "BAD_USER_INPUT"
    assert await ana.refused(PAGE, {"first": 101}) == "BAD_USER_INPUT"
    assert await ana.refused(PAGE, {"after": "nonsense"}) == "BAD_USER_INPUT"


async def test_nobody_sees_another_workspace_on_the_board(ana: Person, eve: Person) -> None:
    ids = await stage_ids(ana)
    lead = await lead_in(ana, ids[0])
    assert await board(eve, {"stageIds": [ids[0]]}) == {}
    assert lead not in [id for column in (await board(eve)).values() for id in column]
