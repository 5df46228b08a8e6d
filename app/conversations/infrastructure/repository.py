"""Implements the port `Conversations`."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.accounts.wiring import held_member_name
from app.common.database import Statement
from app.common.work import Work
from app.conversations.domain.conversation import Conversation, ConversationStatus
from app.conversations.domain.errors import ConversationNotFound, MessageNotFound
from app.conversations.domain.inbox_ports import Started

GET = Statement(
    text(
        """
        SELECT id, lead_id, status, is_dormant, assignee_id, snoozed_until, now() AS now FROM conversation
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND EXISTS (
            SELECT FROM lead l
            WHERE l.workspace_id = conversation.workspace_id AND l.id = lead_id AND l.deleted_at IS NULL
        )
        FOR NO KEY UPDATE
        """
    )
)
SAVE = Statement(
    text(
        """
        UPDATE conversation SET status = :status, is_dormant = cast(:is_dormant as boolean),
            assignee_id = cast(:assignee_id as uuid), snoozed_until = cast(:snoozed_until as timestamptz),
            updated_at = now()
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) RETURNING id
        """
    )
)
# The address belongs to one lead of the workspace: a conversation that is there goes to whom it belongs to now.
START = Statement(
    text(
        """
        WITH reached AS (
            SELECT id, email FROM lead
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid) AND deleted_at IS NULL
            FOR SHARE
        ), account AS (
            SELECT id, channel, status <> 'DISCONNECTED' AS is_connected FROM channel_account
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:account_id as uuid)
        ), made AS (
            INSERT INTO conversation (workspace_id, id, lead_id, account_id, channel, contact_address)
            SELECT cast(:workspace_id as uuid), cast(:new_id as uuid), reached.id, account.id, account.channel,
                reached.email
            FROM reached, account WHERE reached.email IS NOT NULL AND account.is_connected
            ON CONFLICT (workspace_id, account_id, contact_address)
                DO UPDATE SET lead_id = excluded.lead_id, updated_at = now()
            RETURNING conversation.id, old.id IS NULL AS is_new, old.lead_id <> new.lead_id AS is_repointed
        )
        SELECT EXISTS (SELECT FROM reached) AS has_lead, (SELECT email IS NOT NULL FROM reached) AS has_address,
            EXISTS (SELECT FROM account) AS has_account, (SELECT is_connected FROM account) AS is_connected,
            made.id, made.is_new, made.is_repointed
        FROM (SELECT) AS always LEFT JOIN made ON true
        """
    )
)
MARK_READ = Statement(
    text(
        """
        WITH target AS (
            SELECT c.id, CASE WHEN cast(:up_to as uuid) IS NULL THEN c.inbound_count ELSE (
                SELECT m.inbound_count FROM message m
                WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = cast(:up_to as uuid)
                    AND m.conversation_id = c.id
            ) END AS count
            FROM conversation c WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.id = cast(:id as uuid)
                AND EXISTS (
                    SELECT FROM lead l
                    WHERE l.workspace_id = c.workspace_id AND l.id = c.lead_id AND l.deleted_at IS NULL
                )
            FOR KEY SHARE OF c
        ), moved AS (
            INSERT INTO conversation_read AS r (workspace_id, user_id, conversation_id, inbound_count_read)
            SELECT cast(:workspace_id as uuid), cast(:user_id as uuid), target.id, target.count
            FROM target WHERE target.count > 0
            ON CONFLICT (workspace_id, user_id, conversation_id)
                DO UPDATE SET inbound_count_read = excluded.inbound_count_read, updated_at = now()
                WHERE r.inbound_count_read < excluded.inbound_count_read
            RETURNING 1
        )
        SELECT target.count, EXISTS (SELECT FROM moved) AS has_moved FROM target
        """
    )
)
SAVE_DRAFT = Statement(
    text(
        """
        WITH target AS (
            SELECT c.id FROM conversation c
            JOIN lead l ON l.workspace_id = c.workspace_id AND l.id = c.lead_id AND l.deleted_at IS NULL
            WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.id = cast(:id as uuid)
            FOR KEY SHARE OF c
        ), saved AS (
            INSERT INTO draft (workspace_id, user_id, conversation_id, body)
            SELECT cast(:workspace_id as uuid), cast(:user_id as uuid), target.id, cast(:body as text)
            FROM target WHERE cast(:body as text) IS NOT NULL
            ON CONFLICT (workspace_id, user_id, conversation_id)
                DO UPDATE SET body = excluded.body, updated_at = now()
        ), dropped AS (
            DELETE FROM draft WHERE workspace_id = cast(:workspace_id as uuid) AND user_id = cast(:user_id as uuid)
                AND conversation_id = cast(:id as uuid) AND cast(:body as text) IS NULL
        )
        SELECT id FROM target
        """
    )
)
# The lead first, as everywhere.
IS_OF_LEAD = Statement(
    text(
        """
        WITH held AS MATERIALIZED (
            SELECT id FROM lead WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid)
            FOR SHARE
        )
        SELECT id FROM conversation
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
            AND lead_id = (SELECT held.id FROM held)
        FOR KEY SHARE
        """
    )
)


class ConversationRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def get(self, workspace_id: UUID, id: UUID) -> tuple[Conversation, datetime]:
        # Twice: in the statement that waited for a merge the conversation is still another lead's.
        row = await self._work.fetch_one(GET, workspace_id=workspace_id, id=id) or await self._work.fetch_one(
            GET, workspace_id=workspace_id, id=id
        )
        if row is None:
            raise ConversationNotFound
        conversation = Conversation(
            id=row["id"],
            lead_id=row["lead_id"],
            status=ConversationStatus(row["status"]),
            is_dormant=row["is_dormant"],
            assignee_id=row["assignee_id"],
            snoozed_until=row["snoozed_until"],
        )
        return conversation, row["now"]

    async def save(self, workspace_id: UUID, conversation: Conversation) -> None:
        saved = await self._work.fetch(
            SAVE,
            workspace_id=workspace_id,
            id=conversation.id,
            status=conversation.status.value,
            is_dormant=conversation.is_dormant,
            assignee_id=conversation.assignee_id,
            snoozed_until=conversation.snoozed_until,
        )
        if not saved:
            raise ConversationNotFound

    async def start(self, workspace_id: UUID, new_id: UUID, *, lead_id: UUID, account_id: UUID) -> Started:
        row = await self._work.fetch_one(
            START, workspace_id=workspace_id, new_id=new_id, lead_id=lead_id, account_id=account_id
        )
        assert row is not None
        return Started(
            has_lead=row["has_lead"],
            has_address=bool(row["has_address"]),
            has_account=row["has_account"],
            is_connected=bool(row["is_connected"]),
            id=row["id"],
            is_new=bool(row["is_new"]),
            is_repointed=bool(row["is_repointed"]),
        )

    async def member_name(self, workspace_id: UUID, user_id: UUID) -> str | None:
        return await held_member_name(self._work, workspace_id, user_id)

    async def mark_read(self, workspace_id: UUID, id: UUID, *, user_id: UUID, up_to: UUID | None) -> bool:
        row = await self._work.fetch_one(
            MARK_READ, workspace_id=workspace_id, id=id, user_id=user_id, up_to=up_to
        )
        if row is None:
            raise ConversationNotFound
        if row["count"] is None:
            raise MessageNotFound("upToMessageId")
        return bool(row["has_moved"])

    async def save_draft(self, workspace_id: UUID, id: UUID, *, user_id: UUID, body: str | None) -> None:
        if not await self._work.fetch(
            SAVE_DRAFT, workspace_id=workspace_id, id=id, user_id=user_id, body=body
        ):
            raise ConversationNotFound("conversationId")

    async def is_of_lead(self, workspace_id: UUID, id: UUID, *, lead_id: UUID) -> bool:
        return bool(await self._work.fetch(IS_OF_LEAD, workspace_id=workspace_id, id=id, lead_id=lead_id))
