"""A batch's deliveries in a worker's hands: what is rendered ahead for each, and what its first intent makes of it."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.conversations.domain.delivery import Intent, Settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What one recipient would be sent, by its lead as it was read; the intent asks whether it still is so."""

    batch_id: UUID
    account_id: UUID
    lead_id: UUID
    lead_version: int
    address: str | None
    has_message: bool
    """It was tried before: what it says stands in its message."""
    subject: str | None = None
    body: str = ""
    search_text: str = ""
    is_missing: bool = False
    """The lead has no value for a variable without a fallback."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the lane handed over before, and the provider took: its record goes along with the next intent."""

    intent: Intent
    settled: Settled


@dataclass(frozen=True, slots=True)
class Written:
    """What the record of one that was sent has moved."""

    is_shown: bool
    engagement: tuple[str, str] | None
    """Of its lead: before and after, where it moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A first intent: the message is written, in its conversation."""

    intent: Intent
    position: int
    author_id: UUID | None
    is_repointed: bool
    """Its conversation was another lead's, which had the address before."""


class Unbegun(StrEnum):
    CANCELED = "CANCELED"
    """Without a message: the row says why."""
    STALE = "STALE"
    """The lead has changed since: render anew."""
