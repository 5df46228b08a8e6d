"""What the use cases of leads need from outside."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from app.leads.domain.lead import LeadSource, NewLead
from app.leads.domain.stage import Stage


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
