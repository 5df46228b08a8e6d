"""Delivering a batch: a recipient's first intent writes its message, one that was tried before has it."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.common.domain import ActorKind, Announcer, Direction
from app.conversations.application.delivering import Delivering
from app.conversations.domain.batch_turn import Begun, Draft, Sent, Unbegun, Written
from app.conversations.domain.conversation import given_to
from app.conversations.domain.delivery import Intent, Postponed
from app.conversations.domain.events import MessageCreated
from app.conversations.domain.message import MessageStatus


class FirstIntents(Protocol):
    async def first_intent(self, draft: Draft) -> Begun | Postponed | Unbegun: ...

    async def record_and_intend(
        self, sent: Sent, draft: Draft
    ) -> tuple[Written, Begun | Postponed | Unbegun]: ...


class TouchedLeads(Protocol):
    def announce_touched(self, lead_id: UUID, before: str, after: str) -> None:
        """A message that went to it moved its engagement."""


@dataclass(frozen=True)
class DeliveringBatch:
    first: FirstIntents
    again: Delivering
    leads: TouchedLeads
    feed: Announcer

    async def intend(self, draft: Draft) -> Intent | Postponed | Unbegun:
        """What to hand over, or why not; its batch and its lead are held. Raises LostLease."""
        if draft.has_message:
            return await self.again.intend_or_wait() or Unbegun.CANCELED
        return self._told(await self.first.first_intent(draft))

    async def record_and_intend(self, sent: Sent, draft: Draft) -> Intent | Postponed | Unbegun:
        """Of a draft without a message. Raises LostLease, for either: then record what was sent alone."""
        written, found = await self.first.record_and_intend(sent, draft)
        if written.is_shown:
            self.again.tell(sent.intent, MessageStatus.SENDING, MessageStatus.SENT)
        if written.engagement is not None:
            self.leads.announce_touched(sent.intent.lead_id, *written.engagement)
        return self._told(found)

    def _told(self, found: Begun | Postponed | Unbegun) -> Intent | Postponed | Unbegun:
        if not isinstance(found, Begun):
            return found
        self._tell(found)
        return found.intent

    def _tell(self, begun: Begun) -> None:
        intent = begun.intent
        if begun.is_repointed:
            self.feed.announce(given_to(intent.conversation_id, lead_id=intent.lead_id))
        self.feed.announce(
            MessageCreated(
                entity_ids=[intent.message_id],
                after={
                    "direction": Direction.OUTBOUND,
                    "conversationId": str(intent.conversation_id),
                    "leadId": str(intent.lead_id),
                    "position": begun.position,
                    "authorKind": ActorKind.HUMAN,
                    "status": MessageStatus.SENDING,
                },
            )
        )
