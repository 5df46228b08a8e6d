"""Scores: what a workspace gives points for, and when a lead's score is worth telling. Pure.

A score is no running total: it is what the rules make of the lead as it is, and of the messages with it. So a tag that
is taken off takes its points along, and a rule that changes changes every lead's score.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.common.domain import EVENT_IDS_MAX, Channel, Invalid, NotFound, Refusals, SalesPadError
from app.leads.domain.events import LeadUpdated
from app.leads.domain.lead import LeadSource

MAX_RULES = 100
MAX_POINTS = 1000
MAX_HALF_LIFE_DAYS = 3650
COUNTED = 10
"""Of one rule the newest so many count: a thousand mails are no better than ten, and a score has bounds."""
THRESHOLDS = (50, 100)
"""Warm and hot: a lead that comes to one, or falls below it, is told so in its timeline."""
DUE = "score_sweep"


class ScoreEventKind(StrEnum):
    TAG_ADDED = "TAG_ADDED"
    STAGE_CHANGED = "STAGE_CHANGED"
    MESSAGE_SENT = "MESSAGE_SENT"
    MESSAGE_RECEIVED = "MESSAGE_RECEIVED"
    IMPORTED = "IMPORTED"
    HAS_EMAIL = "HAS_EMAIL"
    HAS_PHONE = "HAS_PHONE"
    HAS_COMPANY = "HAS_COMPANY"
    HAS_TITLE = "HAS_TITLE"


IMPORTS = (LeadSource.CSV, LeadSource.INSTAGRAM, LeadSource.FACEBOOK, LeadSource.LINKEDIN, LeadSource.API)
FIELDS = {
    ScoreEventKind.HAS_EMAIL: "email",
    ScoreEventKind.HAS_PHONE: "phone",
    ScoreEventKind.HAS_COMPANY: "company",
    ScoreEventKind.HAS_TITLE: "title",
}
"""Whether the lead has it: there is no moment from which on it would fade, and nothing to choose among."""
CHOICES: Mapping[ScoreEventKind, Sequence[str]] = {
    ScoreEventKind.MESSAGE_SENT: [one.value for one in Channel],
    ScoreEventKind.MESSAGE_RECEIVED: [one.value for one in Channel],
    ScoreEventKind.IMPORTED: [one.value for one in IMPORTS],
}
"""What a rule's value may be."""
NAMED = (ScoreEventKind.TAG_ADDED, ScoreEventKind.STAGE_CHANGED)
"""Their value is an id."""


@dataclass(frozen=True, slots=True)
class ScoreRule:
    event: ScoreEventKind
    value: str | None
    """The tag's or stage's id, the channel, the source; None: any."""
    points: int
    half_life_days: int | None = None
    """After so many days half of the points are left, after twice as many a quarter; None: they stay."""


DEFAULT_RULES = (
    ScoreRule(ScoreEventKind.MESSAGE_RECEIVED, None, 20, 14),
    ScoreRule(ScoreEventKind.HAS_EMAIL, None, 5),
    ScoreRule(ScoreEventKind.HAS_PHONE, None, 5),
    ScoreRule(ScoreEventKind.HAS_COMPANY, None, 5),
    ScoreRule(ScoreEventKind.HAS_TITLE, None, 5),
)
"""A workspace begins with them. Two answers on top of what is known of somebody make them warm."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A message that counts: one that was sent, or one that a person wrote."""

    id: UUID
    lead_id: UUID
    conversation_id: UUID
    kind: ScoreEventKind
    channel: Channel
    at: datetime


class TooManyRules(Invalid):
    def __init__(self) -> None:
        super().__init__(f"Keep at most {MAX_RULES} rules.", path=("rules",))


class ValueNotFound(NotFound):
    """A tag or stage that there is not."""

    def __init__(self, position: int, event: ScoreEventKind) -> None:
        thing = "tag" if event is ScoreEventKind.TAG_ADDED else "stage"
        super().__init__(
            f"No such {thing}: pick one of this workspace's {thing}s, or leave the rule out.",
            path=("rules", str(position), "value"),
        )


def checked_rules(rules: Sequence[ScoreRule]) -> list[ScoreRule]:
    """Ids as we write them; whether they are of anything is asked elsewhere. Raises TooManyRules, Refusals."""
    if len(rules) > MAX_RULES:
        raise TooManyRules
    rules = [_spelled(rule) for rule in rules]
    refusals = [refusal for position, rule in enumerate(rules) for refusal in _refusals(position, rule)]
    known: set[tuple[ScoreEventKind, str | None]] = set()
    for position, rule in enumerate(rules):
        if (rule.event, rule.value) in known:
            path = ("rules", str(position), "event")
            refusals.append(Invalid("Another rule is about the same: make one of them.", path=path))
        known.add((rule.event, rule.value))
    if refusals:
        raise Refusals(refusals)
    return rules


def _spelled(rule: ScoreRule) -> ScoreRule:
    id = _id(rule.value) if rule.value is not None and rule.event in NAMED else None
    return replace(rule, value=str(id)) if id else rule


def _id(value: str) -> UUID | None:
    try:
        return UUID(value) if len(value) == 36 else None
    except ValueError:
        return None


def _refusals(position: int, rule: ScoreRule) -> Iterator[SalesPadError]:
    def refusal(message: str, field: str) -> Invalid:
        return Invalid(message, path=("rules", str(position), field))

    if not 0 < abs(rule.points) <= MAX_POINTS:
        yield refusal(f"Give 1 to {MAX_POINTS:,} points, or take as many.", "points")
    if rule.half_life_days is not None and rule.event in FIELDS:
        yield refusal("What a lead has does not fade: leave the half-life out.", "halfLifeDays")
    elif rule.half_life_days is not None and not 1 <= rule.half_life_days <= MAX_HALF_LIFE_DAYS:
        yield refusal(f"Use 1 to {MAX_HALF_LIFE_DAYS:,} days.", "halfLifeDays")
    if rule.value is not None and rule.event in NAMED and _id(rule.value) is None:
        yield ValueNotFound(position, rule.event)
    elif rule.value is not None and rule.event in FIELDS:
        yield refusal("There is nothing to choose here: leave the value out.", "value")
    elif rule.value is not None and rule.event in CHOICES and rule.value not in CHOICES[rule.event]:
        yield refusal(f"Use one of {', '.join(CHOICES[rule.event])}, or none for any.", "value")


def scored(lead_ids: Sequence[UUID]) -> list[LeadUpdated]:
    """Their scores are others now."""
    return [
        LeadUpdated(entity_ids=lead_ids[start : start + EVENT_IDS_MAX], changed=["score"])
        for start in range(0, len(lead_ids), EVENT_IDS_MAX)
    ]


UNSCORED = frozenset({"score", "engagement", "owner", "name", "timeZone", "metadata"})
"""Changes of a lead that no rule is about."""


def may_score(changed: Sequence[str]) -> bool:
    """Whether a rule may be about a change of these."""
    return not UNSCORED.issuperset(changed)
