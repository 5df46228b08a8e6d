"""Imports of files: the file and how it is read, its checkpoint, mappings, dry runs, and what undoes a row."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from app.common.migrations import protect

revision = "0010"
down_revision = "0009"

NOW = sa.text("now()")
JOB_COLUMNS = (
    *("phase text NOT NULL DEFAULT 'RUN'", "file_id uuid", "file_name text"),
    *(
        "columns text[] NOT NULL DEFAULT '{}'",
        "dialect jsonb",
        "suggested jsonb",
        "mapping jsonb",
        "preview jsonb",
    ),
    *("next_row bigint NOT NULL DEFAULT 1", "next_offset bigint NOT NULL DEFAULT 0"),
    "is_dry_run boolean NOT NULL DEFAULT false",
    *("dry_run_counts jsonb", "paused_at timestamptz", "ran_until timestamptz"),
    *("undo_row bigint NOT NULL DEFAULT 1", "kept_on_undo bigint"),
    "served_at timestamptz",
)


def upgrade() -> None:
    for column in JOB_COLUMNS:
        op.execute(f"ALTER TABLE import_job ADD COLUMN {column}")
    op.execute(
        "-- squawk-ignore ban-drop-not-null\n"  # a row that older processes read has its number
        "ALTER TABLE import_job ALTER COLUMN total_rows DROP NOT NULL"
    )
    # No row has a file yet: there is nothing to validate, and a job's table is small.
    op.execute(
        "-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid\n"
        "ALTER TABLE import_job ADD CONSTRAINT fk_import_job_workspace_id_file_id FOREIGN KEY (workspace_id, file_id)"
        " REFERENCES file (workspace_id, id) ON DELETE SET NULL (file_id)"
    )
    op.execute(
        "-- squawk-ignore require-concurrent-index-creation\n"
        "CREATE UNIQUE INDEX uq_import_job_file ON import_job (workspace_id, file_id) WHERE file_id IS NOT NULL"
    )
    op.execute(
        "-- squawk-ignore require-concurrent-index-creation\n"
        "CREATE INDEX ix_import_job_turn ON import_job (workspace_id, run_at, id) WHERE status = 'QUEUED'"
    )
    op.execute(
        "-- squawk-ignore require-concurrent-index-creation\n"
        "CREATE INDEX ix_import_job_served ON import_job (workspace_id, served_at) WHERE served_at IS NOT NULL"
    )
    op.execute("ALTER TABLE import_row ADD COLUMN undo jsonb")
    create_mappings()
    create_seen()


def downgrade() -> None:
    op.drop_table("import_seen")
    op.drop_table("import_mapping")
    op.drop_column("import_row", "undo")
    for index in ("uq_import_job_file", "ix_import_job_turn", "ix_import_job_served"):
        op.execute(f"DROP INDEX {index}")
    op.execute("ALTER TABLE import_job DROP CONSTRAINT fk_import_job_workspace_id_file_id")
    op.execute("DELETE FROM import_job WHERE total_rows IS NULL OR phase <> 'RUN'")
    op.execute("ALTER TABLE import_job ALTER COLUMN total_rows SET NOT NULL")
    for column in JOB_COLUMNS:
        op.drop_column("import_job", column.split()[0])


def create_mappings() -> None:
    op.create_table(
        "import_mapping",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sa.Column("mapping", JSONB, nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "headers", name="pk_import_mapping"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_import_mapping_workspace_id", ondelete="CASCADE"
        ),
    )
    protect("import_mapping")


def create_seen() -> None:
    op.create_table(
        "import_seen",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("import_id", sa.Uuid, nullable=False),
        sa.Column("key", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "import_id", "key", name="pk_import_seen"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "import_id"],
            ["import_job.workspace_id", "import_job.id"],
            name="fk_import_seen_workspace_id_import_id",
            ondelete="CASCADE",
        ),
    )
    protect("import_seen")
