"""Leads on their way in, many at once: what an import hands over and what it gets back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.leads.domain.identity import Identity, IdentityKind


class ImportPolicy(StrEnum):
    """What an import does with people the workspace knows, and with those it does not."""

    CREATE_ONLY = "CREATE_ONLY"
    UPDATE_ONLY = "UPDATE_ONLY"
    UPSERT = "UPSERT"
    FILL_EMPTY = "FILL_EMPTY"


@dataclass(frozen=True, slots=True)
class StagedLead:
    """One row to write, clean and normalised. `name` None: only the fallback is known, which never overwrites."""

    n: int
    name: str | None
    fallback_name: str
    company: str | None
    title: str | None
    avatar_url: str | None
    metadata: Mapping[str, object] | None
    identities: Sequence[Identity]
    tags: Sequence[str] = ()
    """Names of tags it gets besides those of the whole import; made where the workspace has none of that name."""
    note: str | None = None

    def value_of(self, kind: IdentityKind) -> str | None:
        return next((one.value for one in self.identities if one.kind is kind), None)


@dataclass(frozen=True, slots=True)
class WrittenLead:
    """What became of a row: CREATED, UPDATED, UNCHANGED, DUPLICATE_IN_FILE, SKIPPED_EXISTING, SUPPRESSED or ERASED."""

    n: int
    lead_id: UUID | None
    outcome: str
    identity_taken: IdentityKind | None
    """The strongest of its identities that belong to another lead, and were left there."""
    are_tags_left_out: bool = False
    """The workspace has no room for a tag that it names; the rest of it has landed."""


@dataclass(frozen=True, slots=True)
class LeadDefaults:
    """What an import gives to every lead it makes."""

    source: str
    stage_id: UUID
    owner_id: UUID | None
    tag_ids: Sequence[UUID]
    created_by: UUID | None
    basis: str | None = None
    """The lawful basis under which they are kept."""
