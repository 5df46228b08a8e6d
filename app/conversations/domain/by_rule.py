"""A message that a rule sends: what may come of the wish to send it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.conversations.domain.delivery import Reason
from app.conversations.domain.policy import Standing

AUTOMATION = "AUTOMATION"
"""The kind of origin of a rule's deliveries; the origin's id is the run's, the step its action's place."""


class RuleRefusal(StrEnum):
    """Why a rule's message is not sent, for good."""

    LEAD_DELETED = "LEAD_DELETED"
    ACCOUNT_GONE = "ACCOUNT_GONE"
    TEMPLATE_GONE = "TEMPLATE_GONE"
    """Deleted, or for another channel by now."""
    NO_ADDRESS = "NO_ADDRESS"
    SUPPRESSED = "SUPPRESSED"
    ACCOUNT_DISCONNECTED = "ACCOUNT_DISCONNECTED"
    VALUE_MISSING = "VALUE_MISSING"
    NO_SUBJECT = "NO_SUBJECT"
    """Of a first mail: there is no conversation whose subject it could take."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """It is in the ledger."""

    message_id: UUID
    conversation_id: UUID


@dataclass(frozen=True, slots=True)
class NotNow:
    """Quiet hours, or a used-up limit: nothing was written; ask again then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class NotSent:
    reason: RuleRefusal


REFUSED = {
    Reason.LEAD_DELETED: RuleRefusal.LEAD_DELETED,
    Reason.SUPPRESSED: RuleRefusal.SUPPRESSED,
    Reason.ACCOUNT_DISCONNECTED: RuleRefusal.ACCOUNT_DISCONNECTED,
    Reason.ACCOUNT_NEEDS_REAUTH: RuleRefusal.ACCOUNT_DISCONNECTED,
}


def stands_in_the_way(standing: Standing) -> NotSent | NotNow | None:
    """As `canSend` judges: what is for good comes before what passes, what passes later before what passes sooner."""
    if standing.refusal is not None:
        return NotSent(REFUSED[standing.refusal])
    passing = [until for until in (standing.quiet_until, standing.used_up_until) if until is not None]
    return NotNow(max(passing)) if passing else None
