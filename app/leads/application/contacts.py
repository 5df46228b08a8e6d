"""What messages ask of leads, in the message's own transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Announcer, Channel, Direction
from app.leads.domain.contact import ENGAGEMENT_MOVES, SuppressionReason, name_of
from app.leads.domain.events import LeadUpdated
from app.leads.domain.lead import Engagement, LeadSource, created
from app.leads.domain.ports import Contacts


@dataclass(frozen=True)
class ContactUseCases:
    workspace_id: UUID
    contacts: Contacts
    feed: Announcer
    new_id: Callable[[], UUID]

    async def reach_or_create(self, *, email: str, name: str | None) -> tuple[UUID, bool]:
        """The lead with this (normalised) address, and whether it was made for it; however many ask at once."""
        new_id = self.new_id()
        lead_id = await self.contacts.reach_or_add(
            self.workspace_id, new_id, email=email, name=name_of(email, name), source=LeadSource.EMAIL
        )
        is_new = lead_id == new_id
        if is_new:
            self.feed.announce(created([lead_id], LeadSource.EMAIL))
        return lead_id, is_new

    async def touch(self, lead_id: UUID, direction: Direction) -> None:
        """A message went or came now. An auto-reply is no touch: leave it out. A lead that was merged away meanwhile is
        touched as the one it is now."""
        moved = await self.contacts.touch(self.workspace_id, lead_id, ENGAGEMENT_MOVES[direction])
        if moved is not None:
            touched_id, before, after = moved
            self.feed.announce(engagement_moved(touched_id, before, after))

    async def suppress(self, *, value: str, channel: Channel | None, reason: SuppressionReason) -> bool:
        """From now on nothing is sent to this address (or "@domain"); False: it stood there already for this
        reason, or is an erased person's."""
        return await self.contacts.suppress(
            self.workspace_id, value=value.strip().lower(), channel=channel, reason=reason
        )


def engagement_moved(lead_id: UUID, before: Engagement, after: Engagement) -> LeadUpdated:
    return LeadUpdated(
        entity_ids=[lead_id],
        changed=["engagement"],
        before={"engagement": before.value},
        after={"engagement": after.value},
    )
