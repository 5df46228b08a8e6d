"""moveLead through HTTP: places, refusals, history, and many at once."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from app.leads.domain.rank import RANK_MAX
from tests.factories.accounts import Person, add_member
from tests.factories.board import board, lead_in, move, moved, refusals, stage_ids

LEAD = """query ($id: ID!) { lead(id: $id) { version rank lostReason stageEnteredAt updatedAt stage { id }
  stageChanges { fromStageId fromName toStageId toName enteredAt leftAt actor { email } actorKind lostReason } } }"""
EVENTS = text(
    "SELECT entity_ids, changed, before ->> 'stageId' AS before, after ->> 'stageId' AS after FROM feed_event "
    "WHERE workspace_id = :workspace_id AND kind = 'lead.updated' ORDER BY seq"
)
ENTRIES = text(
    "SELECT content FROM interaction WHERE workspace_id = :workspace_id AND type = 'STAGE_CHANGED' ORDER BY created_at"
)
LENGTHEN = text(
    "UPDATE lead SET rank = repeat('a', 47) || translate(name, '0', 'z') || 'i' "
    "WHERE workspace_id = :workspace_id AND stage_id = :stage_id"
)
SAME_RANKS = text("UPDATE lead SET rank = 'i' WHERE workspace_id = :workspace_id AND stage_id = :stage_id")
RANKS = text("SELECT rank FROM lead WHERE workspace_id = :workspace_id AND stage_id = :stage_id")


async def lead_of(person: Person, id: str) -> dict[str, Any]:
    return (await person.run(LEAD, {"id": id}))["lead"]  # type: ignore[no-any-return]


async def rows(doors: Doors, person: Person, statement: Any, **values: object) -> list[Any]:
    async with doors.open_work(person.workspace_id) as work:
        found = await work.execute(statement, {"workspace_id": person.workspace_id, **values})
        return list(found) if found.returns_rows else []


async def test_a_lead_goes_to_the_top_or_after_another(ana: Person) -> None:
    new, won, *_ = await stage_ids(ana)
    a, b, c = [await lead_in(ana, new, name) for name in "abc"]
    assert (await board(ana))[new] == [a, b, c]
    await moved(ana, c, new)
    assert (await board(ana))[new] == [c, a, b]
    await moved(ana, c, new, after=a)
    assert (await board(ana))[new] == [a, c, b]
    await moved(ana, a, new, after=b)
    assert (await board(ana))[new] == [c, b, a]
    d = await lead_in(ana, new, "d")
    assert (await board(ana))[new] == [c, b, a, d], "what is made later stands last"
    await moved(ana, a, won)
    await moved(ana, b, won, after=a)
    assert [(await board(ana))[one] for one in (new, won)] == [[c, d], [a, b]]


async def test_each_move_to_another_stage_is_history(ana: Person, doors: Doors) -> None:
    ids = await stage_ids(ana)
    new, lost = ids[0], ids[-1]
    a = await lead_in(ana, new)
    first = await lead_of(ana, a)
    lead = await moved(ana, a, lost, version=1, lostReason=" Caro demais ")
    assert (lead["stage"], lead["version"], lead["lostReason"]) == (
        {"id": lost, "name": "Perdido"},
        2,
        "Caro demais",
    )
    await moved(ana, a, new, version=2)
    lead = await lead_of(ana, a)
    assert (lead["lostReason"], lead["version"]) == (None, 3)
    back, out = lead["stageChanges"]
    assert (out["fromStageId"], out["fromName"], out["toStageId"], out["toName"], out["lostReason"]) == (
        new,
        "Novo",
        lost,
        "Perdido",
        "Caro demais",
    )
    assert out["enteredAt"] == first["stageEnteredAt"]
    assert (back["enteredAt"], back["leftAt"]) == (out["leftAt"], lead["stageEnteredAt"])
    assert (back["actor"], back["actorKind"], back["lostReason"]) == ({"email": ana.email}, "HUMAN", None)
    told = await rows(doors, ana, EVENTS)
    assert [(list(one.changed), one.before, one.after) for one in told] == [
        (["stage"], new, lost),
        (["stage"], lost, new),
    ]
    assert [row.content for row in await rows(doors, ana, ENTRIES)] == [
        "Novo → Perdido\nCaro demais",
        "Perdido → Novo",
    ]


async def test_a_move_within_the_stage_is_no_history_and_one_that_changes_nothing_is_nothing(
    ana: Person, doors: Doors
) -> None:
    new, *_ = await stage_ids(ana)
    a, b = await lead_in(ana, new), await lead_in(ana, new)
    await moved(ana, a, new)
    await moved(ana, b, new, after=a)
    assert [(await lead_of(ana, one))["version"] for one in (a, b)] == [1, 1]
    assert await rows(doors, ana, EVENTS) == []
    await moved(ana, b, new)
    lead = await lead_of(ana, b)
    assert (lead["version"], lead["stageChanges"]) == (2, [])
    assert [(list(one.changed), one.after) for one in await rows(doors, ana, EVENTS)] == [(["rank"], new)]
    assert await rows(doors, ana, ENTRIES) == []


async def test_a_reason_goes_with_a_lost_stage_only_and_may_be_given_later(ana: Person) -> None:
    ids = await stage_ids(ana)
    a = await lead_in(ana, ids[0])
    assert refusals(await move(ana, a, ids[1], lostReason="x")) == [("INVALID", ["lostReason"])]
    assert refusals(await move(ana, a, ids[-1], lostReason="x" * 201)) == [("INVALID", ["lostReason"])]
    assert (await lead_of(ana, a))["version"] == 1
    assert (await moved(ana, a, ids[-1]))["lostReason"] is None
    assert (await moved(ana, a, ids[-1], lostReason="Sem verba"))["lostReason"] == "Sem verba"
    assert (await moved(ana, a, ids[-1]))["lostReason"] == "Sem verba"


async def test_what_is_not_there_is_refused_at_its_field(ana: Person, eve: Person) -> None:
    new, second, *_ = await stage_ids(ana)
    foreign_stage = (await stage_ids(eve))[0]
    foreign = await lead_in(eve, foreign_stage)
    a, b = await lead_in(ana, new), await lead_in(ana, second)
    nobody = "01890000-0000-7000-8000-000000000000"
    for id in (foreign, nobody, "nonsense"):
        assert refusals(await move(ana, id, new)) == [("NOT_FOUND", ["id"])]
        refused = await move(ana, a, new, after=id)
        assert refusals(refused) == [("NOT_FOUND", ["afterLeadId"])]
        assert refused["lead"]["id"] == a, "with the lead as it is"
    for id in (foreign_stage, nobody, "nonsense"):
        assert refusals(await move(ana, a, id)) == [("NOT_FOUND", ["stageId"])]
    elsewhere = await move(ana, a, new, after=b)
    assert refusals(elsewhere) == [("CONFLICT", ["afterLeadId"])]
    assert elsewhere["lead"]["id"] == a
    assert refusals(await move(ana, a, new, after=a)) == [("INVALID", ["afterLeadId"])]
    assert [(await lead_of(ana, one))["version"] for one in (a, b)] == [1, 1]
    assert (await lead_of(eve, foreign))["version"] == 1


async def test_a_viewer_moves_nothing(ana: Person, doors: Doors) -> None:
    new, second, *_ = await stage_ids(ana)
    a = await lead_in(ana, new)
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert refusals(await move(viewer, a, second)) == [("FORBIDDEN", [])]


async def test_of_those_who_move_one_card_at_once_one_wins_and_the_others_get_it_fresh(ana: Person) -> None:
    new, *others = await stage_ids(ana)
    a = await lead_in(ana, new)
    payloads = await asyncio.gather(*(move(ana, a, stage_id, version=1) for stage_id in others))
    won = [payload for payload in payloads if not payload["errors"]]
    assert len(won) == 1
    for payload in payloads:
        assert refusals(payload) in ([], [("CONFLICT", ["version"])])
        assert payload["lead"] == won[0]["lead"]
    assert len((await lead_of(ana, a))["stageChanges"]) == 1


async def test_all_after_one_card_at_once_have_a_place_each(ana: Person) -> None:
    new, second, *_ = await stage_ids(ana)
    anchor, last = await lead_in(ana, second), await lead_in(ana, second)
    ids = [await lead_in(ana, new) for _ in range(16)]
    leads = await asyncio.gather(*(moved(ana, id, second, after=anchor) for id in ids))
    column = (await board(ana))[second]
    assert (column[0], column[-1]) == (anchor, last)
    assert set(column[1:-1]) == set(ids)
    assert len({lead["rank"] for lead in leads}) == len(ids)


@pytest.mark.parametrize("crowded", [LENGTHEN, SAME_RANKS], ids=["long", "equal"])
async def test_where_there_is_no_room_neighbours_are_spread_and_nobody_notices(
    crowded: Any, ana: Person, doors: Doors
) -> None:
    new, second, *_ = await stage_ids(ana)
    ids = [await lead_in(ana, new, f"{n:02}") for n in range(90)]
    mover = await lead_in(ana, second)
    await rows(doors, ana, crowded, stage_id=new)
    before = (await board(ana))[new]
    seen = await lead_of(ana, before[44])
    await moved(ana, mover, new, after=before[44])
    column = (await board(ana))[new]
    assert column == [*before[:45], mover, *before[45:]]
    now = await lead_of(ana, before[44])
    assert (now["version"], now["updatedAt"]) == (seen["version"], seen["updatedAt"])
    assert now["rank"] != seen["rank"]
    ranks = [row.rank for row in await rows(doors, ana, RANKS, stage_id=new)]
    assert len(set(ranks)) > 60
    assert sum(len(rank) <= RANK_MAX for rank in ranks) > 60
    spread, told = await rows(doors, ana, EVENTS)
    assert (list(spread.changed), spread.after) == (["rank"], new)
    assert {str(id) for id in spread.entity_ids} <= set(ids)
    assert [str(id) for id in told.entity_ids] == [mover]


async def test_moves_between_two_crowded_columns_never_wait_for_each_other_in_a_circle(
    ana: Person, doors: Doors
) -> None:
    new, second, *_ = await stage_ids(ana)
    here, there = (
        [await lead_in(ana, new) for _ in range(12)],
        [await lead_in(ana, second) for _ in range(12)],
    )
    for stage_id in (new, second):
        await rows(doors, ana, SAME_RANKS, stage_id=stage_id)
    await asyncio.gather(
        *(moved(ana, id, second) for id in here[:6]),
        *(moved(ana, id, new) for id in there[:6]),
        *(moved(ana, id, new) for id in reversed(here[6:])),
        *(moved(ana, id, second) for id in reversed(there[6:])),
    )
    columns = await board(ana)
    assert set(columns[second]) == {*here[:6], *there[6:]}
    assert set(columns[new]) == {*there[:6], *here[6:]}
