"""Which events concern which rules, and which leads meet conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.automations.domain.checking import OPERATORS
from app.automations.domain.facts import Facts, MessageFacts
from app.automations.domain.judging import (
    FailedCondition,
    asks_for_text,
    failed_condition,
    holds,
    is_triggered,
    triggers_of,
    with_event,
)
from app.automations.domain.rule import Condition, ConditionField, ConditionOp, Match, Rule, Trigger, rule_of
from app.common.domain import folded
from app.leads.domain.lead import Engagement, LeadSource

IDS = [UUID(int=number) for number in range(1, 5)]
TEXTS = ["Acme", "ÁCME ", "acme ltda", "Outra", "", " ", "São João", "sao joao", "ß", "SS", "e\u0301"]
OPPOSITES = {
    ConditionOp.EQ: ConditionOp.NE,
    ConditionOp.CONTAINS: ConditionOp.NOT_CONTAINS,
    ConditionOp.EXISTS: ConditionOp.NOT_EXISTS,
}
PLACES: Mapping[ConditionField, str] = {
    ConditionField.EMAIL: "email",
    ConditionField.COMPANY: "company",
    ConditionField.TITLE: "title",
    ConditionField.MESSAGE_BODY: "message_body",
}

texts = st.one_of(st.none(), st.sampled_from(TEXTS), st.text(max_size=8))
ids = st.sampled_from(IDS)
triggers = st.sampled_from(Trigger)
some_facts = st.builds(
    Facts,
    lead_id=ids,
    source=st.sampled_from([one.value for one in LeadSource]),
    stage_id=ids,
    tag_ids=st.frozensets(ids),
    owner_id=st.one_of(st.none(), ids),
    score=st.integers(-20, 20),
    email=texts,
    company=texts,
    title=texts,
    engagement=st.sampled_from([one.value for one in Engagement]),
    added_tag_ids=st.frozensets(ids),
    channel=st.one_of(st.none(), st.just("EMAIL")),
    message_body=texts,
)


@st.composite
def conditions(draw: st.DrawFn, ops: Sequence[ConditionOp] = tuple(ConditionOp)) -> Condition:
    """Such as may be made."""
    fields = [one for one in ConditionField if any(op in OPERATORS[one] for op in ops)]
    field = draw(st.sampled_from(fields))
    op = draw(st.sampled_from([one for one in ops if one in OPERATORS[field]]))
    if op in (ConditionOp.EXISTS, ConditionOp.NOT_EXISTS):
        return Condition(field, op, None)
    values = {
        ConditionField.SOURCE: st.sampled_from([one.value for one in LeadSource]),
        ConditionField.ENGAGEMENT: st.sampled_from([one.value for one in Engagement]),
        ConditionField.CHANNEL: st.just("EMAIL"),
        ConditionField.SCORE: st.integers(-20, 20).map(str),
        **dict.fromkeys(
            (ConditionField.STAGE_ID, ConditionField.TAG_ID, ConditionField.OWNER_ID), ids.map(str)
        ),
    }
    return Condition(
        field, op, draw(values.get(field, st.sampled_from([one for one in TEXTS if one.strip()])))
    )


def a_rule(*when: Condition, match: Match = Match.ALL, trigger: Trigger = Trigger.LEAD_UPDATED) -> Rule:
    return Rule(
        trigger=trigger,
        no_reply_after_s=60 if trigger is Trigger.NO_REPLY else None,
        once_per_lead=False,
        match=match,
        conditions=when,
        actions=(),
    )


@given(conditions(ops=list(OPPOSITES)), some_facts, triggers)
def test_opposites_never_agree(condition: Condition, facts: Facts, trigger: Trigger) -> None:
    """But of TAG_ADDED, where EQ is about what the event added and NE about what the lead has."""
    if condition.field is ConditionField.TAG_ID and condition.op is ConditionOp.EQ:
        facts = replace(facts, added_tag_ids=facts.tag_ids)
    opposite = Condition(condition.field, OPPOSITES[condition.op], condition.value)
    assert holds(condition, facts, trigger) is not holds(opposite, facts, trigger)


@given(st.lists(conditions(), max_size=6), some_facts, triggers)
def test_all_names_the_first_that_fails_and_any_none(
    when: list[Condition], facts: Facts, trigger: Trigger
) -> None:
    each = [holds(one, facts, trigger) for one in when]
    first = None if all(each) else FailedCondition(each.index(False))
    assert failed_condition(a_rule(*when, trigger=trigger), facts) == first
    some = failed_condition(a_rule(*when, match=Match.ANY, trigger=trigger), facts)
    assert some == (None if any(each) or not each else FailedCondition(None))


@given(st.lists(conditions(), max_size=6), st.sampled_from(Match), some_facts, triggers)
def test_a_rule_that_was_stored_judges_the_same(
    when: list[Condition], match: Match, facts: Facts, trigger: Trigger
) -> None:
    rule = a_rule(*when, match=match, trigger=trigger)
    read = rule_of(rule.stored)
    assert (read.conditions, read.match, read.trigger) == (list(when), match, trigger)
    assert failed_condition(read, facts) == failed_condition(rule, facts)


@given(some_facts, st.sampled_from(list(PLACES)), st.sampled_from(TEXTS), st.sampled_from(TEXTS))
def test_texts_are_compared_without_case_and_accents(
    facts: Facts, field: ConditionField, value: str, wanted: str
) -> None:
    facts = replace(facts, **{PLACES[field]: value})

    def is_met(op: ConditionOp, value: str | None = wanted) -> bool:
        return holds(Condition(field, op, value), facts, Trigger.LEAD_UPDATED)

    is_there = bool(value.strip())
    assert is_met(ConditionOp.EXISTS, None) is is_there
    assert is_met(ConditionOp.EQ) is (is_there and folded(value) == folded(wanted))
    assert is_met(ConditionOp.CONTAINS) is (is_there and folded(wanted) in folded(value))


@given(some_facts, st.integers(-20, 20))
def test_scores_are_numbers(facts: Facts, score: int) -> None:
    def is_met(op: ConditionOp) -> bool:
        return holds(Condition(ConditionField.SCORE, op, str(score)), facts, Trigger.LEAD_CREATED)

    assert [is_met(op) for op in (ConditionOp.LT, ConditionOp.EQ, ConditionOp.GT)] == [
        facts.score < score,
        facts.score == score,
        facts.score > score,
    ]


@given(some_facts, ids, triggers)
def test_tags_of_the_lead_and_of_the_event(facts: Facts, id: UUID, trigger: Trigger) -> None:
    about = facts.added_tag_ids if trigger is Trigger.TAG_ADDED else facts.tag_ids
    assert holds(Condition(ConditionField.TAG_ID, ConditionOp.EQ, str(id)), facts, trigger) is (id in about)
    assert holds(Condition(ConditionField.TAG_ID, ConditionOp.NE, str(id)), facts, trigger) is (
        id not in facts.tag_ids
    )


def test_who_has_none_equals_nothing() -> None:
    facts = Facts(
        lead_id=IDS[0],
        source="CSV",
        stage_id=IDS[0],
        tag_ids=frozenset(),
        owner_id=None,
        score=0,
        email=None,
        company=None,
        title=None,
        engagement="NEW",
    )
    for condition, is_met in (
        (Condition(ConditionField.OWNER_ID, ConditionOp.NE, str(IDS[0])), True),
        (Condition(ConditionField.OWNER_ID, ConditionOp.EXISTS, None), False),
        (Condition(ConditionField.COMPANY, ConditionOp.NE, "Acme"), True),
        (Condition(ConditionField.COMPANY, ConditionOp.NOT_CONTAINS, "a"), True),
        (Condition(ConditionField.TAG_ID, ConditionOp.NOT_EXISTS, None), True),
        (Condition(ConditionField.CHANNEL, ConditionOp.EQ, "EMAIL"), False),
    ):
        assert holds(condition, facts, Trigger.LEAD_CREATED) is is_met, condition


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Told:
    name: str
    changed: Sequence[str] = ()
    before: Mapping[str, object] = field(default_factory=dict)
    after: Mapping[str, object] = field(default_factory=dict)
    entity_ids: Sequence[UUID] = (IDS[0],)


def message(**changes: object) -> MessageFacts:
    facts = MessageFacts(
        id=uuid4(),
        conversation_id=IDS[1],
        lead_id=IDS[0],
        channel="EMAIL",
        is_inbound=False,
        is_auto_reply=False,
        author_kind="HUMAN",
        position=1,
        sent_at=datetime(2026, 3, 2, tzinfo=UTC),
        body="Bom dia!",
        is_answered=False,
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


ADDED = {"addTagIds": [str(IDS[2])], "removeTagIds": []}
LEFT = {"before": {"status": "SENDING"}, "after": {"status": "SENT"}}


@pytest.mark.parametrize(
    ("told", "about", "triggers"),
    [
        (Told("lead.created", after={"source": "CSV"}), None, {Trigger.LEAD_CREATED}),
        (Told("lead.deleted"), None, set()),
        (Told("lead.updated", ["stage"]), None, {Trigger.STAGE_CHANGED}),
        (Told("lead.updated", ["tags"], after=ADDED), None, {Trigger.TAG_ADDED}),
        (Told("lead.updated", ["tags"], after={"addTagIds": []}), None, set()),
        (Told("lead.updated", ["engagement"]), None, set()),
        (Told("lead.updated", ["score"]), None, set()),
        (Told("lead.updated", ["rank"]), None, set()),
        (Told("lead.updated", ["owner"]), None, {Trigger.LEAD_UPDATED}),
        (Told("lead.updated", ["imported"]), None, {Trigger.LEAD_UPDATED}),
        (
            Told("lead.updated", ["stage", "tags", "name"], after=ADDED),
            None,
            {Trigger.STAGE_CHANGED, Trigger.TAG_ADDED, Trigger.LEAD_UPDATED},
        ),
        (Told("message.created"), message(is_inbound=True), {Trigger.MESSAGE_RECEIVED}),
        (Told("message.created"), message(is_inbound=True, is_auto_reply=True), set()),
        (Told("message.created"), message(), set()),
        (Told("message.created"), None, set()),
        (Told("message.updated", **LEFT), message(), {Trigger.NO_REPLY}),
        (Told("message.updated", **LEFT), message(author_kind="AUTOMATION"), {Trigger.NO_REPLY}),
        (Told("message.updated", **LEFT), message(author_kind="AI"), set()),
        (Told("message.updated", **LEFT), message(is_inbound=True), set()),
        (Told("message.updated", **LEFT), None, set()),
        (
            Told("message.updated", before={"status": "SENT"}, after={"status": "DELIVERED"}),
            message(),
            set(),
        ),
        (Told("message.updated", before={"status": "SENDING"}, after={"status": "FAILED"}), message(), set()),
        (
            Told("message.updated", before={"status": "UNKNOWN"}, after={"status": "DELIVERED"}),
            message(),
            {Trigger.NO_REPLY},
        ),
        (Told("automation.changed", ["enabled"]), None, set()),
    ],
)
def test_what_an_event_is_to_rules(told: Told, about: MessageFacts | None, triggers: set[Trigger]) -> None:
    assert triggers_of(told, about) == triggers
    assert {one for one in Trigger if is_triggered(a_rule(trigger=one), told, about)} == triggers


@given(some_facts)
def test_what_an_event_adds_to_the_facts(facts: Facts) -> None:
    bare = replace(facts, added_tag_ids=frozenset(), channel=None, message_body=None)
    tagged = with_event(bare, Told("lead.updated", ["tags"], after=ADDED))
    assert tagged == replace(bare, added_tag_ids=frozenset({IDS[2]}))
    assert with_event(bare, Told("lead.created")) == bare
    came = with_event(bare, Told("message.created"), message(is_inbound=True))
    assert came == replace(bare, channel="EMAIL", message_body="Bom dia!")


def test_the_text_is_read_where_a_condition_asks_for_it() -> None:
    body = Condition(ConditionField.MESSAGE_BODY, ConditionOp.EXISTS, None)
    other = Condition(ConditionField.TITLE, ConditionOp.EXISTS, None)
    assert [asks_for_text(a_rule(*one)) for one in ((other, body), (other,), ())] == [True, False, False]
