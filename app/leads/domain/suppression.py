"""What nothing is to be sent to: an address, a number, a whole domain, or a person with all of theirs."""

from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Channel, Conflict, Invalid, NotFound, clean_optional
from app.leads.domain.contact import SuppressionReason
from app.leads.domain.identity import Identity, NotAnIdentity, email_identity, phone_identity

MAX_REASON = 200
MAX_VALUE = 320


class SuppressionNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such suppression: it may have been lifted already.", path=("id",))


class Erased(Conflict):
    """Whoever it is asked to be forgotten."""

    def __init__(self, *path: str) -> None:
        super().__init__("This person asked to be forgotten: leave them out.", path=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSuppression:
    """`value` is normalised; a lead's own is its id."""

    value: str
    identity: Identity | None
    """What the value is, unless it is a domain or a lead."""
    lead_id: UUID | None
    channel: Channel | None
    reason: str


def new_suppression(
    *,
    value: str | None,
    lead_id: UUID | None,
    channel: Channel | None,
    reason: str | None,
    region: str,
) -> NewSuppression:
    """Exactly one of value and lead. Without a reason it is MANUAL. Raises Invalid at what is wrong."""
    text = (clean_optional(reason, "reason", max_length=MAX_REASON)) or SuppressionReason.MANUAL.value
    if lead_id is not None:
        if value is not None:
            raise Invalid("Give a value or a lead, not both.", path=("leadId",))
        return NewSuppression(
            value=str(lead_id), identity=None, lead_id=lead_id, channel=channel, reason=text
        )
    given = clean_optional(value, "value", max_length=MAX_VALUE)
    if given is None:
        raise Invalid("Give an address, a domain or a number, or a lead.", path=("value",))
    try:
        known, identity = _read(given, region)
    except NotAnIdentity:
        raise Invalid(
            "Write an e-mail address, a domain such as @example.com, or a phone number with its area code.",
            path=("value",),
        ) from None
    return NewSuppression(value=known, identity=identity, lead_id=None, channel=channel, reason=text)


def _read(given: str, region: str) -> tuple[str, Identity | None]:
    """Raises NotAnIdentity."""
    if given.startswith("@"):
        domain = email_identity(f"anybody{given}").value.partition("@")[2]
        if "." not in domain:
            raise NotAnIdentity
        return f"@{domain}", None
    identity = email_identity(given) if "@" in given else phone_identity(given, region=region)
    return identity.value, identity
