"""Messages that count for scores: those that were sent, and what people wrote themselves."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import Channel
from app.common.work import Reads
from app.leads.domain.scoring import Exchanged, ScoreEventKind

# What was sent has its own moment; what came in says whatever it likes in its header.
EXCHANGED = Statement(
    text(
        """
        SELECT m.id, c.lead_id, c.id AS conversation_id, c.channel, m.direction = 'INBOUND' AS is_received,
            CASE WHEN m.direction = 'INBOUND' THEN m.created_at ELSE coalesce(m.sent_at, m.created_at) END AS at
        FROM message m JOIN conversation c ON (c.workspace_id, c.id) = (m.workspace_id, m.conversation_id)
        WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = ANY (cast(:ids as uuid[]))
            AND NOT m.is_auto_reply
        """
    )
)


async def exchanged_messages(reads: Reads, workspace_id: UUID, ids: Sequence[UUID]) -> list[Exchanged]:
    """Of messages that were received or sent: whose they are now; automatic replies and erased ones left out."""
    rows = await reads.fetch(EXCHANGED, workspace_id=workspace_id, ids=list(ids)) if ids else []
    return [
        Exchanged(
            row["id"],
            row["lead_id"],
            row["conversation_id"],
            ScoreEventKind.MESSAGE_RECEIVED if row["is_received"] else ScoreEventKind.MESSAGE_SENT,
            Channel(row["channel"]),
            row["at"],
        )
        for row in rows
    ]
