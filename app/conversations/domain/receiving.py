"""What a mail that came in does to the inbox: whose it is, what it opens, what a bounce says of a message of ours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from app.channels.domain.mail import Bounce, Mail
from app.conversations.domain.conversation import ConversationStatus, after_inbound
from app.leads.domain.identity import NotAnIdentity, email_identity


class Outcome(StrEnum):
    """What became of something that came in."""

    RECEIVED = "RECEIVED"
    BOUNCED = "BOUNCED"
    DUPLICATE = "DUPLICATE"
    """It came before, perhaps through another door."""
    OWN = "OWN"
    """Our own mail, come back."""
    BOUNCE_NOTED = "BOUNCE_NOTED"
    """A delay, or a message that is past bouncing."""
    BOUNCE_OF_NOTHING = "BOUNCE_OF_NOTHING"
    """About no message of this account's. Nobody becomes a lead by it."""
    ERASED = "ERASED"
    """Of somebody who was erased, or about them: nothing of it is kept."""
    NO_SENDER = "NO_SENDER"
    """Nobody can be made out who wrote it: kept as it came."""

    @property
    def is_failure(self) -> bool:
        return self is Outcome.NO_SENDER


OURS = re.compile(r"<([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-\d{1,3})?@([^>\s]+)>")
COPIES = 10


def with_other_copies(message_ids: Sequence[str]) -> list[str]:
    """A message that a person sent again has the Message-ID of its newest copy, and each copy may be answered."""
    found: dict[str, None] = {}
    for id in message_ids:
        found[id] = None
        if ours := OURS.fullmatch(id):
            key, domain = ours.groups()
            found |= {
                f"<{key}{again}@{domain}>": None for again in ("", *(f"-{n}" for n in range(1, COPIES)))
            }
    return list(found)


class SenderErased(Exception):
    """Somebody who asked to be forgotten: nothing of this transaction may stay."""


class LeadGone(Exception):
    """Erased between two statements: roll back, and begin again."""


class AlreadyReceived(Exception):
    """The message is there already: nothing of this transaction may stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingAccount:
    """The account something came in for."""

    workspace_id: UUID
    id: UUID
    channel: str
    address: str

    def is_own(self, mail: Mail) -> bool:
        """Our own, come back, or from nobody."""
        return contact_address(mail) in (None, self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundConversation:
    """Where a mail belongs; its row is locked."""

    id: UUID
    lead_id: UUID
    contact_address: str
    changed: tuple[str, ...] = field(default=())
    """What finding it changed already: "created", "lead"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedMessage:
    """An inbound message as it was written."""

    id: UUID
    position: int
    lead_id: UUID
    status_before: ConversationStatus
    """Its conversation's."""
    status: ConversationStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedMessage:
    """The message of ours that a bounce is about."""

    id: UUID
    conversation_id: UUID
    contact_address: str


def born_of_inbound(*, is_auto_reply: bool) -> ConversationStatus:
    """How a conversation begins that somebody's mail begins; nobody need look after an auto-reply."""
    return after_inbound(ConversationStatus.CLOSED, is_auto_reply=is_auto_reply)


def contact_address(mail: Mail) -> str | None:
    """Who wrote, spelt as leads spell identities; an address they would refuse is taken as it is."""
    if not mail.from_address:
        return None
    try:
        return email_identity(mail.from_address).value
    except NotAnIdentity:
        return mail.from_address.strip().lower() or None


def body_of(mail: Mail, *, conversation: FoundConversation, sender: str) -> str:
    """What was written; in a conversation with somebody else, under the name of who wrote it."""
    if sender == conversation.contact_address:
        return mail.text
    return f"From: {_named(mail, sender)}\n\n{mail.text}"


def html_of(mail: Mail, *, conversation: FoundConversation, sender: str) -> str | None:
    """None where somebody else wrote: the text says who, and the HTML would not."""
    return mail.html if sender == conversation.contact_address else None


def _named(mail: Mail, sender: str) -> str:
    name = " ".join((mail.from_name or "").replace("<", " ").replace(">", " ").split())
    return f"{name} <{sender}>" if name else sender


def bounce_error(bounce: Bounce) -> str:
    """What a returned message says: whether for good, and the status code of RFC 3463."""
    kind = "HARD_BOUNCE" if bounce.is_hard else "SOFT_BOUNCE"
    return f"{kind} {bounce.status_code}" if bounce.status_code else kind


def is_to_suppress(bounce: Bounce, message: ReturnedMessage) -> bool:
    """Only whom the message was sent to: whoever got a message of ours can forge a bounce of it, about anybody."""
    return bounce.is_hard and bounce.recipient in (None, message.contact_address)
