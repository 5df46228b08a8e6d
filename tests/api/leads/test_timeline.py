"""Lead.timeline, through HTTP: one list over a lead's creation, its imports and all that was written on it."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import make_lead, open_conversation
from tests.factories.imports import imported, profile
from tests.factories.sending import accepted
from tests.fixtures.processes import Worker

TIMELINE = """query ($id: ID!, $first: Int! = 20, $after: String) { lead(id: $id) {
  timeline(first: $first, after: $after) { pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { id type channel direction content actor { id name } actorKind cause createdAt
      mentions { id name } conversationId messageId } } } } }"""
NOTE = """mutation ($input: AddNoteInput!) { addNote(input: $input) {
  interaction { id mentions { id } } errors { code } } }"""
MANY = """query ($first: Int!, $a: Int!, $b: Int!) { leads(first: $first) { edges { node {
  id one: timeline(first: $a) { edges { node { id type } } }
  two: timeline(first: $b) { edges { node { id } } } } } } }"""
INTERACTION = text(
    "INSERT INTO interaction (workspace_id, lead_id, type, actor_kind, content, created_at) "
    "VALUES (:workspace_id, :lead_id, 'NOTE', 'HUMAN', :content, :at)"
)
JOB = text(
    "INSERT INTO import_job (workspace_id, id, source, policy, tag_ids, total_rows, status, created_by) "
    "VALUES (:workspace_id, :id, 'INSTAGRAM', 'UPSERT', '{}', 100, 'COMPLETED', :by)"
)
ROW = text(
    "INSERT INTO import_row (workspace_id, import_id, row, outcome, lead_id, at) "
    "VALUES (:workspace_id, :import_id, :row, :outcome, :lead_id, :at)"
)


async def page(person: Person, id: object, **variables: Any) -> dict[str, Any]:
    found = await person.run(TIMELINE, {"id": str(id), **variables})
    return found["lead"]["timeline"]  # type: ignore[no-any-return]


async def whole(person: Person, id: object, first: int) -> list[dict[str, Any]]:
    """All entries, page by page."""
    entries: list[dict[str, Any]] = []
    after = None
    while True:
        found = await page(person, id, first=first, after=after)
        assert len(found["edges"]) <= first
        assert found["pageInfo"]["hasPreviousPage"] is (after is not None)
        entries += [edge["node"] for edge in found["edges"]]
        if not found["pageInfo"]["hasNextPage"]:
            return entries
        after = found["pageInfo"]["endCursor"]


async def test_it_begins_with_the_leads_making(ana: Person) -> None:
    id = await make_lead(ana)
    (made,) = await whole(ana, id, 20)
    assert (made["type"], made["content"], made["actorKind"], made["cause"]) == (
        "CREATED",
        "MANUAL",
        "HUMAN",
        None,
    )
    assert made["actor"] == {"id": str(ana.user_id), "name": "Ana"}
    assert (made["mentions"], made["conversationId"], made["messageId"]) == ([], None, None)
    assert (await whole(ana, id, 20))[0]["id"] == made["id"]


async def test_imports_are_read_from_their_rows(ana: Person, doors: Doors, worker: Worker) -> None:
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    page_url = "https://www.instagram.com/explore/"
    await imported(ana, [profile("carla.x"), profile("dora.x", name="D")], pageUrl=page_url)
    id = (await ana.run('{ leads(filter: {search: "dora.x"}) { edges { node { id } } } }'))["leads"]["edges"][
        0
    ]["node"]["id"]
    await imported(bruno, [profile("dora.x", name="D", headline="CEO")])
    await imported(bruno, [profile("dora.x", name="D", headline="CEO")])  # changes nothing: no entry
    updated, *born = await whole(ana, id, 20)
    assert (updated["type"], updated["content"], updated["actor"]["id"]) == (
        "IMPORTED",
        "INSTAGRAM #1",
        str(bruno.user_id),
    )
    assert sorted((one["type"], one["content"]) for one in born) == [
        ("CREATED", "INSTAGRAM"),
        ("IMPORTED", f"{page_url} #2"),
    ]
    imports = (await ana.run("{ leadImports { edges { node { id } } } }"))["leadImports"]["edges"]
    by_import = next(one["cause"] for one in born if one["type"] == "IMPORTED")
    assert by_import == f"import:{imports[-1]['node']['id']}"
    assert updated["cause"] == f"import:{imports[1]['node']['id']}"


async def test_messages_and_notes_lead_to_their_conversation(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    message = await accepted(ana, opened.id, body="Olá, tudo bem?\nSegunda linha")
    given = {"leadId": str(opened.lead_id), "body": "Ligar", "conversationId": str(opened.id)}
    await ana.run(NOTE, {"input": given})
    note, went, made = await whole(ana, opened.lead_id, 20)
    assert (note["type"], note["content"], note["conversationId"], note["messageId"]) == (
        "NOTE",
        "Ligar",
        str(opened.id),
        None,
    )
    assert (went["type"], went["channel"], went["direction"], went["actorKind"]) == (
        "MESSAGE",
        "EMAIL",
        "OUTBOUND",
        "HUMAN",
    )
    assert went["content"].startswith("Olá, tudo bem?")
    assert (went["messageId"], went["conversationId"]) == (message["id"], str(opened.id))
    assert made["type"] == "CREATED"


async def histories(doors: Doors, person: Person, lead_id: UUID, seed: int) -> int:
    """A random history with many ties; how many entries it has."""
    chance = random.Random(seed)
    moments = [datetime(2040, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(chance.randint(1, 4))]
    workspace_id, jobs = person.workspace_id, [uuid4() for _ in range(3)]
    notes, rows = chance.randint(0, 15), chance.randint(0, 8)
    async with doors.open_work(workspace_id) as work:
        given: dict[str, object] = {"workspace_id": workspace_id, "lead_id": lead_id}
        await work.execute(
            text("UPDATE lead SET created_at = :at WHERE id = :lead_id"),
            {"lead_id": lead_id, "at": chance.choice(moments)},
        )
        for job in jobs:
            await work.execute(JOB, {"workspace_id": workspace_id, "id": job, "by": person.user_id})
        for number in range(notes):
            await work.execute(INTERACTION, given | {"content": str(number), "at": chance.choice(moments)})
        for number in range(rows):
            row = {"import_id": chance.choice(jobs), "row": number, "at": chance.choice(moments)}
            await work.execute(ROW, given | row | {"outcome": chance.choice(["CREATED", "UPDATED"])})
        unchanged = {"import_id": jobs[0], "row": 99, "at": moments[0], "outcome": "UNCHANGED"}
        await work.execute(ROW, given | unchanged)
    return notes + rows + 1


@pytest.mark.parametrize("seed", range(6))
async def test_pages_of_any_size_hold_every_entry_once(ana: Person, doors: Doors, seed: int) -> None:
    id = await make_lead(ana)
    size = await histories(doors, ana, id, seed)
    at_once = await whole(ana, id, 100)
    assert len(at_once) == len({one["id"] for one in at_once}) == size
    assert at_once == sorted(at_once, key=lambda one: (one["createdAt"], one["id"]), reverse=True)
    for first in range(1, 8):
        assert await whole(ana, id, first) == at_once


async def test_many_timelines_are_one_statement_and_their_number_is_capped(ana: Person, doors: Doors) -> None:
    ids = [await make_lead(ana, name=f"L{number}") for number in range(3)]
    sizes = {str(id): await histories(doors, ana, id, seed) for seed, id in enumerate(ids)}
    found = (await ana.run(MANY, {"first": 3, "a": 100, "b": 2}))["leads"]["edges"]
    assert {one["node"]["id"] for one in found} == set(sizes)
    for edge in found:
        node = edge["node"]
        entries = [one["node"]["id"] for one in node["one"]["edges"]]
        assert len(entries) == sizes[node["id"]]
        assert [one["node"]["id"] for one in node["two"]["edges"]] == entries[:2]
    assert await ana.refused(MANY, {"first": 100, "a": 50, "b": 50}) == "QUERY_TOO_COMPLEX"


@pytest.mark.parametrize("after", ["", "x", "AQ", "other lead", "leads"])
async def test_a_cursor_of_elsewhere_is_refused(ana: Person, after: str) -> None:
    id, other = await make_lead(ana), await make_lead(ana)
    if after == "other lead":
        after = (await page(ana, other))["pageInfo"]["endCursor"]
    elif after == "leads":
        leads = await ana.run("{ leads { pageInfo { endCursor } } }")
        after = leads["leads"]["pageInfo"]["endCursor"]
    assert await ana.refused(TIMELINE, {"id": str(id), "after": after}) == "BAD_USER_INPUT"
    for first in (0, 101):
        assert await ana.refused(TIMELINE, {"id": str(id), "first": first}) == "BAD_USER_INPUT"
