"""What a provider tells of mails after it has taken them: who may tell it, and what it means, whoever tells it."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

from app.common.domain import Invalid

MAX_AGE = timedelta(days=3)
"""Of what is told: providers try again for a day and longer. A replay is no reason to be stricter, since whatever has
come before has no effect (decision 0033)."""
MAX_AHEAD = timedelta(minutes=15)
"""Clocks differ."""


class FeedbackProvider(StrEnum):
    SES = "SES"
    SENDGRID = "SENDGRID"

    @property
    def slug(self) -> str:
        """In addresses, and as the provider of an `inbound_event`."""
        return self.value.lower()


FEEDBACK = frozenset(one.slug for one in FeedbackProvider)


class FeedbackKind(StrEnum):
    DELIVERED = "DELIVERED"
    HARD_BOUNCE = "HARD_BOUNCE"
    """It did not arrive, and never will: the address is dead."""
    SOFT_BOUNCE = "SOFT_BOUNCE"
    """It did not arrive, or not yet: a full mailbox, a delay, a filter."""
    COMPLAINT = "COMPLAINT"
    """Reported as spam."""
    UNSUBSCRIBED = "UNSUBSCRIBED"
    """By the provider's own link or button."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """About one mail of ours; addresses as leads spell them."""

    kind: FeedbackKind
    message_ids: Sequence[str] = ()
    """Message-IDs in angle brackets."""
    provider_ids: Sequence[str] = ()
    """What the provider calls the mail: what it answered as it took it."""
    recipients: Sequence[str] = ()
    status_code: str | None = None
    """Of RFC 3463."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackAccount:
    """The account that a webhook's token names, and what its provider's webhooks are verified by."""

    workspace_id: UUID
    id: UUID
    provider: FeedbackProvider
    key: str | None


class Forged(Exception):
    """Not signed by whom it should be, or not about this account's topic. Nothing of it is kept."""


class Stale(Exception):
    """Genuine, and from too long ago."""


def refuse_stale(told_at: datetime) -> None:
    """Raises Stale."""
    now = datetime.now(UTC)
    if not now - MAX_AGE <= told_at <= now + MAX_AHEAD:
        raise Stale


# ── settings of an account ────────────────────────────────────────────────────────────────────────────────────────────
FeedbackSetting: TypeAlias = tuple[str | None, str | None]
"""Of an account: the provider, and what its webhooks are verified by."""
NO_FEEDBACK: FeedbackSetting = (None, None)
TOPIC = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:[a-z]{2}[a-z0-9-]{3,30}:\d{12}:[A-Za-z0-9_-]{1,256}")
P256_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""Of every P-256 public key in DER (SubjectPublicKeyInfo, uncompressed); the point's 64 bytes follow."""
P256_FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def clean_feedback(provider: FeedbackProvider | None, key: str | None) -> FeedbackSetting:
    """Both as they are stored. SendGrid shows its key only once it knows the address, so it may come later.

    Raises Invalid.
    """
    if provider is None:
        if key is not None:
            raise Invalid("Say whose key it is: SES or SENDGRID.", path=("feedbackProvider",))
        return None, None
    cleaned = _clean_topic(key) if provider is FeedbackProvider.SES else _clean_public_key(key)
    return provider.value, cleaned


def _clean_topic(key: str | None) -> str:
    topic = (key or "").strip()
    if not TOPIC.fullmatch(topic):
        raise Invalid(
            "Give the ARN of the SNS topic that SES publishes to, such as "
            "arn:aws:sns:sa-east-1:123456789012:salespad. A FIFO topic will not do.",
            path=("feedbackKey",),
        )
    return topic


def _clean_public_key(key: str | None) -> str | None:
    if key is None:
        return None
    try:
        text = "".join(re.sub(r"-----[A-Z ]+-----", "", key[:2000]).split())
        der = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        der = b""
    if not (len(der) == 91 and der.startswith(P256_HEAD) and _is_on_curve(der[27:59], der[59:])):
        raise Invalid(
            "Give the Verification Key that SendGrid shows under Signed Event Webhook: one line that begins with MFkw.",
            path=("feedbackKey",),
        )
    return text


def _is_on_curve(x_bytes: bytes, y_bytes: bytes) -> bool:
    x, y = int.from_bytes(x_bytes), int.from_bytes(y_bytes)
    if x >= P256_FIELD or y >= P256_FIELD:
        return False
    return (y * y - (x * x * x - 3 * x + P256_B)) % P256_FIELD == 0


# ── addresses that a body names ───────────────────────────────────────────────────────────────────────────────────────
SNS_HOST = re.compile(r"sns\.[a-z]{2}[a-z0-9-]{3,30}\.amazonaws\.com(?:\.cn)?")


def is_sns_address(url: str) -> bool:
    """Whether nobody but SNS answers there. Asked before anything is fetched."""
    if len(url) > 2000 or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and parts.netloc == parts.hostname
        and port is None
        and SNS_HOST.fullmatch(parts.netloc) is not None
        and not parts.fragment
    )


def is_certificate_address(url: str) -> bool:
    parts = urlsplit(url) if is_sns_address(url) else None
    return parts is not None and parts.path.endswith(".pem") and not parts.query
