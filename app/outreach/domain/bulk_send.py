"""A bulk send's states and how they follow each other, and when it pauses by itself. Pure.

Rates are judged over what came since it was last started: who resumes has looked at the reason, and is not stopped
again by what was known then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.common.domain import MAX_NAME, Invalid, Refusals, SalesPadError, clean_text
from app.conversations.domain.delivery import Reason
from app.outreach.domain.errors import WrongState
from app.outreach.domain.events import BulkSendProgressed
from app.outreach.domain.pausing import PauseReason, why

DUE = "bulk_send"
"""The kind of due row."""
MAX_RATE = 100_000
MAX_BURST = 10_000
MAX_AHEAD = timedelta(days=366)


class BulkSendStatus(StrEnum):
    DRAFT = "DRAFT"
    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


MOVES: Mapping[BulkSendStatus, frozenset[BulkSendStatus]] = {
    BulkSendStatus.DRAFT: frozenset(
        {BulkSendStatus.SCHEDULED, BulkSendStatus.RUNNING, BulkSendStatus.CANCELED}
    ),
    BulkSendStatus.SCHEDULED: frozenset(
        {BulkSendStatus.RUNNING, BulkSendStatus.PAUSED, BulkSendStatus.CANCELED}
    ),
    BulkSendStatus.RUNNING: frozenset(
        {BulkSendStatus.PAUSED, BulkSendStatus.COMPLETED, BulkSendStatus.CANCELED}
    ),
    # Back to where it was: one that was paused before its time has come waits for it.
    BulkSendStatus.PAUSED: frozenset(
        {BulkSendStatus.SCHEDULED, BulkSendStatus.RUNNING, BulkSendStatus.CANCELED}
    ),
    BulkSendStatus.COMPLETED: frozenset(),
    BulkSendStatus.CANCELED: frozenset(),
}
LAUNCHED = frozenset({BulkSendStatus.SCHEDULED, BulkSendStatus.RUNNING, BulkSendStatus.PAUSED})
ENDED = frozenset({BulkSendStatus.COMPLETED, BulkSendStatus.CANCELED})


@dataclass(frozen=True, slots=True)
class RateRule:
    """It pauses once more than `most` of at least `sample` messages went wrong."""

    reason: PauseReason
    sample: int
    most: float


ERRORS = RateRule(PauseReason.ERROR_RATE, sample=20, most=0.2)
# Amazon SES reviews accounts from 5 % bounces on (docs.aws.amazon.com/ses, "Reputation metrics messages").
BOUNCES = RateRule(PauseReason.BOUNCE_RATE, sample=50, most=0.05)
# Google and Yahoo ask bulk senders to stay below 0.3 % (support.google.com/a/answer/81126). One of few is chance.
COMPLAINTS = RateRule(PauseReason.COMPLAINT_RATE, sample=300, most=0.003)


@dataclass(frozen=True)
class Outcomes:
    """What became of those that were handed over; of them, how many came back or were complained of."""

    sent: int = 0
    failed: int = 0
    unknown: int = 0
    bounced: int = 0
    complained: int = 0

    @classmethod
    def of(cls, stored: Mapping[str, object]) -> "Outcomes":
        """Other counts beside them are passed over."""
        return cls(**{one.name: int(str(stored.get(one.name, 0))) for one in fields(cls)})

    def since(self, before: "Outcomes") -> "Outcomes":
        """A message that is sent again leaves a count: none is below 0."""
        names = [one.name for one in fields(self)]
        return Outcomes(**{name: max(getattr(self, name) - getattr(before, name), 0) for name in names})


def rate_trouble(new: Outcomes) -> str | None:
    """Why it has to pause, as it is stored; None: go on."""
    finished = new.sent + new.failed + new.unknown
    for rule, bad, of in (
        (COMPLAINTS, new.complained, new.sent),
        (BOUNCES, new.bounced, new.sent),
        (ERRORS, new.failed + new.unknown, finished),
    ):
        if of >= rule.sample and bad > rule.most * of:
            return why(rule.reason, bad, of)
    return None


def account_trouble(refusal: Reason | None) -> str | None:
    """As `rate_trouble`, by why nothing may be sent over the account."""
    return why(PauseReason(refusal)) if refusal else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a bulk send is to be, as far as it is checked without a look at other things."""

    name: str
    template_id: UUID
    account_id: UUID
    filter: Mapping[str, object]
    start_at: datetime | None = None
    rate_per_minute: int | None = None
    burst: int | None = None

    def checked(self, now: datetime, before: "Draft | None" = None) -> "Draft":
        """Raises Refusals: all that is wrong with it. A start that it had `before` may have passed since."""
        refusals: list[SalesPadError] = []
        name = self.name
        try:
            name = clean_text(self.name, "name", max_length=MAX_NAME)
        except Invalid as refusal:
            refusals.append(refusal)
        refusals += rate_refusals(self.rate_per_minute, self.burst)
        if before is None or self.start_at != before.start_at:
            refusals += start_refusals(self.start_at, now)
        if self.filter.get("deleted"):
            refusals.append(
                Invalid("Deleted leads are not written to: restore them first.", path=("filter", "deleted"))
            )
        if refusals:
            raise Refusals(refusals)
        return replace(self, name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkSend:
    """A bulk send under its row's lock."""

    id: UUID
    status: BulkSendStatus
    draft: Draft | None
    """None once its audience is known: the filter is forgotten."""
    account_id: UUID
    send_batch_id: UUID | None
    start_at: datetime | None
    is_started: bool
    has_ended: bool

    def moved(self, to: BulkSendStatus) -> bool:
        """False: it is there already, as after a double click. Raises WrongState."""
        if self.status is to:
            return False
        if to not in MOVES[self.status]:
            raise WrongState(self.status)
        return True

    def start(self, now: datetime) -> BulkSendStatus:
        """Where it goes when it is launched or resumed."""
        is_early = not self.is_started and self.start_at is not None and self.start_at > now
        return BulkSendStatus.SCHEDULED if is_early else BulkSendStatus.RUNNING


def progressed(
    id: UUID, status: BulkSendStatus, counts: Mapping[str, object] | None = None
) -> BulkSendProgressed:
    return BulkSendProgressed(entity_ids=[id], after={"status": status.value, **(counts or {})})


def rate_refusals(rate_per_minute: int | None, burst: int | None) -> list[Invalid]:
    refusals: list[Invalid] = []
    if rate_per_minute is not None and not 1 <= rate_per_minute <= MAX_RATE:
        says = (
            f"Say how many messages a minute: 1 to {MAX_RATE}; leave it out to go as fast as the account may."
        )
        refusals.append(Invalid(says, path=("ratePerMinute",)))
    if burst is not None and not 1 <= burst <= MAX_BURST:
        refusals.append(
            Invalid(f"Say how many messages may leave at once: 1 to {MAX_BURST}.", path=("burst",))
        )
    elif burst is not None and rate_per_minute is None:
        refusals.append(Invalid("A burst is of a rate: give ratePerMinute too.", path=("burst",)))
    return refusals


def start_refusals(start_at: datetime | None, now: datetime) -> list[Invalid]:
    if start_at is not None and start_at <= now:
        return [Invalid("This has passed: leave it out to start at once.", path=("startAt",))]
    if start_at is not None and start_at > now + MAX_AHEAD:
        return [Invalid("Start it within a year.", path=("startAt",))]
    return []
