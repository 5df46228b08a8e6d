"""What the use cases of leads need from outside."""

from collections.abc import Mapping, Sequence, Set
from typing import Protocol
from uuid import UUID

from app.common.domain import Channel
from app.leads.domain.board import Card, Crowd, Gap
from app.leads.domain.contact import SuppressionReason
from app.leads.domain.lead import Engagement, LeadSource, NewLead
from app.leads.domain.stage import Stage
from app.leads.domain.timeline import Entry


class Leads(Protocol):
    async def add(
        self,
        workspace_id: UUID,
        lead_id: UUID,
        lead: NewLead,
        *,
        stage_id: UUID | None,
        owner_id: UUID | None,
        tag_ids: Sequence[UUID],
        source: LeadSource,
        created_by: UUID,
    ) -> None:
        """`stage_id` None: the first open stage. Raises IdentityTaken, StageNotFound, OwnerNotFound, TagsNotFound."""

    async def phone_region(self, workspace_id: UUID) -> str:
        """ISO 3166, by which numbers without a country code are read."""


class Stages(Protocol):
    async def add_all(self, workspace_id: UUID, stages: Sequence[Stage]) -> None: ...

    async def hold_all(self, workspace_id: UUID) -> list[Stage]:
        """In their order; until the commit nobody else makes, moves or deletes one, and no lead changes its stage."""

    async def rename(self, workspace_id: UUID, id: UUID, name: str) -> None: ...

    async def place(self, workspace_id: UUID, ids: Sequence[UUID]) -> None:
        """Numbers them 0 .. n-1, in this order."""

    async def hold_leads(self, workspace_id: UUID, id: UUID, *, at_most: int) -> bool:
        """Keeps leads from coming into the stage, and those in it (deleted ones too) as they are, until the commit.
        False: there are more."""

    async def empty(
        self, workspace_id: UUID, stage: Stage, into: Stage, *, fresh_rank: str, actor_id: UUID | None
    ) -> list[UUID]:
        """Its leads go to the end of `into`, in their order: the live ones, with their history and timeline."""

    async def remove(self, workspace_id: UUID, id: UUID) -> None: ...


class Board(Protocol):
    async def hold_stage(self, workspace_id: UUID, id: UUID) -> Stage:
        """Until the commit nobody else puts a lead into it. Raises StageNotFound."""

    async def gap(self, workspace_id: UUID, stage_id: UUID, after_id: UUID | None, *, moving: UUID) -> Gap:
        """After a lead of the stage (None, or one that is not in it: the top)."""

    async def crowd(self, workspace_id: UUID, stage_id: UUID, gap: Gap, *, moving: UUID, size: int) -> Crowd:
        """Up to `size` cards on each side of the gap."""

    async def hold_cards(self, workspace_id: UUID, ids: Sequence[UUID]) -> list[Card]: ...

    async def spread(
        self, workspace_id: UUID, stage_id: UUID, ids: Sequence[UUID], ranks: Sequence[str]
    ) -> list[UUID]:
        """Those that were still in the stage."""

    async def move(
        self,
        workspace_id: UUID,
        id: UUID,
        stage: Stage,
        rank: str,
        *,
        lost_reason: str | None,
        actor_id: UUID,
    ) -> str | None:
        """The name of the stage it left, which goes into its history; None: it stayed in its stage."""


class Recorder(Protocol):
    """Writes on the timelines of leads that are known to be there."""

    async def __call__(self, entries: Sequence[Entry]) -> None: ...


class Contacts(Protocol):
    """Writes that any number of messages may ask for at once."""

    async def reach_or_add(
        self, workspace_id: UUID, new_id: UUID, *, email: str, name: str, source: LeadSource
    ) -> UUID:
        """The id of the lead with this address; `new_id` if it was added now, in the first open stage."""

    async def touch(
        self, workspace_id: UUID, lead_id: UUID, moves: Mapping[Engagement, Engagement]
    ) -> tuple[UUID, Engagement, Engagement] | None:
        """Sets the last touch; whose engagement moved, from where to where, None if it did not."""

    async def suppress(
        self, workspace_id: UUID, *, value: str, channel: Channel | None, reason: SuppressionReason
    ) -> bool:
        """False: it stood there already for this reason; or it is somebody's who was erased. Another reason joins
        those before it."""


class Timeline(Protocol):
    async def add(self, workspace_id: UUID, entries: Mapping[UUID, Entry]) -> None:
        """By the ids they get."""

    async def hold_lead(self, workspace_id: UUID, lead_id: UUID) -> bool:
        """Whether there is such a live lead; if so, it stays until the commit."""

    async def hold_members(self, workspace_id: UUID, user_ids: Sequence[UUID]) -> Set[UUID]:
        """Those of them who belong to the workspace; they do until the commit."""
