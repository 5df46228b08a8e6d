"""Whether an event concerns a rule, and whether a lead meets its conditions. Pure: live runs and the dry run ask here.

Texts are compared without case and accents. What a lead does not have equals nothing and contains nothing: `NE` and
`NOT_CONTAINS` hold of it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol
from uuid import UUID

from app.automations.domain.facts import NOTHING, Facts, MessageFacts
from app.automations.domain.rule import Condition, ConditionField, ConditionOp, Match, Rule, Trigger
from app.common.domain import ActorKind, Direction, folded
from app.conversations.domain.events import has_left

NO_UPDATES = frozenset({"stage", "tags", "engagement", "score", "rank"})
"""What LEAD_UPDATED is not about: it has a trigger of its own, or nobody changed the lead; `rank` is where its card
lies."""
AWAITS_REPLY = frozenset({ActorKind.HUMAN.value, ActorKind.AUTOMATION.value})
"""Whose messages NO_REPLY waits for an answer to."""
TEXTS = frozenset(
    {
        ConditionField.EMAIL,
        ConditionField.COMPANY,
        ConditionField.TITLE,
        ConditionField.MESSAGE_BODY,
    }
)


class Happened(Protocol):
    """An event of the feed, as far as it is judged here."""

    @property
    def name(self) -> str: ...
    @property
    def entity_ids(self) -> Sequence[UUID]: ...
    @property
    def changed(self) -> Sequence[str]: ...
    @property
    def before(self) -> Mapping[str, object]: ...
    @property
    def after(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class FailedCondition:
    index: int | None
    """Counted from 0; None: of several, one of which had to hold, none did."""


def triggers_of(event: Happened, message: MessageFacts | None = None) -> Set[Trigger]:
    """What the event is to rules. Of a message's event `message` is it: without it (erased meanwhile), nothing.

    NO_REPLY: from now on its rules wait for an answer to the message.
    """
    match event.name:
        case "lead.created":
            return frozenset({Trigger.LEAD_CREATED})
        case "lead.updated":
            return frozenset(_updates(event))
        case "message.created" if message is not None and message.is_inbound and not message.is_auto_reply:
            return frozenset({Trigger.MESSAGE_RECEIVED})
        case "message.updated" if message is not None and _awaits_reply(event, message):
            return frozenset({Trigger.NO_REPLY})
    return frozenset()


def is_triggered(rule: Rule, event: Happened, message: MessageFacts | None = None) -> bool:
    return rule.trigger in triggers_of(event, message)


def _updates(event: Happened) -> list[Trigger]:
    changed = frozenset(event.changed)
    return [
        trigger
        for trigger, is_it in (
            (Trigger.STAGE_CHANGED, "stage" in changed),
            (Trigger.TAG_ADDED, bool(added_tags(event))),
            (Trigger.LEAD_UPDATED, not changed <= NO_UPDATES),
        )
        if is_it
    ]


def _awaits_reply(event: Happened, message: MessageFacts) -> bool:
    return is_sent_now(event) and not message.is_inbound and message.author_kind in AWAITS_REPLY


def is_received(event: Happened) -> bool:
    return event.name == "message.created" and event.after.get("direction") == Direction.INBOUND


def is_sent_now(event: Happened) -> bool:
    """A message has left: what a provider says of it later is nothing new."""
    return event.name == "message.updated" and has_left(event.before, event.after)


def added_tags(event: Happened) -> Set[UUID]:
    added = event.after.get("addTagIds") if "tags" in event.changed else None
    return frozenset(_id(id) for id in added) if isinstance(added, list) else NOTHING


def with_event(facts: Facts, event: Happened, message: MessageFacts | None = None) -> Facts:
    """The lead's facts, and what the event adds to them."""
    if message is not None:
        return replace(facts, channel=message.channel, message_body=message.body)
    added = added_tags(event)
    return replace(facts, added_tag_ids=added) if added else facts


def asks_for_text(rule: Rule) -> bool:
    """Whether a condition is about the message's text, which is not read in vain."""
    return any(one.field is ConditionField.MESSAGE_BODY for one in rule.conditions)


def failed_condition(rule: Rule, facts: Facts) -> FailedCondition | None:
    """None: the lead meets the conditions. Of ALL the first that does not hold."""
    if rule.match is Match.ANY and rule.conditions:
        is_met = any(holds(one, facts, rule.trigger) for one in rule.conditions)
        return None if is_met else FailedCondition(None)
    for index, one in enumerate(rule.conditions):
        if not holds(one, facts, rule.trigger):
            return FailedCondition(index)
    return None


def holds(condition: Condition, facts: Facts, trigger: Trigger) -> bool:
    match condition.op:
        case ConditionOp.EXISTS:
            return bool(_held(condition.field, facts))
        case ConditionOp.NOT_EXISTS:
            return not _held(condition.field, facts)
        case ConditionOp.EQ:
            return _equals(condition, facts, trigger)
        case ConditionOp.NE:
            return not _equals(condition, facts, trigger)
        case ConditionOp.CONTAINS:
            return _contains(condition, facts)
        case ConditionOp.NOT_CONTAINS:
            return not _contains(condition, facts)
        case ConditionOp.GT:
            return condition.field is ConditionField.SCORE and facts.score > int(condition.value or 0)
        case ConditionOp.LT:
            return condition.field is ConditionField.SCORE and facts.score < int(condition.value or 0)


_HELD: Mapping[ConditionField, Callable[[Facts], Collection[str | UUID]]] = {
    ConditionField.SOURCE: lambda facts: (facts.source,),
    ConditionField.STAGE_ID: lambda facts: (facts.stage_id,),
    ConditionField.TAG_ID: lambda facts: facts.tag_ids,
    ConditionField.OWNER_ID: lambda facts: (facts.owner_id,) if facts.owner_id else (),
    ConditionField.SCORE: lambda facts: (str(facts.score),),
    ConditionField.EMAIL: lambda facts: _text(facts.email),
    ConditionField.COMPANY: lambda facts: _text(facts.company),
    ConditionField.TITLE: lambda facts: _text(facts.title),
    ConditionField.ENGAGEMENT: lambda facts: (facts.engagement,),
    ConditionField.CHANNEL: lambda facts: _text(facts.channel),
    ConditionField.MESSAGE_BODY: lambda facts: _text(facts.message_body),
}


def _held(field: ConditionField, facts: Facts) -> Collection[str | UUID]:
    """What the lead has there: nothing, one, or several (tags)."""
    return _HELD[field](facts)


def _text(value: str | None) -> tuple[str, ...]:
    return (value,) if value and value.strip() else ()


def _equals(condition: Condition, facts: Facts, trigger: Trigger) -> bool:
    """`TAG_ID EQ` of TAG_ADDED: the tag is one that the event added."""
    field, value = condition.field, condition.value or ""
    if field is ConditionField.TAG_ID:
        is_about_added = trigger is Trigger.TAG_ADDED and condition.op is ConditionOp.EQ
        return _id(value) in (facts.added_tag_ids if is_about_added else facts.tag_ids)
    if field in (ConditionField.STAGE_ID, ConditionField.OWNER_ID):
        return _id(value) in _held(field, facts)
    if field is ConditionField.SCORE:
        return facts.score == int(value or 0)
    if field in TEXTS:
        return any(folded(str(one)) == _folded(value) for one in _held(field, facts))
    return value in _held(field, facts)


def _contains(condition: Condition, facts: Facts) -> bool:
    wanted = _folded(condition.value or "")
    return any(wanted in folded(str(one)) for one in _held(condition.field, facts))


@lru_cache(maxsize=4096)
def _id(value: str) -> UUID:
    return UUID(value)


@lru_cache(maxsize=4096)
def _folded(value: str) -> str:
    """Of a condition, which is asked of many leads."""
    return folded(value)
