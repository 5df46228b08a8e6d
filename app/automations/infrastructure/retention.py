"""How long what rules did is remembered: SKIPPED runs a month, others that have ended three; their receipts with them.

A run that guards against another is kept as long as it does: of a rule that acts once per lead, the one that acted; of
NO_REPLY, the one whose message has had no answer since (docs/decisions/0049).
"""

from sqlalchemy import text

from app.automations.domain.rule import Trigger
from app.automations.domain.run import RunStatus
from app.common.database import Statement
from app.common.work import Work

SKIPPED_DAYS = 30
KEPT_DAYS = 90
DROP_SKIPPED = Statement(
    text(
        f"""
        WITH old AS MATERIALIZED (
            SELECT workspace_id, id FROM automation_run
            WHERE status = '{RunStatus.SKIPPED.value}' AND finished_at < now() - {SKIPPED_DAYS} * interval '1 day'
            LIMIT cast(:limit as bigint) FOR UPDATE SKIP LOCKED
        )
        DELETE FROM automation_run r USING old WHERE (r.workspace_id, r.id) = (old.workspace_id, old.id)
        RETURNING r.id
        """  # noqa: S608 - words of ours
    )
)
ENDED = ", ".join(f"'{one.value}'" for one in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELED))
DROP_ENDED = Statement(
    text(
        f"""
        WITH old AS MATERIALIZED (
            SELECT r.workspace_id, r.id
            FROM automation_run r
                JOIN automation a ON (a.workspace_id, a.id) = (r.workspace_id, r.automation_id)
                JOIN automation_version v ON (v.workspace_id, v.automation_id, v.number)
                    = (a.workspace_id, a.id, a.version)
                LEFT JOIN conversation c ON (c.workspace_id, c.id) = (r.workspace_id, r.conversation_id)
            WHERE r.status IN ({ENDED}) AND r.finished_at < now() - {KEPT_DAYS} * interval '1 day'
                AND (a.deleted_at IS NOT NULL OR r.started_at IS NULL OR NOT (
                    cast(v.rule ->> 'oncePerLead' as boolean)
                    OR v.rule ->> 'trigger' = '{Trigger.NO_REPLY.value}'
                        AND coalesce(c.last_inbound_at < r.started_at, c.id IS NOT NULL)
                ))
            LIMIT cast(:limit as bigint) FOR UPDATE OF r SKIP LOCKED
        )
        DELETE FROM automation_run r USING old WHERE (r.workspace_id, r.id) = (old.workspace_id, old.id)
        RETURNING r.id
        """  # noqa: S608 - words of ours
    )
)


async def drop_old_runs(work: Work, *, limit: int) -> int:
    """Deletes up to `limit`; how many it were."""
    dropped = len(await work.fetch(DROP_SKIPPED, limit=limit))
    if dropped < limit:
        dropped += len(await work.fetch(DROP_ENDED, limit=limit - dropped))
    return dropped
