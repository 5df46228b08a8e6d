"""What a conversation is, and what may be done with it."""

from enum import StrEnum


class ConversationStatus(StrEnum):
    OPEN = "OPEN"
    SNOOZED = "SNOOZED"
    CLOSED = "CLOSED"
