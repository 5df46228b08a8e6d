"""What conditions are asked of: a lead, and the event, as they are when the event is reacted to."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

NOTHING: Set[UUID] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    lead_id: UUID
    source: str
    stage_id: UUID
    tag_ids: Set[UUID]
    owner_id: UUID | None
    score: int
    email: str | None
    company: str | None
    title: str | None
    engagement: str
    added_tag_ids: Set[UUID] = NOTHING
    """Of TAG_ADDED: those that the event added, which `TAG_ID EQ` is about then."""
    channel: str | None = None
    """Of the event's message, and its text."""
    message_body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFacts:
    """An event's message, as it is when the event is reacted to; events hold no text, and may be older than a merge."""

    id: UUID
    conversation_id: UUID
    lead_id: UUID
    """Whose conversation it is now."""
    channel: str
    is_inbound: bool
    is_auto_reply: bool
    author_kind: str
    position: int
    sent_at: datetime
    body: str | None
    """None where nobody asks for it."""
    is_answered: bool
    """The lead wrote after it, and no auto-reply."""
