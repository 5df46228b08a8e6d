"""The ledger: `import_job`, a due row, and `import_row`, with at most one outcome each."""

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
    text,
)

from app.common.database import JsonObject, ThingColumns, metadata, tenant_key, workspace_key
from app.common.leases import DueTable, LeasedColumns

WAITING, HELD = "QUEUED", "RUNNING"


class ImportJobColumns(LeasedColumns, ThingColumns):
    source: Named[str] = Column(Text)
    page_url: Named[str | None] = Column(Text)
    policy: Named[str] = Column(Text)
    owner_id: Named[UUID | None] = Column(Uuid)
    tag_ids: Named[Sequence[UUID]] = Column(ARRAY(Uuid))
    created_by: Named[UUID | None] = Column(Uuid)
    basis: Named[str | None] = Column(Text)
    """The lawful basis its rows are kept under, where one was given."""
    total_rows: Named[int]
    processed_rows: Named[int] = Column(server_default=text("0"))
    counts: Named[Mapping[str, object]] = Column(JsonObject, server_default=text("'{}'"))
    """Rows by outcome; their sum is `processed_rows`."""
    started_at: Named[datetime | None] = Column(DateTime(timezone=True))
    progress_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """When the feed was told last."""
    finished_at: Named[datetime | None] = Column(DateTime(timezone=True))


import_job = Table(
    "import_job",
    metadata,
    ImportJobColumns,
    workspace_key(),
    ForeignKeyConstraint(["created_by"], ["app_user.id"], ondelete="SET NULL"),
    Index("ix_import_job_newest", "workspace_id", text("created_at DESC"), text("id DESC")),
    *DueTable.indexes("import_job", WAITING, HELD),
)


class ImportRowColumns(TypedColumns):
    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    import_id: Named[UUID] = Column(Uuid, primary_key=True)
    row: Named[int] = Column(primary_key=True, autoincrement=False)
    payload: Named[Mapping[str, object] | None] = Column(JsonObject)
    """What was sent; kept until the row has landed, and longer where it was rejected."""
    outcome: Named[str | None] = Column(Text)
    lead_id: Named[UUID | None] = Column(Uuid)
    code: Named[str | None] = Column(Text)
    field: Named[str | None] = Column(Text)
    at: Named[datetime | None] = Column(DateTime(timezone=True))


import_row = Table(
    "import_row",
    metadata,
    ImportRowColumns,
    tenant_key("import_id", "import_job", ondelete="CASCADE"),
    ForeignKeyConstraint(
        ["workspace_id", "lead_id"], ["lead.workspace_id", "lead.id"], ondelete="SET NULL (lead_id)"
    ),
    Index(
        "ix_import_row_pending", "workspace_id", "import_id", "row", postgresql_where=text("outcome IS NULL")
    ),
    Index(
        "ix_import_row_problem", "workspace_id", "import_id", "row", postgresql_where=text("code IS NOT NULL")
    ),
    Index("ix_import_row_lead", "workspace_id", "lead_id", postgresql_where=text("lead_id IS NOT NULL")),
)

import_jobs = DueTable(import_job, waiting=WAITING, held=HELD)
