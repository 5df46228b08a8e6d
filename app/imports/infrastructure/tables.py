"""The ledger: `import_job`, a due row, and `import_row`, with at most one outcome each."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
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
    phase: Named[str] = Column(Text, server_default=text("'RUN'"))
    """What its status is about: `Phase`."""
    file_id: Named[UUID | None] = Column(Uuid)
    """The uploaded file, until nothing needs it any more; NULL: its rows came with the request."""
    file_name: Named[str | None] = Column(Text)
    columns: Named[Sequence[str]] = Column(ARRAY(Text), server_default=text("'{}'"))
    """The file's headers, each one once."""
    dialect: Named[Mapping[str, object] | None] = Column(JsonObject)
    """How the file is read; NULL: not analysed yet."""
    suggested: Named[Mapping[str, object] | None] = Column(JsonObject)
    mapping: Named[Mapping[str, object] | None] = Column(JsonObject)
    """What it runs by: a list of column, field, confidence, in the order of `columns`; before the analysis those that
    were asked for, with neither order nor confidence; NULL: the suggestion, if it is sure."""
    preview: Named[Mapping[str, object] | None] = Column(JsonObject)
    """The first rows as read, a list of lists; gone as soon as the import ends."""
    total_rows: Named[int | None]
    """NULL: nobody has counted them yet."""
    next_row: Named[int] = Column(BigInteger, server_default=text("1"))
    """The checkpoint of a file: the next row to settle, and the byte where it begins."""
    next_offset: Named[int] = Column(BigInteger, server_default=text("0"))
    is_dry_run: Named[bool] = Column(server_default=text("false"))
    """What `startCsvImport` asked for last: after an analysis comes the phase DRY_RUN, not RUN."""
    dry_run_counts: Named[Mapping[str, object] | None] = Column(JsonObject)
    paused_at: Named[datetime | None] = Column(DateTime(timezone=True))
    ran_until: Named[datetime | None] = Column(DateTime(timezone=True))
    """When its last row was written, or it was stopped: from then on it can be undone for a while."""
    undo_row: Named[int] = Column(BigInteger, server_default=text("1"))
    """The checkpoint of an undo."""
    kept_on_undo: Named[int | None] = Column(BigInteger)
    served_at: Named[datetime | None] = Column(DateTime(timezone=True))
    """When a worker last took it: whose workspace has waited longest is served next."""
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
    tenant_key("file_id", "file", ondelete="SET NULL (file_id)"),
    Index(
        "uq_import_job_file",
        "workspace_id",
        "file_id",
        unique=True,
        postgresql_where=text("file_id IS NOT NULL"),
    ),
    Index(
        "ix_import_job_turn",
        "workspace_id",
        "run_at",
        "id",
        postgresql_where=text(f"status = '{WAITING}'"),
    ),
    Index(
        "ix_import_job_served",
        "workspace_id",
        "served_at",
        postgresql_where=text("served_at IS NOT NULL"),
    ),
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
    undo: Named[Mapping[str, object] | None] = Column(JsonObject)
    """Of a row that changed a known lead: what takes it back. NULL: it created one, or changed nothing."""


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


class ImportMappingColumns(TypedColumns):
    """How a workspace maps files with these headers, as it last did."""

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    headers: Named[bytes] = Column(LargeBinary, primary_key=True)
    """A hash of the headers, folded and in order."""
    mapping: Named[Mapping[str, object]] = Column(JsonObject)
    """The field of each column, in their order."""
    used_at: Named[datetime] = Column(DateTime(timezone=True), server_default=text("now()"))


import_mapping = Table("import_mapping", metadata, ImportMappingColumns, workspace_key())


class ImportSeenColumns(TypedColumns):
    """Who came in the rows that a dry run has gone through: identities and leads as hashes, gone when it ends."""

    workspace_id: Named[UUID] = Column(Uuid, primary_key=True)
    import_id: Named[UUID] = Column(Uuid, primary_key=True)
    key: Named[int] = Column(BigInteger, primary_key=True, autoincrement=False)


import_seen = Table(
    "import_seen", metadata, ImportSeenColumns, tenant_key("import_id", "import_job", ondelete="CASCADE")
)
