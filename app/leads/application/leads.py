"""The use cases of leads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Announcer
from app.leads.domain.lead import LeadSource, created, new_lead
from app.leads.domain.ports import Leads


@dataclass(frozen=True)
class LeadUseCases:
    workspace_id: UUID
    leads: Leads
    feed: Announcer
    new_id: Callable[[], UUID]

    async def create_lead(
        self,
        given: Mapping[str, str | None],
        *,
        metadata: Mapping[str, object],
        stage_id: UUID | None,
        owner_id: UUID | None,
        tag_ids: Sequence[UUID],
        created_by: UUID,
    ) -> UUID:
        """Raises Refusals (bad fields), IdentityTaken, StageNotFound, OwnerNotFound, TagsNotFound."""
        region = await self.leads.phone_region(self.workspace_id)
        lead, lead_id = new_lead(given, metadata=metadata, region=region), self.new_id()
        await self.leads.add(
            self.workspace_id,
            lead_id,
            lead,
            stage_id=stage_id,
            owner_id=owner_id,
            tag_ids=tag_ids,
            source=LeadSource.MANUAL,
            created_by=created_by,
        )
        self.feed.announce(created([lead_id], LeadSource.MANUAL))
        return lead_id
