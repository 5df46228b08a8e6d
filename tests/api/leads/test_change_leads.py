"""changeLeads: one change to all leads of a filter, done by the worker."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.bulk_changes import CHANGE, STATE, asked, change_ended, change_leads, changed
from tests.factories.imports import imported, profile
from tests.fixtures.feed import create_tags, feed_cursor
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api, Worker

CREATE = "mutation ($i: CreateLeadInput!) { createLead(input: $i) { lead { id } errors { message } } }"
LEADS = """
{ leads(first: 100) { edges { node {
    id name version stage { id name } owner { id } tags { id } } } } }
"""
TIMELINE = text(
    """
    SELECT lead_id, type, content, actor_id, actor_kind, cause FROM interaction
    WHERE workspace_id = :workspace_id ORDER BY lead_id
    """
)
MOVES = text(
    """
    SELECT c.lead_id, from_name, to_name, to_stage_id, c.actor_id, c.cause, c.entered_at = l.created_at AS is_first
    FROM stage_change c JOIN lead l ON l.workspace_id = c.workspace_id AND l.id = c.lead_id
    WHERE c.workspace_id = :workspace_id ORDER BY c.lead_id
    """
)
TOLD = text(
    """
    SELECT kind, entity_ids, changed, actor, actor_kind, after::text AS after FROM feed_event
    WHERE workspace_id = :workspace_id AND kind IN ('lead.updated', 'lead.deleted') ORDER BY seq
    """
)
FEED = (
    "subscription ($after: String) { feed(after: $after) { kind ids bulkChange { id status done total } } }"
)


async def make(person: Person, count: int, **input: Any) -> list[str]:
    made = [await person.run(CREATE, {"i": {"name": f"Bia {n}", **input}}) for n in range(count)]
    return [one["createLead"]["lead"]["id"] for one in made]


async def leads(person: Person) -> dict[str, dict[str, Any]]:
    found = (await person.run(LEADS))["leads"]["edges"]
    return {edge["node"]["id"]: edge["node"] for edge in found}


async def rows(doors: Doors, person: Person, query: Any) -> list[Any]:
    async with doors.open_system() as system:
        return list(await system.execute(query, {"workspace_id": person.workspace_id}))


async def stages(person: Person) -> dict[str, str]:
    return {one["name"]: one["id"] for one in (await person.run("{ stages { id name } }"))["stages"]}


async def test_a_tag_is_put_on_all_who_match(ana: Person, doors: Doors, worker: Worker) -> None:
    (vip, other) = await create_tags(ana, ["VIP", "Other"])
    has_it, (left_out,) = await make(ana, 1, tagIds=[vip, other]), await make(ana, 1)
    given = await make(ana, 3, tagIds=[other])
    bulk_id = await change_leads(ana, {"addTagId": vip}, {"tagIds": [other]})
    state = await change_ended(ana, bulk_id)
    assert (state["status"], state["total"], state["done"], state["changed"]) == ("COMPLETED", 4, 4, 3)
    assert state["finishedAt"] is not None
    found = await leads(ana)
    assert {id for id, lead in found.items() if vip in [tag["id"] for tag in lead["tags"]]} == {
        *given,
        *has_it,
    }
    assert {lead["version"] for id, lead in found.items() if id in given} == {2}
    assert {found[id]["version"] for id in (*has_it, left_out)} == {1}, "nothing was changed"
    assert [tuple(row) for row in await rows(doors, ana, TIMELINE)] == [
        (UUID(id), "TAGGED", "+VIP", ana.user_id, "HUMAN", f"bulk_change:{bulk_id}") for id in given
    ]
    (told,) = await rows(doors, ana, TOLD)
    assert ([str(id) for id in told.entity_ids], told.changed) == (given, ["tags"])
    assert (told.actor, told.actor_kind) == (ana.user_id, "HUMAN")


async def test_a_tag_is_taken_off(ana: Person, doors: Doors, worker: Worker) -> None:
    (vip,) = await create_tags(ana, ["VIP"])
    had_it, without = await make(ana, 2, tagIds=[vip]), await make(ana, 1)
    state = await changed(ana, {"removeTagId": vip})
    assert (state["status"], state["done"], state["changed"]) == ("COMPLETED", 3, 2)
    found = await leads(ana)
    assert all(lead["tags"] == [] for lead in found.values())
    assert [found[id]["version"] for id in (*had_it, *without)] == [2, 2, 1]
    assert {(row.type, row.content) for row in await rows(doors, ana, TIMELINE)} == {("TAGGED", "−VIP")}


async def test_leads_are_moved_in_the_order_in_which_they_were_made(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    by_name = await stages(ana)
    there, made = await make(ana, 1, stageId=by_name["Ganho"]), await make(ana, 3)
    state = await changed(ana, {"stageId": by_name["Ganho"]})
    assert (state["status"], state["done"], state["changed"]) == ("COMPLETED", 4, 3)
    found = await leads(ana)
    assert {lead["stage"]["name"] for lead in found.values()} == {"Ganho"}
    moves = await rows(doors, ana, MOVES)
    assert [str(move.lead_id) for move in moves] == made
    assert {(move.from_name, move.to_name, move.actor_id, move.is_first) for move in moves} == {
        ("Novo", "Ganho", ana.user_id, True)
    }
    assert {(row.type, row.content) for row in await rows(doors, ana, TIMELINE)} == {
        ("STAGE_CHANGED", "Novo → Ganho")
    }
    ranks = text("SELECT id FROM lead WHERE workspace_id = :workspace_id ORDER BY rank")
    assert [str(row.id) for row in await rows(doors, ana, ranks)] == [*there, *made]


async def test_leads_are_given_to_a_member(ana: Person, doors: Doors, worker: Worker) -> None:
    bruno = await add_member(doors, ana, role=Role.VIEWER)
    await make(ana, 2)
    state = await changed(ana, {"ownerId": str(bruno.user_id)})
    assert (state["status"], state["changed"]) == ("COMPLETED", 2)
    assert {lead["owner"]["id"] for lead in (await leads(ana)).values()} == {str(bruno.user_id)}
    assert {(row.type, row.content) for row in await rows(doors, ana, TIMELINE)} == {("ASSIGNED", "Bruno")}


async def test_leads_are_deleted_and_their_addresses_are_free(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    (gone,) = await make(ana, 1, email="bia@example.com")
    (kept,) = await make(ana, 1)
    state = await changed(ana, {"delete": True}, {"hasEmail": True})
    assert (state["status"], state["changed"]) == ("COMPLETED", 1)
    assert set(await leads(ana)) == {kept}
    (told,) = await rows(doors, ana, TOLD)
    assert (told.kind, [str(id) for id in told.entity_ids]) == ("lead.deleted", [gone])
    (entry,) = await rows(doors, ana, TIMELINE)
    assert (entry.type, entry.content) == ("UPDATED", "deletedAt")
    assert len(await make(ana, 1, email="bia@example.com")) == 1


@pytest.mark.parametrize(
    ("filter", "matching"),
    [
        ({}, 3),
        ({"search": "souz"}, 1),
        ({"search": "SOÚZA silva"}, 0),
        ({"search": "%%"}, 0),
        ({"sources": ["INSTAGRAM"]}, 1),
        ({"sources": ["MANUAL"], "hasEmail": False}, 1),
        ({"createdBefore": "2000-01-01T00:00:00Z"}, 0),
        ({"touchedBefore": "2100-01-01T00:00:00+03:00", "minScore": 0}, 3),
        ({"tagIds": ["nonsense"]}, 0),
        ({"ownerIds": [], "hasPhone": False}, 0),
    ],
)
async def test_the_filter_says_who(
    ana: Person, worker: Worker, filter: dict[str, Any], matching: int
) -> None:
    await ana.run(CREATE, {"i": {"name": "Bia Souza", "email": "bia@example.com"}})
    await ana.run(CREATE, {"i": {"name": "Caio Silva"}})
    await imported(ana, [profile("duda")])
    (tag,) = await create_tags(ana, ["VIP"])
    state = await changed(ana, {"addTagId": tag}, filter)
    assert (state["status"], state["total"], state["done"]) == ("COMPLETED", matching, matching)
    assert state["changed"] == sum(bool(lead["tags"]) for lead in (await leads(ana)).values()) == matching


async def test_what_it_was_about_is_forgotten_when_it_has_ended(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    await changed(ana, {"delete": True}, {"search": "bia souza"})
    kept = text("SELECT filter FROM bulk_change WHERE workspace_id = :workspace_id")
    assert [row.filter for row in await rows(doors, ana, kept)] == [None]


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("field", ["addTagId", "removeTagId", "stageId", "ownerId"])
@pytest.mark.parametrize("whose", ["nobody", "another workspace", "malformed"])
async def test_a_target_that_is_none_of_ours(ana: Person, eve: Person, field: str, whose: str) -> None:
    theirs = {
        "stageId": (await stages(eve))["Ganho"],
        "ownerId": str(eve.user_id),
        "addTagId": (await create_tags(eve, ["VIP"]))[0],
    }
    target = {"nobody": str(uuid4()), "malformed": "nonsense"}.get(whose) or theirs.get(
        field, theirs["addTagId"]
    )
    answer = (await ana.run(CHANGE, asked({field: target})))["changeLeads"]
    assert answer["bulkChange"] is None
    (error,) = answer["errors"]
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["change", field])


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"change": {"delete": False}}, ["change", "delete"]),
        ({"filter": {"deleted": True}}, ["filter", "deleted"]),
        ({"filter": {"search": "a"}}, ["filter", "search"]),
        ({"filter": {"search": "a" * 10_000}}, ["filter", "search"]),
        ({"filter": {"search": "a\x00b"}}, ["filter", "search"]),
        ({"filter": {"tagIds": [str(UUID(int=n)) for n in range(101)]}}, ["filter", "tagIds"]),
        ({"filter": {"ownerIds": ["x"] * 101}}, ["filter", "ownerIds"]),
        ({"idempotencyKey": ""}, ["idempotencyKey"]),
        ({"idempotencyKey": "k" * 201}, ["idempotencyKey"]),
    ],
)
async def test_what_is_wrong_is_said_where_it_is(
    ana: Person, fields: dict[str, Any], path: list[str]
) -> None:
    given = asked({"delete": True})["input"] | fields
    answer = (await ana.run(CHANGE, {"input": given}))["changeLeads"]
    assert answer["bulkChange"] is None
    assert [(error["code"], error["path"]) for error in answer["errors"]] == [("INVALID", path)]


@pytest.mark.parametrize(
    "change", [{}, {"delete": None}, {"ownerId": None}, {"delete": True, "stageId": "x"}]
)
async def test_exactly_one_change_is_asked_for(ana: Person, change: Mapping[str, Any]) -> None:
    assert await ana.refused(CHANGE, asked(dict(change))) == "GRAPHQL_VALIDATION_FAILED"


async def test_a_viewer_reads_it_and_may_ask_for_none(ana: Person, doors: Doors, worker: Worker) -> None:
    bulk_id = await change_leads(ana, {"delete": True})
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert (await change_ended(viewer, bulk_id))["status"] == "COMPLETED"
    answer = (await viewer.run(CHANGE, asked({"delete": True})))["changeLeads"]
    assert [error["code"] for error in answer["errors"]] == ["FORBIDDEN"]


async def test_another_workspaces_is_unknown(ana: Person, eve: Person) -> None:
    bulk_id = await change_leads(ana, {"delete": True})
    for id in (bulk_id, str(uuid4()), "nonsense"):
        assert (await eve.run(STATE, {"id": id}))["bulkChange"] is None


# ── once ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_same_key_gives_the_same_change(ana: Person, worker: Worker) -> None:
    tags = await create_tags(ana, ["A", "B"])
    given = asked({"addTagId": tags[0]}, {"search": "bia", "createdAfter": "2026-01-01T00:00:00Z"})
    answers = await asyncio.gather(*(ana.run(CHANGE, given) for _ in range(5)))
    (bulk_id,) = {answer["changeLeads"]["bulkChange"]["id"] for answer in answers}
    await change_ended(ana, bulk_id)
    assert (await ana.run(CHANGE, given))["changeLeads"]["bulkChange"]["id"] == bulk_id
    for other in ({"change": {"addTagId": tags[1]}}, {"filter": {"search": "caio"}}):
        answer = (await ana.run(CHANGE, {"input": given["input"] | other}))["changeLeads"]
        assert [(one["code"], one["path"]) for one in answer["errors"]] == [("CONFLICT", ["idempotencyKey"])]


async def test_two_at_once_are_both_done(ana: Person, doors: Doors, worker: Worker) -> None:
    tags, made = await create_tags(ana, ["A", "B"]), await make(ana, 20)
    ids = await asyncio.gather(*(change_leads(ana, {"addTagId": tag}) for tag in tags * 3))
    states = [await change_ended(ana, id) for id in ids]
    assert {(state["status"], state["done"]) for state in states} == {("COMPLETED", 20)}
    assert sum(state["changed"] for state in states) == 40
    found = await leads(ana)
    assert {id: len(found[id]["tags"]) for id in made} == dict.fromkeys(made, 2)
    assert {lead["version"] for lead in found.values()} == {3}


# ── the feed ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_feed_tells_how_far_it_is(ana: Person, api_server: Api, worker: Worker) -> None:
    await make(ana, 3)
    cursor = await feed_cursor(ana)
    bulk_id = await change_leads(ana, {"delete": True})
    told = []
    async with asyncio.timeout(20), open_socket(api_server.ws_url, ana.token) as socket:
        async for payload in socket.subscribe(FEED, {"after": cursor}):
            item = payload["data"]["feed"]
            if item["kind"] != "HEARTBEAT":
                told.append((item["kind"], item["ids"]))
            if item["bulkChange"] and item["bulkChange"]["status"] != "RUNNING" and len(told) >= 3:
                break
    assert item["bulkChange"] == {"id": bulk_id, "status": "COMPLETED", "done": 3, "total": 3}
    assert [kind for kind, _ in told] == ["BULK_CHANGE_PROGRESSED", "LEAD_DELETED", "BULK_CHANGE_PROGRESSED"]
    assert told[0][1] == told[-1][1] == [bulk_id]


@pytest.mark.parametrize("change", ["{}", "{addTagId: null}", "{delete: true, ownerId: null}"])
async def test_anything_but_one_change_written_in_the_document(ana: Person, change: str) -> None:
    """A literal's rule is tried while it is executed, and is the client's mistake all the same."""
    given = f'{{filter: {{}}, change: {change}, idempotencyKey: "a"}}'
    document = f"mutation {{ changeLeads(input: {given}) {{ errors {{ code }} }} }}"
    assert await ana.refused(document) == "GRAPHQL_VALIDATION_FAILED"
