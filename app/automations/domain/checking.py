"""Whether what somebody wants of a rule makes one. All that is wrong is told at once, each thing at its field.

Whether its tags, stages, members, templates and accounts are there is asked of the database (`references`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from app.automations.domain.rule import (
    MAX_ACTIONS,
    MAX_CONDITIONS,
    MAX_VALUE,
    MAX_WAIT_S,
    MIN_WAIT_S,
    Action,
    ActionKind,
    Condition,
    ConditionField,
    ConditionOp,
    Match,
    Rule,
    Trigger,
)
from app.automations.domain.webhook import clean_webhook
from app.common.domain import Channel, Invalid, NotFound, Refusals, SalesPadError, clean_text, folded
from app.leads.domain.lead import Engagement, LeadSource
from app.templates.domain.texts import Problems

NOTE_MAX = 10_000
MAX_SCORE = 1_000_000
EQUALITY = frozenset({ConditionOp.EQ, ConditionOp.NE})
PRESENCE = frozenset({ConditionOp.EXISTS, ConditionOp.NOT_EXISTS})
TEXT = EQUALITY | PRESENCE | {ConditionOp.CONTAINS, ConditionOp.NOT_CONTAINS}
OPERATORS: Mapping[ConditionField, frozenset[ConditionOp]] = {
    ConditionField.SOURCE: EQUALITY,
    ConditionField.STAGE_ID: EQUALITY,
    ConditionField.TAG_ID: EQUALITY | PRESENCE,
    ConditionField.OWNER_ID: EQUALITY | PRESENCE,
    ConditionField.SCORE: EQUALITY | {ConditionOp.GT, ConditionOp.LT},
    ConditionField.EMAIL: TEXT,
    ConditionField.COMPANY: TEXT,
    ConditionField.TITLE: TEXT,
    ConditionField.ENGAGEMENT: EQUALITY,
    ConditionField.CHANNEL: EQUALITY,
    ConditionField.MESSAGE_BODY: TEXT,
}
"""What fits which field. Of `TAG_ID` EQ is "has it", NE "does not have it", EXISTS "has any"."""
NAMES: Mapping[ConditionField, type[StrEnum]] = {
    ConditionField.SOURCE: LeadSource,
    ConditionField.ENGAGEMENT: Engagement,
    ConditionField.CHANNEL: Channel,
}
IDS = frozenset({ConditionField.STAGE_ID, ConditionField.TAG_ID, ConditionField.OWNER_ID})
OF_MESSAGES = frozenset({ConditionField.CHANNEL, ConditionField.MESSAGE_BODY})
"""Asked of the event's message, so only where the trigger has one."""
HAVE_MESSAGE = frozenset({Trigger.MESSAGE_RECEIVED, Trigger.NO_REPLY})
INPUT_FIELDS: Mapping[ActionKind, str] = {
    ActionKind.ADD_TAG: "addTag",
    ActionKind.REMOVE_TAG: "removeTag",
    ActionKind.MOVE_STAGE: "moveStage",
    ActionKind.ASSIGN: "assign",
    ActionKind.SEND_TEMPLATE: "sendTemplate",
    ActionKind.WAIT: "waitSeconds",
    ActionKind.ADD_NOTE: "addNote",
    ActionKind.CALL_WEBHOOK: "callWebhook",
}
"""How an action's input calls it."""
Found = TypeVar("Found")
AT_NOTHING = Condition(ConditionField.SCORE, ConditionOp.EQ, "0")
"""In place of a condition that was refused; such a rule is never made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What was asked for. Its actions and conditions have their parts where `rule.py` has them, unchecked: ids that
    are none are `UUID(int=0)`, which nothing has."""

    trigger: Trigger
    actions: Sequence[Action]
    conditions: Sequence[Condition] = ()
    match: Match = Match.ALL
    no_reply_after_s: int | None = None
    once_per_lead: bool | None = None
    """None: once where the trigger is LEAD_CREATED."""


def checked_rule(draft: Draft) -> Rule:
    """Raises Refusals (or the one refusal) with paths as in CreateAutomationInput."""
    problems = Problems()
    problems.take(lambda: _check_no_reply(draft), None)
    conditions = [
        problems.take(lambda at=at, one=one: _condition(at, one, draft.trigger), AT_NOTHING)  # type: ignore[misc]
        for at, one in enumerate(_at_most(draft.conditions, MAX_CONDITIONS, "conditions", problems))
    ]
    actions = [
        problems.take(lambda at=at, one=one: _action(at, one), one)  # type: ignore[misc]
        for at, one in enumerate(_at_most(draft.actions, MAX_ACTIONS, "actions", problems))
    ]
    if not draft.actions:
        problems.refusals.append(Invalid("Say what the rule does: give it an action.", path=("actions",)))
    problems.tell()
    once = draft.once_per_lead
    return Rule(
        trigger=draft.trigger,
        no_reply_after_s=draft.no_reply_after_s,
        once_per_lead=draft.trigger is Trigger.LEAD_CREATED if once is None else once,
        match=draft.match,
        conditions=conditions,
        actions=actions,
    )


def _at_most(given: Sequence[Found], limit: int, field: str, problems: Problems) -> Sequence[Found]:
    """None of them where there are too many: that alone is told."""
    if len(given) <= limit:
        return given
    problems.refusals.append(
        Invalid(f"A rule has at most {limit} {field}: these are {len(given)}.", path=(field,))
    )
    return ()


def _check_no_reply(draft: Draft) -> None:
    seconds, path = draft.no_reply_after_s, "noReplyAfterSeconds"
    if draft.trigger is Trigger.NO_REPLY:
        if seconds is None:
            raise Invalid("Say after how many seconds without a reply the rule acts.", path=(path,))
        _check_wait(seconds, path)
    elif seconds is not None:
        raise Invalid("Leave this out: it belongs to the trigger NO_REPLY alone.", path=(path,))


def _check_wait(seconds: int, *path: str) -> None:
    if not MIN_WAIT_S <= seconds <= MAX_WAIT_S:
        days = MAX_WAIT_S // 86_400
        raise Invalid(f"Wait {MIN_WAIT_S} to {MAX_WAIT_S:,} seconds ({days} days).", path=path)


def _condition(at: int, given: Condition, trigger: Trigger) -> Condition:
    """Raises Invalid."""
    path = ("conditions", str(at))
    if given.field in OF_MESSAGES and trigger not in HAVE_MESSAGE:
        raise Invalid(
            f"{given.field} is asked of a message, and {trigger} has none: choose the trigger MESSAGE_RECEIVED or "
            "NO_REPLY, or another field.",
            path=(*path, "field"),
        )
    if given.op not in OPERATORS[given.field]:
        fitting = ", ".join(op.value for op in ConditionOp if op in OPERATORS[given.field])
        raise Invalid(f"{given.op} does not fit {given.field}: use {fitting}.", path=(*path, "op"))
    return Condition(given.field, given.op, _value(given, *path, "value"))


def _value(given: Condition, *path: str) -> str | None:
    """As it is stored and compared. Raises Invalid."""
    if given.op in PRESENCE:
        if given.value:
            raise Invalid(f"Leave the value out: {given.op} asks for none.", path=path)
        return None
    text = clean_text(given.value or "", *path, max_length=MAX_VALUE)
    if names := NAMES.get(given.field):
        if text not in names.__members__:
            raise Invalid(f"Use one of {', '.join(names.__members__)}.", path=path)
    elif given.field is ConditionField.SCORE:
        return _score(text, *path)
    elif given.field in IDS and (id := _id(text)) is not None:
        return str(id)
    elif given.field in IDS:
        raise _gone(KINDS_OF_FIELDS[given.field], *path)
    elif not folded(text):
        # Compared without case and accents: of accents alone nothing is left, which stands in every text.
        raise Invalid("Write a letter, a digit or a sign: these are accents alone.", path=path)
    return text


def _score(text: str, *path: str) -> str:
    digits = text.removeprefix("-")
    # `isdecimal` alone takes the digits of every script, as `int` does: what is stored is in ASCII.
    if not digits.isdecimal() or len(digits) > len(str(MAX_SCORE)) or abs(int(text)) > MAX_SCORE:
        raise Invalid(f"A score is a whole number from {-MAX_SCORE:,} to {MAX_SCORE:,}.", path=path)
    return str(int(text))


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _action(at: int, given: Action) -> Action:
    """Raises Invalid."""
    path = ("actions", str(at), INPUT_FIELDS[given.kind])
    if given.kind is ActionKind.WAIT:
        _check_wait(given.seconds or 0, *path)
    elif given.kind is ActionKind.ADD_NOTE:
        return Action(given.kind, text=clean_text(given.text or "", *path, max_length=NOTE_MAX))
    elif given.kind is ActionKind.CALL_WEBHOOK:
        return Action(given.kind, text=clean_webhook(given.text or "", *path))
    return given


# ── what a rule speaks of ─────────────────────────────────────────────────────────────────────────────────────────────
class ThingKind(StrEnum):
    """What a rule may speak of by an id."""

    TAG = "TAG"
    STAGE = "STAGE"
    MEMBER = "MEMBER"
    TEMPLATE = "TEMPLATE"
    ACCOUNT = "ACCOUNT"


KINDS_OF_FIELDS: Mapping[ConditionField, ThingKind] = {
    ConditionField.TAG_ID: ThingKind.TAG,
    ConditionField.STAGE_ID: ThingKind.STAGE,
    ConditionField.OWNER_ID: ThingKind.MEMBER,
}
KINDS_OF_ACTIONS: Mapping[ActionKind, ThingKind] = {
    ActionKind.ADD_TAG: ThingKind.TAG,
    ActionKind.REMOVE_TAG: ThingKind.TAG,
    ActionKind.MOVE_STAGE: ThingKind.STAGE,
    ActionKind.ASSIGN: ThingKind.MEMBER,
    ActionKind.SEND_TEMPLATE: ThingKind.TEMPLATE,
}
_NO_SUCH: Mapping[ThingKind, str] = {
    ThingKind.TAG: "No such tag: it may be deleted by now. Pick one of this workspace's tags.",
    ThingKind.STAGE: "No such stage: it may be deleted by now. Pick one of this workspace's stages.",
    ThingKind.MEMBER: "No such member: they may have left by now. Pick one of this workspace's members.",
    ThingKind.TEMPLATE: "No such template: it may be deleted by now. Pick one of this workspace's templates.",
    ThingKind.ACCOUNT: "No such channel account, or it is disconnected. Pick one that is connected.",
}


@dataclass(frozen=True, slots=True)
class Reference:
    kind: ThingKind
    id: UUID
    path: tuple[str, ...]
    """Where it stands in CreateAutomationInput."""


def references(rule: Rule) -> list[Reference]:
    """All that the rule speaks of, conditions first; the same thing once for each place."""
    found = [
        Reference(KINDS_OF_FIELDS[one.field], UUID(one.value), ("conditions", str(at), "value"))
        for at, one in enumerate(rule.conditions)
        if one.field in KINDS_OF_FIELDS and one.value is not None
    ]
    for at, action in enumerate(rule.actions):
        if action.target_id is None:
            continue
        path = ("actions", str(at), INPUT_FIELDS[action.kind])
        inner = ("templateId",) if action.kind is ActionKind.SEND_TEMPLATE else ()
        found.append(Reference(KINDS_OF_ACTIONS[action.kind], action.target_id, (*path, *inner)))
        if action.account_id is not None:
            found.append(Reference(ThingKind.ACCOUNT, action.account_id, (*path, "accountId")))
    return found


def check_references(found: Sequence[Reference], there: Mapping[ThingKind, set[UUID]]) -> None:
    """Raises Refusals (or the one refusal) for what is not among `there`."""
    gone: list[SalesPadError] = [
        _gone(one.kind, *one.path) for one in found if one.id not in there.get(one.kind, ())
    ]
    if gone:
        raise gone[0] if len(gone) == 1 else Refusals(gone)


def _gone(kind: ThingKind, *path: str) -> NotFound:
    return NotFound(_NO_SUCH[kind], path=path)
