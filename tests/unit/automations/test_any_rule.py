"""Whatever is asked for: it is refused at its place, or it makes a rule that is stored, read and judged."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.automations.domain.checking import INPUT_FIELDS, Draft, checked_rule, references
from app.automations.domain.facts import Facts
from app.automations.domain.judging import failed_condition
from app.automations.domain.rule import (
    MAX_ACTIONS,
    MAX_CONDITIONS,
    MAX_WAIT_S,
    Action,
    ActionKind,
    Condition,
    ConditionField,
    ConditionOp,
    Match,
    Trigger,
    rule_of,
)
from app.common.domain import Refusals, SalesPadError

INTS = st.integers(-(2**31), 2**31 - 1)
VALUES = (
    st.none() | st.text() | INTS.map(str) | st.uuids().map(str) | st.sampled_from(["CSV", "REPLIED", "EMAIL"])
)
CONDITIONS = st.builds(Condition, st.sampled_from(ConditionField), st.sampled_from(ConditionOp), VALUES)
URLS = st.text() | st.text().map("https://{}".format) | st.ip_addresses().map("https://{}/x".format)
IDS = [ActionKind.ADD_TAG, ActionKind.REMOVE_TAG, ActionKind.MOVE_STAGE, ActionKind.ASSIGN]
ACTIONS = (
    st.builds(Action, st.sampled_from(IDS), target_id=st.uuids())
    | st.builds(Action, st.just(ActionKind.SEND_TEMPLATE), target_id=st.uuids(), account_id=st.uuids())
    | st.builds(Action, st.just(ActionKind.WAIT), seconds=INTS | st.integers(1, MAX_WAIT_S))
    | st.builds(Action, st.just(ActionKind.ADD_NOTE), text=st.text())
    | st.builds(Action, st.just(ActionKind.CALL_WEBHOOK), text=URLS)
)
DRAFTS = st.builds(
    Draft,
    trigger=st.sampled_from(Trigger),
    match=st.sampled_from(Match),
    no_reply_after_s=st.none() | INTS,
    once_per_lead=st.none() | st.booleans(),
    conditions=st.lists(CONDITIONS, max_size=4),
    actions=st.lists(ACTIONS, max_size=4),
)
FACTS = st.builds(
    Facts,
    lead_id=st.uuids(),
    source=st.just("CSV"),
    stage_id=st.uuids(),
    tag_ids=st.frozensets(st.uuids(), max_size=2),
    owner_id=st.none() | st.uuids(),
    score=INTS,
    email=st.none() | st.text(),
    company=st.none() | st.text(),
    title=st.none() | st.text(),
    engagement=st.just("NEW"),
    channel=st.none() | st.just("EMAIL"),
    message_body=st.none() | st.text(),
)


@given(DRAFTS, FACTS)
def test_it_is_refused_at_its_place_or_makes_a_rule(draft: Draft, facts: Facts) -> None:
    try:
        rule = checked_rule(draft)
    except SalesPadError as refusal:
        several = refusal.refusals if isinstance(refusal, Refusals) else (refusal,)
        assert all(leads_into(draft, one.path) for one in several)
        return
    stored = orjson.loads(orjson.dumps(rule.stored))
    assert rule_of(stored) == rule
    assert checked_rule(as_draft(stored)) == rule, "checked again it is the same"
    failed = failed_condition(rule, facts)
    assert failed is None or failed.index is None or failed.index < len(rule.conditions)
    assert all(leads_into(draft, one.path) for one in references(rule))


@given(st.lists(CONDITIONS, min_size=MAX_CONDITIONS + 1, max_size=MAX_CONDITIONS + 1))
def test_too_much_is_one_refusal(conditions: list[Condition]) -> None:
    actions = [Action(ActionKind.WAIT, seconds=0)] * (MAX_ACTIONS + 1)
    with pytest.raises(Refusals) as caught:
        checked_rule(Draft(trigger=Trigger.TAG_ADDED, conditions=conditions, actions=actions))
    assert [one.path for one in caught.value.refusals] == [("conditions",), ("actions",)]


def as_draft(stored: dict[str, object]) -> Draft:
    rule = rule_of(stored)
    return Draft(
        trigger=rule.trigger,
        match=rule.match,
        no_reply_after_s=rule.no_reply_after_s,
        once_per_lead=rule.once_per_lead,
        conditions=rule.conditions,
        actions=rule.actions,
    )


def leads_into(draft: Draft, path: tuple[str, ...]) -> bool:
    """Whether there is such a place in the input."""
    match path:
        case ("noReplyAfterSeconds",) | ("actions",):
            return True
        case ("conditions", at, "field" | "op" | "value"):
            return int(at) < len(draft.conditions)
        case ("actions", at, field, *inner):
            action = draft.actions[int(at)]
            return field == INPUT_FIELDS[action.kind] and inner in ([], ["templateId"], ["accountId"])
    return False
