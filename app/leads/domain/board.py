"""The board: a lead's card, where it is put, and why it may not be put there."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import EVENT_IDS_MAX, Conflict, Invalid, NotFound, clean_optional
from app.leads.domain.events import LeadUpdated
from app.leads.domain.rank import is_crowded, rank_between, spread
from app.leads.domain.stage import Stage, StageKind

WINDOW = 32
"""Cards on each side of a place that are spread anew where there is no room left."""


class AfterLeadElsewhere(Conflict):
    def __init__(self, lead_id: UUID) -> None:
        super().__init__(
            "The lead to put it after is not in this stage any more: pick its place again.",
            path=("afterLeadId",),
        )
        self.lead_id = lead_id


class AfterLeadNotFound(NotFound):
    def __init__(self, lead_id: UUID) -> None:
        super().__init__(
            "No such lead to put it after: pick its place again, or give null for the top.",
            path=("afterLeadId",),
        )
        self.lead_id = lead_id


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Cards of a column stand in this order: equal ranks by id."""

    rank: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Gap:
    """Between two neighbours of a column, the moved card left out; None: the end."""

    before: Place | None
    after: Place | None

    def holds(self, place: Place) -> bool:
        """Whether a card stands there already."""
        return (self.before is None or self.before < place) and (self.after is None or place < self.after)

    def rank(self, fresh: str) -> str | None:
        """One between them; None: there is no room, spread the cards around. At the bottom `fresh`, the rank of a lead
        made now, if it can be: it never grows, and leads made later come after it."""
        if self.after is None and (self.before is None or self.before.rank < fresh):
            return fresh
        if self.before and self.after and self.before.rank >= self.after.rank:
            return None
        rank = rank_between(
            self.before.rank if self.before else None, self.after.rank if self.after else None
        )
        return None if is_crowded([rank]) else rank


@dataclass(frozen=True, slots=True)
class Crowd:
    """The cards around a gap, in order, and the ranks that stand outside them."""

    above: Sequence[UUID]
    below: Sequence[UUID]
    before: str | None
    after: str | None

    @property
    def ids(self) -> list[UUID]:
        return [*self.above, *self.below]

    def spread(self) -> tuple[str, list[str]] | None:
        """The gap's rank, and theirs. None: there is no room even so; look further around."""
        if self.before is not None and self.after is not None and self.before >= self.after:
            return None
        ranks = spread(len(self.ids) + 1, self.before, self.after)
        if is_crowded(ranks) and not (self.before is None and self.after is None):
            return None
        return ranks.pop(len(self.above)), ranks


@dataclass(frozen=True, slots=True)
class Card:
    """A lead on the board, held until the commit."""

    id: UUID
    stage_id: UUID
    rank: str
    version: int
    lost_reason: str | None
    is_live: bool


def clean_reason(text: str | None, stage: Stage) -> str | None:
    """Why it is lost, if somebody says so. Raises Invalid at `lostReason`."""
    reason = clean_optional(text, "lostReason")
    if reason and stage.kind is not StageKind.LOST:
        raise Invalid("A reason goes with a stage of lost leads: leave it out here.", path=("lostReason",))
    return reason


def moved(lead_ids: Sequence[UUID], changed: str, *, before: UUID, after: UUID) -> LeadUpdated:
    return LeadUpdated(
        entity_ids=lead_ids,
        changed=[changed],
        before={"stageId": str(before)},
        after={"stageId": str(after)},
    )


def all_moved(lead_ids: Sequence[UUID], changed: str, *, before: UUID, after: UUID) -> list[LeadUpdated]:
    """As many events as the ids take."""
    return [
        moved(lead_ids[start : start + EVENT_IDS_MAX], changed, before=before, after=after)
        for start in range(0, len(lead_ids), EVENT_IDS_MAX)
    ]
