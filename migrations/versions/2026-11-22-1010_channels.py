"""Files and channels: tables and their tenant wall."""

import sqlalchemy as sa
from alembic import op

from app.common.migrations import protect

revision = "0003"
down_revision = "0002"

TABLES = ("file", "channel_account", "inbound_event", "imap_mailbox")
NOW = sa.text("now()")
NEW_ID = sa.text("uuidv7()")


def upgrade() -> None:
    create_files()
    create_channels()
    for table in TABLES:
        protect(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def create_files() -> None:
    op.create_table(
        "file",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column(
            "media_type", sa.Text, server_default=sa.text("'application/octet-stream'"), nullable=False
        ),
        sa.Column("size", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("sha256", sa.LargeBinary),
        sa.Column("created_by", sa.Uuid),
        sa.Column("stored_at", sa.DateTime(timezone=True)),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["created_by"], ["app_user.id"], name="fk_file_created_by", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_file_workspace_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_file"),
    )
    op.create_index("ix_file_unused", "file", ["created_at"], postgresql_where=sa.text("used_at IS NULL"))


def create_channels() -> None:
    op.create_table(
        "channel_account",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("status", sa.Text, server_default=sa.text("'CONNECTED'"), nullable=False),
        sa.Column("status_reason", sa.Text),
        sa.Column("daily_limit", sa.Integer),
        sa.Column("smtp_secret", sa.LargeBinary),
        sa.Column("imap_secret", sa.LargeBinary),
        sa.Column("inbound_token", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_channel_account_workspace_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_channel_account"),
        sa.UniqueConstraint("inbound_token", name="uq_channel_account_inbound_token"),
        sa.UniqueConstraint(
            "workspace_id", "channel", "address", name="uq_channel_account_workspace_id_channel_address"
        ),
    )
    op.create_index(
        "uq_channel_account_local",
        "channel_account",
        ["address"],
        unique=True,
        postgresql_where=sa.text("smtp_secret IS NULL AND channel = 'EMAIL' AND status <> 'DISCONNECTED'"),
    )
    op.create_table(
        "inbound_event",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("attempt", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("token", sa.Uuid),
        sa.Column("error", sa.Text),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "account_id"],
            ["channel_account.workspace_id", "channel_account.id"],
            name="fk_inbound_event_workspace_id_account_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_inbound_event"),
        sa.UniqueConstraint(
            "workspace_id", "provider", "account_id", "external_id", name="uq_inbound_event_external_id"
        ),
    )
    op.create_index(
        "ix_inbound_event_due",
        "inbound_event",
        ["run_at", "id"],
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "ix_inbound_event_lease",
        "inbound_event",
        ["lease_until"],
        postgresql_where=sa.text("status = 'claimed'"),
    )
    op.create_table(
        "imap_mailbox",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("attempt", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("token", sa.Uuid),
        sa.Column("error", sa.Text),
        sa.Column("uid_validity", sa.BigInteger),
        sa.Column("uid", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "id"],
            ["channel_account.workspace_id", "channel_account.id"],
            name="fk_imap_mailbox_workspace_id_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_imap_mailbox"),
    )
    op.create_index(
        "ix_imap_mailbox_due", "imap_mailbox", ["run_at", "id"], postgresql_where=sa.text("status = 'queued'")
    )
    op.create_index(
        "ix_imap_mailbox_lease",
        "imap_mailbox",
        ["lease_until"],
        postgresql_where=sa.text("status = 'claimed'"),
    )
