"""A lead as a person makes one by hand. Imports write theirs set-based (`infrastructure/bulk.py`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from app.common.domain import Invalid, Refusals, SalesPadError, clean_optional, clean_text
from app.leads.domain.events import LeadCreated, LeadUpdated
from app.leads.domain.identity import (
    Identity,
    IdentityKind,
    NotAnIdentity,
    email_identity,
    phone_identity,
    profile_identity,
)

MAX_TAGS_PER_INPUT = 100


class LeadSource(StrEnum):
    MANUAL = "MANUAL"
    INSTAGRAM = "INSTAGRAM"
    FACEBOOK = "FACEBOOK"
    LINKEDIN = "LINKEDIN"
    API = "API"
    EMAIL = "EMAIL"
    """Wrote in, or was written to, before anybody made it a lead."""


class Engagement(StrEnum):
    """Set by the system only, as messages go and come."""

    NEW = "NEW"
    CONTACTED = "CONTACTED"
    REPLIED = "REPLIED"
    ENGAGED = "ENGAGED"


@dataclass(frozen=True, kw_only=True)
class NewLead:
    """What a person gave for a lead, cleaned and normalised."""

    name: str
    company: str | None = None
    title: str | None = None
    identities: Mapping[str, Identity] = field(default_factory=dict)
    """By the input field each came from."""
    metadata: Mapping[str, object] = field(default_factory=dict)

    def value_of(self, kind: IdentityKind) -> str | None:
        return next((one.value for one in self.identities.values() if one.kind is kind), None)


def new_lead(given: Mapping[str, str | None], *, metadata: Mapping[str, object], region: str) -> NewLead:
    """From the texts of an input (name, company, title, email, phone, linkedin, instagram, facebook).

    Raises Refusals with every field that is wrong.
    """
    refusals: list[SalesPadError] = []
    texts: dict[str, str | None] = {}
    for key in ("name", "company", "title"):
        try:
            texts[key] = (
                clean_text(given.get(key) or "", key)
                if key == "name"
                else clean_optional(given.get(key), key)
            )
        except Invalid as refusal:
            refusals.append(refusal)
    identities: dict[str, Identity] = {}
    for key in ("email", "phone", "linkedin", "instagram", "facebook"):
        try:
            if text := clean_optional(given.get(key), key, max_length=2000):
                identities[key] = identity_of(key, text, region=region)
        except Invalid as refusal:
            refusals.append(refusal)
    if refusals:
        raise Refusals(refusals)
    return NewLead(
        name=texts["name"] or "",
        company=texts["company"],
        title=texts["title"],
        identities=identities,
        metadata=metadata,
    )


def identity_of(key: str, text: str, *, region: str) -> Identity:
    """Raises Invalid at `key`."""
    try:
        if key == "email":
            return email_identity(text)
        if key == "phone":
            return phone_identity(text, region=region)
        return profile_identity(IdentityKind(key.upper()), text)
    except NotAnIdentity as error:
        raise Invalid(str(error), path=(key,)) from None


def rank_of(lead_id: UUID) -> str:
    """A new lead's place in its stage: the order of creation. Base-36 text; the closing `i` leaves room before it."""
    return f"{lead_id.hex}i"


def created(lead_ids: Sequence[UUID], source: LeadSource) -> LeadCreated:
    return LeadCreated(entity_ids=lead_ids, after={"source": source.value})


def disowned(lead_ids: Sequence[UUID], owner_id: UUID) -> LeadUpdated:
    """They belong to nobody now."""
    return LeadUpdated(
        entity_ids=lead_ids, changed=["owner"], before={"ownerId": str(owner_id)}, after={"ownerId": None}
    )
