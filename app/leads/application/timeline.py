"""What is written on a lead's timeline, in the transaction of what it tells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Announcer
from app.leads.domain.errors import LeadNotFound, MentionNotFound
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
        self,
        lead_id: UUID,
        body: str,
        *,
        author_id: UUID,
        conversation_id: UUID | None = None,
        mentions: Sequence[UUID] = (),
    ) -> UUID:
        """The interaction's id. `conversation_id` is one of this lead's: the caller sees to it. Raises Invalid,
        LeadNotFound, MentionNotFound."""
        id = self.new_id()
        entry = note(lead_id, body, author_id=author_id, conversation_id=conversation_id, mentions=mentions)
        if not await self.timeline.hold_lead(self.workspace_id, lead_id):
            raise LeadNotFound
        held = (
            await self.timeline.hold_members(self.workspace_id, entry.mentions) if entry.mentions else set()
        )
        for position, user_id in enumerate(mentions):
            if user_id not in held:
                raise MentionNotFound(position)
        await self.timeline.add(self.workspace_id, {id: entry})
        self.feed.announce(note_added(id, entry))
        return id
