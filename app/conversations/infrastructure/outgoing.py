"""Implements the port Outgoing: message, conversation and ledger row move together, each in one statement.

Whoever writes here holds the conversation's row lock first, then the delivery's, then the message's.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, Uuid, bindparam, text

from app.common.database import Statement
from app.common.domain import Channel
from app.common.work import Reads, Work
from app.conversations.domain.conversation import ConversationStatus
from app.conversations.domain.message import MessageStatus, sources
from app.conversations.domain.policy import Standing
from app.conversations.domain.search import search_text
from app.conversations.domain.sending import AttachedFile, Outbox
from app.conversations.infrastructure.search import LEXEMES
from app.conversations.infrastructure.standings import standings

OPEN = """
    SELECT c.id, c.account_id, c.lead_id, c.channel, c.contact_address, c.status, c.is_dormant, c.subject,
        c.message_count, l.name AS lead_name, now() AS now,
        l.deleted_at IS NOT NULL AS is_lead_deleted
    FROM conversation c
        JOIN lead l ON (l.workspace_id, l.id) = (c.workspace_id, c.lead_id){source}
    WHERE c.workspace_id = cast(:workspace_id as uuid) AND {condition}
    FOR UPDATE OF c
"""
OPEN_CONVERSATION = Statement(text(OPEN.format(source="", condition="c.id = cast(:conversation_id as uuid)")))
OPEN_BY_MESSAGE = Statement(
    text(
        OPEN.format(
            source=" JOIN message m ON (m.workspace_id, m.conversation_id) = (c.workspace_id, c.id)",
            condition="m.id = cast(:message_id as uuid) AND m.direction = 'OUTBOUND'",
        )
    )
)
STATUS = Statement(
    text(
        """
        SELECT status FROM message
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:message_id as uuid)
        """
    )
)
ADD = Statement(
    text(
        """
        WITH place AS (
            UPDATE conversation SET message_count = message_count + 1, activity_at = greatest(activity_at, now()),
                last_message_id = cast(:message_id as uuid), last_message_at = now(), last_outbound_at = now(),
                waiting_since = NULL, status = 'OPEN', snoozed_until = NULL, is_dormant = false,
                subject = cast(:subject as text), updated_at = now()
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:conversation_id as uuid)
            RETURNING workspace_id, id, account_id, lead_id, message_count AS position, inbound_count,
                old.waiting_since AS answers_since
        ), said AS (
            INSERT INTO message (workspace_id, id, conversation_id, position, account_id, direction, author_kind,
                author_id, subject, body, status, not_before, inbound_count, lexemes)
            SELECT workspace_id, cast(:message_id as uuid), id, position, account_id, 'OUTBOUND', 'HUMAN',
                cast(:author_id as uuid), cast(:subject as text), cast(:body as text),
                CASE WHEN cast(:not_before as timestamptz) IS NULL THEN 'QUEUED' ELSE 'SCHEDULED' END,
                cast(:not_before as timestamptz), inbound_count, {lexemes}
            FROM place
        ), attached AS (
            INSERT INTO attachment (workspace_id, message_id, file_id, position)
            SELECT workspace_id, cast(:message_id as uuid), f.id, f.n
            FROM place, unnest(:file_ids) WITH ORDINALITY AS f(id, n)
        ), due AS (
            INSERT INTO delivery (workspace_id, status, run_at, account_id, lead_id, origin_kind, origin_id,
                conversation_id, position, message_id, time_zone, answers_since)
            SELECT workspace_id, 'queued', coalesce(cast(:not_before as timestamptz), now()), account_id, lead_id,
                'MESSAGE', cast(:message_id as uuid), id, position, cast(:message_id as uuid),
                cast(:time_zone as text), answers_since
            FROM place
        )
        SELECT position FROM place
        """.replace("{lexemes}", LEXEMES)
    ).bindparams(bindparam("file_ids", type_=ARRAY(Uuid)))
)
CANCEL = Statement(
    text(
        """
        WITH moved AS (
            UPDATE delivery SET status = 'canceled', error = cast(:reason as text), token = NULL, lease_until = NULL
            WHERE workspace_id = cast(:workspace_id as uuid) AND message_id = cast(:message_id as uuid)
                AND status IN ('queued', 'claimed')
            RETURNING message_id
        ), shown AS (
            UPDATE message m SET status = 'CANCELED', error = cast(:reason as text)
            FROM moved, message before
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = moved.message_id
                AND before.workspace_id = m.workspace_id AND before.id = m.id AND m.status = ANY (:sources)
            RETURNING before.status
        ), answered AS (
            SELECT coalesce(max(m.position), 0) AS position FROM message m
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.direction = 'OUTBOUND'
                AND m.conversation_id = cast(:conversation_id as uuid) AND m.id <> cast(:message_id as uuid)
                AND m.status NOT IN ('CANCELED', 'FAILED') AND NOT EXISTS (
                    SELECT FROM delivery b
                    WHERE b.workspace_id = m.workspace_id AND b.message_id = m.id
                        AND (b.send_batch_id IS NOT NULL OR b.origin_kind = 'AUTOMATION')
                )
        ), waiting AS (
            UPDATE conversation c SET updated_at = now(), waiting_since = (
                SELECT min(m.created_at) FROM message m
                WHERE m.workspace_id = c.workspace_id AND m.conversation_id = c.id AND m.direction = 'INBOUND'
                    AND NOT m.is_auto_reply AND m.position > answered.position
            )
            FROM answered, moved
            WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.id = cast(:conversation_id as uuid)
        )
        SELECT status FROM shown
        """
    ).bindparams(bindparam("sources", type_=ARRAY(Text)))
)
RESEND = Statement(
    text(
        """
        WITH moved AS (
            UPDATE delivery d SET status = 'queued', resend = d.resend + 1, attempt = 0, run_at = now(), error = NULL,
                provider_id = NULL, token = NULL, lease_until = NULL, settled_at = NULL
            FROM message m
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.message_id = cast(:message_id as uuid)
                AND m.workspace_id = d.workspace_id AND m.id = d.message_id
                AND d.status IN ('failed', 'unknown') AND m.status = ANY (:sources)
            RETURNING d.message_id, m.status
        ), shown AS (
            UPDATE message m SET status = 'QUEUED', error = NULL, not_before = NULL
            FROM moved
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = moved.message_id
        )
        SELECT status FROM moved
        """
    ).bindparams(bindparam("sources", type_=ARRAY(Text)))
)

FILES = Statement(
    text(
        """
        SELECT id, name, size FROM file WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (:ids)
        """
    ).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
)


async def attached_files(reads: Reads, workspace_id: UUID, ids: Sequence[UUID]) -> list[AttachedFile]:
    """In the order of `ids`."""
    rows = await reads.fetch(FILES, workspace_id=workspace_id, ids=list(ids))
    found = {row["id"]: AttachedFile(row["id"], row["name"], row["size"]) for row in rows}
    return [found[id] for id in ids]


class OutgoingRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def open(self, workspace_id: UUID, conversation_id: UUID) -> Outbox | None:
        row = await self._opened(
            OPEN_CONVERSATION, workspace_id=workspace_id, conversation_id=conversation_id
        )
        return _outbox(row) if row else None

    async def standing(
        self, workspace_id: UUID, conversation_id: UUID, leaves_at: datetime | None
    ) -> Standing:
        found = await standings(self._work, workspace_id, [conversation_id], leaves_at=leaves_at)
        return found[conversation_id]

    async def _opened(self, statement: Statement, **values: object) -> "asyncpg.Record | None":
        """Twice: in the statement that waited for a merge the conversation is still another lead's."""
        return await self._work.fetch_one(statement, **values) or await self._work.fetch_one(
            statement, **values
        )

    async def open_by_message(
        self, workspace_id: UUID, message_id: UUID
    ) -> tuple[Outbox, MessageStatus] | None:
        """The status is read under the lock: in the statement that waits for it, it would be from before."""
        row = await self._opened(OPEN_BY_MESSAGE, workspace_id=workspace_id, message_id=message_id)
        if row is None:
            return None
        found = await self._work.fetch_one(STATUS, workspace_id=workspace_id, message_id=message_id)
        assert found is not None
        return _outbox(row), MessageStatus(found["status"])

    async def add(
        self,
        workspace_id: UUID,
        outbox: Outbox,
        *,
        message_id: UUID,
        author_id: UUID,
        subject: str,
        body: str,
        files: Sequence[AttachedFile],
        not_before: datetime | None,
        time_zone: str | None,
    ) -> int:
        row = await self._work.fetch_one(
            ADD,
            workspace_id=workspace_id,
            conversation_id=outbox.conversation_id,
            message_id=message_id,
            author_id=author_id,
            subject=subject,
            body=body,
            search_text=search_text(
                body=body,
                subject=subject,
                contact_name=outbox.lead_name,
                contact_address=outbox.contact_address,
                file_names=[file.name for file in files],
            ),
            file_ids=[file.id for file in files],
            not_before=not_before,
            time_zone=time_zone,
        )
        assert row is not None, "the conversation is locked, so it is there"
        return int(row["position"])

    async def cancel(
        self, workspace_id: UUID, message_id: UUID, *, conversation_id: UUID, reason: str
    ) -> MessageStatus | None:
        return await self._moved(
            CANCEL,
            MessageStatus.CANCELED,
            workspace_id=workspace_id,
            message_id=message_id,
            conversation_id=conversation_id,
            reason=reason,
        )

    async def resend(self, workspace_id: UUID, message_id: UUID) -> MessageStatus | None:
        """One of a batch too leaves by the claims of people's messages: the batch is not looked at for it."""
        return await self._moved(
            RESEND, MessageStatus.QUEUED, workspace_id=workspace_id, message_id=message_id
        )

    async def _moved(self, statement: Statement, to: MessageStatus, **values: object) -> MessageStatus | None:
        row = await self._work.fetch_one(statement, sources=sources(to), **values)
        return MessageStatus(row["status"]) if row else None


def _outbox(row: asyncpg.Record) -> Outbox:
    return Outbox(
        conversation_id=row["id"],
        account_id=row["account_id"],
        lead_id=row["lead_id"],
        channel=Channel(row["channel"]),
        contact_address=row["contact_address"],
        lead_name=row["lead_name"],
        status=ConversationStatus(row["status"]),
        is_dormant=row["is_dormant"],
        subject=row["subject"],
        message_count=row["message_count"],
        is_lead_deleted=row["is_lead_deleted"],
        now=row["now"],
    )
