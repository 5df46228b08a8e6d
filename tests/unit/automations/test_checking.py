"""What is refused of a rule, and where."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
import pytest

from app.automations.domain.checking import (
    EQUALITY,
    OPERATORS,
    Draft,
    ThingKind,
    check_references,
    checked_rule,
    references,
)
from app.automations.domain.rule import (
    MAX_ACTIONS,
    MAX_CONDITIONS,
    MAX_WAIT_S,
    Action,
    ActionKind,
    Condition,
    ConditionField,
    ConditionOp,
    Rule,
    Trigger,
    rule_of,
)
from app.common.domain import Invalid, NotFound, Refusals, SalesPadError

TAG, OTHER, STAGE, MEMBER, TEMPLATE, ACCOUNT = (UUID(int=n) for n in range(1, 7))
ADD_TAG = Action(ActionKind.ADD_TAG, target_id=TAG)
SEND = Action(ActionKind.SEND_TEMPLATE, target_id=TEMPLATE, account_id=ACCOUNT)
VALUES = {
    ConditionField.SOURCE: "CSV",
    ConditionField.STAGE_ID: str(STAGE),
    ConditionField.TAG_ID: str(TAG),
    ConditionField.OWNER_ID: str(MEMBER),
    ConditionField.SCORE: "50",
    ConditionField.ENGAGEMENT: "REPLIED",
    ConditionField.CHANNEL: "EMAIL",
}


def draft(**given: Any) -> Draft:
    return Draft(**{"trigger": Trigger.MESSAGE_RECEIVED, "actions": [ADD_TAG], **given})


def rule(**given: Any) -> Rule:
    return checked_rule(draft(**given))


def refusals(**given: Any) -> Sequence[SalesPadError]:
    with pytest.raises((Invalid, NotFound, Refusals)) as caught:
        rule(**given)
    return caught.value.refusals if isinstance(caught.value, Refusals) else [caught.value]


def refused(**given: Any) -> list[tuple[str, ...]]:
    return [one.path for one in refusals(**given)]


def condition(field: ConditionField, op: ConditionOp, value: str | None) -> dict[str, Any]:
    return {"conditions": [Condition(field, op, value)]}


def webhook(url: str) -> Action:
    return Action(ActionKind.CALL_WEBHOOK, text=url)


@pytest.mark.parametrize("field", ConditionField)
@pytest.mark.parametrize("op", ConditionOp)
def test_an_operator_fits_its_field_or_is_refused_there(field: ConditionField, op: ConditionOp) -> None:
    asks = op not in (ConditionOp.EXISTS, ConditionOp.NOT_EXISTS)
    given = condition(field, op, VALUES.get(field, "x") if asks else None)
    if op in OPERATORS[field]:
        assert rule(**given).conditions[0].op is op
    else:
        assert refused(**given) == [("conditions", "0", "op")]


def test_what_is_compared_by_its_order_is_a_number() -> None:
    assert [field for field, ops in OPERATORS.items() if ConditionOp.GT in ops] == [ConditionField.SCORE]
    assert all(ops & (EQUALITY | {ConditionOp.EXISTS}) for ops in OPERATORS.values())


@pytest.mark.parametrize("seconds", [0, -1, MAX_WAIT_S + 1, 10 * MAX_WAIT_S, None])
def test_a_wait_of_nothing_or_of_years_is_refused(seconds: int | None) -> None:
    wait = Action(ActionKind.WAIT, seconds=seconds)
    assert refused(actions=[ADD_TAG, wait]) == [("actions", "1", "waitSeconds")]


@pytest.mark.parametrize("seconds", [1, MAX_WAIT_S])
def test_a_wait_of_a_second_to_a_year_will_do(seconds: int) -> None:
    assert rule(actions=[Action(ActionKind.WAIT, seconds=seconds)]).actions[0].seconds == seconds


def test_a_hundred_actions_will_do_and_one_more_is_refused() -> None:
    assert len(rule(actions=[ADD_TAG] * MAX_ACTIONS).actions) == MAX_ACTIONS
    assert refused(actions=[ADD_TAG] * (MAX_ACTIONS + 1)) == [("actions",)]


def test_a_rule_that_does_nothing_is_refused() -> None:
    assert refused(actions=[]) == [("actions",)]


def test_fifty_conditions_will_do_and_one_more_is_refused() -> None:
    one = Condition(ConditionField.SCORE, ConditionOp.GT, "1")
    assert len(rule(conditions=[one] * MAX_CONDITIONS).conditions) == MAX_CONDITIONS
    assert refused(conditions=[one] * (MAX_CONDITIONS + 1)) == [("conditions",)]


def test_the_time_without_a_reply_belongs_to_its_trigger() -> None:
    path = [("noReplyAfterSeconds",)]
    assert refused(trigger=Trigger.NO_REPLY) == path
    assert refused(trigger=Trigger.NO_REPLY, no_reply_after_s=0) == path
    assert refused(trigger=Trigger.NO_REPLY, no_reply_after_s=MAX_WAIT_S + 1) == path
    assert refused(trigger=Trigger.LEAD_CREATED, no_reply_after_s=60) == path
    assert rule(trigger=Trigger.NO_REPLY, no_reply_after_s=60).no_reply_after_s == 60


@pytest.mark.parametrize("trigger", Trigger)
def test_a_message_is_asked_only_where_there_is_one(trigger: Trigger) -> None:
    given: dict[str, Any] = {
        "trigger": trigger,
        **condition(ConditionField.MESSAGE_BODY, ConditionOp.CONTAINS, "price"),
        "no_reply_after_s": 60 if trigger is Trigger.NO_REPLY else None,
    }
    if trigger in (Trigger.MESSAGE_RECEIVED, Trigger.NO_REPLY):
        assert rule(**given).conditions[0].value == "price"
    else:
        assert refused(**given) == [("conditions", "0", "field")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (ConditionField.SOURCE, "csv"),
        (ConditionField.ENGAGEMENT, "__members__"),
        (ConditionField.CHANNEL, "PIGEON"),
        (ConditionField.SCORE, "many"),
        (ConditionField.SCORE, "1.5"),
        (ConditionField.SCORE, "--5"),
        (ConditionField.SCORE, "1" * 400),
        (ConditionField.SCORE, "9999999"),
        (ConditionField.SCORE, "²"),
        (ConditionField.STAGE_ID, "Novo"),
        (ConditionField.TAG_ID, ""),
        (ConditionField.COMPANY, " "),
        (ConditionField.COMPANY, None),
        (ConditionField.COMPANY, "x" * 1001),
        (ConditionField.COMPANY, "a\x00b"),
        (ConditionField.COMPANY, "\u0301"),
        (ConditionField.MESSAGE_BODY, "\ud800"),
    ],
)
def test_a_value_that_its_field_cannot_have_is_refused(field: ConditionField, value: str | None) -> None:
    assert refused(**condition(field, ConditionOp.EQ, value)) == [("conditions", "0", "value")]


def test_who_asks_whether_something_is_there_gives_no_value() -> None:
    assert refused(**condition(ConditionField.EMAIL, ConditionOp.EXISTS, "x")) == [
        ("conditions", "0", "value")
    ]
    assert rule(**condition(ConditionField.EMAIL, ConditionOp.EXISTS, "")).conditions[0].value is None


def test_values_are_stored_as_they_are_compared() -> None:
    kept = rule(
        conditions=[
            Condition(ConditionField.SCORE, ConditionOp.GT, " -007 "),
            Condition(ConditionField.SCORE, ConditionOp.LT, "٤٢"),
            Condition(ConditionField.STAGE_ID, ConditionOp.EQ, str(UUID(int=0xABC)).upper()),
            Condition(ConditionField.TITLE, ConditionOp.CONTAINS, "  ação "),
        ]
    )
    assert [one.value for one in kept.conditions] == ["-7", "42", str(UUID(int=0xABC)), "ação"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://example.com", "https://example.com"),
        ("HTTPS://Example.COM:443/Hooks?a=B#top", "https://example.com:443/Hooks?a=B"),
        ("https://münchen.de/ação?q=é", "https://xn--mnchen-3ya.de/a%C3%A7%C3%A3o?q=%C3%A9"),
        ("https://[2606:4700::1111]:8443/x", "https://[2606:4700::1111]:8443/x"),
    ],
)
def test_an_address_is_kept_in_ascii(given: str, kept: str) -> None:
    assert rule(actions=[webhook(given)]).actions[0].text == kept


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook",
        "ftp://example.com",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://example.com:99999",
        "https://example.com:0",
        "https://[::1",
        "https://a..b",
        "https://exa mple.com",
        "https://example.com\\@evil.test",
        "https://example.com/\nHost: x",
        "https://user:secret@example.com",
        "https://%6cocalhost",
        f"https://{'a' * 64}.com",
        f"https://example.com/{'a' * 2000}",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    assert refused(actions=[webhook(url)]) == [("actions", "0", "callWebhook")]


def test_a_note_has_a_text() -> None:
    note = Action(ActionKind.ADD_NOTE, text=" \n ")
    assert refused(actions=[note]) == [("actions", "0", "addNote")]
    assert refused(actions=[Action(ActionKind.ADD_NOTE, text="x" * 10_001)]) == [("actions", "0", "addNote")]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert refused(
        trigger=Trigger.LEAD_CREATED,
        no_reply_after_s=5,
        conditions=[
            Condition(ConditionField.SCORE, ConditionOp.CONTAINS, "1"),
            Condition(ConditionField.SCORE, ConditionOp.GT, "x"),
        ],
        actions=[Action(ActionKind.WAIT, seconds=0), webhook("x")],
    ) == [
        ("noReplyAfterSeconds",),
        ("conditions", "0", "op"),
        ("conditions", "1", "value"),
        ("actions", "0", "waitSeconds"),
        ("actions", "1", "callWebhook"),
    ]


def test_once_a_lead_is_what_new_leads_get_unless_it_is_said() -> None:
    assert [one for one in Trigger if checked_once(one, None)] == [Trigger.LEAD_CREATED]
    assert all(checked_once(one, True) for one in Trigger)
    assert not any(checked_once(one, False) for one in Trigger)


def checked_once(trigger: Trigger, once: bool | None) -> bool:
    after_s = 60 if trigger is Trigger.NO_REPLY else None
    return rule(trigger=trigger, once_per_lead=once, no_reply_after_s=after_s).once_per_lead


def test_a_rule_knows_all_that_it_speaks_of_and_where() -> None:
    found = references(
        rule(
            conditions=[
                Condition(ConditionField.OWNER_ID, ConditionOp.EXISTS, None),
                Condition(ConditionField.STAGE_ID, ConditionOp.NE, str(STAGE)),
            ],
            actions=[ADD_TAG, Action(ActionKind.ASSIGN, target_id=MEMBER), SEND],
        )
    )
    assert [(one.kind, one.id, one.path) for one in found] == [
        (ThingKind.STAGE, STAGE, ("conditions", "1", "value")),
        (ThingKind.TAG, TAG, ("actions", "0", "addTag")),
        (ThingKind.MEMBER, MEMBER, ("actions", "1", "assign")),
        (ThingKind.TEMPLATE, TEMPLATE, ("actions", "2", "sendTemplate", "templateId")),
        (ThingKind.ACCOUNT, ACCOUNT, ("actions", "2", "sendTemplate", "accountId")),
    ]
    with pytest.raises(Refusals) as caught:
        check_references(found, {ThingKind.TAG: {TAG}, ThingKind.STAGE: {STAGE}, ThingKind.TEMPLATE: {OTHER}})
    assert [one.path for one in caught.value.refusals] == [found[at].path for at in (2, 3, 4)]
    check_references(found, {one.kind: {one.id} for one in found})


def test_a_rule_is_read_as_it_was_stored() -> None:
    whole = rule(
        conditions=[
            Condition(ConditionField.TAG_ID, ConditionOp.NE, str(TAG)),
            Condition(ConditionField.EMAIL, ConditionOp.NOT_EXISTS, None),
        ],
        actions=[
            ADD_TAG,
            SEND,
            Action(ActionKind.WAIT, seconds=60),
            Action(ActionKind.ADD_NOTE, text="Call them."),
            webhook("https://example.com/x"),
        ],
    )
    assert rule_of(orjson.loads(orjson.dumps(whole.stored))) == whole
