"""The door to the inbox for other modules."""

from app.conversations.infrastructure.reads import conversations_by_id, messages_by_id

__all__ = ["conversations_by_id", "messages_by_id"]
