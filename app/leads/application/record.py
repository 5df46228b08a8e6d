"""What a member changes of one lead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import ActorKind, Announcer, clean_text
from app.leads.application.timeline import TimelineUseCases
from app.leads.domain.errors import LeadStale
from app.leads.domain.identity import IdentityKind
from app.leads.domain.lead import read_identity
from app.leads.domain.record import HeldLead, LeadChanges, Records, lead_changes
from app.leads.domain.timeline import Entry, InteractionType, updated_entry


@dataclass(frozen=True)
class RecordUseCases:
    """`user_id` is the member who acts."""

    workspace_id: UUID
    user_id: UUID
    records: Records
    timeline: TimelineUseCases
    feed: Announcer

    async def update_lead(self, lead_id: UUID, given: Mapping[str, object], *, version: int) -> None:
        """Nothing different: nothing written, nothing told. Raises Refusals (bad fields), LeadNotFound, LeadStale,
        OwnerNotFound, IdentityTaken, LimitReached."""
        changes = lead_changes(given, region=await self.records.phone_region(self.workspace_id))
        owner_id = changes.owner.get("ownerId")
        owner_name = await self.records.owner_name(self.workspace_id, owner_id) if owner_id else ""
        lead = await self.records.hold(self.workspace_id, lead_id, path="id", metadata=changes.metadata)
        if lead.version != version:
            raise LeadStale(lead_id)
        changed = lead.changed_by(changes)
        if not changed:
            return
        await self.records.save(self.workspace_id, lead, changes)
        if any(key in changed for key in changes.identities):
            remove, add = lead.exchange(changes, changed)
            await self.records.exchange(self.workspace_id, lead_id, remove=remove, add=add, primary=True)
        await self._tell(lead, changed, owner_id=owner_id, owner_name=owner_name)

    async def add_identity(self, lead_id: UUID, kind: IdentityKind, value: str, *, is_primary: bool) -> None:
        """One that the lead has already stays, and becomes primary where asked. Raises Invalid, LeadNotFound,
        IdentityTaken, LimitReached."""
        region = await self.records.phone_region(self.workspace_id)
        text = clean_text(value, "value", max_length=2000)
        identity = read_identity(kind, text, region=region, path="value")
        lead = await self.records.hold(self.workspace_id, lead_id, path="leadId")
        known = lead.find(identity)
        if known and (known.is_primary or not is_primary):
            return
        lead.check_room(0 if known else 1, path="value")
        await self.records.exchange(
            self.workspace_id, lead_id, remove=[], add={"value": identity}, primary=is_primary
        )
        await self._identities_changed(lead)

    async def remove_identity(self, identity_id: UUID) -> UUID:
        """The lead's id. Raises IdentityNotFound."""
        lead = await self.records.hold_by_identity(self.workspace_id, identity_id)
        await self.records.exchange(self.workspace_id, lead.id, remove=[identity_id], add={}, primary=False)
        await self._identities_changed(lead)
        return lead.id

    async def _identities_changed(self, lead: HeldLead) -> None:
        await self.records.save(self.workspace_id, lead, LeadChanges(texts={}, identities={}))
        await self._tell(lead, ["identities"])

    async def _tell(
        self, lead: HeldLead, changed: Sequence[str], *, owner_id: UUID | None = None, owner_name: str = ""
    ) -> None:
        told: list[Entry] = []
        if fields := [key for key in changed if key != "owner"]:
            told.append(updated_entry(lead.id, fields, self.user_id))
        if "owner" in changed:
            assigned = Entry(
                lead_id=lead.id,
                type=InteractionType.ASSIGNED,
                actor_kind=ActorKind.HUMAN,
                actor_id=self.user_id,
                content=owner_name,
            )
            told.append(assigned)
        await self.timeline.record(told)
        self.feed.announce(lead.updated(changed, owner_id))
