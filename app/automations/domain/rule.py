"""A rule as it stands in one version: what it waits for, under which conditions, what it does then."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

MAX_ACTIONS = 100
MAX_CONDITIONS = 50
MIN_WAIT_S, MAX_WAIT_S = 1, 365 * 24 * 3600
"""Of a wait, and of NO_REPLY."""
MAX_VALUE = 1000
MAX_URL = 2000
MAX_AUTOMATIONS = 200
"""Of a workspace, without those that were deleted."""


class Trigger(StrEnum):
    LEAD_CREATED = "LEAD_CREATED"
    LEAD_UPDATED = "LEAD_UPDATED"
    STAGE_CHANGED = "STAGE_CHANGED"
    TAG_ADDED = "TAG_ADDED"
    MESSAGE_RECEIVED = "MESSAGE_RECEIVED"
    NO_REPLY = "NO_REPLY"


class Match(StrEnum):
    ALL = "ALL"
    ANY = "ANY"


class ConditionField(StrEnum):
    SOURCE = "SOURCE"
    STAGE_ID = "STAGE_ID"
    TAG_ID = "TAG_ID"
    OWNER_ID = "OWNER_ID"
    SCORE = "SCORE"
    EMAIL = "EMAIL"
    COMPANY = "COMPANY"
    TITLE = "TITLE"
    ENGAGEMENT = "ENGAGEMENT"
    CHANNEL = "CHANNEL"
    MESSAGE_BODY = "MESSAGE_BODY"


class ConditionOp(StrEnum):
    EQ = "EQ"
    NE = "NE"
    GT = "GT"
    LT = "LT"
    CONTAINS = "CONTAINS"
    NOT_CONTAINS = "NOT_CONTAINS"
    EXISTS = "EXISTS"
    NOT_EXISTS = "NOT_EXISTS"


@dataclass(frozen=True, slots=True)
class Condition:
    field: ConditionField
    op: ConditionOp
    value: str | None
    """Of EXISTS and NOT_EXISTS None; ids as text, a score as digits, enum values by their names."""


class ActionKind(StrEnum):
    ADD_TAG = "ADD_TAG"
    REMOVE_TAG = "REMOVE_TAG"
    MOVE_STAGE = "MOVE_STAGE"
    ASSIGN = "ASSIGN"
    SEND_TEMPLATE = "SEND_TEMPLATE"
    WAIT = "WAIT"
    ADD_NOTE = "ADD_NOTE"
    CALL_WEBHOOK = "CALL_WEBHOOK"


@dataclass(frozen=True, slots=True)
class Action:
    kind: ActionKind
    target_id: UUID | None = None
    """The tag, stage, member or template."""
    account_id: UUID | None = None
    """Which SEND_TEMPLATE sends from."""
    seconds: int | None = None
    """Of WAIT."""
    text: str | None = None
    """The note's body, or the webhook's address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a version never changes of."""

    trigger: Trigger
    no_reply_after_s: int | None
    """Of NO_REPLY alone."""
    once_per_lead: bool
    match: Match
    conditions: Sequence[Condition]
    actions: Sequence[Action]

    @property
    def stored(self) -> Mapping[str, object]:
        """As a column of jsonb holds it; `rule_of` reads it."""
        return {
            "trigger": self.trigger.value,
            "noReplyAfterS": self.no_reply_after_s,
            "oncePerLead": self.once_per_lead,
            "match": self.match.value,
            "conditions": [asdict(one) for one in self.conditions],
            "actions": [
                {
                    key: str(value) if isinstance(value, UUID) else value
                    for key, value in asdict(one).items()
                    if value
                }
                for one in self.actions
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EnabledRule:
    """The newest version of an automation that is switched on."""

    automation_id: UUID
    version_id: UUID
    name: str
    enabled_at: datetime
    """What happened before it starts no run."""
    rule: Rule


def rule_of(stored: Mapping[str, object]) -> Rule:
    conditions, actions = stored["conditions"], stored["actions"]
    after_s = stored["noReplyAfterS"]
    assert isinstance(conditions, list)
    assert isinstance(actions, list)
    assert after_s is None or isinstance(after_s, int)
    return Rule(
        trigger=Trigger(str(stored["trigger"])),
        no_reply_after_s=after_s,
        once_per_lead=bool(stored["oncePerLead"]),
        match=Match(str(stored["match"])),
        conditions=[
            Condition(ConditionField(one["field"]), ConditionOp(one["op"]), one["value"])
            for one in conditions
        ],
        actions=[_action_of(one) for one in actions],
    )


def _action_of(stored: Mapping[str, object]) -> Action:
    seconds, text = stored.get("seconds"), stored.get("text")
    assert seconds is None or isinstance(seconds, int)
    return Action(
        ActionKind(str(stored["kind"])),
        target_id=UUID(str(stored["target_id"])) if "target_id" in stored else None,
        account_id=UUID(str(stored["account_id"])) if "account_id" in stored else None,
        seconds=seconds,
        text=None if text is None else str(text),
    )
