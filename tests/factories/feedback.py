"""What SES and SendGrid tell, signed as they sign it, and accounts that hear it."""

import base64
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.mail import Mailbox, add_mailbox

LISTEN = text(
    "UPDATE channel_account SET feedback_provider = :provider, feedback_key = :key "
    "WHERE workspace_id = :workspace_id AND id = :id"
)
SENT = text(
    """
    INSERT INTO delivery (workspace_id, account_id, lead_id, origin_kind, origin_id, message_id, conversation_id,
        position, status, provider_id)
    SELECT m.workspace_id, m.account_id, c.lead_id, 'message', m.id, m.id, c.id, m.position, :status, :provider_id
    FROM message m JOIN conversation c ON c.workspace_id = m.workspace_id AND c.id = m.conversation_id
    WHERE m.workspace_id = :workspace_id AND m.id = :message_id
    """
)
STATE = text(
    """
    SELECT d.status, m.status AS shown, m.error, d.has_bounced, d.has_complained
    FROM message m JOIN delivery d ON d.workspace_id = m.workspace_id AND d.message_id = m.id
    WHERE m.workspace_id = :workspace_id AND m.id = :message_id
    """
)


async def listening(doors: Doors, person: Person, provider: str, key: str | None) -> Mailbox:
    """An account whose mails this provider tells of."""
    mailbox = await add_mailbox(doors, person)
    async with doors.open_system() as system:
        values = {"workspace_id": person.workspace_id, "id": mailbox.id}
        await system.execute(LISTEN, values | {"provider": provider, "key": key})
    return mailbox


async def handed_over(
    doors: Doors, person: Person, message_id: UUID, *, status: str = "sent", provider_id: str | None = None
) -> None:
    """The delivery of a message that a provider has taken, or may have."""
    async with doors.open_work(person.workspace_id) as work:
        await work.execute(
            SENT,
            {
                "workspace_id": person.workspace_id,
                "message_id": message_id,
                "status": status,
                "provider_id": provider_id,
            },
        )


async def state_of(doors: Doors, person: Person, message_id: UUID) -> tuple[Any, ...]:
    """Of the delivery, what the message shows, and why; whether it bounced, whether it was complained of."""
    async with doors.open_work(person.workspace_id) as work:
        found = await work.execute(STATE, {"workspace_id": person.workspace_id, "message_id": message_id})
        return tuple(found.one())


# ── SendGrid ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass
class SendGrid:
    """With its key pair."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def key(self) -> str:
        """As it shows it."""
        der = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(der).decode()

    def signed(self, raw: bytes, *, at: datetime | None = None) -> dict[str, str]:
        timestamp = str(int((at or datetime.now(UTC)).timestamp()))
        signature = self.private.sign(timestamp.encode() + raw, ec.ECDSA(hashes.SHA256()))
        return {
            "Content-Type": "application/json",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }

    async def post(
        self, http: httpx.AsyncClient, token: str, events: Any, *, at: datetime | None = None
    ) -> httpx.Response:
        raw = json.dumps(events).encode()
        return await http.post(f"/webhooks/sendgrid/{token}", content=raw, headers=self.signed(raw, at=at))


def event(kind: str, message_id: str, **fields: Any) -> dict[str, Any]:
    """As SendGrid's documentation has them."""
    return {
        "email": "bia@example.org",
        "timestamp": 1_795_000_000,
        "smtp-id": message_id,
        "event": kind,
        "sg_event_id": secrets.token_urlsafe(16),
        "sg_message_id": f"{secrets.token_hex(8)}.filter0001.16648.5515E0B88.0",
        **fields,
    }


# ── Amazon SNS and SES ────────────────────────────────────────────────────────────────────────────────────────────────
HOST = "sns.sa-east-1.amazonaws.com"
CERTIFICATE_PATH = "/SimpleNotificationService-0123456789abcdef.pem"


@dataclass
class Amazon:
    """With the certificate that it signs notifications by."""

    topic: str = field(
        default_factory=lambda: f"arn:aws:sns:sa-east-1:123456789012:feedback-{secrets.token_hex(4)}"
    )
    private: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    lasts: timedelta = timedelta(days=30)

    @property
    def certificate(self) -> bytes:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(name, name, self.private.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + self.lasts)
            .sign(self.private, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM)

    def told(self, message: Any, *, at: datetime | None = None, version: str = "2", **fields: str) -> bytes:
        """A notification of SNS; `message` is what SES says."""
        moment = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        note = {
            "Type": "Notification",
            "MessageId": str(secrets.token_hex(16)),
            "TopicArn": self.topic,
            "Message": message if isinstance(message, str) else json.dumps(message),
            "Timestamp": moment,
            "SignatureVersion": version,
            "SigningCertURL": f"https://{HOST}{CERTIFICATE_PATH}",
            "UnsubscribeURL": f"https://{HOST}/?Action=Unsubscribe",
            **fields,
        }
        names = ("Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type")
        signed = "".join(f"{name}\n{note[name]}\n" for name in names if name in note).encode()
        digest = hashes.SHA1() if version == "1" else hashes.SHA256()
        signature = self.private.sign(signed, padding.PKCS1v15(), digest)
        return json.dumps(note | {"Signature": base64.b64encode(signature).decode()}).encode()

    def asks_to_confirm(self, url: str, **fields: str) -> bytes:
        return self.told(
            "You have chosen to subscribe.",
            **{"Type": "SubscriptionConfirmation", "Token": "2336412f37", "SubscribeURL": url, **fields},
        )


def mail_of(message_id: str | None = None, provider_id: str | None = None) -> dict[str, Any]:
    """What SES says of the mail; headers only where it was asked to."""
    headers = [{"name": "Message-ID", "value": message_id}] if message_id else []
    return {
        "messageId": provider_id or f"0102{secrets.token_hex(10)}-{secrets.token_hex(4)}-000000",
        "destination": ["bia@example.org"],
        "headers": headers,
        "commonHeaders": {"subject": "Offer"} | ({"messageId": message_id} if message_id else {}),
    }


def bounce_of(
    mail: dict[str, Any], kind: str = "Permanent", address: str = "bia@example.org"
) -> dict[str, Any]:
    recipient = {
        "emailAddress": address,
        "action": "failed",
        "status": "5.1.1",
        "diagnosticCode": "smtp; 550 5.1.1",
    }
    return {
        "notificationType": "Bounce",
        "bounce": {"bounceType": kind, "bounceSubType": "General", "bouncedRecipients": [recipient]},
        "mail": mail,
    }


def complaint_of(mail: dict[str, Any], address: str = "bia@example.org") -> dict[str, Any]:
    return {
        "eventType": "Complaint",
        "complaint": {"complainedRecipients": [{"emailAddress": address}], "complaintFeedbackType": "abuse"},
        "mail": mail,
    }


def delivery_of(mail: dict[str, Any]) -> dict[str, Any]:
    return {"eventType": "Delivery", "delivery": {"recipients": ["bia@example.org"]}, "mail": mail}
