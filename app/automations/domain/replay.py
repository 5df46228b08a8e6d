"""What a rule would have done: it is asked of what has happened, at leads as they stood then. Pure.

The feed tells a lead's stages, tags, owners and engagement of any time; texts and the score are those of now. What the
rule would have changed changes nothing here: it was not there.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from app.automations.domain.facts import NOTHING, Facts
from app.automations.domain.judging import failed_condition
from app.automations.domain.rule import Action, ActionKind, Rule
from app.automations.domain.run import LEAD_RUNS_PER_HOUR, MAX_DEPTH

REACTS_WITHIN = timedelta(seconds=1)
"""So long after an event its lead is looked at: what one request does in several events is seen as a whole, as it is by
the reaction."""
HOUR = timedelta(hours=1)


@dataclass(slots=True, kw_only=True)
class Moment:
    """What the rule waits for has happened, at one lead. (Not frozen: there are many, and that costs half of each.)"""

    lead_id: UUID
    at: datetime
    depth: int
    added_tag_ids: Set[UUID] = NOTHING
    message_id: UUID | None = None
    channel: str | None = None
    episode: tuple[UUID, int] | None = None
    """Of NO_REPLY: the conversation, and how often its lead had answered."""


@dataclass(slots=True, kw_only=True)
class PastChange:
    """Something of a lead was changed; what is None was not, or nobody knows from what."""

    at: datetime
    depth: int = 0
    """As an event's; a move of a rule's: 1."""
    stage_id: UUID | None = None
    """Before it; so are these two."""
    engagement: str | None = None
    owner_id: tuple[UUID | None] | None = None
    """Whose it was; of nobody's `(None,)`."""
    added_tag_ids: Set[UUID] = NOTHING
    removed_tag_ids: Set[UUID] = NOTHING

    def undone(self, facts: Facts) -> Facts:
        return replace(
            facts,
            stage_id=self.stage_id or facts.stage_id,
            engagement=self.engagement or facts.engagement,
            owner_id=self.owner_id[0] if self.owner_id else facts.owner_id,
            tag_ids=(facts.tag_ids - self.added_tag_ids) | self.removed_tag_ids,
        )


@dataclass
class Silences:
    """The moments of NO_REPLY, from what was sent and answered, told in its order."""

    after: timedelta
    moments: list[Moment] = field(default_factory=list)
    _waiting: dict[UUID, Moment] = field(default_factory=dict)
    _waits_in: dict[UUID, UUID] = field(default_factory=dict)
    """Each lead's conversation: it is waited for in one at a time."""
    _answers: dict[UUID, int] = field(default_factory=dict)

    def sent(self, conversation_id: UUID, moment: Moment) -> None:
        """Whoever waited there for an answer waits anew."""
        self._pass(self._waits_in.get(moment.lead_id, conversation_id), moment.at)
        if self._waits_in.setdefault(moment.lead_id, conversation_id) != conversation_id:
            return
        episode = (conversation_id, self._answers.get(conversation_id, 0))
        self._waiting[conversation_id] = replace(moment, at=moment.at + self.after, episode=episode)

    def answered(self, conversation_id: UUID, at: datetime) -> None:
        self._pass(conversation_id, at)
        self._forget(conversation_id)
        self._answers[conversation_id] = self._answers.get(conversation_id, 0) + 1

    def end(self, now: datetime) -> list[Moment]:
        for conversation_id in list(self._waiting):
            self._pass(conversation_id, now)
        return self.moments

    def _pass(self, conversation_id: UUID, at: datetime) -> None:
        waiting = self._waiting.get(conversation_id)
        if waiting is not None and waiting.at <= at:
            self.moments.append(waiting)
            self._forget(conversation_id)

    def _forget(self, conversation_id: UUID) -> None:
        waiting = self._waiting.pop(conversation_id, None)
        if waiting is not None:
            self._waits_in.pop(waiting.lead_id, None)


def met(
    rule: Rule,
    facts: Facts,
    moments: Sequence[Moment],
    changes: Sequence[PastChange],
    texts: Mapping[UUID, str | None],
) -> list[Moment]:
    """Those of one lead's moments at which it met the conditions. `facts` are of now; moments and changes in their
    order, and so is what is returned."""
    found, left = [], list(changes)
    for moment in reversed(moments):
        while left and _is_later(left[-1], moment):
            facts = left.pop().undone(facts)
        if failed_condition(rule, _facts_at(moment, facts, texts)) is None:
            found.append(moment)
    return found[::-1]


def _is_later(change: PastChange, moment: Moment) -> bool:
    """What reacted to it is no part of it, however soon it came."""
    return change.at > moment.at + (timedelta() if change.depth > moment.depth else REACTS_WITHIN)


def _facts_at(moment: Moment, facts: Facts, texts: Mapping[UUID, str | None]) -> Facts:
    if moment.message_id is not None:
        return replace(facts, channel=moment.channel, message_body=texts.get(moment.message_id))
    return replace(facts, added_tag_ids=moment.added_tag_ids) if moment.added_tag_ids else facts


@dataclass(frozen=True, slots=True)
class Course:
    """How a run of the rule would go at one lead, as things stand now."""

    lasts: timedelta = timedelta()
    sends: int = 0
    blocked: str | None = None
    """Why a message would be refused, which is where it ends."""


def course_of(actions: Sequence[Action], refusals: Mapping[Action, str]) -> Course:
    """`refusals`: why what these actions send would be refused."""
    seconds = sends = 0
    for action in actions:
        if action.kind is ActionKind.WAIT:
            seconds += action.seconds or 0
        elif action.kind is ActionKind.SEND_TEMPLATE:
            if action in refusals:
                return Course(timedelta(seconds=seconds), sends, refusals[action])
            sends += 1
    return Course(timedelta(seconds=seconds), sends)


def acted(rule: Rule, moments: Iterable[Moment], lasts: timedelta) -> list[Moment]:
    """Those of one lead's moments, in their order, that the rule's guards would let through."""
    found: list[Moment] = []
    lately: deque[datetime] = deque()
    episodes: set[tuple[UUID, int]] = set()
    busy_until: datetime | None = None
    for moment in moments:
        while lately and lately[0] <= moment.at - HOUR:
            lately.popleft()
        if (
            (rule.once_per_lead and found)
            or (busy_until is not None and moment.at < busy_until)
            or moment.episode in episodes
            or moment.depth >= MAX_DEPTH
            or len(lately) >= LEAD_RUNS_PER_HOUR
        ):
            continue
        found.append(moment)
        lately.append(moment.at)
        busy_until = moment.at + lasts
        if moment.episode is not None:
            episodes.add(moment.episode)
    return found


def within_rate(moments: Iterable[Moment], per_hour: int) -> list[Moment]:
    """Those of all leads' moments, in their order, that come before the rule has used up an hour of the clock."""
    used: Counter[datetime] = Counter()
    found: list[Moment] = []
    for moment in moments:
        hour = moment.at.replace(minute=0, second=0, microsecond=0)
        if used[hour] < per_hour:
            used[hour] += 1
            found.append(moment)
    return found
