"""Automations: rules and their versions, runs as due rows, a receipt for each action."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from app.common.migrations import protect

revision = "0011"
down_revision = "0010"

NOW = sa.text("now()")
NEW_ID = sa.text("uuidv7()")
ZERO = sa.text("0")
NO = sa.text("false")
TABLES = ("automation", "automation_version", "automation_run", "automation_hour", "automation_step")
LIVE = "status IN ('WAITING', 'RUNNING')"
INDEXES = {
    "ix_automation_run_turn": "(workspace_id, is_bulk, run_at, id) WHERE status = 'WAITING' AND NOT is_call",
    "ix_automation_run_call": "(workspace_id, is_bulk, run_at, id) WHERE status = 'WAITING' AND is_call",
    "ix_automation_run_lease": "(lease_until) WHERE status = 'RUNNING'",
    "ix_automation_run_ended": "(status, finished_at) WHERE finished_at IS NOT NULL",
    "ix_automation_run_list": "(workspace_id, automation_id, id DESC)",
    "ix_automation_run_lead": "(workspace_id, lead_id)",
    "ix_automation_run_conversation": f"(workspace_id, conversation_id) WHERE conversation_id IS NOT NULL AND {LIVE}",
}


def upgrade() -> None:
    op.execute("ALTER TABLE delivery ADD COLUMN stops_on_reply boolean DEFAULT false NOT NULL")
    create_rules()
    create_runs()
    for name, index in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON automation_run {index}")
    live = f"(workspace_id, automation_id, lead_id) WHERE {LIVE}"
    op.execute(f"CREATE UNIQUE INDEX uq_automation_run_live ON automation_run {live}")
    for table in TABLES:
        protect(table)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_column("delivery", "stops_on_reply")


def thing(table: str) -> tuple[sa.Column, sa.Column, sa.Column, sa.PrimaryKeyConstraint]:
    return (
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=f"pk_{table}"),
    )


def tenant_key(
    table: str, column: str, referenced: str, *, ondelete: str | None = None
) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id", column],
        [f"{referenced}.workspace_id", f"{referenced}.id"],
        name=f"fk_{table}_workspace_id_{column}",
        ondelete=ondelete,
    )


def made_by(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["created_by"], ["app_user.id"], name=f"fk_{table}_created_by", ondelete="SET NULL"
    )


def create_rules() -> None:
    op.create_table(
        "automation",
        *thing("automation"),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, server_default=NO, nullable=False),
        sa.Column("enabled_at", sa.DateTime(timezone=True)),
        sa.Column("stopped_at", sa.DateTime(timezone=True)),
        sa.Column("webhook_secret", sa.LargeBinary),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("created_by", sa.Uuid),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_automation_workspace_id", ondelete="CASCADE"
        ),
        made_by("automation"),
    )
    op.create_table(
        "automation_version",
        *thing("automation_version"),
        sa.Column("automation_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("rule", JSONB, nullable=False),
        sa.Column("created_by", sa.Uuid),
        tenant_key("automation_version", "automation_id", "automation", ondelete="CASCADE"),
        made_by("automation_version"),
        sa.UniqueConstraint(
            "workspace_id",
            "automation_id",
            "number",
            name="uq_automation_version_workspace_id_automation_id_number",
        ),
    )


def create_runs() -> None:
    op.create_table(
        "automation_run",
        *thing("automation_run"),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("attempt", sa.Integer, server_default=ZERO, nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("token", sa.Uuid),
        sa.Column("error", sa.Text),
        *(sa.Column(f"{name}_id", sa.Uuid, nullable=False) for name in ("automation", "version", "lead")),
        sa.Column("trigger_seq", sa.BigInteger, nullable=False),
        sa.Column("depth", sa.Integer, server_default=ZERO, nullable=False),
        sa.Column("is_bulk", sa.Boolean, server_default=NO, nullable=False),
        sa.Column("is_call", sa.Boolean, server_default=NO, nullable=False),
        sa.Column("position", sa.Integer, server_default=ZERO, nullable=False),
        sa.Column("conversation_id", sa.Uuid),
        sa.Column("message_id", sa.Uuid),
        sa.Column("reason", sa.Text),
        sa.Column("condition", sa.Integer),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        tenant_key("automation_run", "automation_id", "automation", ondelete="CASCADE"),
        tenant_key("automation_run", "version_id", "automation_version"),
        tenant_key("automation_run", "lead_id", "lead", ondelete="CASCADE"),
        sa.UniqueConstraint(
            "workspace_id", "automation_id", "lead_id", "trigger_seq", name="uq_automation_run_trigger"
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "automation_hour",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("automation_id", sa.Uuid, nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("runs", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "automation_id", name="pk_automation_hour"),
        tenant_key("automation_hour", "automation_id", "automation", ondelete="CASCADE"),
    )
    op.create_table(
        "automation_step",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("run_id", sa.Uuid, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("visit", sa.Integer, server_default=ZERO, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("detail", JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("workspace_id", "run_id", "position", "visit", name="pk_automation_step"),
        tenant_key("automation_step", "run_id", "automation_run", ondelete="CASCADE"),
    )
