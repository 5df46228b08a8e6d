"""The door to the inbox for other modules."""

from app.conversations.infrastructure.reads import (
    ConversationConditions,
    ConversationPage,
    MessagePage,
    Wanted,
    conversations_by_id,
    list_conversations,
    messages_by_id,
    messages_of,
)

__all__ = [
    "ConversationConditions",
    "ConversationPage",
    "MessagePage",
    "Wanted",
    "conversations_by_id",
    "list_conversations",
    "messages_by_id",
    "messages_of",
]
