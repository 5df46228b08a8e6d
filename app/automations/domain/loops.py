"""Which rules go round in a circle with another one, told from what they wait for and what they do. Pure.

What an action sets is known when the next rule is asked, and so is where a lead came from; everything else may be so.
A circle that is found may therefore come to rest by itself (a lead that has the tag already is not tagged again); one
that is not found is none. Sending makes no circle: nothing a rule sends is a message that it receives, and NO_REPLY
fires once until the lead answers.
"""

from collections.abc import Callable, Mapping, Set
from uuid import UUID

from app.automations.domain.rule import (
    ActionKind,
    Condition,
    ConditionField,
    ConditionOp,
    Match,
    Rule,
    Trigger,
)

SETS_OFF = {
    ActionKind.ADD_TAG: Trigger.TAG_ADDED,
    ActionKind.MOVE_STAGE: Trigger.STAGE_CHANGED,
    ActionKind.ASSIGN: Trigger.LEAD_UPDATED,
}
"""What an action may be the trigger of."""
SET_BY = {
    Trigger.TAG_ADDED: ConditionField.TAG_ID,
    Trigger.STAGE_CHANGED: ConditionField.STAGE_ID,
    Trigger.LEAD_UPDATED: ConditionField.OWNER_ID,
}
"""Which field such an action sets."""


def loops_with(rule: Rule, others: Mapping[UUID, Rule]) -> list[UUID]:
    """Those of the others that it would set off, straight or through more of them, and that would set it off again.

    A rule that acts once per lead stands in no circle: it goes through it once.
    """
    if rule.once_per_lead:
        return []
    open_ones = {id: other for id, other in others.items() if not other.once_per_lead}
    after = _reached(rule, open_ones, could_set_off)
    before = _reached(rule, open_ones, lambda taker, giver: could_set_off(giver, taker))
    return [id for id in others if id in after and id in before]


def _reached(rule: Rule, others: Mapping[UUID, Rule], is_next: Callable[[Rule, Rule], bool]) -> Set[UUID]:
    found: set[UUID] = set()
    edge = [rule]
    while edge:
        one = edge.pop()
        new = [id for id, other in others.items() if id not in found and is_next(one, other)]
        found.update(new)
        edge.extend(others[id] for id in new)
    return found


def could_set_off(giver: Rule, taker: Rule) -> bool:
    """Whether something that the one does may be what the other waits for."""
    field = SET_BY.get(taker.trigger)
    if field is None or _come_from_elsewhere(giver, taker):
        return False
    given = {action.target_id for action in giver.actions if SETS_OFF.get(action.kind) is taker.trigger}
    taken = {action.target_id for action in giver.actions if action.kind is ActionKind.REMOVE_TAG}
    return any(_may_hold(taker, field, str(value), is_lasting=value not in taken) for value in given)


def _may_hold(rule: Rule, field: ConditionField, value: str, *, is_lasting: bool) -> bool:
    """Whether the conditions may hold where the field was just set to this value; not lasting: it may be gone when they
    are asked."""
    if not rule.conditions:
        return True
    may_hold = (
        one.field is not field or _holds(one, value, is_lasting=is_lasting) for one in rule.conditions
    )
    return all(may_hold) if rule.match is Match.ALL else any(may_hold)


def _holds(condition: Condition, value: str, *, is_lasting: bool) -> bool:
    match condition.op:
        case ConditionOp.EQ:
            return condition.value == value
        case ConditionOp.NE:
            return condition.value != value or not is_lasting
        case ConditionOp.NOT_EXISTS:
            return not is_lasting
        case _:
            return True


def _come_from_elsewhere(one: Rule, other: Rule) -> bool:
    """Whether no lead is both one's and the other's: where it came from never changes."""
    return len(_sources(one) | _sources(other)) > 1


def _sources(rule: Rule) -> Set[str | None]:
    """Those that every lead of the rule must have."""
    if rule.match is Match.ANY and len(rule.conditions) > 1:
        return frozenset()
    return {
        one.value
        for one in rule.conditions
        if one.field is ConditionField.SOURCE and one.op is ConditionOp.EQ
    }
