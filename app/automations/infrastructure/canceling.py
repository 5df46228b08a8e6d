"""Runs that go no further: their rule was switched off, their lead deleted, their message answered.

A run in a worker's hands loses its token with it: whatever that worker writes finds nothing, unless it came first, and
then this waits for it.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import text

from app.automations.domain.rule import Trigger
from app.automations.domain.run import RunReason, RunStatus
from app.automations.infrastructure.tables import LIVE
from app.common.database import Statement
from app.common.work import Work

CANCELED = f"'{RunStatus.CANCELED.value}'"


def _ended(which: str, status: str, reason: RunReason) -> Statement:
    """`which` selects the ids of `automation_run r`: they are taken one after the other, and asked again then.
    `status` is SQL about one of them."""
    return Statement(
        text(
            f"""
            WITH ended AS MATERIALIZED ({which} FOR NO KEY UPDATE OF r)
            UPDATE automation_run r SET status = {status}, reason = '{reason.value}', finished_at = now(),
                token = NULL, lease_until = NULL
            FROM ended WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.id = ended.id
            RETURNING r.id
            """  # noqa: S608 - words of ours
        )
    )


# What was made since it was switched on again goes on.
STOPPED = _ended(
    f"""
    SELECT r.id FROM automation_run r
    JOIN automation a ON a.workspace_id = cast(:workspace_id as uuid) AND a.id = r.automation_id
    WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.automation_id = any(cast(:automation_ids as uuid[]))
        AND r.{LIVE} AND (NOT a.enabled OR a.deleted_at IS NOT NULL OR a.stopped_at > r.created_at)
    ORDER BY r.id LIMIT cast(:limit as bigint)
    """,  # noqa: S608 - words of ours
    CANCELED,
    RunReason.DISABLED,
)
OF_DELETED = _ended(
    f"""
    SELECT r.id FROM automation_run r
    JOIN lead l ON l.workspace_id = cast(:workspace_id as uuid) AND l.id = r.lead_id AND l.deleted_at IS NOT NULL
    WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.lead_id = any(cast(:lead_ids as uuid[])) AND r.{LIVE}
    ORDER BY r.id
    """,  # noqa: S608 - words of ours
    CANCELED,
    RunReason.LEAD_DELETED,
)
ANSWERED = _ended(
    f"""
    SELECT r.id FROM automation_run r
    JOIN automation_version v ON v.workspace_id = cast(:workspace_id as uuid) AND v.id = r.version_id
        AND v.rule ->> 'trigger' = '{Trigger.NO_REPLY.value}'
    JOIN message m ON m.workspace_id = cast(:workspace_id as uuid) AND m.id = r.message_id
    WHERE r.workspace_id = cast(:workspace_id as uuid)
        AND r.conversation_id = any(cast(:conversation_ids as uuid[])) AND r.conversation_id IS NOT NULL
        AND r.{LIVE} AND EXISTS (
            SELECT FROM message reply
            WHERE reply.workspace_id = cast(:workspace_id as uuid) AND reply.conversation_id = m.conversation_id
                AND reply.position > m.position AND reply.direction = 'INBOUND' AND NOT reply.is_auto_reply
        )
    ORDER BY r.id
    """,  # noqa: S608 - words of ours
    f"CASE WHEN r.started_at IS NULL THEN '{RunStatus.SKIPPED.value}' ELSE {CANCELED} END",
    RunReason.EPISODE_ENDED,
)


async def cancel_stopped(
    work: Work, workspace_id: UUID, automation_ids: Sequence[UUID], *, limit: int
) -> int:
    """Live runs of what was switched off or deleted after they were made; how many, at most `limit`."""
    ended = await work.fetch(
        STOPPED, workspace_id=workspace_id, automation_ids=list(automation_ids), limit=limit
    )
    return len(ended)


async def cancel_of_deleted(work: Work, workspace_id: UUID, lead_ids: Sequence[UUID]) -> None:
    """Those that are deleted still: who was restored since goes on."""
    await work.fetch(OF_DELETED, workspace_id=workspace_id, lead_ids=list(lead_ids))


async def end_answered(work: Work, workspace_id: UUID, conversation_ids: Collection[UUID]) -> None:
    """What acts on a silence that has ended; what it did stays."""
    await work.fetch(ANSWERED, workspace_id=workspace_id, conversation_ids=list(conversation_ids))
