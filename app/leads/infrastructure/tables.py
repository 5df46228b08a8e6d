"""Tables of leads; a child row belongs to its workspace through its lead.

`lead.email` and `lead.phone` repeat the primary identities, for lists that show them; `lead.handles` repeats all of
them, for searches. Whoever writes identities writes these (`infrastructure/identities.py`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Column,
    Computed,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Named,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    Uuid,
    column,
    func,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

from app.common.database import EditedColumns, JsonObject, ThingColumns, metadata, tenant_key, workspace_key
from app.common.leases import DueTable, LeasedColumns

WAITING, HELD = "QUEUED", "RUNNING"


class StageColumns(EditedColumns):
    name: Named[str] = Column(Text)
    kind: Named[str] = Column(Text)
    position: Named[int]


stage = Table("stage", metadata, StageColumns, workspace_key())


EMAIL_KEY = "nullif(replace(split_part(split_part(email, '@', 1), '+', 1), '.', ''), '')"


class LeadColumns(EditedColumns):
    name: Named[str] = Column(Text)
    email: Named[str | None] = Column(Text)
    phone: Named[str | None] = Column(Text)
    company: Named[str | None] = Column(Text)
    title: Named[str | None] = Column(Text)
    avatar_url: Named[str | None] = Column(Text)
    stage_id: Named[UUID] = Column(Uuid)
    rank: Named[str] = Column(Text(collation="C"))
    """Its place within the stage, by bytes (`domain/rank.py`)."""
    stage_entered_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """When it came into its stage; None: when it was made."""
    lost_reason: Named[str | None] = Column(Text)
    """Why it is in a LOST stage, where somebody said so."""
    owner_id: Named[UUID | None] = Column(Uuid)
    source: Named[str] = Column(Text)
    engagement: Named[str] = Column(Text, server_default=text("'NEW'"))
    score: Named[int] = Column(server_default=text("0"))
    metadata: Named[Mapping[str, object]] = Column(JsonObject, server_default=text("'{}'"))
    created_by: Named[UUID | None] = Column(Uuid)
    """The user who made it or started its import; None: the system."""
    deleted_at: Named[datetime | None] = Column(DateTime(timezone=True))
    last_touch_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """The newest message to or from it."""
    basis: Named[str | None] = Column(Text)
    """The lawful basis under which it is kept, where one was given."""
    time_zone: Named[str | None] = Column(Text)
    """IANA name, where somebody gave it; else its phone number or the workspace tells (`domain/time_zone.py`)."""
    merged_into_id: Named[UUID | None] = Column(Uuid)
    """The lead it was merged into; such a lead is deleted, and only an unmerge brings it back."""
    handles: Named[Sequence[str]] = Column(ARRAY(Text), server_default=text("'{}'"))
    """The values of its identities."""
    name_key: Named[str] = Column(Text(collation="C"), Computed("folded(name)", persisted=True))
    """The name without case and accents: what lists by name sort by, and doubles are found by."""
    company_key: Named[str | None] = Column(Text(collation="C"), Computed("folded(company)", persisted=True))
    phone_key: Named[str | None] = Column(Text(collation="C"), Computed("right(phone, 8)", persisted=True))
    email_key: Named[str | None] = Column(Text(collation="C"), Computed(EMAIL_KEY, persisted=True))
    """What leads of one name have alike that may be one person: the company without case and accents, the end of the
    phone number, what stands before an address's @ without dots and +tag."""
    lexemes: Named[str | None] = Column(
        TSVECTOR, Computed("lead_lexemes(workspace_id, name, company, title, handles)", persisted=True)
    )
    """What a search finds it by; each lexeme begins with its workspace's digits (decision 0012)."""


NEVER = "'1970-01-01 00:00:00+00'::timestamp with time zone"
LAST_TOUCH = f"""
CASE
    WHEN last_touch_at IS NULL THEN {NEVER}
    ELSE last_touch_at
END"""
"""What lists by last touch sort by, as PostgreSQL writes it down: those never touched come last. Under row-level
security no place would be looked up by coalesce(), which might leak."""
LIVE = text("deleted_at IS NULL")

lead = Table(
    "lead",
    metadata,
    LeadColumns,
    workspace_key(),
    tenant_key("stage_id", "stage"),
    tenant_key("merged_into_id", "lead", ondelete="CASCADE"),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="SET NULL"),
    Index(
        "ix_lead_newest",
        "workspace_id",
        text("created_at DESC"),
        text("id DESC"),
        postgresql_include=["stage_id"],
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index("ix_lead_board", "workspace_id", "stage_id", "rank", "id", postgresql_where=LIVE),
    Index("ix_lead_name", "workspace_id", "name_key", "id", postgresql_where=LIVE),
    *(
        Index(
            f"ix_lead_same_{key}",
            "workspace_id",
            "name_key",
            f"{key}_key",
            postgresql_where=text(f"deleted_at IS NULL AND {key}_key IS NOT NULL"),
        )
        for key in ("company", "phone", "email")
    ),
    Index("ix_lead_score", "workspace_id", text("score DESC"), text("id DESC"), postgresql_where=LIVE),
    Index(
        "ix_lead_touch",
        "workspace_id",
        text(f"({LAST_TOUCH}) DESC"),
        text("id DESC"),
        postgresql_where=LIVE,
    ),
    Index(
        "ix_lead_owner",
        "workspace_id",
        "owner_id",
        text("created_at DESC"),
        text("id DESC"),
        postgresql_where=LIVE,
    ),
    Index(
        "ix_lead_deleted",
        "workspace_id",
        text("deleted_at DESC"),
        text("id DESC"),
        postgresql_where=text("deleted_at IS NOT NULL"),
    ),
    Index(
        "ix_lead_merged",
        "workspace_id",
        "merged_into_id",
        postgresql_where=text("merged_into_id IS NOT NULL"),
    ),
    Index("ix_lead_lexemes", "lexemes", postgresql_using="gin"),
)
SEARCHED = (
    *(
        "workspace_id",
        "id",
        "created_at",
        "name_key",
        "email",
        "phone",
        "stage_id",
        "owner_id",
        "source",
        "score",
    ),
    *("last_touch_at", "deleted_at", "merged_into_id", "lexemes"),
)
searched_lead = table("searched_lead", *(column(name, lead.c[name].type) for name in SEARCHED))
"""A view of the caller's own workspace, in which PostgreSQL may use the search's index (docs/decisions/0019)."""


class LeadIdentityColumns(ThingColumns):
    lead_id: Named[UUID] = Column(Uuid)
    kind: Named[str] = Column(Text)
    value: Named[str] = Column(Text)
    is_primary: Named[bool]
    released_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """Its lead is deleted: another may have the value, and whoever looks for a person leaves this row out."""


lead_identity = Table(
    "lead_identity",
    metadata,
    LeadIdentityColumns,
    tenant_key("lead_id", "lead", ondelete="CASCADE"),
    Index(
        "uq_lead_identity_live",
        "workspace_id",
        "kind",
        "value",
        unique=True,
        postgresql_where=text("released_at IS NULL"),
    ),
    Index(
        "uq_lead_identity_primary",
        "workspace_id",
        "lead_id",
        "kind",
        unique=True,
        postgresql_where=text("is_primary"),
    ),
    Index("ix_lead_identity_lead", "workspace_id", "lead_id"),
)


class LeadTagColumns(TypedColumns):
    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    lead_id: Named[UUID] = Column(Uuid, primary_key=True)
    tag_id: Named[UUID] = Column(Uuid, primary_key=True)
    created_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())


lead_tag = Table(
    "lead_tag",
    metadata,
    LeadTagColumns,
    tenant_key("lead_id", "lead", ondelete="CASCADE"),
    tenant_key("tag_id", "tag", ondelete="CASCADE"),
    Index("ix_lead_tag_tag", "workspace_id", "tag_id", "lead_id"),
)


class InteractionColumns(ThingColumns):
    """An entry of a lead's timeline, written in the transaction of what it tells."""

    lead_id: Named[UUID] = Column(Uuid)
    type: Named[str] = Column(Text)
    channel: Named[str | None] = Column(Text)
    direction: Named[str | None] = Column(Text)
    content: Named[str] = Column(Text, server_default=text("''"))
    actor_id: Named[UUID | None] = Column(Uuid)
    actor_kind: Named[str] = Column(Text)
    cause: Named[str | None] = Column(Text)
    conversation_id: Named[UUID | None] = Column(Uuid)
    """Where it happened; no foreign key upward."""
    message_id: Named[UUID | None] = Column(Uuid)
    mentions: Named[Sequence[UUID]] = Column(ARRAY(Uuid), server_default=text("'{}'"))
    """The members a note mentions."""


interaction = Table(
    "interaction",
    metadata,
    InteractionColumns,
    tenant_key("lead_id", "lead", ondelete="CASCADE"),
    ForeignKeyConstraint(["actor_id"], ["app_user.id"], ondelete="SET NULL"),
    Index("ix_interaction_lead", "workspace_id", "lead_id", text("created_at DESC"), text("id DESC")),
)


class StageChangeColumns(ThingColumns):
    """A move over the board: which stage a lead left, how long it had been there, and where it went.

    The stages' names are kept as they were: a stage may be renamed or deleted since.
    """

    lead_id: Named[UUID] = Column(Uuid)
    from_stage_id: Named[UUID] = Column(Uuid)
    from_name: Named[str] = Column(Text)
    to_stage_id: Named[UUID] = Column(Uuid)
    to_name: Named[str] = Column(Text)
    entered_at: Named[datetime] = Column(DateTime(timezone=True))
    left_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())
    actor_id: Named[UUID | None] = Column(Uuid)
    actor_kind: Named[str] = Column(Text)
    cause: Named[str | None] = Column(Text)
    lost_reason: Named[str | None] = Column(Text)


stage_change = Table(
    "stage_change",
    metadata,
    StageChangeColumns,
    tenant_key("lead_id", "lead", ondelete="CASCADE"),
    ForeignKeyConstraint(["actor_id"], ["app_user.id"], ondelete="SET NULL"),
    Index("ix_stage_change_lead", "workspace_id", "lead_id", text("left_at DESC"), text("id DESC")),
)


class SuppressionColumns(ThingColumns):
    """An address, a whole domain, or a person, that nothing is sent to."""

    value: Named[str] = Column(Text)
    """A normalised address, "@domain", or a lead's id."""
    lead_id: Named[UUID | None] = Column(Uuid)
    """The person, whatever their addresses; None: it is about an address or a domain."""
    channel: Named[str | None] = Column(Text)
    """None: every channel."""
    reason: Named[str] = Column(Text)
    created_by: Named[UUID | None] = Column(Uuid)
    """None: the system, after a hard bounce or a complaint."""


suppression = Table(
    "suppression",
    metadata,
    SuppressionColumns,
    workspace_key(),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="SET NULL"),
    tenant_key("lead_id", "lead", ondelete="CASCADE"),
    UniqueConstraint("workspace_id", "value", "channel", postgresql_nulls_not_distinct=True),
    Index("ix_suppression_lead", "workspace_id", "lead_id", postgresql_where=text("lead_id IS NOT NULL")),
    Index("ix_suppression_newest", "workspace_id", text("created_at DESC"), text("id DESC")),
)


class ErasedIdentityColumns(TypedColumns):
    """A person who asked to be forgotten, by a keyed hash of what they were recognised by: nothing brings them back."""

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    hash: Named[bytes] = Column(LargeBinary, primary_key=True)
    created_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())


erased_identity = Table("erased_identity", metadata, ErasedIdentityColumns, workspace_key())


class BulkChangeColumns(LeasedColumns, ThingColumns):
    """One change to all leads of a filter, done by a worker in chunks."""

    filter: Named[Mapping[str, object] | None] = Column(JsonObject)
    """Which leads; None once it has ended: a search may hold what a person is recognised by."""
    change: Named[Mapping[str, object]] = Column(JsonObject)
    created_by: Named[UUID | None] = Column(Uuid)
    total: Named[int] = Column(server_default=text("0"))
    done: Named[int] = Column(server_default=text("0"))
    changed: Named[int] = Column(server_default=text("0"))
    """Of those done, the leads that were different before."""
    after_id: Named[UUID | None] = Column(Uuid)
    """All leads up to this id are done."""
    progress_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """When the feed was told last."""
    finished_at: Named[datetime | None] = Column(DateTime(timezone=True))


bulk_change = Table(
    "bulk_change",
    metadata,
    BulkChangeColumns,
    workspace_key(),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="SET NULL"),
    *DueTable.indexes("bulk_change", WAITING, HELD),
)

bulk_changes = DueTable(bulk_change, waiting=WAITING, held=HELD)
