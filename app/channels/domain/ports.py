"""What the inbox asks of a channel: hand a message to a provider, once, and say what became of it.

A sender decides nothing: whether something may be sent, and whether it is tried again, stands in the ledger
(conversations). It answers with one of four; an exception or a time-out after the first byte of the message is Unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias
from uuid import UUID


@dataclass(frozen=True, slots=True)
class OutboundFile:
    """A file to attach; its bytes are read from `path` as it is sent."""

    name: str
    media_type: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """One message, ready to leave.

    `key` is the provider key: the delivery's id, with "-<resend>" after a person pressed "send again".
    Automatic retries keep it. `message_id` (RFC 5322, in angle brackets) holds it.
    """

    key: str
    to_address: str
    to_name: str | None = None
    from_name: str | None = None
    subject: str
    text: str
    message_id: str
    date: datetime
    """When it was written: a retry sends the same bytes."""
    in_reply_to: str | None = None
    references: Sequence[str] = ()
    files: Sequence[OutboundFile] = field(default_factory=tuple)
    unsubscribe_url: str | None = None
    """For what was sent in bulk or by a rule: goes into List-Unsubscribe (RFC 8058) and below the text."""
    locale: str = "en"
    """Of the words that are added to the text."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has it, and said so."""

    provider_id: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider surely did not take it, and never will. `is_address_bad`: the address itself does not exist."""

    code: str
    message: str
    is_address_bad: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """It surely did not go out: connection refused, a 4xx before acceptance. `after_s`: not sooner, if they said."""

    code: str
    message: str
    after_s: float | None = None
    is_account_broken: bool = False
    """The account itself cannot send (login refused): its status says so until somebody mends it."""
    is_busy: bool = False
    """Nobody was asked: our own other mails were in the way. It is no failed try."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have gone out: nobody can say."""

    code: str
    message: str


Answer: TypeAlias = Accepted | Rejected | Retry | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingAccount:
    """What a sender needs of a channel account; `url` holds its credentials, decrypted: never log it."""

    workspace_id: UUID
    id: UUID
    name: str
    address: str
    url: str = field(repr=False)
    """Empty where it cannot be had: no local mailbox here, or credentials that no key opens."""
    is_local: bool
    """The local mailbox of the embedded default."""


class MessageSender(Protocol):
    """`is_idempotent`: the provider takes our key, so what is unknown may be sent again and arrives once."""

    is_idempotent: bool

    async def send(self, account: SendingAccount, message: OutboundMessage) -> Answer: ...

    async def close(self) -> None: ...
