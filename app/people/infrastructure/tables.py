"""Merges and their journal: what each row that was touched looked like before."""

from collections.abc import Mapping, Sequence
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
    TypedColumns,
    Uuid,
)

from app.common.database import JsonObject, ThingColumns, metadata, tenant_key


class MergeColumns(ThingColumns):
    kept_id: Named[UUID] = Column(Uuid)
    merged_ids: Named[Sequence[UUID]] = Column(ARRAY(Uuid))
    created_by: Named[UUID | None] = Column(Uuid)
    undone_at: Named[datetime | None] = Column(DateTime(timezone=True))


merge = Table(
    "merge",
    metadata,
    MergeColumns,
    tenant_key("kept_id", "lead", ondelete="CASCADE"),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="SET NULL"),
    Index("ix_merge_kept", "workspace_id", "kept_id"),
)


class MergeJournalColumns(TypedColumns):
    """One row that a merge touched, in the order in which it did; an unmerge goes back through them."""

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    merge_id: Named[UUID] = Column(Uuid, primary_key=True)
    n: Named[int] = Column(primary_key=True, autoincrement=False)
    table_name: Named[str] = Column(Text)
    before: Named[Mapping[str, object] | None] = Column(JsonObject)
    """The row before, or what of it was changed; None: the merge made it."""
    key: Named[Mapping[str, object]] = Column(JsonObject)
    """What names the row in its table."""


merge_journal = Table(
    "merge_journal",
    metadata,
    MergeJournalColumns,
    tenant_key("merge_id", "merge", ondelete="CASCADE"),
)
