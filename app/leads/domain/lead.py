"""A lead as a person makes one by hand. Imports write theirs set-based (`infrastructure/bulk.py`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from app.accounts.domain.workspace import clean_time_zone
from app.common.domain import Invalid, Refusals, SalesPadError, clean_optional, clean_text
from app.leads.domain.events import LeadCreated, LeadDeleted, LeadUpdated
from app.leads.domain.identity import (
    Identity,
    IdentityKind,
    NotAnIdentity,
    identity_from,
)

MAX_TAGS_PER_INPUT = 100


class LeadSource(StrEnum):
    MANUAL = "MANUAL"
    CSV = "CSV"
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
    basis: str | None = None
    """The lawful basis under which it is kept."""
    time_zone: str | None = None
    """IANA name, where somebody gave it."""
    identities: Mapping[str, Identity] = field(default_factory=dict)
    """By the input field each came from."""
    metadata: Mapping[str, object] = field(default_factory=dict)

    def value_of(self, kind: IdentityKind) -> str | None:
        return next((one.value for one in self.identities.values() if one.kind is kind), None)


TEXTS = ("name", "company", "title", "basis", "time_zone")
IDENTITIES = ("email", "phone", "linkedin", "instagram", "facebook")


def new_lead(given: Mapping[str, str | None], *, metadata: Mapping[str, object], region: str) -> NewLead:
    """From the texts of an input (name, company, title, basis, time_zone, email, phone, linkedin, instagram, facebook).

    Raises Refusals with every field that is wrong.
    """
    texts, identities = read_fields({"name": None, **given}, region=region)
    return NewLead(
        name=texts["name"] or "",
        company=texts.get("company"),
        title=texts.get("title"),
        basis=texts.get("basis"),
        time_zone=texts.get("time_zone"),
        identities={key: identity for key, identity in identities.items() if identity},
        metadata=metadata,
    )


def read_fields(
    given: Mapping[str, str | None], *, region: str
) -> tuple[dict[str, str | None], dict[str, Identity | None]]:
    """Those of `TEXTS` and of `IDENTITIES` that are given, clean and normalised; None: empty.

    Raises Refusals with every field that is wrong: a name is never empty.
    """
    refusals: list[SalesPadError] = []
    texts: dict[str, str | None] = {}
    identities: dict[str, Identity | None] = {}
    for key in TEXTS:
        try:
            if key == "name" and key in given:
                texts[key] = clean_text(given[key] or "", key)
            elif key == "time_zone" and key in given:
                zone = clean_optional(given[key], "timeZone")
                texts[key] = clean_time_zone(zone, "timeZone") if zone else None
            elif key in given:
                texts[key] = clean_optional(given[key], key)
        except Invalid as refusal:
            refusals.append(refusal)
    for key in IDENTITIES:
        try:
            if key in given:
                text = clean_optional(given[key], key, max_length=2000)
                identities[key] = identity_of(key, text, region=region) if text else None
        except Invalid as refusal:
            refusals.append(refusal)
    if refusals:
        raise Refusals(refusals)
    return texts, identities


def identity_of(key: str, text: str, *, region: str) -> Identity:
    """Raises Invalid at `key`."""
    return read_identity(IdentityKind(key.upper()), text, region=region, path=key)


def read_identity(kind: IdentityKind, text: str, *, region: str, path: str) -> Identity:
    """Raises Invalid at `path`."""
    try:
        return identity_from(kind, text, region=region)
    except NotAnIdentity as error:
        raise Invalid(str(error), path=(path,)) from None


def rank_of(lead_id: UUID) -> str:
    """A new lead's place in its stage: the order of creation. Base-36 text; the closing `i` leaves room before it."""
    return f"{lead_id.hex}i"


def created(lead_ids: Sequence[UUID], source: LeadSource) -> LeadCreated:
    return LeadCreated(entity_ids=lead_ids, after={"source": source.value})


def deleted(lead_ids: Sequence[UUID]) -> LeadDeleted:
    return LeadDeleted(entity_ids=lead_ids)


def restored(lead_ids: Sequence[UUID]) -> LeadUpdated:
    return LeadUpdated(entity_ids=lead_ids, changed=["deletedAt"])


def tagged(lead_ids: Sequence[UUID], *, add: Sequence[UUID], remove: Sequence[UUID]) -> LeadUpdated:
    after: dict[str, object] = {
        "addTagIds": [str(id) for id in add],
        "removeTagIds": [str(id) for id in remove],
    }
    return LeadUpdated(entity_ids=lead_ids, changed=["tags"], after=after)


def disowned(lead_ids: Sequence[UUID], owner_id: UUID) -> LeadUpdated:
    """They belong to nobody now."""
    return LeadUpdated(
        entity_ids=lead_ids, changed=["owner"], before={"ownerId": str(owner_id)}, after={"ownerId": None}
    )
