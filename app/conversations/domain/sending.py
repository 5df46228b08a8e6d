"""What may be sent, and as what: the rules of a message that a person writes. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.common.domain import Channel, Conflict, Invalid, NotFound, Refusals, SalesPadError, clean_text
from app.conversations.domain.conversation import ConversationStatus
from app.conversations.domain.message import MAX_BODY, MessageStatus

MAX_SUBJECT = 200
MAX_REPLY_SUBJECT = 990
"""A reply takes a subject over however long it came; a header's line ends at 998."""
MAX_ATTACHMENTS = 20
MAX_ATTACHED_BYTES = 25_000_000
MAX_AHEAD = timedelta(days=366)
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
REPLY = re.compile(r"\s*(re|aw|res|sv|antw)\s*(\[\d+\])?\s*:", re.IGNORECASE)
"""What mail programs put before the subject of a reply."""


class MessageNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such message in this workspace.", path=("id",))


class MessageMoved(Conflict):
    """The payload shows the message as it is."""

    def __init__(self, message_id: UUID, text: str) -> None:
        super().__init__(text, path=("id",))
        self.message_id = message_id


class NotCancelable(MessageMoved):
    def __init__(self, message_id: UUID, status: MessageStatus) -> None:
        super().__init__(message_id, f"It cannot be called back any more: it is {status}.")


class NotResendable(MessageMoved):
    def __init__(self, message_id: UUID, status: MessageStatus) -> None:
        super().__init__(
            message_id, f"Only what is FAILED or UNKNOWN can be sent again; this message is {status}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """What a person wants sent, cleaned."""

    conversation_id: UUID
    body: str
    subject: str | None
    attachment_tokens: Sequence[str]
    not_before: datetime | None
    template_id: UUID | None = None
    is_templated: bool = False
    """The template says what the body is; else `template_id` gives the subject alone, where there is none."""

    @property
    def fingerprint(self) -> Sequence[object]:
        """What makes it the same request under one idempotencyKey."""
        at = self.not_before.timestamp() if self.not_before else None
        of_template = [self.template_id] if self.template_id else []
        return [self.conversation_id, self.body, self.subject, list(self.attachment_tokens), at, *of_template]


def send_request(
    *,
    conversation_id: UUID,
    body: str | None,
    subject: str | None,
    attachment_tokens: Sequence[str],
    not_before: datetime | None,
    template_id: UUID | None = None,
) -> SendRequest:
    """Raises Invalid, or several at once as Refusals."""
    refusals: list[SalesPadError] = []
    clean_body, clean_subject = "", None
    is_templated = template_id is not None and body is None
    try:
        clean_body = "" if is_templated else clean_text(body or "", "body", max_length=MAX_BODY)
    except Invalid as refusal:
        refusals.append(refusal)
    try:
        clean_subject = one_line(subject or "")
    except Invalid as refusal:
        refusals.append(refusal)
    if len(attachment_tokens) > MAX_ATTACHMENTS:
        refusals.append(Invalid(f"Attach at most {MAX_ATTACHMENTS} files.", path=("attachmentTokens",)))
    if refusals:
        raise refusals[0] if len(refusals) == 1 else Refusals(refusals)
    return SendRequest(
        conversation_id=conversation_id,
        body=clean_body,
        subject=clean_subject or None,
        attachment_tokens=attachment_tokens,
        not_before=not_before,
        template_id=template_id,
        is_templated=is_templated,
    )


def one_line(subject: str) -> str:
    """A pasted line break becomes a space: nothing of a subject ever begins a header of its own. Raises Invalid."""
    return clean_text(CONTROLS.sub(" ", subject), "subject", max_length=MAX_SUBJECT, required=False)


def reply_subject(subject: str | None) -> str:
    """Of a reply that has none of its own."""
    known = " ".join(CONTROLS.sub(" ", subject or "").split())
    return (known if REPLY.match(known) else f"Re: {known}".rstrip())[:MAX_REPLY_SUBJECT]


@dataclass(frozen=True, slots=True)
class AttachedFile:
    id: UUID
    name: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """A conversation as sending sees it, locked."""

    conversation_id: UUID
    account_id: UUID
    lead_id: UUID
    channel: Channel
    contact_address: str
    lead_name: str
    status: ConversationStatus
    is_dormant: bool
    subject: str | None
    message_count: int
    is_lead_deleted: bool
    now: datetime
    """The database's."""

    def subject_of(self, request: SendRequest) -> str:
        """Raises Invalid for the first message without one: no mail says nothing in its subject by oversight."""
        if request.subject is not None:
            return request.subject
        if self.message_count == 0:
            raise Invalid("Give the first message a subject.", path=("subject",))
        return reply_subject(self.subject)

    def departure(self, request: SendRequest) -> datetime | None:
        """When it may leave; None: now. Raises Invalid."""
        at = request.not_before
        if at is None or at <= self.now:
            return None
        if at > self.now + MAX_AHEAD:
            raise Invalid("Schedule it within a year from now.", path=("notBefore",))
        return at

    @property
    def is_opened_by_sending(self) -> bool:
        return self.status is not ConversationStatus.OPEN or self.is_dormant
