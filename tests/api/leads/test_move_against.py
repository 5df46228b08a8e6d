"""moveLead against what takes leads away: deletions and merges, of the card and of the one it goes after."""

import asyncio

from tests.factories.accounts import Person
from tests.factories.board import board, lead_in, move, refusals, stage_ids

DELETE = "mutation ($ids: [ID!]!) { deleteLeads(input: {ids: $ids}) { deletedIds errors { code } } }"
MERGE = """mutation ($keep: ID!, $ids: [ID!]!) {
  mergeLeads(input: {keepId: $keep, mergeIds: $ids}) { errors { code } } }"""


async def test_a_move_and_a_deletion_at_once_leave_the_lead_deleted_and_the_board_whole(ana: Person) -> None:
    new, second, *_ = await stage_ids(ana)
    stay = await lead_in(ana, second)
    for _ in range(5):
        card, after = await lead_in(ana, new), await lead_in(ana, second)
        payload, *_deleted = await asyncio.gather(
            move(ana, card, second, after=after),
            ana.run(DELETE, {"ids": [card]}),
            ana.run(DELETE, {"ids": [after]}),
        )
        assert refusals(payload) in ([], [("NOT_FOUND", ["id"])], [("NOT_FOUND", ["afterLeadId"])])
        assert (await board(ana))[second] == [stay]
        assert (await board(ana))[new] == []


async def test_a_move_and_a_merge_at_once_leave_one_lead_where_it_belongs(ana: Person) -> None:
    new, second, *_ = await stage_ids(ana)
    for _ in range(5):
        card, kept = await lead_in(ana, new), await lead_in(ana, second)
        payload, merged = await asyncio.gather(
            move(ana, card, second, after=kept), ana.run(MERGE, {"keep": kept, "ids": [card]})
        )
        assert merged["mergeLeads"]["errors"] == []
        assert refusals(payload) in ([], [("NOT_FOUND", ["id"])])
        columns = await board(ana)
        assert card not in columns[new] + columns[second]
        assert kept in columns[second]
