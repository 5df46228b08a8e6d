"""What a message is and how its states follow each other."""

from collections.abc import Mapping
from enum import StrEnum

MAX_BODY = 100_000
MAX_EXCERPT = 500


class MessageStatus(StrEnum):
    """Where a message stands; an inbound one is RECEIVED for good."""

    SCHEDULED = "SCHEDULED"
    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    READ = "READ"
    RECEIVED = "RECEIVED"
    FAILED = "FAILED"
    BOUNCED = "BOUNCED"
    UNKNOWN = "UNKNOWN"
    CANCELED = "CANCELED"


MOVES: Mapping[MessageStatus, frozenset[MessageStatus]] = {
    MessageStatus.SCHEDULED: frozenset(
        {MessageStatus.SENDING, MessageStatus.FAILED, MessageStatus.CANCELED},
    ),
    # SCHEDULED: it came to its turn in quiet hours.
    MessageStatus.QUEUED: frozenset(
        {MessageStatus.SCHEDULED, MessageStatus.SENDING, MessageStatus.FAILED, MessageStatus.CANCELED},
    ),
    MessageStatus.SENDING: frozenset(
        {MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.FAILED}
        | {MessageStatus.BOUNCED, MessageStatus.UNKNOWN, MessageStatus.CANCELED}
    ),
    MessageStatus.SENT: frozenset(
        {MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.BOUNCED, MessageStatus.FAILED}
    ),
    MessageStatus.DELIVERED: frozenset({MessageStatus.READ, MessageStatus.BOUNCED, MessageStatus.FAILED}),
    MessageStatus.READ: frozenset(),
    MessageStatus.UNKNOWN: frozenset(
        {MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.BOUNCED}
        | {MessageStatus.FAILED, MessageStatus.QUEUED}
    ),
    MessageStatus.FAILED: frozenset({MessageStatus.QUEUED}),
    MessageStatus.BOUNCED: frozenset(),
    MessageStatus.CANCELED: frozenset(),
    MessageStatus.RECEIVED: frozenset(),
}
"""Every move a message may make (words.md, Message out). SENDING stays SENDING while it waits for another try; back to
QUEUED leads only "send again"."""


LEFT = frozenset({MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ})
"""It has gone out, and stands as that; the first that is told of it may be any of these."""


def sources(status: MessageStatus) -> list[MessageStatus]:
    """The states that may become this one: what a statement that writes it compares with."""
    return [before for before, after in MOVES.items() if status in after]


def excerpt(text: str, subject: str | None) -> str:
    """What the lead's timeline says of it: its beginning, else what it is about."""
    return (text.strip() or subject or "")[:MAX_EXCERPT]
