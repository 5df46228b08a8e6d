"""The ledger's rules: how a delivery's states follow each other, and what a sender's answer makes of it. Pure.

A provider is called only after the intent is committed, and what may have gone out is never sent again by itself unless
the provider takes our key (delivery.md 3.2).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.channels.domain.ports import Accepted, Answer, Rejected, Retry
from app.conversations.domain.message import MessageStatus

DUE = "delivery"
"""The kind of due row; it rings by account."""
SEND_BATCH = "send_batch"
"""The kind of those that a batch sends, at its own pace."""
RETRY_WAITS_S = (2, 8, 32, 300, 900, 3600)
"""Before the second call, the third and so on; after the last it has failed. A server that greylists takes a message
from strangers after five to fifteen minutes (RFC 6647)."""
MAX_CALLS = len(RETRY_WAITS_S) + 1
MAX_WAIT_S = 3600
"""The longest a provider may ask us to wait."""
BATCH_NOT_RUNNING = "BATCH_NOT_RUNNING"
"""What a batch's delivery waits for while its batch is paused."""
BRAKE_S = 60
"""How long an account sends no batches after its provider found it too fast, where it did not say how long."""
MAX_ERROR = 500
MAX_REFERENCES = 20
"""A References header names so many messages at most: the nearest ones."""


class DeliveryStatus(StrEnum):
    QUEUED = "queued"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELED = "canceled"


MOVES: Mapping[DeliveryStatus, frozenset[DeliveryStatus]] = {
    DeliveryStatus.QUEUED: frozenset({DeliveryStatus.CLAIMED, DeliveryStatus.CANCELED}),
    DeliveryStatus.CLAIMED: frozenset(
        {DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.FAILED, DeliveryStatus.CANCELED}
    ),
    DeliveryStatus.SENDING: frozenset(
        {DeliveryStatus.SENT, DeliveryStatus.QUEUED, DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN}
    ),
    # By a person's "send again"; or by the worker that was given up and knows better.
    DeliveryStatus.UNKNOWN: frozenset(
        {DeliveryStatus.QUEUED, DeliveryStatus.SENT, DeliveryStatus.FAILED},
    ),
    DeliveryStatus.FAILED: frozenset({DeliveryStatus.QUEUED}),
    DeliveryStatus.SENT: frozenset(),
    DeliveryStatus.CANCELED: frozenset(),
}
SHOWN_AS: Mapping[DeliveryStatus, frozenset[MessageStatus]] = {
    DeliveryStatus.QUEUED: frozenset(
        {MessageStatus.SCHEDULED, MessageStatus.QUEUED, MessageStatus.SENDING},
    ),
    DeliveryStatus.CLAIMED: frozenset(
        {MessageStatus.SCHEDULED, MessageStatus.QUEUED, MessageStatus.SENDING},
    ),
    DeliveryStatus.SENDING: frozenset({MessageStatus.SENDING}),
    DeliveryStatus.SENT: frozenset(
        {MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.BOUNCED}
    ),
    DeliveryStatus.FAILED: frozenset({MessageStatus.FAILED}),
    DeliveryStatus.UNKNOWN: frozenset({MessageStatus.UNKNOWN}),
    DeliveryStatus.CANCELED: frozenset({MessageStatus.CANCELED}),
}
"""What a message may show while its delivery stands there; SENDING over a queued one: it is tried again.

Receipts and bounces move the message alone, also before its call is recorded: then the delivery becomes SENT, if nobody
knows better, and not UNKNOWN.
"""


class Reason(StrEnum):
    """Why a message was not sent, where no provider said so: `Message.error`."""

    ACCOUNT_DISCONNECTED = "ACCOUNT_DISCONNECTED"
    ACCOUNT_NEEDS_REAUTH = "ACCOUNT_NEEDS_REAUTH"
    """Its login was refused: only what a person sends again tries it anew, or the provider would lock it."""
    LEAD_DELETED = "LEAD_DELETED"
    SUPPRESSED = "SUPPRESSED"
    CANCELED_BY_USER = "CANCELED_BY_USER"
    BULK_SEND_CANCELED = "BULK_SEND_CANCELED"
    REPLIED = "REPLIED"
    """The lead answered before its turn came."""
    NO_ADDRESS = "NO_ADDRESS"
    """The lead has lost its address since the launch."""
    SAME_ADDRESS = "SAME_ADDRESS"
    """Its address belongs to a lead that was sent the same before."""
    SAME_PERSON = "SAME_PERSON"
    """A lead that was merged into this one was sent the same before."""
    MISSING_VARIABLE = "MISSING_VARIABLE"
    """The template asks for a value, without a fallback, that the lead does not have."""
    DAILY_LIMIT = "DAILY_LIMIT"
    """The day's allowance of its account or its domain is used up: it waits for the next."""
    NO_ANSWER = "NO_ANSWER"
    """The worker did not outlive the call, or nothing was heard within its time."""
    SENDER_ERROR = "SENDER_ERROR"
    """A bug of ours in the middle of a call."""
    NO_WORKER = "NO_WORKER"
    """No worker could take it up, however often one tried."""


@dataclass(frozen=True, slots=True)
class Attachment:
    file_id: UUID
    name: str
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A delivery that is about to be handed over: all a sender needs, and what the outcome is recorded by."""

    workspace_id: UUID
    id: UUID
    token: UUID
    n: int
    """The attempt's number in the evidence, over all resends."""
    calls: int
    """Calls under this key, this one included."""
    resend: int
    message_id: UUID
    conversation_id: UUID
    lead_id: UUID
    account_id: UUID
    account_version: tuple[object, ...]
    """Only compared, to know whether the account at hand is still what its row says."""
    is_account_ailing: bool
    """Its status says that something is wrong: a send that succeeds says otherwise."""
    channel: str
    to_address: str
    to_name: str
    subject: str
    body: str
    dated: datetime
    """When it was written, or was to leave: every try sends the same bytes."""
    rfc_message_id: str
    thread_ids: Sequence[str]
    """What it answers, the nearest first."""
    attachments: Sequence[Attachment]
    shown: MessageStatus
    """What the message showed before."""
    send_batch_id: UUID | None = None
    """Of a batch's recipient, also where a person sends it again."""
    may_opt_out: bool = False
    """Of a batch or a rule: nobody wrote it for its recipient alone."""
    locale: str = "en"
    """The workspace's."""

    @property
    def key(self) -> str:
        return provider_key(self.id, self.resend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What became of a delivery that may not be sent any more."""

    message_id: UUID
    conversation_id: UUID
    shown: MessageStatus
    becomes: MessageStatus


@dataclass(frozen=True, slots=True)
class Postponed:
    """A batch's delivery that went back to be queued: not because of its recipient."""

    waits_for: str

    @property
    def is_of_all(self) -> bool:
        """Its batch or its account does not send now: the others in hand need not be tried."""
        return self.waits_for == BATCH_NOT_RUNNING or self.waits_for.startswith("ACCOUNT_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What an answer makes of a delivery. `shows` None: the message goes on showing SENDING."""

    status: DeliveryStatus
    shows: MessageStatus | None
    outcome: str
    code: str | None = None
    error: str | None = None
    wait_s: float = 0
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the message shows now (None: as before), and whether it had been given up as unknown meanwhile."""

    shows: MessageStatus | None
    is_late: bool


def provider_key(delivery_id: UUID, resend: int) -> str:
    """The same for every automatic try; another after a person pressed "send again"."""
    return f"{delivery_id}-{resend}" if resend else str(delivery_id)


TOO_FAST = re.compile(
    r"too (many|much|fast)|throttl|\brate\b|rate.?limit|limit\w* (was |is |been )?(exceeded|reached)|quota|slow down",
    re.IGNORECASE,
)
GREYLISTED = re.compile(r"gr[ae]y.?list", re.IGNORECASE)
OF_THE_MAILBOX = re.compile(
    r"\b4\.[12]\.\d|\b(mailbox|inbox)\b.{0,40}\b(full|quota)\b|\brecipient\b.{0,30}\bquota\b|\breceiving mail\b",
    re.IGNORECASE,
)
"""What speaks of the recipient's address or mailbox: enhanced status codes (RFC 3463), or words where there is none. It
would else brake its account every minute, for ever."""


def brake_of(answer: Answer) -> float | None:
    """For how many seconds the account is to send no batches: its provider says that it sends too fast. None: it says
    nothing of the kind; greylisting and a full mailbox are about one recipient."""
    if not isinstance(answer, Retry) or answer.is_busy or answer.is_account_broken:
        return None
    said = f"{answer.code} {answer.message}"
    if GREYLISTED.search(said) or OF_THE_MAILBOX.search(said) or not TOO_FAST.search(said):
        return None
    return min(answer.after_s or BRAKE_S, MAX_WAIT_S)


def settle_of_batch(answer: Answer, *, calls: int, is_idempotent: bool, jitter: float) -> Settled:
    """As `settle`, but what ails the account fails no recipient: they wait until it is seen to."""
    if isinstance(answer, Retry) and (answer.is_account_broken or brake_of(answer) is not None):
        error = f"{answer.code}: {answer.message}"[:MAX_ERROR]
        return Settled(
            status=DeliveryStatus.QUEUED,
            shows=None,
            outcome=type(answer).__name__.upper(),
            code=answer.code,
            error=error,
            wait_s=brake_of(answer) or BRAKE_S,
        )
    return settle(answer, calls=calls, is_idempotent=is_idempotent, jitter=jitter)


def settle(answer: Answer, *, calls: int, is_idempotent: bool, jitter: float) -> Settled:
    """`calls` under this key, this one included; `jitter` is 0.8 to 1.2."""
    outcome = type(answer).__name__.upper()
    if isinstance(answer, Accepted):
        return Settled(
            status=DeliveryStatus.SENT,
            shows=MessageStatus.SENT,
            outcome=outcome,
            provider_id=answer.provider_id,
        )
    error = f"{answer.code}: {answer.message}"[:MAX_ERROR] if answer.message else answer.code
    is_final = calls >= MAX_CALLS and not (isinstance(answer, Retry) and answer.is_busy)
    if isinstance(answer, Rejected) or (isinstance(answer, Retry) and (is_final or answer.is_account_broken)):
        status, shows = DeliveryStatus.FAILED, MessageStatus.FAILED
    elif isinstance(answer, Retry) or (is_idempotent and not is_final):
        asked_s = (answer.after_s or 0.0) if isinstance(answer, Retry) else 0.0
        wait_s = max(RETRY_WAITS_S[min(calls, len(RETRY_WAITS_S)) - 1] * jitter, min(asked_s, MAX_WAIT_S))
        return Settled(
            status=DeliveryStatus.QUEUED,
            shows=None,
            outcome=outcome,
            code=answer.code,
            error=error,
            wait_s=wait_s,
        )
    else:
        status, shows = DeliveryStatus.UNKNOWN, MessageStatus.UNKNOWN
    return Settled(status=status, shows=shows, outcome=outcome, code=answer.code, error=error)
