"""What happened in the inbox. Ids, enum values and numbers only: never a text or an address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from app.common.domain import Event
from app.conversations.domain.message import LEFT


@dataclass(frozen=True, kw_only=True)
class MessageCreated(Event):
    """`entity_ids` is the message; `after` has direction, conversationId, leadId, position, authorKind, status."""

    name: ClassVar[str] = "message.created"


@dataclass(frozen=True, kw_only=True)
class MessageUpdated(Event):
    """Its state moved. `entity_ids` is the message; `before` has status, `after` status and conversationId."""

    name: ClassVar[str] = "message.updated"


def has_left(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    """Of what a MessageUpdated says: it went out just now. What a provider tells of it later is nothing new."""
    return after.get("status") in LEFT and before.get("status") not in LEFT


@dataclass(frozen=True, kw_only=True)
class ConversationUpdated(Event):
    """Made, assigned, snoozed, closed, opened, its lead changed: `changed` says which; `entity_ids` is it."""

    name: ClassVar[str] = "conversation.updated"
