"""Tables of leads; a child row belongs to its workspace through its lead.

`lead.email` and `lead.phone` repeat the primary identities, for lists that show them.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Named,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from app.common.database import EditedColumns, JsonObject, ThingColumns, metadata, tenant_key, workspace_key


class StageColumns(EditedColumns):
    name: Named[str] = Column(Text)
    kind: Named[str] = Column(Text)
    position: Named[int]


stage = Table("stage", metadata, StageColumns, workspace_key())


class LeadColumns(EditedColumns):
    name: Named[str] = Column(Text)
    email: Named[str | None] = Column(Text)
    phone: Named[str | None] = Column(Text)
    company: Named[str | None] = Column(Text)
    title: Named[str | None] = Column(Text)
    avatar_url: Named[str | None] = Column(Text)
    stage_id: Named[UUID] = Column(Uuid)
    rank: Named[str] = Column(Text)
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


lead = Table(
    "lead",
    metadata,
    LeadColumns,
    workspace_key(),
    tenant_key("stage_id", "stage"),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="SET NULL"),
    Index(
        "ix_lead_newest",
        "workspace_id",
        text("created_at DESC"),
        text("id DESC"),
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index("ix_lead_stage", "workspace_id", "stage_id", "rank", postgresql_where=text("deleted_at IS NULL")),
)


class LeadIdentityColumns(ThingColumns):
    lead_id: Named[UUID] = Column(Uuid)
    kind: Named[str] = Column(Text)
    value: Named[str] = Column(Text)
    is_primary: Named[bool]


lead_identity = Table(
    "lead_identity",
    metadata,
    LeadIdentityColumns,
    tenant_key("lead_id", "lead", ondelete="CASCADE"),
    UniqueConstraint("workspace_id", "kind", "value"),
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


interaction = Table(
    "interaction",
    metadata,
    InteractionColumns,
    tenant_key("lead_id", "lead", ondelete="CASCADE"),
    ForeignKeyConstraint(["actor_id"], ["app_user.id"], ondelete="SET NULL"),
    Index("ix_interaction_lead", "workspace_id", "lead_id", text("created_at DESC"), text("id DESC")),
)


class SuppressionColumns(ThingColumns):
    """An address, or a whole domain, that nothing is sent to."""

    value: Named[str] = Column(Text)
    """A normalised address, or "@domain"."""
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
    UniqueConstraint("workspace_id", "value", "channel", postgresql_nulls_not_distinct=True),
)
