"""The timeline of a lead, and suppressions."""

import sqlalchemy as sa
from alembic import op

from app.common.migrations import protect

revision = "0004"
down_revision = "0003"

TABLES = ("interaction", "suppression")
NOW = sa.text("now()")
NEW_ID = sa.text("uuidv7()")


def upgrade() -> None:
    create_timeline()
    create_suppressions()
    for table in TABLES:
        protect(table)


def downgrade() -> None:
    op.drop_column("lead", "last_touch_at")
    for table in reversed(TABLES):
        op.drop_table(table)


def create_timeline() -> None:
    op.add_column("lead", sa.Column("last_touch_at", sa.DateTime(timezone=True)))
    op.create_table(
        "interaction",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("lead_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("channel", sa.Text),
        sa.Column("direction", sa.Text),
        sa.Column("content", sa.Text, server_default=sa.text("''"), nullable=False),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("cause", sa.Text),
        sa.Column("conversation_id", sa.Uuid),
        sa.Column("message_id", sa.Uuid),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["app_user.id"], name="fk_interaction_actor_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "lead_id"],
            ["lead.workspace_id", "lead.id"],
            name="fk_interaction_workspace_id_lead_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_interaction"),
    )
    op.create_index(
        "ix_interaction_lead",
        "interaction",
        ["workspace_id", "lead_id", sa.text("created_at DESC"), sa.text("id DESC")],
    )


def create_suppressions() -> None:
    op.create_table(
        "suppression",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("channel", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_by", sa.Uuid),
        sa.ForeignKeyConstraint(
            ["created_by"], ["app_user.id"], name="fk_suppression_created_by", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_suppression_workspace_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_suppression"),
        sa.UniqueConstraint(
            "workspace_id",
            "value",
            "channel",
            name="uq_suppression_workspace_id_value_channel",
            postgresql_nulls_not_distinct=True,
        ),
    )
