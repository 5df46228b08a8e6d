"""Facts of many leads in one statement, and of many messages in another."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.automations.domain.facts import Facts, MessageFacts
from app.common.database import Statement
from app.common.work import Reads

OF_LEADS = Statement(
    text(
        """
        SELECT l.id AS lead_id, l.source, l.stage_id, l.owner_id, l.score, l.email, l.company, l.title, l.engagement,
            ARRAY(
                SELECT t.tag_id FROM lead_tag t
                WHERE t.workspace_id = cast(:workspace_id as uuid) AND t.lead_id = l.id
            ) AS tag_ids
        FROM lead l
        WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = any(cast(:lead_ids as uuid[]))
            AND l.deleted_at IS NULL
        """
    )
)
OF_MESSAGES = Statement(
    text(
        """
        SELECT m.id, m.conversation_id, c.lead_id, c.channel, m.direction = 'INBOUND' AS is_inbound, m.is_auto_reply,
            m.author_kind, m.position, coalesce(m.sent_at, m.created_at) AS sent_at,
            CASE WHEN cast(:with_text as bool) THEN m.body END AS body,
            EXISTS (
                SELECT FROM message later
                WHERE later.workspace_id = cast(:workspace_id as uuid) AND later.conversation_id = m.conversation_id
                    AND later.position > m.position AND later.direction = 'INBOUND' AND NOT later.is_auto_reply
            ) AS is_answered
        FROM message m
        JOIN conversation c ON c.workspace_id = cast(:workspace_id as uuid) AND c.id = m.conversation_id
        WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = any(cast(:message_ids as uuid[]))
        """
    )
)


async def facts_of(reads: Reads, workspace_id: UUID, lead_ids: Sequence[UUID]) -> dict[UUID, Facts]:
    """Of those that are there and live; without what an event adds (`with_event`)."""
    rows = await reads.fetch(OF_LEADS, workspace_id=workspace_id, lead_ids=list(lead_ids))
    return {
        row["lead_id"]: Facts(
            lead_id=row["lead_id"],
            source=row["source"],
            stage_id=row["stage_id"],
            tag_ids=frozenset(row["tag_ids"]),
            owner_id=row["owner_id"],
            score=row["score"],
            email=row["email"],
            company=row["company"],
            title=row["title"],
            engagement=row["engagement"],
        )
        for row in rows
    }


async def messages_of(
    reads: Reads, workspace_id: UUID, message_ids: Sequence[UUID], *, with_text: bool
) -> dict[UUID, MessageFacts]:
    """Of those that are there. `with_text`: a rule asks for it (`asks_for_text`)."""
    rows = await reads.fetch(
        OF_MESSAGES, workspace_id=workspace_id, message_ids=list(message_ids), with_text=with_text
    )
    return {row["id"]: MessageFacts(**row) for row in rows}
