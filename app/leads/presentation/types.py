"""GraphQL types and inputs of leads and stages. On a list item every field is plain data from its row."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import asyncpg
import strawberry

from app.accounts.presentation.types import User
from app.common.database import Joined
from app.common.domain import Invalid
from app.common.filters import capped, filter_ids
from app.common.graphql import (
    NO_ID,
    After,
    First,
    Info,
    PageInfo,
    Payload,
    enum_type,
    nested,
    page_size,
    parse_id,
)
from app.common.scalars import JSON
from app.leads.domain.identity import IdentityKind
from app.leads.domain.lead import MAX_TAGS_PER_INPUT, Engagement, LeadSource
from app.leads.domain.search import LeadSort, search_terms
from app.leads.domain.stage import StageKind
from app.leads.domain.time_zone import zone_of_phone
from app.leads.presentation.timeline import AddNoteInput as AddNoteInput
from app.leads.presentation.timeline import Interaction as Interaction
from app.leads.presentation.timeline import NotePayload as NotePayload
from app.leads.presentation.timeline import TimelineConnection as TimelineConnection
from app.leads.presentation.timeline import TimelineEdge as TimelineEdge
from app.leads.presentation.timeline import position_in
from app.leads.wiring import LeadConditions
from app.tags.presentation.types import Tag

if TYPE_CHECKING:
    from app.imports.presentation.types import Provenance
    from app.leads.presentation.board import StageChange
    from app.people.presentation.types import Merge


enum_type(
    LeadSort,
    "The order of a list of leads.",
    NEWEST="Newest first; of deleted ones, deleted last.",
    NAME="By name, without regard to case and accents.",
    SCORE="Highest score first.",
    LAST_TOUCH="Those with the newest message first, those never written with last.",
)
enum_type(
    StageKind,
    "What a stage means for the sale.",
    OPEN="Still to be won.",
    WON="Sold.",
    LOST="Not sold.",
)
enum_type(
    IdentityKind,
    "By what a person can be reached and recognised.",
    EMAIL="An e-mail address, lower-cased.",
    PHONE="A phone number, E.164.",
    WHATSAPP="A WhatsApp number, E.164.",
    LINKEDIN="A LinkedIn profile's handle; companies as company/handle.",
    INSTAGRAM="An Instagram handle.",
    FACEBOOK="A Facebook handle or numeric id.",
)
enum_type(
    LeadSource,
    "Where a lead came from.",
    MANUAL="Made by hand.",
    CSV="A file, CSV or XLSX.",
    INSTAGRAM="The extension, on Instagram.",
    FACEBOOK="The extension, on Facebook.",
    LINKEDIN="The extension, on LinkedIn.",
    API="A program.",
    EMAIL="An e-mail of somebody nobody had made a lead.",
)
enum_type(
    Engagement,
    "How far the exchange of messages has come; set by the system.",
    NEW="Not written to yet.",
    CONTACTED="Written to.",
    REPLIED="Answered once.",
    ENGAGED="Answered twice or more.",
)


@strawberry.type(description="A column of the board.")
class Stage:
    id: strawberry.ID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="Its name.")
    kind: StageKind = strawberry.field(description="What it means for the sale.")
    position: int = strawberry.field(description="Its place on the board, from 0.")

    @classmethod
    def of(cls, row: asyncpg.Record | Joined) -> "Stage":
        return cls(id=row["id"], name=row["name"], kind=StageKind(row["kind"]), position=row["position"])


@strawberry.type(
    description="One address, number or profile of a lead; it belongs to no other lead of the workspace."
)
class Identity:
    id: strawberry.ID = strawberry.field(description="Its id.")
    kind: IdentityKind = strawberry.field(description="What it is.")
    value: str = strawberry.field(description="As normalised.")
    is_primary: bool = strawberry.field(description="Whether it is the one of its kind that is used.")


def _time_zone(self: "Lead") -> str | None:
    """Read from the number only where somebody asks for it."""
    return self.given_time_zone or zone_of_phone(self.phone)


@strawberry.type(description="A person or company a team sells to.")
class Lead:
    id: strawberry.ID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="The name.")
    email: str | None = strawberry.field(description="The primary e-mail address.")
    phone: str | None = strawberry.field(description="The primary phone number, E.164.")
    company: str | None = strawberry.field(description="The company.")
    title: str | None = strawberry.field(description="The job title.")
    avatar_url: str | None = strawberry.field(description="A picture's address, as imported.")
    stage: Stage = strawberry.field(description="Its stage.")
    rank: str = strawberry.field(description="Its place within the stage: sort as text, then by id.")
    stage_entered_at: datetime = strawberry.field(description="When it came into its stage.")
    lost_reason: str | None = strawberry.field(description="Why it is lost, if somebody said so.")
    owner: User | None = strawberry.field(description="The member who looks after it.")
    source: LeadSource = strawberry.field(description="Where it came from first.")
    engagement: Engagement = strawberry.field(description="How far the exchange of messages has come.")
    score: int = strawberry.field(description="Its score.")
    tags: list[Tag] = strawberry.field(description="Its tags, by name.")
    identities: list[Identity] = strawberry.field(description="All by which it is recognised.")
    metadata: JSON = strawberry.field(description="What else is known about it.")
    version: int = strawberry.field(description="Changes with each edit: the optimistic lock.")
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it was changed last.")
    deleted_at: datetime | None = strawberry.field(description="When it was deleted; null: it is live.")
    given_time_zone: strawberry.Private[str | None] = None

    time_zone: str | None = strawberry.field(
        resolver=_time_zone,
        description="The IANA name of where it lives: as given, else as its phone number tells; null: nobody knows, "
        "and the workspace's counts for quiet hours.",
    )

    @nested(description="How it came in and what imports did to it, oldest first.")
    async def provenance(
        self, info: Info
    ) -> list[Annotated["Provenance", strawberry.lazy("app.imports.presentation.types")]]:
        found: list[Any] = await info.context.loader("provenance").load(UUID(self.id))
        return found

    @nested(description="All that happened with it, newest first.")
    async def timeline(self, info: Info, first: First = 20, after: After = None) -> TimelineConnection:
        key = UUID(self.id)
        wanted = (key, page_size(first), position_in(key, after))
        found: TimelineConnection = await info.context.loader("timelines").load(wanted)
        return found

    @nested(description="The merges into it that are not undone, newest first: at most 20.")
    async def merges(
        self, info: Info
    ) -> list[Annotated["Merge", strawberry.lazy("app.people.presentation.types")]]:
        found: list[Any] = await info.context.loader("merges").load(UUID(self.id))
        return found

    @nested(description="From which stage to which it went, newest first.")
    async def stage_changes(
        self, info: Info, first: First = 20
    ) -> list[Annotated["StageChange", strawberry.lazy("app.leads.presentation.board")]]:
        found: list[Any] = await info.context.loader("stage_changes").load((UUID(self.id), page_size(first)))
        return found

    @classmethod
    def of(cls, row: asyncpg.Record | Joined, tags: Mapping[str, Tag]) -> "Lead":
        owner = (
            User(
                id=row["owner_id"],
                name=row["owner_name"],
                email=row["owner_email"],
                locale=row["owner_locale"],
            )
            if row["owner_id"]
            else None
        )
        own = set(row["tag_ids"])
        return cls(
            id=row["id"],
            name=row["name"],
            email=row["email"],
            phone=row["phone"],
            company=row["company"],
            title=row["title"],
            avatar_url=row["avatar_url"],
            stage=Stage.of(Joined(row, "stage_")),
            rank=row["rank"],
            stage_entered_at=row["stage_entered_at"],
            lost_reason=row["lost_reason"],
            owner=owner,
            source=LeadSource(row["source"]),
            engagement=Engagement(row["engagement"]),
            score=row["score"],
            tags=[tag for id, tag in tags.items() if id in own] if own else [],
            identities=_identities(row.get("identities") or ()),
            metadata=row["metadata"],
            version=row["version"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            deleted_at=row["deleted_at"],
            given_time_zone=row["time_zone"],
        )


def _identities(rows: Sequence[Sequence[str]]) -> list[Identity]:
    return [
        Identity(id=strawberry.ID(id), kind=IdentityKind(kind), value=value, is_primary=is_primary == "true")
        for id, kind, value, is_primary in rows
    ]


@strawberry.type(description="A lead in a list.")
class LeadEdge:
    cursor: str = strawberry.field(description="Its position: give it as `after`.")
    node: Lead = strawberry.field(description="The lead.")


@strawberry.type(description="A page of leads.")
class LeadConnection:
    edges: list[LeadEdge] = strawberry.field(description="The page's leads.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")
    total_count: int | None = strawberry.field(description="How many match; null beyond 10,000.")
    feed_cursor: str = strawberry.field(
        description="The feed's position of this snapshot: subscribe to `feed(after:)` with it and miss nothing."
    )


@strawberry.input(description="Which leads: OR inside a list, AND across.")
class LeadFilter:
    tag_ids: list[strawberry.ID] | None = strawberry.field(
        description="Carrying any of these tags (at most 100).", default=None
    )
    stage_ids: list[strawberry.ID] | None = strawberry.field(
        description="In any of these stages (at most 100).", default=None
    )
    sources: list[LeadSource] | None = strawberry.field(
        description="From any of these sources.", default=None
    )
    owner_ids: list[strawberry.ID] | None = strawberry.field(
        description="Looked after by any of these members (at most 100).", default=None
    )
    min_score: int | None = strawberry.field(description="With at least this score.", default=None)
    has_email: bool | None = strawberry.field(description="With an e-mail address, or without.", default=None)
    has_phone: bool | None = strawberry.field(description="With a phone number, or without.", default=None)
    created_after: datetime | None = strawberry.field(
        description="Made at this moment or later.", default=None
    )
    created_before: datetime | None = strawberry.field(description="Made before this moment.", default=None)
    touched_before: datetime | None = strawberry.field(
        description="With no message since this moment, or none ever.", default=None
    )
    deleted: bool | None = strawberry.field(
        description="True: the deleted leads, not the live ones.", default=None
    )
    search: str | None = strawberry.field(
        description="Whose name, company, title, e-mail, phone or profile has words that begin so: 2 to 100 "
        "characters, without regard to case and accents.",
        default=None,
    )


@strawberry.input(description="A new lead.")
class CreateLeadInput:
    name: str = strawberry.field(description="1 to 200 characters.")
    email: str | None = strawberry.field(description="An e-mail address.", default=None)
    phone: str | None = strawberry.field(
        description="A phone number; without a country code it is read in the workspace's region.",
        default=None,
    )
    company: str | None = strawberry.field(description="The company.", default=None)
    title: str | None = strawberry.field(description="The job title.", default=None)
    linkedin: str | None = strawberry.field(
        description="A LinkedIn profile: address or handle.", default=None
    )
    instagram: str | None = strawberry.field(
        description="An Instagram profile: address or handle.", default=None
    )
    facebook: str | None = strawberry.field(
        description="A Facebook profile: address or handle.", default=None
    )
    owner_id: strawberry.ID | None = strawberry.field(
        description="The member who looks after it; left out: who makes it; null: nobody.",
        default=strawberry.UNSET,
    )
    stage_id: strawberry.ID | None = strawberry.field(
        description="Left out: the first open stage.", default=None
    )
    tag_ids: list[strawberry.ID] | None = strawberry.field(description="At most 100.", default=None)
    metadata: JSON | None = strawberry.field(description="What else is known about it.", default=None)
    basis: str | None = strawberry.field(
        description="The lawful basis under which it is kept, at most 200 characters; it shows in `provenance`.",
        default=None,
    )
    time_zone: str | None = strawberry.field(
        description="Where it lives, by IANA name, such as America/Manaus; left out: as its phone number tells.",
        default=None,
    )


@strawberry.type(description="The lead as it is now.")
class LeadPayload(Payload):
    lead: Lead | None = strawberry.field(
        description="Null when it was refused; with CONFLICT, the lead that has the identity, or as it is now.",
        default=None,
    )


@strawberry.type(description="Leads as they are now.")
class LeadsPayload(Payload):
    leads: list[Lead] = strawberry.field(
        description="In the order given; none when it was refused, but those that stand in the way with CONFLICT.",
        default_factory=list,
    )


def parse_tag_ids(ids: list[strawberry.ID] | None) -> list[UUID]:
    """Raises Invalid for too many; a malformed one becomes an id that nothing has."""
    if ids and len(ids) > MAX_TAGS_PER_INPUT:
        raise Invalid(f"Give at most {MAX_TAGS_PER_INPUT} tags.", path=("tagIds",))
    return [parse_id(id) or NO_ID for id in ids or ()]


def lead_conditions(filter: LeadFilter | None) -> LeadConditions:
    """Raises the top-level BAD_USER_INPUT for a list that is too long and a search of no length to search by."""
    if filter is None:
        return LeadConditions()
    return LeadConditions(
        tag_ids=filter_ids(filter.tag_ids),
        stage_ids=filter_ids(filter.stage_ids),
        owner_ids=filter_ids(filter.owner_ids),
        sources=[source.value for source in capped(filter.sources)] if filter.sources is not None else None,
        min_score=filter.min_score,
        has_email=filter.has_email,
        has_phone=filter.has_phone,
        created_after=filter.created_after,
        created_before=filter.created_before,
        touched_before=filter.touched_before,
        deleted=filter.deleted,
        terms=None if filter.search is None else search_terms(filter.search),
    )
