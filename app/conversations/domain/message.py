"""What a message is and how its states follow each other."""

from enum import StrEnum

MAX_BODY = 100_000


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
