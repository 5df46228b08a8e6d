"""SendGrid's Signed Event Webhook: whether it is one, and the events in it that say what became of a mail."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from app.channels.domain.feedback import FeedbackAccount, Forged, refuse_stale

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
TOLD = frozenset(
    {"bounce", "dropped", "deferred", "delivered", "spamreport", "unsubscribe", "group_unsubscribe"}
)
"""What is kept of a batch: opens and clicks are nobody's business here."""
MAX_ID = 200


def verified(account: FeedbackAccount, headers: Mapping[str, str], raw: bytes) -> Mapping[str, bytes]:
    """Each event as it stands in the batch, by its id. Nothing is parsed that is not signed.

    Raises Forged, Stale.
    """
    timestamp = headers.get(TIMESTAMP, "")
    if account.key is None or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12):
        raise Forged
    try:
        key = load_der_public_key(base64.b64decode(account.key))
        signature = base64.b64decode(headers.get(SIGNATURE, ""), validate=True)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise Forged from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Forged
    try:
        key.verify(signature, timestamp.encode() + raw, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Forged from None
    refuse_stale(datetime.fromtimestamp(int(timestamp), UTC))
    return _events(raw)


def _events(raw: bytes) -> Mapping[str, bytes]:
    try:
        batch = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Forged from None
    if not isinstance(batch, list):
        raise Forged
    events: dict[str, bytes] = {}
    for event in batch:
        if isinstance(event, dict) and event.get("event") in TOLD:
            content = orjson.dumps(event)
            events.setdefault(_id_of(event, content), content)
    return events


def _id_of(event: Mapping[str, object], content: bytes) -> str:
    id = event.get("sg_event_id")
    if isinstance(id, str) and 0 < len(id) <= MAX_ID and "\x00" not in id:
        return id
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
