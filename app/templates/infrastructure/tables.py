"""Tables of templates. A version never changes: what was accepted is sent as it was then."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Named,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from app.common.database import EditedColumns, ThingColumns, metadata, tenant_key, workspace_key


class TemplateColumns(EditedColumns):
    """`version` is also the number of its newest `template_version`: every edit makes one."""

    name: Named[str] = Column(Text)
    channel: Named[str | None] = Column(Text)
    """None: for every channel."""
    deleted_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """Bulk sends that were launched with it go on."""


template = Table(
    "template",
    metadata,
    TemplateColumns,
    workspace_key(),
    Index(
        "uq_template_name",
        "workspace_id",
        text("lower(name)"),
        unique=True,
        postgresql_where=text("deleted_at IS NULL"),
    ),
)


class TemplateVersionColumns(ThingColumns):
    template_id: Named[UUID] = Column(Uuid)
    number: Named[int]
    subject: Named[str | None] = Column(Text)
    body: Named[str] = Column(Text)
    variables: Named[Sequence[str]] = Column(ARRAY(Text))
    """In the order in which they first stand in subject and body."""
    required: Named[Sequence[str]] = Column(ARRAY(Text))
    """Those that have no fallback: without a value for each, nothing is sent."""
    created_by: Named[UUID | None] = Column(Uuid)


template_version = Table(
    "template_version",
    metadata,
    TemplateVersionColumns,
    tenant_key("template_id", "template", ondelete="CASCADE"),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="SET NULL"),
    UniqueConstraint("workspace_id", "template_id", "number"),
)


class SnippetColumns(EditedColumns):
    """A text the composer inserts by its shortcut; it may hold variables."""

    shortcut: Named[str] = Column(Text)
    body: Named[str] = Column(Text)


snippet = Table(
    "snippet", metadata, SnippetColumns, workspace_key(), UniqueConstraint("workspace_id", "shortcut")
)
