"""Rules that set each other off: they end, the log says why, and whoever moves the lead next finds them as before."""

from collections import Counter
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from app.automations.domain.rule import Action, ActionKind, Condition, ConditionField, ConditionOp, Trigger
from app.automations.domain.run import LEAD_RUNS_PER_HOUR, MAX_DEPTH
from app.common.work import Doors
from app.leads.domain.events import LeadUpdated
from app.settings import Settings
from tests.fixtures.ruled import Ruled
from tests.fixtures.run_desk import RunDesk, rule_of

MOVES = "SELECT count(*) FROM stage_change WHERE workspace_id = :workspace_id"
HEAD = "SELECT seq FROM feed_head WHERE workspace_id = :workspace_id"
ROUNDS = 100


@pytest.fixture
async def ruled(own: tuple[Settings, Doors]) -> AsyncIterator[Ruled]:
    settings, doors = own
    ruled = await Ruled.founded(doors, settings)
    yield ruled
    await ruled.desk.sql("DELETE FROM automation_run WHERE workspace_id = :workspace_id")


def desk_of(ruled: Ruled) -> RunDesk:
    """The same workspace, with hands that act."""
    desk = ruled.desk
    return RunDesk(desk.doors, desk.settings, desk.workspace_id, desk.user_id, desk.account_id, [])


async def until_it_is_quiet(ruled: Ruled, desk: RunDesk) -> None:
    for _ in range(ROUNDS):
        head = await desk.sql(HEAD)
        await ruled.react()
        if not await desk.turn() and await desk.sql(HEAD) == head:
            assert desk.errors == []
            return
    raise AssertionError(f"not quiet after {ROUNDS} rounds: {await ruled.outcomes()}")


def when_in(stage_id: UUID, then: UUID) -> tuple[Action, Condition]:
    is_there = Condition(ConditionField.STAGE_ID, ConditionOp.EQ, str(stage_id))
    return Action(ActionKind.MOVE_STAGE, then), is_there


async def test_two_rules_that_trigger_each_other_end(ruled: Ruled) -> None:
    desk = desk_of(ruled)
    here, there = await desk.new_stage(), await desk.new_stage()
    for name, (action, condition) in {
        "there": when_in(here, there),
        "and back": when_in(there, here),
    }.items():
        await ruled.add(rule_of(action, trigger=Trigger.STAGE_CHANGED, conditions=[condition]), name=name)
    lead_id = await ruled.lead()
    moved = LeadUpdated(entity_ids=[lead_id], changed=["stage"])
    for turn in (1, 2):
        move = "UPDATE lead SET stage_id = :stage_id WHERE workspace_id = :workspace_id AND id = :id"
        await desk.sql(move, id=lead_id, stage_id=here)
        await ruled.tell(moved)
        await until_it_is_quiet(ruled, desk)

        assert await desk.sql(MOVES) == MAX_DEPTH * turn, "as often as causes may follow on each other"
        rows = await ruled.runs()
        acted = [row for row in rows if row.status == "SUCCEEDED"]
        assert [row.depth for row in acted] == list(range(MAX_DEPTH)) * turn
        assert [row.name for row in acted[:3]] == ["there", "and back", "there"]
        stopped = [row for row in rows if row.reason == "LOOP_GUARD"]
        assert [(row.status, row.name, row.depth) for row in stopped] == [
            ("SKIPPED", "and back", MAX_DEPTH)
        ] * turn
        others = {row.reason for row in rows} - {None, "LOOP_GUARD"}
        assert others == {"CONDITION"}


async def test_many_rules_that_set_all_of_them_off_end(ruled: Ruled) -> None:
    """Each run would start three: without an end there would be thousands after a few rounds."""
    desk = desk_of(ruled)
    for number in range(3):
        tag_id = await desk.new_tag()
        actions = (Action(ActionKind.REMOVE_TAG, tag_id), Action(ActionKind.ADD_TAG, tag_id))
        await ruled.add(rule_of(*actions, trigger=Trigger.TAG_ADDED), name=f"{number}")
    tag_id = await desk.new_tag()
    lead_id = await ruled.lead()
    await ruled.tell(LeadUpdated(entity_ids=[lead_id], changed=["tags"], after={"addTagIds": [str(tag_id)]}))
    await until_it_is_quiet(ruled, desk)

    rows = await ruled.runs()
    acted = Counter(row.name for row in rows if row.status == "SUCCEEDED")
    assert set(acted) == {"0", "1", "2"}
    assert max(acted.values()) <= LEAD_RUNS_PER_HOUR
    guards = {row.reason for row in rows if row.status == "SKIPPED"}
    assert guards <= {"LOOP_GUARD", "RATE_GUARD", "ALREADY_RUNNING"}
    assert guards & {"LOOP_GUARD", "RATE_GUARD"}
    assert {row.status for row in rows} == {"SUCCEEDED", "SKIPPED"}
