"""createStage, updateStage, moveStage through HTTP, and many at once."""

import asyncio
from typing import Any

from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member, audited
from tests.factories.board import refusals, stage_ids, stages

CREATE = """mutation ($input: CreateStageInput!) {
  createStage(input: $input) { stage { id name kind position } errors { code message path } } }"""
UPDATE = """mutation ($input: UpdateStageInput!) {
  updateStage(input: $input) { stage { id name kind position } errors { code message path } } }"""
MOVE = """mutation ($input: MoveStageInput!) {
  moveStage(input: $input) { stage { id position } errors { code message path } } }"""
EVENTS = text(
    "SELECT changed FROM feed_event WHERE workspace_id = :workspace_id AND kind = 'stage.changed' ORDER BY seq"
)
NOBODY = "01890000-0000-7000-8000-000000000000"


async def create(person: Person, **input: Any) -> dict[str, Any]:
    return (await person.run(CREATE, {"input": {"name": "Visita", **input}}))["createStage"]  # type: ignore[no-any-return]


async def update(person: Person, **input: Any) -> dict[str, Any]:
    return (await person.run(UPDATE, {"input": input}))["updateStage"]  # type: ignore[no-any-return]


async def put(person: Person, id: str, after: str | None = None) -> dict[str, Any]:
    return (await person.run(MOVE, {"input": {"id": id, "afterStageId": after}}))["moveStage"]  # type: ignore[no-any-return]


async def changes(doors: Doors, person: Person) -> list[str]:
    async with doors.open_work(person.workspace_id) as work:
        found = await work.execute(EVENTS, {"workspace_id": person.workspace_id})
        return [changed for row in found for changed in row.changed]


async def test_a_stage_is_made_last_first_or_after_another(ana: Person, doors: Doors) -> None:
    ids = await stage_ids(ana)
    last = (await create(ana, name=" Visita ", kind="WON"))["stage"]
    assert (last["name"], last["kind"], last["position"]) == ("Visita", "WON", 7)
    first = (await create(ana, afterStageId=None))["stage"]
    assert (first["kind"], first["position"]) == ("OPEN", 0)
    middle = (await create(ana, afterStageId=ids[0]))["stage"]
    found = await stages(ana)
    assert [one["id"] for one in found] == [first["id"], ids[0], middle["id"], *ids[1:], last["id"]]
    assert [one["position"] for one in found] == list(range(10))
    assert await changes(doors, ana) == ["created"] * 3


async def test_a_stage_is_renamed_and_moved_and_all_of_it_is_audited(ana: Person, doors: Doors) -> None:
    ids = await stage_ids(ana)
    before = len(await audited(doors, ana.workspace_id))
    assert (await update(ana, id=ids[1], name="Em contato"))["stage"]["name"] == "Em contato"
    assert (await update(ana, id=ids[1]))["stage"]["name"] == "Em contato"
    assert (await put(ana, ids[1], ids[3]))["stage"]["position"] == 3
    assert await stage_ids(ana) == [ids[0], ids[2], ids[3], ids[1], *ids[4:]]
    assert (await put(ana, ids[1], ids[3]))["stage"]["position"] == 3
    assert (await put(ana, ids[6]))["stage"]["position"] == 0
    assert [one["position"] for one in await stages(ana)] == list(range(7))
    assert await changes(doors, ana) == ["name", "position", "position"]
    told = (await audited(doors, ana.workspace_id))[before:]
    assert [one.action for one in told] == ["stage.updated"] * 2 + ["stage.moved"] * 3
    assert not any("contato" in str(one.after) + str(one.before) for one in told)


async def test_bad_input_is_refused_at_its_field(ana: Person, eve: Person) -> None:
    ids, foreign = await stage_ids(ana), (await stage_ids(eve))[0]
    assert refusals(await create(ana, name=" ")) == [("INVALID", ["name"])]
    assert refusals(await update(ana, id=ids[0], name="n" * 201)) == [("INVALID", ["name"])]
    for id in (foreign, NOBODY, "nonsense"):
        assert refusals(await create(ana, afterStageId=id)) == [("NOT_FOUND", ["afterStageId"])]
        assert refusals(await update(ana, id=id, name="x")) == [("NOT_FOUND", ["id"])]
        assert refusals(await put(ana, id)) == [("NOT_FOUND", ["id"])]
        assert refusals(await put(ana, ids[0], id)) == [("NOT_FOUND", ["afterStageId"])]
    assert refusals(await put(ana, ids[0], ids[0])) == [("INVALID", ["afterStageId"])]
    assert await stage_ids(ana) == ids
    assert (await stages(eve))[0]["name"] == "Novo"


async def test_stages_are_an_admins_business(ana: Person, doors: Doors) -> None:
    member = await add_member(doors, ana, role=Role.MEMBER)
    ids = await stage_ids(ana)
    assert refusals(await create(member)) == [("FORBIDDEN", [])]
    assert refusals(await update(member, id=ids[0], name="x")) == [("FORBIDDEN", [])]
    assert refusals(await put(member, ids[1])) == [("FORBIDDEN", [])]


async def test_many_at_once_leave_no_gap_and_pass_no_limit(ana: Person) -> None:
    ids = await stage_ids(ana)
    await asyncio.gather(
        *(create(ana, name=f"S{n}", afterStageId=ids[n]) for n in range(4)),
        *(put(ana, ids[n], ids[6 - n]) for n in range(3)),
        create(ana, name="last"),
    )
    found = await stages(ana)
    assert [one["position"] for one in found] == list(range(12))
    payloads = [await create(ana, name=f"T{n}") for n in range(34)]
    assert [one["errors"] for one in payloads] == [[]] * 34
    payloads = await asyncio.gather(*(create(ana, name=f"U{n}") for n in range(8)))
    assert sorted(len(one["errors"]) for one in payloads) == [0] * 4 + [1] * 4
    assert {one["code"] for payload in payloads for one in payload["errors"]} == {"LIMIT_REACHED"}
    assert [one["position"] for one in await stages(ana)] == list(range(50))
