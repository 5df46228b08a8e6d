"""Circles of rules, found before they run; against the judging by which they would run."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.automations.domain.facts import Facts
from app.automations.domain.judging import failed_condition, is_triggered, with_event
from app.automations.domain.loops import SET_BY, SETS_OFF, could_set_off, loops_with
from app.automations.domain.rule import (
    Action,
    ActionKind,
    Condition,
    ConditionField,
    ConditionOp,
    Match,
    Rule,
    Trigger,
)

A, B, C = (UUID(int=number) for number in (1, 2, 3))
ONE, TWO, THREE = (UUID(int=number) for number in (11, 12, 13))


def a_rule(
    trigger: Trigger,
    *actions: Action,
    when: Sequence[Condition] = (),
    match: Match = Match.ALL,
    once: bool = False,
) -> Rule:
    return Rule(
        trigger=trigger,
        no_reply_after_s=3600 if trigger is Trigger.NO_REPLY else None,
        once_per_lead=once,
        match=match,
        conditions=when,
        actions=actions,
    )


def stage_is(id: UUID) -> Condition:
    return Condition(ConditionField.STAGE_ID, ConditionOp.EQ, str(id))


def move(id: UUID) -> Action:
    return Action(ActionKind.MOVE_STAGE, target_id=id)


def tag(id: UUID) -> Action:
    return Action(ActionKind.ADD_TAG, target_id=id)


def source_is(name: str) -> Condition:
    return Condition(ConditionField.SOURCE, ConditionOp.EQ, name)


TO_B = a_rule(Trigger.STAGE_CHANGED, move(B), when=[stage_is(A)])
TO_A = a_rule(Trigger.STAGE_CHANGED, move(A), when=[stage_is(B)])


def test_two_rules_that_move_a_lead_to_and_fro() -> None:
    assert loops_with(TO_B, {ONE: TO_A}) == [ONE]


def test_a_circle_through_several_rules() -> None:
    b_to_c = a_rule(Trigger.STAGE_CHANGED, tag(C), when=[stage_is(B)])
    c_to_owner = a_rule(Trigger.TAG_ADDED, Action(ActionKind.ASSIGN, target_id=A))
    owner_to_a = a_rule(Trigger.LEAD_UPDATED, move(A))
    assert loops_with(TO_B, {ONE: b_to_c, TWO: c_to_owner, THREE: owner_to_a}) == [ONE, TWO, THREE]


def test_what_it_sets_off_but_never_comes_back_is_in_no_circle() -> None:
    after = a_rule(Trigger.STAGE_CHANGED, tag(A))
    before = a_rule(Trigger.LEAD_CREATED, move(A))
    assert loops_with(TO_B, {ONE: after, TWO: before}) == []


def test_a_circle_elsewhere_is_not_its_own() -> None:
    assert loops_with(a_rule(Trigger.LEAD_CREATED, move(A)), {ONE: TO_A, TWO: TO_B}) == []


@pytest.mark.parametrize(
    "other",
    [
        a_rule(Trigger.STAGE_CHANGED, move(A), when=[stage_is(C)]),
        a_rule(
            Trigger.STAGE_CHANGED,
            move(A),
            when=[Condition(ConditionField.STAGE_ID, ConditionOp.NE, str(B))],
        ),
        a_rule(Trigger.STAGE_CHANGED, move(C), when=[stage_is(B)]),
        a_rule(Trigger.STAGE_CHANGED, move(A), when=[stage_is(B)], once=True),
        a_rule(Trigger.TAG_ADDED, move(A)),
    ],
    ids=["other stage", "not this stage", "goes on elsewhere", "once per lead", "other trigger"],
)
def test_what_breaks_a_circle(other: Rule) -> None:
    assert loops_with(TO_B, {ONE: TO_A}) == [ONE]
    assert loops_with(TO_B, {ONE: other}) == []


def test_a_rule_that_acts_once_per_lead_is_in_no_circle() -> None:
    assert loops_with(replace(TO_B, once_per_lead=True), {ONE: TO_A}) == []


def test_of_any_condition_another_one_may_hold() -> None:
    condition = [stage_is(C), Condition(ConditionField.SCORE, ConditionOp.GT, "5")]
    either = a_rule(Trigger.STAGE_CHANGED, move(A), when=condition, match=Match.ANY)
    assert loops_with(TO_B, {ONE: either}) == [ONE]
    assert loops_with(TO_B, {ONE: replace(either, match=Match.ALL)}) == []


def test_leads_of_two_sources_meet_in_no_circle() -> None:
    mine = replace(TO_B, conditions=[stage_is(A), source_is("CSV")])
    theirs = replace(TO_A, conditions=[stage_is(B), source_is("MANUAL")])
    assert loops_with(mine, {ONE: theirs}) == []
    assert loops_with(mine, {ONE: replace(theirs, conditions=[stage_is(B), source_is("CSV")])}) == [ONE]


# ── whatever really sets another off is foreseen ──────────────────────────────────────────────────────────────────────
IDS = st.sampled_from([A, B])
TARGETS = {
    ConditionField.STAGE_ID: IDS.map(str),
    ConditionField.TAG_ID: IDS.map(str),
    ConditionField.OWNER_ID: IDS.map(str),
    ConditionField.SOURCE: st.sampled_from(["CSV", "MANUAL"]),
}
OPS = st.sampled_from([ConditionOp.EQ, ConditionOp.NE, ConditionOp.EXISTS, ConditionOp.NOT_EXISTS])
CHANGES = (ActionKind.ADD_TAG, ActionKind.REMOVE_TAG, ActionKind.MOVE_STAGE, ActionKind.ASSIGN)
ACTIONS = st.lists(st.builds(Action, st.sampled_from(CHANGES), target_id=IDS), min_size=1, max_size=3)


def conditions(*fields: ConditionField) -> st.SearchStrategy[Condition]:
    of = st.sampled_from(fields or list(TARGETS))
    return of.flatmap(lambda field: st.builds(Condition, st.just(field), OPS, TARGETS[field]))


def rules(
    trigger: Trigger, when: st.SearchStrategy[list[Condition]], actions: Sequence[Action]
) -> st.SearchStrategy[Rule]:
    return st.builds(
        lambda when, match: a_rule(trigger, *actions, when=when, match=match), when, st.sampled_from(Match)
    )


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Rule, Rule]:
    """Two rules, of which one does what the other waits for, and mostly asks about."""
    actions = draw(ACTIONS)
    trigger = SETS_OFF.get(actions[0].kind, Trigger.TAG_ADDED)
    asked = conditions(SET_BY[trigger], SET_BY[trigger], ConditionField.SOURCE, ConditionField.TAG_ID)
    giver = draw(rules(Trigger.LEAD_CREATED, st.lists(conditions(), max_size=1), actions))
    return giver, draw(rules(trigger, st.lists(asked, min_size=1, max_size=2), [move(C)]))


FACTS = st.builds(
    Facts,
    lead_id=st.just(ONE),
    source=st.sampled_from(["CSV", "MANUAL"]),
    stage_id=IDS,
    tag_ids=st.frozensets(IDS),
    owner_id=st.none() | IDS,
    score=st.just(0),
    email=st.none(),
    company=st.none(),
    title=st.none(),
    engagement=st.just("NEW"),
    added_tag_ids=st.frozensets(IDS),
)


@dataclass(frozen=True)
class Told:
    """An event, as an action announces it."""

    changed: Sequence[str]
    after: dict[str, object]
    name: str = "lead.updated"
    entity_ids: Sequence[UUID] = (ONE,)
    before: dict[str, object] = field(default_factory=dict)


def done(facts: Facts, action: Action) -> tuple[Facts, Told | None]:
    """What an action makes of a lead, and what the feed is told where that is anything new."""
    target = action.target_id
    assert target is not None
    after = {"ownerId": str(target)}
    match action.kind:
        case ActionKind.ADD_TAG:
            told = Told(["tags"], {"addTagIds": [str(target)], "removeTagIds": []})
            new = replace(facts, tag_ids=facts.tag_ids | {target})
        case ActionKind.REMOVE_TAG:
            told = Told(["tags"], {"addTagIds": [], "removeTagIds": [str(target)]})
            new = replace(facts, tag_ids=facts.tag_ids - {target})
        case ActionKind.MOVE_STAGE:
            told, new = Told(["stage"], {"stageId": str(target)}), replace(facts, stage_id=target)
        case _:
            told, new = Told(["owner"], after), replace(facts, owner_id=target)
    return new, told if new != facts else None


@settings(max_examples=400)
@given(pair=pairs(), facts=FACTS)
def test_what_sets_another_rule_off_is_foreseen(pair: tuple[Rule, Rule], facts: Facts) -> None:
    """Whenever the other one looks: right after the action, or after some that follow it."""
    giver, taker = pair
    if failed_condition(giver, facts) is not None:
        return
    states, events = [replace(facts, added_tag_ids=frozenset())], list[tuple[int, Told]]()
    for action in giver.actions:
        state, told = done(states[-1], action)
        states.append(state)
        if told is not None:
            events.append((len(states) - 1, told))
    for position, event in events:
        for state in states[position:]:
            if is_triggered(taker, event) and failed_condition(taker, with_event(state, event)) is None:
                assert could_set_off(giver, taker)
