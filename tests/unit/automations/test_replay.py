"""What a rule would have done: leads as they stood then, the rule's guards, and silences."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.automations.domain.facts import Facts
from app.automations.domain.replay import (
    Course,
    Moment,
    PastChange,
    Silences,
    acted,
    course_of,
    met,
    within_rate,
)
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
from app.automations.domain.run import LEAD_RUNS_PER_HOUR, MAX_DEPTH

LEAD, NEW, WON, VIP, ANA = (UUID(int=number) for number in range(1, 6))
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FACTS = Facts(
    lead_id=LEAD,
    source="CSV",
    stage_id=WON,
    tag_ids=frozenset({VIP}),
    owner_id=ANA,
    score=0,
    email=None,
    company=None,
    title=None,
    engagement="REPLIED",
)
NO_WAIT = timedelta()


def a_rule(
    *when: Condition,
    trigger: Trigger = Trigger.LEAD_UPDATED,
    once: bool = False,
    actions: Sequence[Action] = (),
) -> Rule:
    return Rule(
        trigger=trigger,
        no_reply_after_s=None,
        once_per_lead=once,
        match=Match.ALL,
        conditions=when,
        actions=actions,
    )


def at(minutes: float, *, depth: int = 0, **more: object) -> Moment:
    return Moment(lead_id=LEAD, at=NOON + timedelta(minutes=minutes), depth=depth, **more)  # type: ignore[arg-type]


def minutes(moments: Sequence[Moment]) -> list[float]:
    return [(one.at - NOON) / timedelta(minutes=1) for one in moments]


def change(minute: float, **what: object) -> PastChange:
    return PastChange(at=NOON + timedelta(minutes=minute), **what)  # type: ignore[arg-type]


IS = ConditionOp.EQ


@pytest.mark.parametrize(
    ("then", "now", "changed"),
    [
        (Condition(ConditionField.STAGE_ID, IS, str(NEW)), WON, {"stage_id": NEW}),
        (Condition(ConditionField.ENGAGEMENT, IS, "NEW"), None, {"engagement": "NEW"}),
        (Condition(ConditionField.OWNER_ID, ConditionOp.NOT_EXISTS, None), None, {"owner_id": (None,)}),
        (Condition(ConditionField.TAG_ID, ConditionOp.NE, str(VIP)), None, {"added_tag_ids": {VIP}}),
        (Condition(ConditionField.TAG_ID, IS, str(NEW)), None, {"removed_tag_ids": {NEW}}),
    ],
    ids=["stage", "engagement", "owner", "tag added", "tag removed"],
)
def test_a_lead_is_asked_as_it_stood_then(
    then: Condition, now: UUID | None, changed: dict[str, object]
) -> None:
    moments = [at(0), at(10), at(30)]
    assert minutes(met(a_rule(then), FACTS, moments, [], {})) == []
    assert minutes(met(a_rule(then), FACTS, moments, [change(20, **changed)], {})) == [0, 10]


def test_changes_are_undone_one_after_the_other() -> None:
    was_new = Condition(ConditionField.STAGE_ID, IS, str(NEW))
    changes = [change(5, stage_id=NEW), change(15, stage_id=WON), change(25, stage_id=NEW)]
    moments = [at(0), at(10), at(20), at(30)]
    assert minutes(met(a_rule(was_new), FACTS, moments, changes, {})) == [0, 20]


def test_what_one_request_does_is_seen_as_a_whole() -> None:
    has_tag = Condition(ConditionField.TAG_ID, IS, str(VIP))
    assert minutes(met(a_rule(has_tag), FACTS, [at(0)], [change(0.01, added_tag_ids={VIP})], {})) == [0]


def test_the_tag_of_a_condition_is_one_that_was_added_then() -> None:
    rule = a_rule(Condition(ConditionField.TAG_ID, IS, str(VIP)), trigger=Trigger.TAG_ADDED)
    moments = [at(0, added_tag_ids=frozenset({NEW})), at(1, added_tag_ids=frozenset({VIP}))]
    assert minutes(met(rule, FACTS, moments, [], {})) == [1]


def test_the_text_of_the_message() -> None:
    rule = a_rule(
        Condition(ConditionField.MESSAGE_BODY, ConditionOp.CONTAINS, "preço"),
        trigger=Trigger.MESSAGE_RECEIVED,
    )
    moments = [at(0, message_id=NEW, channel="EMAIL"), at(1, message_id=WON, channel="EMAIL")]
    assert minutes(met(rule, FACTS, moments, [], {NEW: "Qual o PRECO?", WON: "Obrigado"})) == [0]


# ── guards ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_once_per_lead() -> None:
    assert minutes(acted(a_rule(once=True), [at(0), at(10)], NO_WAIT)) == [0]
    assert minutes(acted(a_rule(), [at(0), at(10)], NO_WAIT)) == [0, 10]


def test_while_a_run_waits_no_other_begins() -> None:
    assert minutes(acted(a_rule(), [at(0), at(9), at(10), at(15)], timedelta(minutes=10))) == [0, 10]


def test_what_rules_set_off_ends_at_a_depth() -> None:
    moments = [at(0, depth=MAX_DEPTH), at(1, depth=MAX_DEPTH - 1)]
    assert minutes(acted(a_rule(once=True), moments, NO_WAIT)) == [1]


def test_so_many_times_an_hour_at_one_lead() -> None:
    many = [at(minute) for minute in range(70)]
    found = minutes(acted(a_rule(), many, NO_WAIT))
    assert found == [*range(LEAD_RUNS_PER_HOUR), *range(60, 70)]


def test_so_many_times_an_hour_at_all_leads() -> None:
    assert minutes(within_rate([at(-1), at(0), at(1), at(2), at(60), at(60.5), at(61)], 2)) == [
        -1,
        0,
        1,
        60,
        60.5,
    ]


# ── the course of a run ───────────────────────────────────────────────────────────────────────────────────────────────
SEND = Action(ActionKind.SEND_TEMPLATE, target_id=NEW, account_id=ANA)
OTHER = Action(ActionKind.SEND_TEMPLATE, target_id=WON, account_id=ANA)
WAIT = Action(ActionKind.WAIT, seconds=60)


def test_a_run_lasts_as_long_as_it_waits() -> None:
    assert course_of([WAIT, SEND, WAIT, OTHER], {}) == Course(timedelta(minutes=2), sends=2)


def test_a_refused_message_ends_the_run() -> None:
    found = course_of([SEND, WAIT, OTHER, WAIT, SEND], {OTHER: "SUPPRESSED"})
    assert found == Course(timedelta(minutes=1), sends=1, blocked="SUPPRESSED")


# ── silences ──────────────────────────────────────────────────────────────────────────────────────────────────────────
THREAD, ASIDE = UUID(int=21), UUID(int=22)


def silent(*, now: float, told: Sequence[tuple[str, float]]) -> list[Moment]:
    """The rule waits for ten minutes."""
    silences = Silences(timedelta(minutes=10))
    for what, minute in told:
        if what == "sent":
            silences.sent(THREAD, at(minute))
        elif what == "aside":
            silences.sent(ASIDE, at(minute))
        else:
            silences.answered(THREAD, NOON + timedelta(minutes=minute))
    return sorted(silences.end(NOON + timedelta(minutes=now)), key=lambda moment: moment.at)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([("sent", 0)], [10]),
        ([("sent", 0), ("answered", 9)], []),
        ([("sent", 0), ("answered", 11)], [10]),
        ([("sent", 0), ("sent", 5)], [15]),
        ([("sent", 0), ("aside", 3), ("sent", 5)], [15]),
        ([("sent", 0), ("answered", 1), ("aside", 2), ("sent", 3)], [12]),
        ([("sent", 0), ("aside", 11)], [10, 21]),
        ([("sent", 95)], []),
        ([("answered", 1), ("sent", 2)], [12]),
    ],
    ids=[
        "silence",
        "answered",
        "answered late",
        "sent again",
        "not in two at once",
        "in whichever is first",
        "then in another",
        "not yet",
        "sent after",
    ],
)
def test_a_silence_begins_with_the_last_message(told: list[tuple[str, float]], found: list[float]) -> None:
    assert minutes(silent(now=100, told=told)) == found


def test_a_rule_acts_once_until_the_lead_answers() -> None:
    rule = a_rule(trigger=Trigger.NO_REPLY)
    told = [("sent", 0), ("sent", 20), ("answered", 40), ("sent", 50)]
    moments = silent(now=100, told=told)
    assert minutes(moments) == [10, 30, 60]
    assert minutes(acted(rule, moments, NO_WAIT)) == [10, 60]
