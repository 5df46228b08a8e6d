"""Scores: the rules of each workspace, the messages that count, the sweep that lets points fade."""

import sqlalchemy as sa
from alembic import op

from app.common.migrations import as_system, protect

revision = "0012"
down_revision = "0011"

NOW = sa.text("now()")
TABLES = ("score_rule", "score_event", "score_sweep")
INDEXES = {
    "ix_score_event_lead": "score_event (workspace_id, lead_id, kind, at DESC)",
    "ix_score_sweep_due": "score_sweep (run_at, id) WHERE status = 'WAITING'",
    "ix_score_sweep_lease": "score_sweep (lease_until) WHERE status = 'RUNNING'",
}
# What a new lead has is scored as it is written: an import of a million would else write each lead twice.
FIRST_SCORE = """
CREATE FUNCTION first_score(of_workspace uuid, email text, phone text, company text, title text, source text)
RETURNS int LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(r.points), 0)::int FROM score_rule r
    WHERE r.workspace_id = of_workspace AND CASE r.event
        WHEN 'HAS_EMAIL' THEN email IS NOT NULL
        WHEN 'HAS_PHONE' THEN phone IS NOT NULL
        WHEN 'HAS_COMPANY' THEN company IS NOT NULL
        WHEN 'HAS_TITLE' THEN title IS NOT NULL
        WHEN 'IMPORTED' THEN source NOT IN ('MANUAL', 'EMAIL') AND source = coalesce(r.value, source)
        ELSE false
    END
$$
"""
# Workspaces that there are begin like new ones; their leads are scored by the first sweep.
ADD_RULES = """
INSERT INTO score_rule (workspace_id, position, event, points, half_life_days)
SELECT w.id, r.position, r.event, r.points, r.half_life_days
FROM workspace w CROSS JOIN (VALUES
    (0, 'MESSAGE_RECEIVED', 20, 14), (1, 'HAS_EMAIL', 5, NULL), (2, 'HAS_PHONE', 5, NULL), (3, 'HAS_COMPANY', 5, NULL),
    (4, 'HAS_TITLE', 5, NULL)
) AS r(position, event, points, half_life_days)
"""
ADD_SWEEPS = """
INSERT INTO score_sweep (workspace_id, id, status, time_zone, day, last_day, after_id, is_told)
SELECT w.id, w.id, 'WAITING', w.time_zone, (now() AT TIME ZONE known_zone(w.time_zone))::date,
    (now() AT TIME ZONE known_zone(w.time_zone))::date, '00000000-0000-0000-0000-000000000000', false
FROM workspace w
"""


def upgrade() -> None:
    create_rules()
    create_events()
    create_sweeps()
    for name, index in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON {index}")
    for table in TABLES:
        protect(table)
    op.execute(FIRST_SCORE)
    with as_system():
        op.execute(ADD_RULES)
        op.execute(ADD_SWEEPS)


def downgrade() -> None:
    op.execute("DROP FUNCTION first_score(uuid, text, text, text, text, text)")
    for table in reversed(TABLES):
        op.drop_table(table)


def create_rules() -> None:
    op.create_table(
        "score_rule",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("value", sa.Text),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("half_life_days", sa.Integer),
        sa.PrimaryKeyConstraint("workspace_id", "position", name="pk_score_rule"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_score_rule_workspace_id", ondelete="CASCADE"
        ),
    )


def create_events() -> None:
    op.create_table(
        "score_event",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("lead_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Uuid, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_score_event"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "lead_id"],
            ["lead.workspace_id", "lead.id"],
            name="fk_score_event_workspace_id_lead_id",
            ondelete="CASCADE",
        ),
    )


def create_sweeps() -> None:
    op.create_table(
        "score_sweep",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("attempt", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("token", sa.Uuid),
        sa.Column("error", sa.Text),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date, nullable=False),
        sa.Column("after_id", sa.Uuid),
        sa.Column("is_told", sa.Boolean, server_default=sa.text("true"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_score_sweep"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_score_sweep_workspace_id", ondelete="CASCADE"
        ),
    )
