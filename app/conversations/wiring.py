"""The door to the inbox for other modules, and the handler of the due row `inbound_event`."""

from app.channels.wiring import INBOUND, inbound_events
from app.conversations.infrastructure.inbound import fail_mail, receive_mail
from app.conversations.infrastructure.presence import Bell, Presences
from app.conversations.infrastructure.reads import (
    ConversationConditions,
    ConversationPage,
    MessagePage,
    Wanted,
    are_there,
    conversations_by_id,
    list_conversations,
    messages_by_id,
    messages_of,
)
from app.settings import Settings

__all__ = [
    "INBOUND",
    "ConversationConditions",
    "ConversationPage",
    "MessagePage",
    "Wanted",
    "are_there",
    "conversations_by_id",
    "fail_mail",
    "inbound_events",
    "list_conversations",
    "messages_by_id",
    "messages_of",
    "presence_service",
    "receive_mail",
]


def presence_service(settings: Settings, bell: Bell) -> Presences:
    """One a process, for its whole life."""
    url = None if settings.redis_is_off else settings.redis_url
    return Presences(url, bell, ttl_s=settings.presence_ttl_s)
