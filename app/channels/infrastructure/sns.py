"""Amazon SNS: whether a notification is one, and the confirmation of a subscription.

The certificate is fetched from SNS itself and from nowhere else; which host that is, is judged before the fetch. What
is signed names the topic, and only the account's own will do: anybody can have Amazon sign for a topic of theirs.
"""

import asyncio
import base64
import binascii
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import Certificate, load_pem_x509_certificate

from app.channels.domain.feedback import (
    FeedbackAccount,
    Forged,
    is_certificate_address,
    is_sns_address,
    refuse_stale,
)
from app.common.egress import Egress
from app.common.https import CannotFetch, https_get

CONFIRMATIONS = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})
NOTIFICATION = "Notification"
SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    **dict.fromkeys(
        CONFIRMATIONS, ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    ),
}
"""What is signed, in this order; what is not there is left out."""
HASHES = {"1": hashes.SHA1, "2": hashes.SHA256}
CERTIFICATES_MAX = 32
CERTIFICATE_S = 86_400
MAX_ID = 200


@dataclass(slots=True)
class SnsVerifier:
    """One a process: it keeps the certificates. `context` is for tests, whose authority no system knows."""

    egress: Egress
    context: ssl.SSLContext | None = None
    _kept: dict[str, tuple[float, Certificate | None]] = field(default_factory=dict)
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def verified(self, account: FeedbackAccount, raw: bytes) -> str:
        """The MessageId of a notification that Amazon signed for the account's topic.

        Raises Forged, Stale, CannotFetch.
        """
        told = _told(raw)
        if account.key is None or told["TopicArn"] != account.key:
            raise Forged
        content, signature = _signed(told), _signature(told)
        certificate = await self._certificate(told["SigningCertURL"])
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey) or certificate.not_valid_after_utc < datetime.now(UTC):
            raise Forged
        try:
            key.verify(signature, content, padding.PKCS1v15(), HASHES[told["SignatureVersion"]]())
        except InvalidSignature:
            raise Forged from None
        refuse_stale(_moment(told["Timestamp"]))
        return told["MessageId"]

    async def _certificate(self, url: str) -> Certificate:
        """Raises Forged, CannotFetch."""
        if not is_certificate_address(url):
            raise Forged
        if (certificate := self._known(url)) is not None:
            return certificate
        async with self._fetching:  # of many at once one fetches
            return self._known(url) or await self._fetch(url)

    def _known(self, url: str) -> Certificate | None:
        fetched_at, certificate = self._kept.get(url, (0.0, None))
        return certificate if time.monotonic() - fetched_at < CERTIFICATE_S else None

    async def _fetch(self, url: str) -> Certificate:
        pem = await https_get(url, self.egress, context=self.context)
        try:
            certificate = load_pem_x509_certificate(pem)
        except ValueError:
            raise CannotFetch("That is no certificate.") from None
        if len(self._kept) >= CERTIFICATES_MAX:
            self._kept.clear()
        self._kept[url] = (time.monotonic(), certificate)
        return certificate


async def confirm_subscription(raw: bytes, egress: Egress, *, context: ssl.SSLContext | None = None) -> bool:
    """Of what was verified as it came; False: it asks for no confirmation. Raises CannotFetch."""
    told = _told(raw)
    if told["Type"] != "SubscriptionConfirmation" or not is_sns_address(told.get("SubscribeURL", "")):
        return False
    await https_get(told["SubscribeURL"], egress, context=context)
    return True


def notified(raw: bytes) -> str | None:
    """What a stored notification says; None: it is of another type."""
    told = _told(raw)
    return told["Message"] if told["Type"] == NOTIFICATION else None


def _told(raw: bytes) -> Mapping[str, str]:
    """Raises Forged."""
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Forged from None
    if not isinstance(told, dict):
        raise Forged
    told = {name: value for name, value in told.items() if isinstance(value, str)}
    needed = {"Type", "MessageId", "TopicArn", "Timestamp", "Message"}
    needed |= {"Signature", "SignatureVersion", "SigningCertURL"}
    is_whole = needed <= told.keys() and told["Type"] in SIGNED and told["SignatureVersion"] in HASHES
    if not is_whole or not 0 < len(told["MessageId"]) <= MAX_ID:
        raise Forged
    return told


def _signed(told: Mapping[str, str]) -> bytes:
    names = [name for name in SIGNED[told["Type"]] if name in told]
    return "".join(f"{name}\n{told[name]}\n" for name in names).encode()


def _signature(told: Mapping[str, str]) -> bytes:
    try:
        return base64.b64decode(told["Signature"], validate=True)
    except (binascii.Error, ValueError):
        raise Forged from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Forged from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
