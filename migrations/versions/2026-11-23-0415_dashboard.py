"""The dashboard: when a delivery came to its end, what a person's answer was waited for, and what counts both."""

from alembic import op

from app.common.migrations import as_system

revision = "0013"
down_revision = "0012"

INDEXES = {
    "ix_delivery_settled": "delivery (workspace_id, status, settled_at) INCLUDE (lead_id) WHERE settled_at IS NOT NULL",
    "ix_delivery_answer": (
        "delivery (workspace_id, settled_at) INCLUDE (answers_since)"
        " WHERE status = 'sent' AND answers_since IS NOT NULL"
    ),
    "ix_message_received": "message (workspace_id, created_at) WHERE direction = 'INBOUND'",
    "ix_automation_run_began": "automation_run (workspace_id, started_at) WHERE started_at IS NOT NULL",
    "ix_automation_run_skipped": "automation_run (workspace_id, finished_at) WHERE status = 'SKIPPED'",
}
NEWEST = "lead (workspace_id, created_at DESC, id DESC)"
LIVE = "WHERE deleted_at IS NULL"
SETTLED = """
UPDATE delivery d SET settled_at = coalesce(
    CASE WHEN d.status = 'sent' THEN (
        SELECT m.sent_at FROM message m WHERE (m.workspace_id, m.id) = (d.workspace_id, d.message_id)
    ) END,
    (
        SELECT max(coalesce(a.ended_at, a.started_at)) FROM delivery_attempt a
        WHERE (a.workspace_id, a.delivery_id) = (d.workspace_id, d.id)
    ),
    d.created_at
)
WHERE d.status IN ('sent', 'failed', 'unknown')
"""
# Of each message that came in, the first that a person wrote after it; of what one such message answers, the oldest.
ANSWERS = """
WITH answered AS (
    SELECT i.workspace_id, answer.message_id, min(i.created_at) AS since
    FROM message i CROSS JOIN LATERAL (
        SELECT o.id AS message_id FROM message o
            JOIN delivery d ON (d.workspace_id, d.message_id) = (o.workspace_id, o.id)
        WHERE (o.workspace_id, o.conversation_id) = (i.workspace_id, i.conversation_id) AND o.position > i.position
            AND o.direction = 'OUTBOUND' AND o.status <> 'CANCELED' AND d.send_batch_id IS NULL
        ORDER BY o.position LIMIT 1
    ) answer
    WHERE i.direction = 'INBOUND' AND NOT i.is_auto_reply
    GROUP BY i.workspace_id, answer.message_id
)
UPDATE delivery d SET answers_since = a.since
FROM answered a
WHERE (d.workspace_id, d.message_id) = (a.workspace_id, a.message_id)
"""


def upgrade() -> None:
    op.execute("ALTER TABLE delivery ADD COLUMN settled_at timestamptz")
    op.execute("ALTER TABLE delivery ADD COLUMN answers_since timestamptz")
    with as_system():
        op.execute(SETTLED)
        op.execute(ANSWERS)
    for name, what in INDEXES.items():
        create_index(name, what)
    drop_index("ix_lead_newest")
    create_index("ix_lead_newest", f"{NEWEST} INCLUDE (stage_id) {LIVE}")


def downgrade() -> None:
    drop_index("ix_lead_newest")
    create_index("ix_lead_newest", f"{NEWEST} {LIVE}")
    for name in reversed(INDEXES):
        drop_index(name)
    for column in ("answers_since", "settled_at"):
        op.drop_column("delivery", column)


def create_index(name: str, what: str) -> None:
    """The migration holds its tables until it has told what was sent before: building beside it adds little wait."""
    op.execute(f"-- squawk-ignore require-concurrent-index-creation\nCREATE INDEX {name} ON {what}")


def drop_index(name: str) -> None:
    op.execute(f"-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX {name}")
