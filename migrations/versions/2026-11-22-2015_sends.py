"""Sends: templates and their versions, snippets, batches of deliveries and their pace, bulk sends, quiet hours.

A batch's recipients are rows of the one ledger. Deliveries of people's messages are claimed as before; those of a batch
by an index of their own, so that a million of them keep nobody waiting.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

from app.channels.domain.sending_domain import sending_domain_of
from app.common.migrations import as_system, protect

revision = "0009"
down_revision = "0008"

NOW = sa.text("now()")
NEW_ID = sa.text("uuidv7()")
NO = sa.text("false")
ZERO = sa.text("0")
NEW_TABLES = (
    *("template", "template_version", "snippet"),
    *("sending_domain", "send_batch", "send_pace", "bulk_send"),
)
COLUMNS = {
    "workspace": (
        *("quiet_from time", "quiet_to time", "quiet_weekdays integer[]"),
        *("quiet_changed_at timestamptz", "quiet_look_at timestamptz"),
    ),
    "lead": ("time_zone text",),
    "channel_account": (
        *("rate_per_minute integer", "burst integer", "sending_domain text"),
        *("feedback_provider text", "feedback_key text"),
    ),
    "delivery": (
        *("send_batch_id uuid", "time_zone text", "quiet_until timestamptz"),
        *("has_replied boolean NOT NULL DEFAULT false", "has_bounced boolean NOT NULL DEFAULT false"),
        "has_complained boolean NOT NULL DEFAULT false",
    ),
}
IS_BATCH = "send_batch_id IS NOT NULL"
QUEUED_ALONE = "status = 'queued' AND (send_batch_id IS NULL OR resend > 0)"
INDEXES = {
    "ix_delivery_due": f"delivery (run_at, id) WHERE {QUEUED_ALONE}",
    "ix_delivery_account": f"delivery (account_id, run_at, id) WHERE {QUEUED_ALONE}",
    "ix_delivery_batch_due": (
        f"delivery (workspace_id, send_batch_id, run_at, id) WHERE status = 'queued' AND {IS_BATCH} AND resend = 0"
    ),
    "ix_delivery_batch": (
        "delivery (workspace_id, send_batch_id, status, id) INCLUDE (has_replied, has_bounced, has_complained)"
        f" WHERE {IS_BATCH}"
    ),
    "ix_delivery_quiet": "delivery (workspace_id, id) WHERE status = 'queued' AND run_at = quiet_until",
    "ix_workspace_quiet_look": "workspace (quiet_look_at) WHERE quiet_look_at IS NOT NULL",
    "ix_delivery_open": (
        "delivery (workspace_id, conversation_id, position)"
        " WHERE status IN ('queued', 'claimed', 'sending') AND conversation_id IS NOT NULL"
    ),
}
# The zone, or UTC where this server's tzdata has never heard of it: Debian keeps names such as Asia/Calcutta apart. One
# row with such a name would otherwise fail the claims of everybody.
KNOWN_ZONE = """
CREATE FUNCTION known_zone(zone text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM now() AT TIME ZONE zone;
    RETURN zone;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN 'UTC';
END
$$
"""
# When sending is allowed again; NULL: it is allowed at `moment`. Between the two times it is not, nor on other weekdays
# (ISO); the times may span midnight.
QUIET_UNTIL = """
CREATE FUNCTION quiet_until(moment timestamptz, zone text, quiet_from time, quiet_to time, weekdays integer[])
RETURNS timestamptz LANGUAGE sql STABLE
RETURN CASE WHEN quiet_from IS NULL AND weekdays IS NULL THEN NULL ELSE (
    SELECT CASE WHEN min(c.at) > m.local THEN min(c.at) AT TIME ZONE m.zone END
    FROM (SELECT k.zone, moment AT TIME ZONE k.zone AS local FROM known_zone(zone) AS k(zone)) AS m
    CROSS JOIN LATERAL (
        SELECT m.local AS at
        UNION ALL
        SELECT date_trunc('day', m.local) + d * interval '1 day' + s.start
        FROM generate_series(0, 8) AS d, unnest(ARRAY[time '00:00', coalesce(quiet_to, time '00:00')]) AS s(start)
    ) AS c
    WHERE c.at >= m.local
        AND (weekdays IS NULL OR extract(isodow FROM c.at)::integer = ANY (weekdays))
        AND NOT coalesce(
            CASE
                WHEN quiet_from = quiet_to THEN false
                WHEN quiet_from < quiet_to THEN c.at::time >= quiet_from AND c.at::time < quiet_to
                ELSE c.at::time >= quiet_from OR c.at::time < quiet_to
            END, false)
    GROUP BY m.zone, m.local
) END
"""
BEFORE = {
    "ix_delivery_due": "delivery (run_at, id) WHERE status = 'queued'",
    "ix_delivery_account": "delivery (account_id, run_at, id) WHERE status = 'queued'",
    "ix_delivery_open": (
        "delivery (workspace_id, conversation_id, position) WHERE status IN ('queued', 'claimed', 'sending')"
    ),
}


def upgrade() -> None:
    op.execute(KNOWN_ZONE)
    op.execute(QUIET_UNTIL)
    for table, columns in COLUMNS.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    fill_sending_domains()
    create_templates()
    create_batches()
    create_bulk_sends()
    index_deliveries()
    for table in NEW_TABLES:
        protect(table)


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
    op.execute("DROP INDEX uq_delivery_batch_conversation")
    op.execute("DROP INDEX uq_delivery_message")
    op.create_unique_constraint(
        "uq_delivery_workspace_id_message_id", "delivery", ["workspace_id", "message_id"]
    )
    op.execute("ALTER TABLE delivery DROP CONSTRAINT fk_delivery_workspace_id_send_batch_id")
    for table in reversed(NEW_TABLES):
        op.drop_table(table)
    for table, columns in COLUMNS.items():
        for column in columns:
            op.drop_column(table, column.split()[0])
    for name, what in BEFORE.items():
        op.execute(f"CREATE INDEX {name} ON {what}")
    op.execute("DROP FUNCTION quiet_until(timestamptz, text, time, time, integer[])")
    op.execute("DROP FUNCTION known_zone(text)")


def fill_sending_domains() -> None:
    """A workspace has 200 accounts at most. What a domain is, is said in one place."""
    if context.is_offline_mode():  # there are no rows to read
        return
    with as_system():
        accounts = (
            op.get_bind().execute(sa.text("SELECT workspace_id, id, address FROM channel_account")).all()
        )
        domains = [
            {"workspace_id": row.workspace_id, "id": row.id, "domain": domain}
            for row in accounts
            if (domain := sending_domain_of(row.address)) is not None
        ]
        if domains:
            op.get_bind().execute(
                sa.text(
                    "UPDATE channel_account SET sending_domain = :domain "
                    "WHERE workspace_id = :workspace_id AND id = :id"
                ),
                domains,
            )


def workspace_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id"], ["workspace.id"], name=f"fk_{table}_workspace_id", ondelete="CASCADE"
    )


def tenant_key(
    table: str, column: str, referenced: str, ondelete: str | None = None
) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id", column],
        [f"{referenced}.workspace_id", f"{referenced}.id"],
        name=f"fk_{table}_workspace_id_{column}",
        ondelete=ondelete,
    )


def user_key(table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], ["app_user.id"], name=f"fk_{table}_{column}", ondelete="SET NULL"
    )


def thing(table: str) -> tuple[sa.Column, sa.Column, sa.Column, sa.PrimaryKeyConstraint]:
    return (
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=f"pk_{table}"),
    )


def edited() -> tuple[sa.Column, sa.Column]:
    return (
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
    )


def create_templates() -> None:
    op.create_table(
        "template",
        *thing("template"),
        *edited(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("channel", sa.Text),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        workspace_key("template"),
    )
    op.create_index(
        "uq_template_name",
        "template",
        ["workspace_id", sa.text("lower(name)")],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "template_version",
        *thing("template_version"),
        sa.Column("template_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("variables", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("required", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("created_by", sa.Uuid),
        sa.UniqueConstraint(
            "workspace_id",
            "template_id",
            "number",
            name="uq_template_version_workspace_id_template_id_number",
        ),
        tenant_key("template_version", "template_id", "template", "CASCADE"),
        user_key("template_version", "created_by"),
    )
    op.create_table(
        "snippet",
        *thing("snippet"),
        *edited(),
        sa.Column("shortcut", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("workspace_id", "shortcut", name="uq_snippet_workspace_id_shortcut"),
        workspace_key("snippet"),
    )


def create_batches() -> None:
    op.create_table(
        "sending_domain",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("daily_limit", sa.Integer),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "domain", name="pk_sending_domain"),
        workspace_key("sending_domain"),
    )
    op.create_table(
        "send_batch",
        *thing("send_batch"),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("template_version_id", sa.Uuid, nullable=False),
        sa.Column("author_id", sa.Uuid),
        sa.Column("rate_per_minute", sa.Integer),
        sa.Column("burst", sa.Integer),
        workspace_key("send_batch"),
        tenant_key("send_batch", "account_id", "channel_account"),
        tenant_key("send_batch", "template_version_id", "template_version"),
        user_key("send_batch", "author_id"),
    )
    op.create_table(
        "send_pace",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("next_free_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True)),
        sa.Column("served_at", sa.DateTime(timezone=True)),
        sa.Column("brake_until", sa.DateTime(timezone=True)),
        sa.Column("day", sa.Date),
        sa.Column("day_count", sa.Integer, server_default=ZERO, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "kind", "key", name="pk_send_pace"),
        workspace_key("send_pace"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(
        "ix_send_pace_look", "send_pace", ["look_at"], postgresql_where=sa.text("look_at IS NOT NULL")
    )


def create_bulk_sends() -> None:
    op.create_table(
        "bulk_send",
        *thing("bulk_send"),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, server_default=sa.text("'DRAFT'"), nullable=False),
        sa.Column("pause_reason", sa.Text),
        sa.Column("template_id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("filter", JSONB),
        sa.Column("start_at", sa.DateTime(timezone=True)),
        sa.Column("rate_per_minute", sa.Integer),
        sa.Column("burst", sa.Integer),
        sa.Column("created_by", sa.Uuid),
        sa.Column("send_batch_id", sa.Uuid),
        sa.Column("launched_at", sa.DateTime(timezone=True)),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("after_id", sa.Uuid),
        sa.Column("expanded_at", sa.DateTime(timezone=True)),
        sa.Column("exclusions", JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("told", JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("judged_from", JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("attempt", sa.Integer, server_default=ZERO, nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("token", sa.Uuid),
        sa.Column("error", sa.Text),
        workspace_key("bulk_send"),
        tenant_key("bulk_send", "template_id", "template"),
        tenant_key("bulk_send", "account_id", "channel_account"),
        tenant_key("bulk_send", "send_batch_id", "send_batch"),
        user_key("bulk_send", "created_by"),
        sa.UniqueConstraint("workspace_id", "send_batch_id", name="uq_bulk_send_workspace_id_send_batch_id"),
    )
    op.create_index(
        "ix_bulk_send_due", "bulk_send", ["run_at", "id"], postgresql_where=sa.text("status = 'queued'")
    )
    op.create_index(
        "ix_bulk_send_lease", "bulk_send", ["lease_until"], postgresql_where=sa.text("status = 'claimed'")
    )


def index_deliveries() -> None:
    """No row is of a batch yet: what is built here is small, or takes the place of one that was."""
    for name in BEFORE:
        op.execute(f"-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX {name}")
    for name, what in INDEXES.items():
        op.execute(f"-- squawk-ignore require-concurrent-index-creation\nCREATE INDEX {name} ON {what}")
    op.execute(
        "-- squawk-ignore require-concurrent-index-creation\n"
        "CREATE UNIQUE INDEX uq_delivery_batch_conversation ON delivery"
        f" (workspace_id, conversation_id, send_batch_id, step, visit) WHERE {IS_BATCH} AND conversation_id IS NOT NULL"
    )
    op.execute(
        "-- squawk-ignore ban-drop-constraint\n"
        "ALTER TABLE delivery DROP CONSTRAINT uq_delivery_workspace_id_message_id"
    )
    op.execute(
        "-- squawk-ignore require-concurrent-index-creation\n"
        "CREATE UNIQUE INDEX uq_delivery_message ON delivery (workspace_id, message_id) WHERE message_id IS NOT NULL"
    )
    op.execute(
        "-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid\n"
        "ALTER TABLE delivery ADD CONSTRAINT fk_delivery_workspace_id_send_batch_id "
        "FOREIGN KEY (workspace_id, send_batch_id) REFERENCES send_batch (workspace_id, id)"
    )
