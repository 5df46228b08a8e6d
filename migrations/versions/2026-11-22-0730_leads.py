"""Tags, leads and imports: tables and their tenant wall."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from app.common.migrations import protect

revision = "0002"
down_revision = "0001"

TABLES = ("tag", "stage", "lead", "lead_identity", "lead_tag", "import_job", "import_row")
NOW = sa.text("now()")
NEW_ID = sa.text("uuidv7()")


def upgrade() -> None:
    create_tags()
    create_leads()
    create_imports()
    for table in TABLES:
        protect(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def create_tags() -> None:
    op.create_table(
        "tag",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("color", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_tag_workspace_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_tag"),
        sa.UniqueConstraint("workspace_id", "name_key", name="uq_tag_workspace_id_name_key"),
    )


def create_leads() -> None:
    op.create_table(
        "stage",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_stage_workspace_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_stage"),
    )
    op.create_table(
        "lead",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("phone", sa.Text),
        sa.Column("company", sa.Text),
        sa.Column("title", sa.Text),
        sa.Column("avatar_url", sa.Text),
        sa.Column("stage_id", sa.Uuid, nullable=False),
        sa.Column("rank", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Uuid),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("engagement", sa.Text, server_default=sa.text("'NEW'"), nullable=False),
        sa.Column("score", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("metadata", JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_by", sa.Uuid),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["created_by"], ["app_user.id"], name="fk_lead_created_by", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "owner_id"],
            ["member.workspace_id", "member.user_id"],
            name="fk_lead_workspace_id_owner_id",
            ondelete="SET NULL (owner_id)",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "stage_id"],
            ["stage.workspace_id", "stage.id"],
            name="fk_lead_workspace_id_stage_id",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_lead_workspace_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_lead"),
    )
    op.create_index(
        "ix_lead_newest",
        "lead",
        ["workspace_id", sa.text("created_at DESC"), sa.text("id DESC")],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_lead_stage",
        "lead",
        ["workspace_id", "stage_id", "rank"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "lead_identity",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("lead_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("is_primary", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "lead_id"],
            ["lead.workspace_id", "lead.id"],
            name="fk_lead_identity_workspace_id_lead_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_lead_identity"),
        sa.UniqueConstraint("workspace_id", "kind", "value", name="uq_lead_identity_workspace_id_kind_value"),
    )
    op.create_index("ix_lead_identity_lead", "lead_identity", ["workspace_id", "lead_id"])
    op.create_table(
        "lead_tag",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("lead_id", sa.Uuid, nullable=False),
        sa.Column("tag_id", sa.Uuid, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "lead_id"],
            ["lead.workspace_id", "lead.id"],
            name="fk_lead_tag_workspace_id_lead_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "tag_id"],
            ["tag.workspace_id", "tag.id"],
            name="fk_lead_tag_workspace_id_tag_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "lead_id", "tag_id", name="pk_lead_tag"),
    )
    op.create_index("ix_lead_tag_tag", "lead_tag", ["workspace_id", "tag_id", "lead_id"])


def create_imports() -> None:
    op.create_table(
        "import_job",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("attempt", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("token", sa.Uuid),
        sa.Column("error", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("page_url", sa.Text),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Uuid),
        sa.Column("tag_ids", sa.ARRAY(sa.Uuid), nullable=False),
        sa.Column("created_by", sa.Uuid),
        sa.Column("total_rows", sa.Integer, nullable=False),
        sa.Column("processed_rows", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("counts", JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("progress_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["created_by"], ["app_user.id"], name="fk_import_job_created_by", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "owner_id"],
            ["member.workspace_id", "member.user_id"],
            name="fk_import_job_workspace_id_owner_id",
            ondelete="SET NULL (owner_id)",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_import_job_workspace_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_import_job"),
    )
    op.create_index(
        "ix_import_job_due", "import_job", ["run_at", "id"], postgresql_where=sa.text("status = 'QUEUED'")
    )
    op.create_index(
        "ix_import_job_lease", "import_job", ["lease_until"], postgresql_where=sa.text("status = 'RUNNING'")
    )
    op.create_index(
        "ix_import_job_newest", "import_job", ["workspace_id", sa.text("created_at DESC"), sa.text("id DESC")]
    )
    op.create_table(
        "import_row",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("import_id", sa.Uuid, nullable=False),
        sa.Column("row", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("payload", JSONB),
        sa.Column("outcome", sa.Text),
        sa.Column("lead_id", sa.Uuid),
        sa.Column("code", sa.Text),
        sa.Column("field", sa.Text),
        sa.Column("at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["workspace_id", "import_id"],
            ["import_job.workspace_id", "import_job.id"],
            name="fk_import_row_workspace_id_import_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "lead_id"],
            ["lead.workspace_id", "lead.id"],
            name="fk_import_row_workspace_id_lead_id",
            ondelete="SET NULL (lead_id)",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "import_id", "row", name="pk_import_row"),
    )
    op.create_index(
        "ix_import_row_lead",
        "import_row",
        ["workspace_id", "lead_id"],
        postgresql_where=sa.text("lead_id IS NOT NULL"),
    )
    op.create_index(
        "ix_import_row_pending",
        "import_row",
        ["workspace_id", "import_id", "row"],
        postgresql_where=sa.text("outcome IS NULL"),
    )
    op.create_index(
        "ix_import_row_problem",
        "import_row",
        ["workspace_id", "import_id", "row"],
        postgresql_where=sa.text("code IS NOT NULL"),
    )
