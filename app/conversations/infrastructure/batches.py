"""Batches of deliveries: made, switched together, and what is left of a canceled one."""

from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work
from app.conversations.domain.batch import BatchStatus
from app.conversations.domain.delivery import Reason
from app.conversations.domain.events import MessageUpdated
from app.conversations.domain.message import MessageStatus

CREATE = Statement(
    text(
        """
        INSERT INTO send_batch (workspace_id, id, status, account_id, template_version_id, author_id, rate_per_minute,
            burst)
        VALUES (cast(:workspace_id as uuid), cast(:id as uuid), cast(:status as text), cast(:account_id as uuid),
            cast(:template_version_id as uuid), cast(:author_id as uuid), cast(:rate_per_minute as integer),
            cast(:burst as integer))
        """
    )
)
# Waits for the intents that hold it FOR SHARE, and a canceled one stays so.
SWITCH = Statement(
    text(
        """
        UPDATE send_batch SET status = cast(:status as text)
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND status <> 'CANCELED'
        RETURNING id
        """
    )
)
# Those that a worker has claimed come back to be queued: their intent finds the batch canceled. One that was tried
# before has a message, which shows what became of it. What a person sends again is that person's, and goes.
CANCEL_REST = Statement(
    text(
        """
        WITH rest AS MATERIALIZED (
            SELECT workspace_id, id FROM delivery
            WHERE workspace_id = cast(:workspace_id as uuid) AND send_batch_id = cast(:id as uuid)
                AND status = 'queued' AND resend = 0
            ORDER BY run_at, id LIMIT cast(:limit as bigint)
            FOR NO KEY UPDATE SKIP LOCKED
        ), canceled AS (
            UPDATE delivery d SET status = 'canceled', error = cast(:reason as text), token = NULL, lease_until = NULL
            FROM rest WHERE d.workspace_id = rest.workspace_id AND d.id = rest.id
            RETURNING d.workspace_id, d.message_id
        ), shown AS (
            UPDATE message m SET status = 'CANCELED', error = cast(:reason as text)
            FROM canceled c
            WHERE m.workspace_id = c.workspace_id AND m.id = c.message_id
            RETURNING m.id, m.conversation_id, old.status AS shown
        )
        SELECT (SELECT count(*) FROM canceled) AS count, s.id, s.conversation_id, s.shown
        FROM (SELECT) AS one LEFT JOIN shown s ON true
        """
    )
)


async def create_batch(
    work: Work,
    workspace_id: UUID,
    batch_id: UUID,
    *,
    account_id: UUID,
    template_version_id: UUID,
    author_id: UUID | None,
    rate_per_minute: int | None,
    burst: int | None,
    status: BatchStatus,
) -> None:
    """PAUSED: recipients may be added, and none is sent to yet. `start_pace` is what has it looked at."""
    await work.fetch(
        CREATE,
        workspace_id=workspace_id,
        id=batch_id,
        status=status.value,
        account_id=account_id,
        template_version_id=template_version_id,
        author_id=author_id,
        rate_per_minute=rate_per_minute,
        burst=burst,
    )


async def switch_batch(work: Work, workspace_id: UUID, batch_id: UUID, status: BatchStatus) -> bool:
    """In force once it commits: nothing more of it is handed over but what was under way. False: it is canceled
    already, for good."""
    return bool(await work.fetch(SWITCH, workspace_id=workspace_id, id=batch_id, status=status.value))


async def cancel_rest(work: Work, workspace_id: UUID, batch_id: UUID, *, limit: int) -> int:
    """Cancels recipients of a canceled batch that nobody has in hand; how many. What is on its way ends by itself."""
    rows = await work.fetch(
        CANCEL_REST,
        workspace_id=workspace_id,
        id=batch_id,
        limit=limit,
        reason=Reason.BULK_SEND_CANCELED.value,
    )
    for row in rows:
        if row["id"] is not None:
            work.announce(_message_canceled(row))
    return int(rows[0]["count"])


def _message_canceled(row: asyncpg.Record) -> MessageUpdated:
    return MessageUpdated(
        entity_ids=[row["id"]],
        before={"status": row["shown"]},
        after={"status": MessageStatus.CANCELED, "conversationId": str(row["conversation_id"])},
    )
