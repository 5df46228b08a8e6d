"""lead, leads and stages through HTTP."""

from typing import Any

import pytest

from tests.factories.accounts import Person
from tests.factories.imports import imported, profile
from tests.fixtures.processes import Worker

LEADS = """query ($filter: LeadFilter, $first: Int! = 20, $after: String) {
  leads(filter: $filter, first: $first, after: $after) {
    totalCount feedCursor pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { id name tags { name } } } } }"""


async def page(person: Person, **variables: Any) -> dict[str, Any]:
    return (await person.run(LEADS, variables))["leads"]  # type: ignore[no-any-return]


async def make(person: Person, name: str, **input: Any) -> str:
    query = "mutation ($i: CreateLeadInput!) { createLead(input: $i) { lead { id } errors { message } } }"
    made = (await person.run(query, {"i": {"name": name, **input}}))["createLead"]
    assert made["errors"] == []
    return str(made["lead"]["id"])


def names(found: dict[str, Any]) -> list[str]:
    return [edge["node"]["name"] for edge in found["edges"]]


async def test_an_empty_workspace_has_an_empty_page_with_a_feed_cursor(ana: Person) -> None:
    found = await page(ana)
    assert (found["edges"], found["totalCount"]) == ([], 0)
    assert found["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }
    assert found["feedCursor"] == (await ana.run("{ feedCursor }"))["feedCursor"]


async def test_pages_hold_every_lead_once_newest_first(ana: Person, worker: Worker) -> None:
    await imported(ana, [profile(f"p{n}", name=f"P{n}") for n in range(25)])
    for number in range(5):
        await make(ana, f"M{number}")
    seen: list[str] = []
    after = None
    while True:
        found = await page(ana, first=7, after=after)
        assert found["pageInfo"]["hasPreviousPage"] is (after is not None)
        seen += names(found)
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert seen[:5] == ["M4", "M3", "M2", "M1", "M0"]
    assert sorted(seen[5:]) == sorted(f"P{n}" for n in range(25))
    assert found["totalCount"] == 30


async def test_filters_are_or_inside_a_list_and_and_across(ana: Person, worker: Worker) -> None:
    stages = {stage["name"]: stage["id"] for stage in (await ana.run("{ stages { id name } }"))["stages"]}
    tags = {}
    for name in ("A", "B"):
        made = await ana.run(
            "mutation ($n: String!) { createTag(input: {name: $n}) { tag { id } } }", {"n": name}
        )
        tags[name] = made["createTag"]["tag"]["id"]
    await make(ana, "a", tagIds=[tags["A"]], stageId=stages["Proposta"])
    await make(ana, "b", tagIds=[tags["B"]])
    await make(ana, "none")
    await imported(ana, [profile("insta")], tagIds=[tags["A"]])
    assert names(await page(ana, filter={"tagIds": [tags["A"], tags["B"]]})) == ["insta", "b", "a"]
    assert names(await page(ana, filter={"tagIds": [tags["A"]], "sources": ["MANUAL"]})) == ["a"]
    assert names(await page(ana, filter={"stageIds": [stages["Proposta"]]})) == ["a"]
    assert names(await page(ana, filter={"tagIds": []})) == []
    assert (await page(ana, filter={"tagIds": ["nonsense"]}))["totalCount"] == 0
    found = await page(ana, filter={"sources": ["MANUAL"]}, first=2)
    assert (found["totalCount"], names(found)) == (3, ["none", "b"])


@pytest.mark.parametrize("first", [0, -1, 101, 99999])
async def test_a_page_has_1_to_100(ana: Person, first: int) -> None:
    assert await ana.refused(LEADS, {"first": first}) == "BAD_USER_INPUT"


@pytest.mark.parametrize("after", ["", "garbage", "AWltcG9ydHN8eHx5", "é", "a" * 5000])
async def test_what_is_no_cursor_of_this_list_is_refused(ana: Person, after: str) -> None:
    assert await ana.refused(LEADS, {"after": after}) == "BAD_USER_INPUT"


async def test_another_lists_cursor_is_refused(ana: Person, worker: Worker) -> None:
    await imported(ana, [profile("bia")])
    imports = await ana.run("{ leadImports { edges { cursor } } }")
    assert (
        await ana.refused(LEADS, {"after": imports["leadImports"]["edges"][0]["cursor"]}) == "BAD_USER_INPUT"
    )


async def test_a_filter_list_has_at_most_100_entries(ana: Person) -> None:
    ids = ["01890000-0000-7000-8000-000000000000"] * 101
    assert await ana.refused(LEADS, {"filter": {"tagIds": ids}}) == "BAD_USER_INPUT"


async def test_a_lead_by_id_is_null_when_there_is_none(ana: Person, eve: Person) -> None:
    theirs, mine = await make(eve, "Theirs"), await make(ana, "Mine")
    query = "query ($id: ID!) { lead(id: $id) { name } }"
    assert (await ana.run(query, {"id": mine}))["lead"] == {"name": "Mine"}
    for id in (theirs, "nonsense", "", "01890000-0000-7000-8000-000000000000", mine.upper() + " "):
        assert (await ana.run(query, {"id": id}))["lead"] is None


async def test_provenance_of_a_page_is_one_statement(ana: Person, worker: Worker) -> None:
    await imported(ana, [profile(f"p{n}") for n in range(30)])

    async def statements() -> float:
        text = (await ana.http.get("/metrics")).text
        line = next(line for line in text.splitlines() if line.startswith("salespad_sql_statements_total"))
        return float(line.split()[1])

    query = "{ leads(first: 30) { edges { node { name provenance { row actor { email } leadImport { status } } } } } }"
    spent, readings = [], []
    for _ in range(5):
        before = await statements()
        readings.append(await statements() - before)
        before = await statements()
        found = await ana.run(query)
        spent.append(await statements() - before)
    # The page, provenance and its imports; a reading of the metric costs some too. Now and then the API's own poll.
    assert min(spent) - min(readings) <= 3, (spent, readings)
    assert {edge["node"]["provenance"][0]["leadImport"]["status"] for edge in found["leads"]["edges"]} == {
        "COMPLETED"
    }


async def test_stages_are_named_in_the_workspaces_locale(ana: Person) -> None:
    stages = (await ana.run("{ stages { name kind position } }"))["stages"]
    assert [stage["name"] for stage in stages] == [
        "Novo", "Contatado", "Respondeu", "Qualificado", "Proposta", "Ganho", "Perdido",
    ]  # fmt: skip
    assert [stage["kind"] for stage in stages[-2:]] == ["WON", "LOST"]
