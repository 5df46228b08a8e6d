"""What conversations hold of a person: every message with its attachments, drafts, deliveries and their attempts."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.exporting import LinksFiles, Section
from app.common.work import Reads

SECTIONS = {
    "conversations": """
        SELECT c.id, c.lead_id AS "leadId", c.account_id AS "accountId", a.address AS "accountAddress", c.channel,
            c.contact_address AS "contactAddress", c.status, c.is_dormant AS "isDormant",
            c.assignee_id AS "assigneeId", c.snoozed_until AS "snoozedUntil", c.subject,
            c.created_at AS "createdAt", c.last_message_at AS "lastMessageAt", c.last_inbound_at AS "lastInboundAt",
            c.last_outbound_at AS "lastOutboundAt", c.message_count AS "messageCount",
            c.inbound_count AS "inboundCount"
        FROM conversation c
            JOIN channel_account a ON (a.workspace_id, a.id) = (c.workspace_id, c.account_id)
        WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY c.created_at, c.id
    """,
    "messages": """
        SELECT m.id, m.conversation_id AS "conversationId", m.position, m.direction, m.author_kind AS "authorKind",
            m.author_id AS "authorId", m.subject, m.body, m.quoted_text AS "quotedText", m.html_body AS "htmlBody",
            m.status, m.error, m.not_before AS "notBefore", m.sent_at AS "sentAt", m.created_at AS "createdAt",
            m.is_auto_reply AS "isAutoReply", m.external_id AS "externalId", m.rfc_message_id AS "rfcMessageId",
            m.thread_ids AS "threadIds"
        FROM conversation c JOIN message m ON (m.workspace_id, m.conversation_id) = (c.workspace_id, c.id)
        WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY c.created_at, c.id, m.position
    """,
    "attachments": """
        SELECT a.id, a.message_id AS "messageId", a.position, a.file_id AS "fileId", f.name,
            f.media_type AS "mediaType", f.size, encode(f.sha256, 'hex') AS sha256, f.created_at AS "createdAt"
        FROM conversation c
            JOIN message m ON (m.workspace_id, m.conversation_id) = (c.workspace_id, c.id)
            JOIN attachment a ON (a.workspace_id, a.message_id) = (m.workspace_id, m.id)
            JOIN file f ON (f.workspace_id, f.id) = (a.workspace_id, a.file_id)
        WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY c.created_at, c.id, m.position, a.position
    """,
    "drafts": """
        SELECT d.conversation_id AS "conversationId", d.user_id AS "userId", d.body, d.updated_at AS "updatedAt"
        FROM conversation c JOIN draft d ON (d.workspace_id, d.conversation_id) = (c.workspace_id, c.id)
        WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY c.created_at, c.id, d.user_id
    """,
    "deliveries": """
        SELECT d.id, d.lead_id AS "leadId", d.account_id AS "accountId", d.origin_kind AS "originKind",
            d.origin_id AS "originId", d.step, d.visit, d.conversation_id AS "conversationId",
            d.message_id AS "messageId", d.status, d.error, d.run_at AS "runAt", d.resend,
            d.provider_id AS "providerId", d.created_at AS "createdAt", (
                SELECT coalesce(jsonb_agg(jsonb_build_object('n', t.n, 'resend', t.resend, 'startedAt', t.started_at,
                    'endedAt', t.ended_at, 'outcome', t.outcome, 'providerCode', t.provider_code) ORDER BY t.n), '[]')
                FROM delivery_attempt t WHERE t.workspace_id = d.workspace_id AND t.delivery_id = d.id
            ) AS attempts
        FROM delivery d
        WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.lead_id = ANY (cast(:lead_ids as uuid[]))
        ORDER BY d.created_at, d.id
    """,
}
STATEMENTS = {name: Statement(text(sql)) for name, sql in SECTIONS.items()}


def export_conversations(
    reads: Reads, workspace_id: UUID, lead_ids: Sequence[UUID], link: LinksFiles | None
) -> Mapping[str, Section]:
    """`link`: each attachment tells where its bytes are."""
    given = {"workspace_id": workspace_id, "lead_ids": list(lead_ids)}
    sections = {name: reads.stream(statement, **given) for name, statement in STATEMENTS.items()}
    if link is not None:
        sections["attachments"] = _linked(sections["attachments"], link)
    return sections


async def _linked(attachments: Section, link: LinksFiles) -> Section:
    async for row in attachments:
        file_id = row["fileId"]
        assert isinstance(file_id, UUID)
        yield {**row, "url": link(file_id)}
