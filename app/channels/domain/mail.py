"""A mail as it came in, read as far as it can be read: facts about it, no decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MailPart:
    """An attachment; `media_type` is what the mail claims."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """A delivery status notification (RFC 3464) about one of our messages."""

    message_ids: Sequence[str]
    """Message-IDs that may be ours: of the returned headers, In-Reply-To and References."""
    recipient: str | None
    """Normalised."""
    is_hard: bool
    """A permanent failure (5.x.x): the address is not to be written to again."""
    is_delayed: bool = False
    """Only a warning: the provider is still trying."""
    status_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """Every text is without NUL and lone surrogates, in NFC, capped; every list is capped."""

    from_address: str | None
    """Normalised; None where nobody can be made out."""
    from_name: str | None = None
    reply_to: str | None = None
    to_addresses: Sequence[str] = ()
    subject: str | None = None
    text: str = ""
    """What was newly written."""
    quoted_text: str | None = None
    html: str | None = None
    """Sanitised."""
    message_id: str | None = None
    in_reply_to: str | None = None
    references: Sequence[str] = ()
    sent_at: datetime | None = None
    parts: Sequence[MailPart] = field(default_factory=tuple)
    is_auto_reply: bool = False
    """RFC 3834 and its relatives: nobody wrote it; it is no reply."""
    bounce: Bounce | None = None
    identity: str = ""
    """What makes it the same mail when it comes again: its Message-ID with a digest of what it says."""

    @property
    def thread_ids(self) -> Sequence[str]:
        """Message-IDs it answers, the nearest first."""
        near_first = [self.in_reply_to] if self.in_reply_to else []
        return list(dict.fromkeys([*near_first, *reversed(self.references)]))
