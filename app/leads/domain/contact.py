"""What messages make of a lead: a person nobody knew becomes one, engagement moves, an address is not to be used."""

from collections.abc import Mapping
from enum import StrEnum

from app.common.domain import MAX_NAME, Direction, normalized
from app.leads.domain.lead import Engagement

ENGAGEMENT_MOVES: Mapping[Direction, Mapping[Engagement, Engagement]] = {
    Direction.OUTBOUND: {Engagement.NEW: Engagement.CONTACTED},
    Direction.INBOUND: {
        Engagement.NEW: Engagement.REPLIED,
        Engagement.CONTACTED: Engagement.REPLIED,
        Engagement.REPLIED: Engagement.ENGAGED,
    },
}
"""Where a message takes a lead (words.md, Engagement); from any other state it stays."""


class SuppressionReason(StrEnum):
    """Why nothing is sent to an address."""

    HARD_BOUNCE = "HARD_BOUNCE"
    COMPLAINT = "COMPLAINT"
    OPT_OUT = "OPT_OUT"
    MANUAL = "MANUAL"


def name_of(email: str, name: str | None) -> str:
    """What to call somebody who wrote in: the name their mail gives, else what stands before the @."""
    return normalized((normalized(name or "") or email.partition("@")[0])[:MAX_NAME]) or email[:MAX_NAME]


def suppressed_values(address: str) -> tuple[str, str]:
    """The values that a suppression of this address may have: itself, and "@domain"."""
    lowered = address.strip().lower()
    return lowered, "@" + lowered.rpartition("@")[2]
