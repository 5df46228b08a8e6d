"""What is stored of providers' feedback, as the worker understands it: SES by SNS, SendGrid."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from app.channels.domain.feedback import Feedback, FeedbackKind, FeedbackProvider
from app.channels.infrastructure import sns
from app.channels.infrastructure.headers import message_ids, normal_address

Json: TypeAlias = Mapping[str, Any]
STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)
MAX_TOLD = 20
"""Recipients, and ids, of one mail: ours goes to one."""
DROPPED = {
    "bounced address": FeedbackKind.HARD_BOUNCE,
    "invalid": FeedbackKind.HARD_BOUNCE,
    "spam reporting address": FeedbackKind.COMPLAINT,
    "unsubscribed address": FeedbackKind.UNSUBSCRIBED,
}
"""Why SendGrid did not even try; else it has to do with the mail, not with the address."""


def read_feedback(provider: str, raw: bytes) -> Feedback | None:
    """None: it tells of nothing that matters here. Never raises."""
    if provider == FeedbackProvider.SES.slug:
        message = sns.notified(raw)
        return _ses(_object(message)) if message is not None else None
    return _sendgrid(_object(raw))


# ── SES ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _ses(told: Json) -> Feedback | None:
    """As SES publishes it for an identity (`notificationType`) and for a configuration set (`eventType`)."""
    kind_told = _text(told, "notificationType") or _text(told, "eventType")
    mail = _part(told, "mail")
    match kind_told:
        case "Bounce":
            bounce = _part(told, "bounce")
            recipients = _parts(bounce, "bouncedRecipients")
            is_permanent = _text(bounce, "bounceType") == "Permanent"
            kind = FeedbackKind.HARD_BOUNCE if is_permanent else FeedbackKind.SOFT_BOUNCE
        case "Complaint":
            recipients, kind = (
                _parts(_part(told, "complaint"), "complainedRecipients"),
                FeedbackKind.COMPLAINT,
            )
        case "Delivery":
            recipients, kind = [], FeedbackKind.DELIVERED
        case "DeliveryDelay":
            recipients = _parts(_part(told, "deliveryDelay"), "delayedRecipients")
            kind = FeedbackKind.SOFT_BOUNCE
        case _:
            return None
    return Feedback(
        kind=kind,
        message_ids=_ses_message_ids(mail),
        provider_ids=[id for id in (_text(mail, "messageId"),) if id],
        recipients=_addresses([_text(one, "emailAddress") for one in recipients]),
        status_code=next((code for one in recipients if (code := _code(one))), None),
    )


def _ses_message_ids(mail: Json) -> Sequence[str]:
    """The header as we wrote it, among those that SES repeats if it was asked to."""
    told = [
        _text(one, "value") for one in _parts(mail, "headers") if _text(one, "name").lower() == "message-id"
    ]
    told.append(_text(_part(mail, "commonHeaders"), "messageId"))
    return _ids(told)


# ── SendGrid ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _sendgrid(told: Json) -> Feedback | None:
    kind = _sendgrid_kind(told)
    if kind is None:
        return None
    provider_id = _text(told, "sg_message_id")
    return Feedback(
        kind=kind,
        message_ids=_ids([_text(told, "smtp-id")]),
        provider_ids=list(dict.fromkeys(id for id in (provider_id.partition(".")[0], provider_id) if id)),
        recipients=_addresses([_text(told, "email")]),
        status_code=_code(told),
    )


def _sendgrid_kind(told: Json) -> FeedbackKind | None:
    match _text(told, "event"):
        case "delivered":
            return FeedbackKind.DELIVERED
        case "deferred":
            return FeedbackKind.SOFT_BOUNCE
        case "bounce":
            return FeedbackKind.HARD_BOUNCE if _is_dead(told) else FeedbackKind.SOFT_BOUNCE
        case "dropped":
            return DROPPED.get(_text(told, "reason").strip().lower(), FeedbackKind.SOFT_BOUNCE)
        case "spamreport":
            return FeedbackKind.COMPLAINT
        case "unsubscribe" | "group_unsubscribe":
            return FeedbackKind.UNSUBSCRIBED
        case _:
            return None


def _is_dead(told: Json) -> bool:
    """By SendGrid's own judgement, which it acts upon as well; "blocked" is about the mail or the sender."""
    judged = _text(told, "bounce_classification").lower()
    is_passing = _text(told, "type") == "blocked" or _text(told, "status").startswith("4")
    return not is_passing and judged in ("", "unclassified", "invalid address")


# ── JSON of others ────────────────────────────────────────────────────────────────────────────────────────────────────
def _object(raw: bytes | str) -> Json:
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _text(told: Json, name: str) -> str:
    value = told.get(name)
    return value[:2000].replace("\x00", "") if isinstance(value, str) else ""


def _code(told: Json) -> str | None:
    status = _text(told, "status")
    return status if STATUS.fullmatch(status) else None


def _part(told: Json, name: str) -> Json:
    value = told.get(name)
    return value if isinstance(value, dict) else {}


def _parts(told: Json, name: str) -> Sequence[Json]:
    value = told.get(name)
    return [one for one in value[:200] if isinstance(one, dict)] if isinstance(value, list) else []


def _ids(told: Sequence[str]) -> Sequence[str]:
    """In angle brackets, also where they came without."""
    found = [id for one in told if one for id in message_ids(one if "<" in one else f"<{one}>")]
    return list(dict.fromkeys(found))[:MAX_TOLD]


def _addresses(told: Sequence[str]) -> Sequence[str]:
    return [address for one in told[:MAX_TOLD] if (address := normal_address(one))]
