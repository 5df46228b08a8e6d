"""The inbox and the delivery ledger: tables and their tenant wall."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from app.common.migrations import protect

revision = "0005"
down_revision = "0004"

TABLES = (
    "conversation",
    "conversation_read",
    "draft",
    "message",
    "attachment",
    "delivery",
    "delivery_attempt",
)
NOW = sa.text("now()")
NEW_ID = sa.text("uuidv7()")


def upgrade() -> None:
    create_conversations()
    create_messages()
    create_deliveries()
    for table in TABLES:
        protect(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def create_conversations() -> None:
    op.create_table(
        "conversation",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("lead_id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("contact_address", sa.Text, nullable=False),
        sa.Column("status", sa.Text, server_default=sa.text("'OPEN'"), nullable=False),
        sa.Column("is_dormant", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("assignee_id", sa.Uuid),
        sa.Column("snoozed_until", sa.DateTime(timezone=True)),
        sa.Column("subject", sa.Text),
        sa.Column("activity_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("last_message_id", sa.Uuid),
        sa.Column("last_message_at", sa.DateTime(timezone=True)),
        sa.Column("last_inbound_at", sa.DateTime(timezone=True)),
        sa.Column("last_outbound_at", sa.DateTime(timezone=True)),
        sa.Column("waiting_since", sa.DateTime(timezone=True)),
        sa.Column("message_count", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("inbound_count", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "account_id"],
            ["channel_account.workspace_id", "channel_account.id"],
            name="fk_conversation_workspace_id_account_id",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "assignee_id"],
            ["member.workspace_id", "member.user_id"],
            name="fk_conversation_workspace_id_assignee_id",
            ondelete="SET NULL (assignee_id)",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "lead_id"],
            ["lead.workspace_id", "lead.id"],
            name="fk_conversation_workspace_id_lead_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_conversation"),
        sa.UniqueConstraint(
            "workspace_id",
            "account_id",
            "contact_address",
            name="uq_conversation_workspace_id_account_id_contact_address",
        ),
    )
    op.create_index(
        "ix_conversation_activity",
        "conversation",
        ["workspace_id", sa.text("activity_at DESC"), sa.text("id DESC")],
    )
    op.create_index(
        "ix_conversation_assignee",
        "conversation",
        ["workspace_id", "assignee_id", sa.text("activity_at DESC"), sa.text("id DESC")],
    )
    op.create_index("ix_conversation_lead", "conversation", ["workspace_id", "lead_id"])
    op.create_index(
        "ix_conversation_snoozed",
        "conversation",
        ["snoozed_until"],
        postgresql_where=sa.text("status = 'SNOOZED'"),
    )
    op.create_table(
        "conversation_read",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("conversation_id", sa.Uuid, nullable=False),
        sa.Column("inbound_count_read", sa.Integer, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversation.workspace_id", "conversation.id"],
            name="fk_conversation_read_workspace_id_conversation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "user_id"],
            ["member.workspace_id", "member.user_id"],
            name="fk_conversation_read_workspace_id_user_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", "conversation_id", name="pk_conversation_read"),
    )
    op.create_index(
        "ix_conversation_read_conversation", "conversation_read", ["workspace_id", "conversation_id"]
    )
    op.create_table(
        "draft",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("conversation_id", sa.Uuid, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversation.workspace_id", "conversation.id"],
            name="fk_draft_workspace_id_conversation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "user_id"],
            ["member.workspace_id", "member.user_id"],
            name="fk_draft_workspace_id_user_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", "conversation_id", name="pk_draft"),
    )
    op.create_index("ix_draft_conversation", "draft", ["workspace_id", "conversation_id"])


def create_messages() -> None:
    op.create_table(
        "message",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("conversation_id", sa.Uuid, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("author_kind", sa.Text, nullable=False),
        sa.Column("author_id", sa.Uuid),
        sa.Column("subject", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("quoted_text", sa.Text),
        sa.Column("html_body", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("not_before", sa.DateTime(timezone=True)),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("inbound_count", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("is_auto_reply", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("external_id", sa.Text),
        sa.Column("rfc_message_id", sa.Text),
        sa.Column("thread_ids", sa.ARRAY(sa.Text), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("inbound_event_id", sa.Uuid),
        sa.Column("lexemes", TSVECTOR),
        sa.ForeignKeyConstraint(
            ["author_id"], ["app_user.id"], name="fk_message_author_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversation.workspace_id", "conversation.id"],
            name="fk_message_workspace_id_conversation_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_message"),
        sa.UniqueConstraint(
            "workspace_id",
            "conversation_id",
            "position",
            name="uq_message_workspace_id_conversation_id_position",
        ),
    )
    op.create_index("ix_message_lexemes", "message", ["lexemes"], postgresql_using="gin")
    op.create_index(
        "ix_message_rfc_message_id",
        "message",
        ["workspace_id", "account_id", "rfc_message_id"],
        postgresql_where=sa.text("rfc_message_id IS NOT NULL"),
    )
    op.create_index(
        "uq_message_external_id",
        "message",
        ["workspace_id", "account_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_table(
        "attachment",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("file_id", sa.Uuid, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "file_id"],
            ["file.workspace_id", "file.id"],
            name="fk_attachment_workspace_id_file_id",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "message_id"],
            ["message.workspace_id", "message.id"],
            name="fk_attachment_workspace_id_message_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_attachment"),
        sa.UniqueConstraint(
            "workspace_id", "message_id", "position", name="uq_attachment_workspace_id_message_id_position"
        ),
    )
    op.create_index("ix_attachment_file", "attachment", ["workspace_id", "file_id"])


def create_deliveries() -> None:
    op.create_table(
        "delivery",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("attempt", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("token", sa.Uuid),
        sa.Column("error", sa.Text),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("lead_id", sa.Uuid, nullable=False),
        sa.Column("origin_kind", sa.Text, nullable=False),
        sa.Column("origin_id", sa.Uuid, nullable=False),
        sa.Column("step", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("visit", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("conversation_id", sa.Uuid),
        sa.Column("position", sa.Integer),
        sa.Column("message_id", sa.Uuid),
        sa.Column("resend", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("provider_id", sa.Text),
        sa.ForeignKeyConstraint(
            ["workspace_id", "account_id"],
            ["channel_account.workspace_id", "channel_account.id"],
            name="fk_delivery_workspace_id_account_id",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "lead_id"],
            ["lead.workspace_id", "lead.id"],
            name="fk_delivery_workspace_id_lead_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "message_id"],
            ["message.workspace_id", "message.id"],
            name="fk_delivery_workspace_id_message_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_delivery"),
        sa.UniqueConstraint("workspace_id", "message_id", name="uq_delivery_workspace_id_message_id"),
        sa.UniqueConstraint(
            "workspace_id", "origin_kind", "origin_id", "step", "visit", "lead_id", name="uq_delivery_origin"
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "ix_delivery_account",
        "delivery",
        ["account_id", "run_at", "id"],
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "ix_delivery_due", "delivery", ["run_at", "id"], postgresql_where=sa.text("status = 'queued'")
    )
    op.create_index("ix_delivery_lead", "delivery", ["workspace_id", "lead_id"])
    op.create_index(
        "ix_delivery_lease",
        "delivery",
        ["lease_until"],
        postgresql_where=sa.text("status IN ('claimed', 'sending')"),
    )
    op.create_index(
        "ix_delivery_open",
        "delivery",
        ["workspace_id", "conversation_id", "position"],
        postgresql_where=sa.text("status IN ('queued', 'claimed', 'sending')"),
    )
    op.create_index(
        "ix_delivery_unknown",
        "delivery",
        ["workspace_id", "id"],
        postgresql_where=sa.text("status = 'unknown'"),
    )
    op.create_index(
        "ix_delivery_provider_id",
        "delivery",
        ["workspace_id", "account_id", "provider_id"],
        postgresql_where=sa.text("provider_id IS NOT NULL"),
    )
    op.create_table(
        "delivery_attempt",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("delivery_id", sa.Uuid, nullable=False),
        sa.Column("n", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("resend", sa.Integer, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.Text),
        sa.Column("provider_code", sa.Text),
        sa.ForeignKeyConstraint(
            ["workspace_id", "delivery_id"],
            ["delivery.workspace_id", "delivery.id"],
            name="fk_delivery_attempt_workspace_id_delivery_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "delivery_id", "n", name="pk_delivery_attempt"),
    )
