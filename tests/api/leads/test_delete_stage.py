"""deleteStage through HTTP, and against all that puts leads into the stage meanwhile."""

import asyncio
from typing import Any

from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from app.leads.wiring import reach_or_create
from tests.factories.accounts import Person, add_member, audited
from tests.factories.board import CREATE_LEAD, board, lead_in, move, moved, refusals, stage_ids, stages
from tests.factories.imports import imported, profile
from tests.fixtures.processes import Worker

DELETE = """mutation ($input: DeleteStageInput!) {
  deleteStage(input: $input) { deletedIds errors { code message path } } }"""
CREATE_STAGE = "mutation ($input: CreateStageInput!) { createStage(input: $input) { stage { id } } }"
LEAD = """query ($id: ID!) { lead(id: $id) { version lostReason stage { id }
  stageChanges { fromName toName toStageId actor { email } } } }"""
EVENTS = text(
    "SELECT kind, entity_ids, changed, before, after ->> 'stageId' AS stage FROM feed_event "
    "WHERE workspace_id = :workspace_id AND kind IN ('lead.updated', 'stage.changed') ORDER BY seq"
)
ENTRIES = text(
    "SELECT content FROM interaction WHERE workspace_id = :workspace_id AND type = 'STAGE_CHANGED'"
)
DELETE_LEAD = text("UPDATE lead SET deleted_at = now() WHERE workspace_id = :workspace_id AND id = :id")
STAGE_OF = text("SELECT stage_id, version FROM lead WHERE workspace_id = :workspace_id AND id = :id")
MANY = text(
    """
    INSERT INTO lead (workspace_id, id, name, stage_id, rank, source)
    SELECT :workspace_id, made.id, 'Lead', :stage_id, replace(made.id::text, '-', '') || 'i', 'MANUAL'
    FROM (SELECT uuidv7() AS id FROM generate_series(1, :count)) AS made
    """
)
COUNT = text("SELECT count(*) FROM lead WHERE workspace_id = :workspace_id")
NOBODY = "01890000-0000-7000-8000-000000000000"


async def delete(person: Person, id: str, into: str) -> dict[str, Any]:
    given = {"id": id, "moveLeadsToStageId": into}
    return (await person.run(DELETE, {"input": given}))["deleteStage"]  # type: ignore[no-any-return]


async def rows(doors: Doors, person: Person, statement: Any, **values: object) -> list[Any]:
    async with doors.open_work(person.workspace_id) as work:
        found = await work.execute(statement, {"workspace_id": person.workspace_id, **values})
        return list(found) if found.returns_rows else []


async def test_its_leads_go_to_the_end_of_another_in_their_order(ana: Person, doors: Doors) -> None:
    ids = await stage_ids(ana)
    there = await lead_in(ana, ids[2])
    a, b, c = [await lead_in(ana, ids[1]) for _ in range(3)]
    await moved(ana, c, ids[1])
    before = len(await audited(doors, ana.workspace_id))
    assert (await delete(ana, ids[1], ids[2])) == {"deletedIds": [ids[1]], "errors": []}
    assert (await board(ana))[ids[2]] == [there, c, a, b]
    found = await stages(ana)
    assert [one["id"] for one in found] == [ids[0], *ids[2:]]
    assert [one["position"] for one in found] == list(range(6))
    lead = (await ana.run(LEAD, {"id": a}))["lead"]
    assert lead["version"] == 2
    assert lead["stageChanges"] == [
        {"fromName": "Contatado", "toName": "Respondeu", "toStageId": ids[2], "actor": {"email": ana.email}}
    ]
    told = (await rows(doors, ana, EVENTS))[1:]
    assert [(one.kind, list(one.changed)) for one in told] == [
        ("lead.updated", ["stage"]),
        ("stage.changed", ["deleted"]),
    ]
    assert [str(id) for id in told[0].entity_ids] == [c, a, b]
    assert [row.content for row in await rows(doors, ana, ENTRIES)] == ["Contatado → Respondeu"] * 3
    assert [one.action for one in (await audited(doors, ana.workspace_id))[before:]] == ["stage.deleted"]
    later = await lead_in(ana, ids[2])
    assert (await board(ana))[ids[2]] == [there, c, a, b, later]


async def test_deleted_leads_go_along_quietly(ana: Person, doors: Doors) -> None:
    ids = await stage_ids(ana)
    a = await lead_in(ana, ids[1])
    await rows(doors, ana, DELETE_LEAD, id=a)
    assert (await delete(ana, ids[1], ids[2]))["errors"] == []
    (row,) = await rows(doors, ana, STAGE_OF, id=a)
    assert (str(row.stage_id), row.version) == (ids[2], 1)
    assert [one.kind for one in await rows(doors, ana, EVENTS)] == ["stage.changed"]


async def test_why_a_lead_is_lost_stays_in_another_stage_of_lost_ones_only(ana: Person) -> None:
    ids = await stage_ids(ana)
    a = await lead_in(ana, ids[0])
    await moved(ana, a, ids[-1], lostReason="Caro")
    answer = await ana.run(CREATE_STAGE, {"input": {"name": "Sem perfil", "kind": "LOST"}})
    other = answer["createStage"]["stage"]["id"]
    assert (await delete(ana, ids[-1], other))["errors"] == []
    assert (await ana.run(LEAD, {"id": a}))["lead"]["lostReason"] == "Caro"
    await ana.run(CREATE_STAGE, {"input": {"name": "Outra", "kind": "LOST"}})
    assert (await delete(ana, other, ids[0]))["errors"] == []
    assert (await ana.run(LEAD, {"id": a}))["lead"]["lostReason"] is None


async def test_what_may_not_be_is_refused_at_its_field(ana: Person, eve: Person, doors: Doors) -> None:
    ids, foreign = await stage_ids(ana), (await stage_ids(eve))[0]
    a = await lead_in(ana, ids[0])
    for kind_ends in (ids[-1], ids[-2]):
        refused = await delete(ana, kind_ends, ids[0])
        assert refusals(refused) == [("CONFLICT", ["id"])]
        assert "make another" in refused["errors"][0]["message"]
    assert refusals(await delete(ana, ids[0], ids[0])) == [("INVALID", ["moveLeadsToStageId"])]
    for id in (foreign, NOBODY, "nonsense"):
        assert refusals(await delete(ana, ids[0], id)) == [("NOT_FOUND", ["moveLeadsToStageId"])]
        assert refusals(await delete(ana, id, ids[0])) == [("NOT_FOUND", ["id"])]
    member = await add_member(doors, ana, role=Role.MEMBER)
    assert refusals(await delete(member, ids[0], ids[1])) == [("FORBIDDEN", [])]
    assert await stage_ids(ana) == ids
    assert (await board(ana))[ids[0]] == [a]


async def test_of_the_last_two_of_a_kind_one_stays_whoever_deletes_at_once(ana: Person) -> None:
    ids = await stage_ids(ana)
    answer = await ana.run(CREATE_STAGE, {"input": {"name": "Ganho 2", "kind": "WON"}})
    won = [ids[-2], answer["createStage"]["stage"]["id"]]
    payloads = await asyncio.gather(*(delete(ana, id, ids[0]) for id in won))
    assert sorted(len(one["errors"]) for one in payloads) == [0, 1]
    assert [one["kind"] for one in await stages(ana)].count("WON") == 1


async def test_as_many_leads_as_may_be_go_along_and_one_more_stays(ana: Person, doors: Doors) -> None:
    ids = await stage_ids(ana)
    await rows(doors, ana, MANY, stage_id=ids[1], count=5_001)
    refused = await delete(ana, ids[1], ids[2])
    assert refusals(refused) == [("LIMIT_REACHED", ["id"])]
    assert "changeLeads" in refused["errors"][0]["message"]
    one = (await ana.run("{ leads(first: 1) { edges { node { id } } } }"))["leads"]["edges"][0]["node"]["id"]
    await moved(ana, one, ids[0])
    assert (await delete(ana, ids[1], ids[2]))["errors"] == []
    told = [row for row in await rows(doors, ana, EVENTS) if row.stage == ids[2]]
    assert [len(row.entity_ids) for row in told] == [1000] * 5


async def test_nothing_that_puts_leads_into_it_is_lost(ana: Person, doors: Doors, worker: Worker) -> None:
    """The first stage, where imports and mails put theirs, is deleted time and again; each has a home, and no 500."""
    ids = await stage_ids(ana)
    mover = await lead_in(ana, ids[5])
    extra = []
    for n in range(6):
        given = {"input": {"name": f"E{n}", "afterStageId": None}}
        extra.append((await ana.run(CREATE_STAGE, given))["createStage"]["stage"]["id"])

    async def create(n: int) -> set[str]:
        given = {"input": {"name": f"L{n}", "stageId": extra[n % 6]}}
        return {one["code"] for one in (await ana.run(CREATE_LEAD, given))["createLead"]["errors"]}

    async def mail(n: int) -> set[str]:
        async with doors.open_work(ana.workspace_id) as work:
            await reach_or_create(work, ana.workspace_id, email=f"m{n}@example.com", name=None)
        return set()

    async def take(n: int) -> set[str]:
        state = await imported(ana, [profile(f"take.{n}.{row}", name="Bia") for row in range(20)])
        assert state["counts"] == {"CREATED": 20}
        return set()

    async def shift(n: int) -> set[str]:
        return {one["code"] for one in (await move(ana, mover, extra[n % 6]))["errors"]}

    async def remove(n: int) -> set[str]:
        return {one["code"] for one in (await delete(ana, extra[5 - n], ids[n]))["errors"]}

    codes = await asyncio.gather(
        *(create(n) for n in range(12)),
        *(mail(n) for n in range(8)),
        *(take(n) for n in range(3)),
        *(shift(n) for n in range(8)),
        *(remove(n) for n in range(6)),
    )
    assert set().union(*codes) <= {"NOT_FOUND"}
    made = sum(not found for found in codes[:12])
    ((count,),) = await rows(doors, ana, COUNT)
    assert count == 1 + made + 8 + 60
    assert sum(len(column) for column in (await board(ana)).values()) == count
