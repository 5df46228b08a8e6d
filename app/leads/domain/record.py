"""What members change of a lead's record: which fields, which identities, and what of it is a change at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from app.common.domain import Invalid, LimitReached
from app.leads.domain.events import LeadUpdated
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.domain.lead import MAX_TAGS_PER_INPUT, read_fields

MAX_IDENTITIES = 20
MAX_IDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadChanges:
    """What an input gives, by its fields; what it leaves out is in none of them."""

    texts: Mapping[str, str | None]
    identities: Mapping[str, Identity | None]
    """None: the primary one of the field's kind goes."""
    owner: Mapping[str, UUID | None] = field(default_factory=dict)
    """Empty, or the one key `ownerId`."""
    metadata: Mapping[str, object] | None = None
    """None: it stays."""


def lead_changes(given: Mapping[str, object], *, region: str) -> LeadChanges:
    """From the fields of an input that were sent. Raises Refusals with every field that is wrong."""
    metadata = given.get("metadata")
    texts, identities = read_fields(
        {key: text for key, text in given.items() if text is None or isinstance(text, str)}, region=region
    )
    owner = given.get("owner_id")
    assert owner is None or isinstance(owner, UUID)
    assert metadata is None or isinstance(metadata, Mapping)
    return LeadChanges(
        texts=texts,
        identities=identities,
        owner={"ownerId": owner} if "owner_id" in given else {},
        metadata=(metadata or {}) if "metadata" in given else None,
    )


@dataclass(frozen=True, slots=True)
class HeldIdentity:
    id: UUID
    identity: Identity
    is_primary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLead:
    """A live lead as it is, locked."""

    id: UUID
    version: int
    name: str
    company: str | None
    title: str | None
    time_zone: str | None
    owner_id: UUID | None
    has_other_metadata: bool
    """Other than what is given."""
    identities: Sequence[HeldIdentity]

    def primary(self, kind: IdentityKind) -> HeldIdentity | None:
        return next((one for one in self.identities if one.is_primary and one.identity.kind is kind), None)

    def find(self, identity: Identity) -> HeldIdentity | None:
        return next((one for one in self.identities if one.identity == identity), None)

    def changed_by(self, changes: LeadChanges) -> list[str]:
        """The fields that will be different, by their names in the API."""
        changed = [named(key) for key, text in changes.texts.items() if getattr(self, key) != text]
        for key, wanted in changes.identities.items():
            primary = self.primary(kind_of(key))
            if (primary.identity if primary else None) != wanted:
                changed.append(key)
        if changes.owner and changes.owner["ownerId"] != self.owner_id:
            changed.append("owner")
        if changes.metadata is not None and self.has_other_metadata:
            changed.append("metadata")
        return changed

    def exchange(
        self, changes: LeadChanges, changed: Sequence[str]
    ) -> tuple[list[UUID], dict[str, Identity]]:
        """The identities that go, and those that become primary: a new one takes the old one's place; one that the lead
        has already is only preferred from now on. Raises LimitReached."""
        removed: list[UUID] = []
        added: dict[str, Identity] = {}
        for key, wanted in changes.identities.items():
            if key not in changed:
                continue
            primary = self.primary(kind_of(key))
            if primary and (wanted is None or self.find(wanted) is None):
                removed.append(primary.id)
            if wanted:
                added[key] = wanted
        new = [key for key, identity in added.items() if self.find(identity) is None]
        self.check_room(len(new) - len(removed), path=new[-1] if new else "")
        return removed, added

    def check_room(self, more: int, *, path: str) -> None:
        """Raises LimitReached."""
        if more > 0 and len(self.identities) + more > MAX_IDENTITIES:
            raise LimitReached(
                f"A lead has at most {MAX_IDENTITIES} addresses, numbers and profiles: remove one first.",
                path=(path,),
            )

    def updated(self, changed: Sequence[str], owner_id: UUID | None) -> LeadUpdated:
        if "owner" not in changed:
            return LeadUpdated(entity_ids=[self.id], changed=changed)
        return LeadUpdated(
            entity_ids=[self.id],
            changed=changed,
            before={"ownerId": str(self.owner_id) if self.owner_id else None},
            after={"ownerId": str(owner_id) if owner_id else None},
        )


def named(key: str) -> str:
    """Of a text, by its name in the API."""
    return "timeZone" if key == "time_zone" else key


def kind_of(key: str) -> IdentityKind:
    """Of an input's field: email, phone, linkedin, instagram, facebook."""
    return IdentityKind(key.upper())


def check_ids(ids: Sequence[UUID], path: str) -> Sequence[UUID]:
    """Raises Invalid for more than one call takes."""
    if len(ids) > MAX_IDS:
        raise Invalid(f"Give at most {MAX_IDS} leads in one call.", path=(path,))
    return ids


def check_tags(add: Sequence[UUID], remove: Sequence[UUID]) -> None:
    """Raises Invalid for too many, and for one that is to be put on and taken off."""
    for path, ids in (("addTagIds", add), ("removeTagIds", remove)):
        if len(ids) > MAX_TAGS_PER_INPUT:
            raise Invalid(f"Give at most {MAX_TAGS_PER_INPUT} tags.", path=(path,))
    for position, id in enumerate(remove):
        if id in add:
            raise Invalid(
                "Put a tag on or take it off: this one is in both lists.",
                path=("removeTagIds", str(position)),
            )


class Records(Protocol):
    """One lead, under its lock."""

    async def phone_region(self, workspace_id: UUID) -> str:
        """As in `Leads`."""

    async def owner_name(self, workspace_id: UUID, owner_id: UUID) -> str:
        """What colleagues call them; they stay a member until the commit. Raises OwnerNotFound."""

    async def hold(
        self, workspace_id: UUID, lead_id: UUID, *, path: str, metadata: Mapping[str, object] | None = None
    ) -> HeldLead:
        """A live lead, locked; `metadata` is compared with its own. Raises LeadNotFound at `path`."""

    async def hold_by_identity(self, workspace_id: UUID, identity_id: UUID) -> HeldLead:
        """The live lead that has it. Raises IdentityNotFound."""

    async def save(self, workspace_id: UUID, lead: HeldLead, changes: LeadChanges) -> None:
        """All but identities; the version goes up by one."""

    async def exchange(
        self,
        workspace_id: UUID,
        lead_id: UUID,
        *,
        remove: Sequence[UUID],
        add: Mapping[str, Identity],
        primary: bool,
    ) -> None:
        """Identities that go and that come, and what the lead repeats of them. Raises IdentityTaken at the key."""
