"""What the use cases of leads need from outside."""

from collections.abc import Mapping, Sequence, Set
from typing import Protocol
from uuid import UUID

from app.common.domain import Channel
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
        """False: it stood there already; its first reason stays."""


class Timeline(Protocol):
    async def add(self, workspace_id: UUID, entries: Mapping[UUID, Entry]) -> None:
        """By the ids they get."""

    async def hold_lead(self, workspace_id: UUID, lead_id: UUID) -> bool:
        """Whether there is such a live lead; if so, it stays until the commit."""

    async def hold_members(self, workspace_id: UUID, user_ids: Sequence[UUID]) -> Set[UUID]:
        """Those of them who belong to the workspace; they do until the commit."""
