"""Moving leads over the board.

Each move holds its target stage first, then all leads it may write, in the order of their ids: two moves into one
column wait for each other, moves between columns never for each other in a circle (docs/decisions/0020).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import ActorKind, Announcer, Invalid
from app.leads.domain.board import (
    WINDOW,
    AfterLeadElsewhere,
    AfterLeadNotFound,
    Card,
    Crowd,
    Gap,
    Place,
    all_moved,
    clean_reason,
    moved,
)
from app.leads.domain.errors import LeadNotFound, LeadStale
from app.leads.domain.lead import rank_of
from app.leads.domain.ports import Board, Recorder
from app.leads.domain.stage import Stage, StageKind
from app.leads.domain.timeline import Entry, InteractionType


@dataclass(frozen=True)
class BoardUseCases:
    workspace_id: UUID
    actor_id: UUID
    board: Board
    record: Recorder
    feed: Announcer
    new_id: Callable[[], UUID]

    async def move_lead(
        self,
        lead_id: UUID,
        stage_id: UUID,
        *,
        after_lead_id: UUID | None,
        version: int | None,
        lost_reason: str | None,
    ) -> UUID:
        """To the top of the stage, or after a lead in it. Raises Invalid, StageNotFound, LeadNotFound, LeadStale,
        AfterLeadNotFound, AfterLeadElsewhere."""
        if after_lead_id == lead_id:
            raise Invalid("A lead cannot come after itself.", path=("afterLeadId",))
        stage = await self.board.hold_stage(self.workspace_id, stage_id)
        reason = clean_reason(lost_reason, stage)
        gap = await self.board.gap(self.workspace_id, stage_id, after_lead_id, moving=lead_id)
        rank, crowd, ranks = await self._rank(stage_id, gap, lead_id)
        held = await self.board.hold_cards(
            self.workspace_id, [lead_id, *([after_lead_id] if after_lead_id else []), *crowd]
        )
        card = _checked(held, lead_id, stage_id, after_lead_id, version)
        if after_lead_id and gap.before is None:  # it was restored into the stage since
            raise AfterLeadElsewhere(lead_id)
        if stage.kind is StageKind.LOST:
            reason = reason or card.lost_reason
        stands = card.stage_id == stage_id and gap.holds(Place(card.rank, card.id))
        if stands and reason == card.lost_reason:
            return lead_id
        if not stands:
            await self._spread(stage_id, crowd, ranks)
        await self._move(card, stage, card.rank if stands else rank, reason, stands=stands)
        return lead_id

    async def _rank(self, stage_id: UUID, gap: Gap, lead_id: UUID) -> tuple[str, list[UUID], list[str]]:
        """The gap's rank; where there is no room, the leads around it too, and the ranks they get."""
        rank, size = gap.rank(rank_of(self.new_id())), WINDOW
        if rank:
            return rank, [], []
        while True:
            crowd: Crowd = await self.board.crowd(self.workspace_id, stage_id, gap, moving=lead_id, size=size)
            if found := crowd.spread():
                return found[0], crowd.ids, found[1]
            size *= 4

    async def _spread(self, stage_id: UUID, ids: Sequence[UUID], ranks: Sequence[str]) -> None:
        """Nobody's change: no version goes up. Who keeps a board by the feed is told."""
        if ids:
            spread = await self.board.spread(self.workspace_id, stage_id, ids, ranks)
            for event in all_moved(spread, "rank", before=stage_id, after=stage_id):
                self.feed.announce(event)

    async def _move(self, card: Card, stage: Stage, rank: str, reason: str | None, *, stands: bool) -> None:
        left = await self.board.move(
            self.workspace_id, card.id, stage, rank, lost_reason=reason, actor_id=self.actor_id
        )
        if left is not None:
            content = f"{left} → {stage.name}" + (f"\n{reason}" if reason else "")
            await self.record(
                [
                    Entry(
                        lead_id=card.id,
                        type=InteractionType.STAGE_CHANGED,
                        actor_kind=ActorKind.HUMAN,
                        actor_id=self.actor_id,
                        content=content,
                    )
                ]
            )
        changed = "stage" if left is not None else "lostReason" if stands else "rank"
        self.feed.announce(moved([card.id], changed, before=card.stage_id, after=stage.id))


def _checked(
    held: Sequence[Card], lead_id: UUID, stage_id: UUID, after_lead_id: UUID | None, version: int | None
) -> Card:
    """The lead, if it may go there. Raises LeadNotFound, LeadStale, AfterLeadNotFound, AfterLeadElsewhere."""
    live = {card.id: card for card in held if card.is_live}
    if lead_id not in live:
        raise LeadNotFound("id")
    card = live[lead_id]
    if version is not None and version != card.version:
        raise LeadStale(lead_id)
    if after_lead_id is not None:
        if after_lead_id not in live:
            raise AfterLeadNotFound(lead_id)
        if live[after_lead_id].stage_id != stage_id:
            raise AfterLeadElsewhere(lead_id)
    return card
