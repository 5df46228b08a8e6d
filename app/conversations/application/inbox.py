"""The use cases of the inbox but sending and receiving: load, decide, store, announce."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.common.domain import ActorKind, Announcer, Invalid
from app.conversations.domain.conversation import Changed, Conversation, given_to, read_by, started
from app.conversations.domain.draft import clean_draft
from app.conversations.domain.errors import AccountNotFound, ConversationNotFound, MemberNotFound
from app.conversations.domain.inbox_ports import Conversations, Started, Timeline
from app.leads.domain.errors import LeadNotFound
from app.leads.domain.timeline import Entry, InteractionType


@dataclass(frozen=True)
class InboxUseCases:
    """`user_id` is the member who acts."""

    workspace_id: UUID
    user_id: UUID
    conversations: Conversations
    timeline: Timeline
    feed: Announcer
    new_id: Callable[[], UUID]

    async def start_conversation(self, *, lead_id: UUID, account_id: UUID) -> UUID:
        """The one there is, or a new one. Raises Invalid, LeadNotFound, AccountNotFound."""
        found = await self.conversations.start(
            self.workspace_id, self.new_id(), lead_id=lead_id, account_id=account_id
        )
        id = _started_id(found)
        if found.is_new:
            self.feed.announce(started(id, lead_id=lead_id))
        elif found.is_repointed:
            self.feed.announce(given_to(id, lead_id=lead_id))
        return id

    async def assign_conversation(self, id: UUID, *, user_id: UUID | None) -> UUID:
        """Raises ConversationNotFound, MemberNotFound."""
        name = await self.conversations.member_name(self.workspace_id, user_id) if user_id else ""
        if name is None:
            raise MemberNotFound
        conversation, _ = await self.conversations.get(self.workspace_id, id)
        if await self._apply(conversation.assign(user_id)):
            assigned = Entry(
                lead_id=conversation.lead_id,
                type=InteractionType.ASSIGNED,
                actor_kind=ActorKind.HUMAN,
                actor_id=self.user_id,
                content=name,
                conversation_id=id,
            )
            await self.timeline.record([assigned])
        return id

    async def snooze_conversation(self, id: UUID, *, until: datetime) -> UUID:
        """Raises Invalid, ConversationNotFound."""
        conversation, now = await self.conversations.get(self.workspace_id, id)
        await self._apply(conversation.snooze(until, now=now))
        return id

    async def close_conversation(self, id: UUID) -> UUID:
        """Raises ConversationNotFound."""
        conversation, _ = await self.conversations.get(self.workspace_id, id)
        await self._apply(conversation.close())
        return id

    async def reopen_conversation(self, id: UUID) -> UUID:
        """Raises ConversationNotFound."""
        conversation, _ = await self.conversations.get(self.workspace_id, id)
        await self._apply(conversation.reopen())
        return id

    async def mark_conversation_read(self, id: UUID, *, up_to: UUID | None) -> UUID:
        """Up to a message, so that what came between look and click stays unread. Raises ConversationNotFound,
        MessageNotFound."""
        if await self.conversations.mark_read(self.workspace_id, id, user_id=self.user_id, up_to=up_to):
            self.feed.announce(read_by(id, self.user_id))
        return id

    async def save_draft(self, id: UUID, *, body: str) -> UUID:
        """The last write wins. Announces nothing: it is saved at every pause. Raises Invalid, ConversationNotFound."""
        await self.conversations.save_draft(
            self.workspace_id, id, user_id=self.user_id, body=clean_draft(body)
        )
        return id

    async def add_note(
        self, *, lead_id: UUID, body: str, conversation_id: UUID | None, mentions: Sequence[UUID] = ()
    ) -> UUID:
        """The interaction's id. Raises Invalid, LeadNotFound, ConversationNotFound, MentionNotFound."""
        if conversation_id and not await self.conversations.is_of_lead(
            self.workspace_id, conversation_id, lead_id=lead_id
        ):
            raise ConversationNotFound("conversationId")
        return await self.timeline.add_note(
            lead_id, body, author_id=self.user_id, conversation_id=conversation_id, mentions=mentions
        )

    async def _apply(self, changed: Changed) -> bool:
        conversation: Conversation
        conversation, event = changed
        if event is None:
            return False
        await self.conversations.save(self.workspace_id, conversation)
        self.feed.announce(event)
        return True


def _started_id(found: Started) -> UUID:
    if not found.has_lead:
        raise LeadNotFound
    if not found.has_account:
        raise AccountNotFound
    if not found.is_connected:
        raise Invalid("This account is disconnected: connect it again, or pick another.", path=("accountId",))
    if not found.has_address:
        raise Invalid("This lead has no e-mail address: add one first.", path=("leadId",))
    assert found.id is not None
    return found.id
