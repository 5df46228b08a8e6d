"""What automations hold of a person: the runs at them, with the receipt of each action."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.exporting import Section
from app.common.work import Reads

SECTIONS = {
    "automationRuns": """
        SELECT r.id, r.lead_id AS "leadId", r.automation_id AS "automationId", a.name AS automation,
            v.number AS "automationVersion", v.rule -> 'trigger' AS trigger, r.status, r.reason, r.condition,
            r.conversation_id AS "conversationId", r.message_id AS "messageId", r.created_at AS "createdAt",
            r.run_at AS "runAt", r.started_at AS "startedAt", r.finished_at AS "finishedAt", (
                SELECT coalesce(jsonb_agg(jsonb_build_object('position', s.position, 'visit', s.visit,
                    'action', s.action, 'result', s.result, 'detail', s.detail, 'at', s.at)
                    ORDER BY s.position, s.visit), '[]')
                FROM automation_step s WHERE s.workspace_id = r.workspace_id AND s.run_id = r.id
            ) AS steps
        FROM automation_run r
            JOIN automation a ON (a.workspace_id, a.id) = (r.workspace_id, r.automation_id)
            JOIN automation_version v ON (v.workspace_id, v.id) = (r.workspace_id, r.version_id)
        WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY r.created_at, r.id
    """,
}
STATEMENTS = {name: Statement(text(sql)) for name, sql in SECTIONS.items()}


def export_runs(reads: Reads, workspace_id: UUID, lead_ids: Sequence[UUID]) -> Mapping[str, Section]:
    given = {"workspace_id": workspace_id, "lead_ids": list(lead_ids)}
    return {name: reads.stream(statement, **given) for name, statement in STATEMENTS.items()}
