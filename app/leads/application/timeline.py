"""What is written on a lead's timeline, in the transaction of what it tells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Announcer
from app.leads.domain.errors import LeadNotFound
from app.leads.domain.ports import Timeline
from app.leads.domain.timeline import Entry, note, note_added


@dataclass(frozen=True)
class TimelineUseCases:
    workspace_id: UUID
    timeline: Timeline
    feed: Announcer
    new_id: Callable[[], UUID]

    async def record(self, entries: Sequence[Entry]) -> None:
        """Of leads that are known to be there: one INSERT. Announces nothing: what they tell of was announced."""
        await self.timeline.add(self.workspace_id, {self.new_id(): entry for entry in entries})

    async def add_note(
        self, lead_id: UUID, body: str, *, author_id: UUID, conversation_id: UUID | None = None
    ) -> UUID:
        """The interaction's id. `conversation_id` is one of this lead's: the caller sees to it. Raises Invalid,
        LeadNotFound."""
        entry, id = note(lead_id, body, author_id=author_id, conversation_id=conversation_id), self.new_id()
        if not await self.timeline.hold_lead(self.workspace_id, lead_id):
            raise LeadNotFound
        await self.timeline.add(self.workspace_id, {id: entry})
        self.feed.announce(note_added(id, entry))
        return id
