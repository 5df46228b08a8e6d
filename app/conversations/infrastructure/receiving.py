"""Implements the ports of receiving, in one transaction: conversations, messages, bounces.

A mail's conversation is locked before its message is written, so positions have no gap; whether a message is there
already is decided by its UNIQUE alone. A bounce takes the delivery before the message, as the ledger does.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import text
from uuid_utils.compat import uuid7

from app.channels.domain.mail import Mail
from app.common.database import Statement
from app.common.leases import Claim, LostLease
from app.common.work import Reads
from app.conversations.domain.conversation import OPENED_BY_REPLY, ConversationStatus
from app.conversations.domain.delivery import Reason
from app.conversations.domain.events import MessageUpdated
from app.conversations.domain.message import MessageStatus, sources
from app.conversations.domain.receiving import (
    AddedMessage,
    FoundConversation,
    LeadGone,
    Outcome,
    ReceivingAccount,
    ReturnedMessage,
    with_other_copies,
)
from app.conversations.domain.search import search_text
from app.conversations.infrastructure.search import LEXEMES

# Of the claim's worker alone: one that lost its lease reads nothing.
HELD = Statement(
    text(
        """
        SELECT e.raw, a.id, a.channel, a.address
        FROM inbound_event e
        JOIN channel_account a ON a.workspace_id = e.workspace_id AND a.id = e.account_id
        WHERE e.workspace_id = cast(:workspace_id as uuid) AND e.id = cast(:id as uuid)
            AND e.token = cast(:held_token as uuid) AND e.status = 'claimed'
        """
    )
)
SEEN = Statement(
    text(
        """
        SELECT EXISTS (
            SELECT FROM message WHERE workspace_id = cast(:workspace_id as uuid)
                AND account_id = cast(:account_id as uuid) AND external_id = cast(:external_id as text)
        ) AS is_known, EXISTS (
            SELECT FROM message WHERE workspace_id = cast(:workspace_id as uuid)
                AND account_id = cast(:account_id as uuid) AND rfc_message_id = cast(:message_id as text)
                AND direction = 'OUTBOUND'
        ) AS is_own
        """
    )
)
# By Message-IDs of ours, which nobody can guess; those that others gave may be known to strangers. The lead is locked
# before its conversation, as everywhere; a row of NULLs: it was deleted, or the conversation went elsewhere, meanwhile.
FIND = Statement(
    text(
        """
        WITH candidate AS (
            SELECT m.conversation_id AS id, array_position(cast(:thread_ids as text[]), m.rfc_message_id) AS distance
            FROM message m
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.account_id = cast(:account_id as uuid)
                AND m.rfc_message_id = ANY (cast(:thread_ids as text[])) AND m.direction = 'OUTBOUND'
            UNION ALL
            SELECT c.id, NULL FROM conversation c
            WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.account_id = cast(:account_id as uuid)
                AND c.contact_address = cast(:address as text)
        ), best AS MATERIALIZED (
            SELECT c.id, c.lead_id
            FROM candidate
            JOIN conversation c ON c.workspace_id = cast(:workspace_id as uuid) AND c.id = candidate.id
            JOIN lead l ON l.workspace_id = c.workspace_id AND l.id = c.lead_id AND l.deleted_at IS NULL
            ORDER BY candidate.distance NULLS LAST LIMIT 1
        ), held AS MATERIALIZED (
            SELECT l.id FROM lead l
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = (SELECT lead_id FROM best)
                AND l.deleted_at IS NULL
            FOR NO KEY UPDATE
        )
        SELECT found.id, found.lead_id, found.contact_address
        FROM best LEFT JOIN LATERAL (
            SELECT c.id, c.lead_id, c.contact_address FROM conversation c
            WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.id = best.id
                AND c.lead_id = (SELECT held.id FROM held)
            FOR UPDATE OF c
        ) found ON true
        """
    )
)
START = Statement(
    text(
        """
        INSERT INTO conversation AS c (workspace_id, id, lead_id, account_id, channel, contact_address, status)
        VALUES (cast(:workspace_id as uuid), cast(:id as uuid), cast(:lead_id as uuid), cast(:account_id as uuid),
            cast(:channel as text), cast(:address as text), cast(:status as text))
        ON CONFLICT (workspace_id, account_id, contact_address) DO UPDATE SET lead_id = CASE WHEN EXISTS (
                SELECT FROM lead l
                WHERE l.workspace_id = c.workspace_id AND l.id = c.lead_id AND l.deleted_at IS NOT NULL
            ) THEN excluded.lead_id ELSE c.lead_id END, updated_at = now()
        RETURNING c.id, c.lead_id, c.contact_address, old.id IS NULL AS is_new,
            coalesce(old.lead_id <> new.lead_id, false) AS is_taken_over
        """
    )
)
ADD = Statement(
    text(
        f"""
        WITH added AS (
            INSERT INTO message (workspace_id, id, conversation_id, position, account_id, direction, author_kind,
                subject, body, quoted_text, html_body, status, sent_at, inbound_count, is_auto_reply, external_id,
                rfc_message_id, thread_ids, inbound_event_id, lexemes)
            SELECT c.workspace_id, cast(:id as uuid), c.id, c.message_count + 1, c.account_id, 'INBOUND', 'CONTACT',
                cast(:subject as text), cast(:body as text), cast(:quoted_text as text), cast(:html as text),
                'RECEIVED', cast(:sent_at as timestamptz),
                c.inbound_count + CASE WHEN cast(:is_reply as boolean) THEN 1 ELSE 0 END,
                NOT cast(:is_reply as boolean), cast(:external_id as text), cast(:message_id as text),
                cast(:thread_ids as text[]), cast(:event_id as uuid), {LEXEMES}
            FROM conversation c
            WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.id = cast(:conversation_id as uuid)
            ON CONFLICT (workspace_id, account_id, external_id) WHERE external_id IS NOT NULL DO NOTHING
            RETURNING workspace_id, conversation_id, id, position, inbound_count, created_at
        ), attached AS (
            INSERT INTO attachment (workspace_id, message_id, file_id, position)
            SELECT a.workspace_id, a.id, f.file_id, f.position
            FROM added a, unnest(cast(:file_ids as uuid[])) WITH ORDINALITY AS f(file_id, position)
        )
        UPDATE conversation c SET
            message_count = a.position, inbound_count = a.inbound_count,
            activity_at = greatest(c.activity_at, a.created_at), last_message_id = a.id,
            last_message_at = a.created_at, subject = coalesce(cast(:subject as text), c.subject),
            status = CASE WHEN r.is_reply AND c.status = ANY (cast(:opened as text[])) THEN 'OPEN' ELSE c.status END,
            snoozed_until = CASE WHEN NOT r.is_reply THEN c.snoozed_until END,
            is_dormant = c.is_dormant AND NOT r.is_reply,
            last_inbound_at = CASE WHEN r.is_reply THEN a.created_at ELSE c.last_inbound_at END,
            waiting_since = CASE WHEN r.is_reply THEN coalesce(c.waiting_since, a.created_at) ELSE c.waiting_since END,
            updated_at = now()
        FROM added a, (SELECT cast(:is_reply as boolean)) AS r(is_reply)
        WHERE c.workspace_id = a.workspace_id AND c.id = a.conversation_id
        RETURNING a.position, c.lead_id, old.status AS status_before, new.status AS status
        """  # noqa: S608 - a constant of ours
    )
)
# With its lead held: whoever erases the person has done so, or waits.
RETURNED = Statement(
    text(
        """
        WITH found AS MATERIALIZED (
            SELECT m.id, m.conversation_id, c.contact_address, c.lead_id
            FROM message m JOIN conversation c ON c.workspace_id = m.workspace_id AND c.id = m.conversation_id
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.account_id = cast(:account_id as uuid)
                AND m.rfc_message_id = ANY (cast(:message_ids as text[])) AND m.direction = 'OUTBOUND'
            ORDER BY array_position(cast(:message_ids as text[]), m.rfc_message_id), m.id LIMIT 1
        ), held AS MATERIALIZED (
            SELECT l.id FROM lead l
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = (SELECT found.lead_id FROM found)
            FOR SHARE
        )
        SELECT found.id, found.conversation_id, found.contact_address FROM found CROSS JOIN held
        """
    )
)
# What comes back did go out.
SETTLE_BOUNCED = Statement(
    text(
        """
        UPDATE delivery SET status = CASE WHEN status = 'unknown' THEN 'sent' ELSE status END, has_bounced = true,
            error = CASE WHEN status = 'unknown' THEN NULL ELSE error END,
            settled_at = CASE WHEN status = 'unknown' THEN now() ELSE settled_at END
        WHERE workspace_id = cast(:workspace_id as uuid) AND message_id = cast(:id as uuid)
            AND status IN ('sending', 'sent', 'unknown')
        """
    )
)
# The lead is held, so that no intent of its is under way; what a person sends again is not stopped.
STOP_SENDS = Statement(
    text(
        """
        WITH theirs AS MATERIALIZED (
            SELECT id FROM delivery
            WHERE workspace_id = cast(:workspace_id as uuid) AND (send_batch_id IS NOT NULL OR stops_on_reply)
                AND NOT has_replied
                AND (lead_id = cast(:lead_id as uuid) OR conversation_id = cast(:conversation_id as uuid))
                AND status IN ('queued', 'claimed', 'sending', 'sent', 'unknown')
            ORDER BY id FOR NO KEY UPDATE
        ), answered AS (
            UPDATE delivery d SET has_replied = true
            FROM theirs t
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = t.id
                AND d.status IN ('sending', 'sent', 'unknown')
        ), stopped AS (
            UPDATE delivery d SET status = 'canceled', error = cast(:reason as text), token = NULL, lease_until = NULL
            FROM theirs t
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = t.id
                AND d.status IN ('queued', 'claimed') AND d.resend = 0
            RETURNING d.message_id
        )
        UPDATE message m SET status = 'CANCELED', error = cast(:reason as text)
        FROM stopped s
        WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = s.message_id
            AND m.status = ANY (cast(:may_cancel as text[]))
        RETURNING m.id, m.conversation_id, old.status AS before
        """
    )
)
MARK_BOUNCED = Statement(
    text(
        """
        UPDATE message SET status = 'BOUNCED', error = cast(:error as text)
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
            AND status = ANY (cast(:may_bounce as text[]))
        RETURNING old.status AS before
        """
    )
)


async def held_mail(reads: Reads, claim: Claim) -> tuple[ReceivingAccount, bytes]:
    """What came in, raw, and for whom. Raises LostLease."""
    row = await reads.fetch_one(HELD, workspace_id=claim.workspace_id, id=claim.id, held_token=claim.token)
    if row is None:
        raise LostLease
    account = ReceivingAccount(
        workspace_id=claim.workspace_id, id=row["id"], channel=row["channel"], address=row["address"]
    )
    return account, row["raw"]


class InboundRepository:
    """Of one account, for one thing that came in."""

    def __init__(self, work: Reads, account: ReceivingAccount, event_id: UUID) -> None:
        self._work, self._account, self._event_id = work, account, event_id

    async def _fetch_one(self, statement: Statement, **values: object) -> "asyncpg.Record | None":
        own = {"workspace_id": self._account.workspace_id, "account_id": self._account.id}
        return await self._work.fetch_one(statement, **own, **values)

    async def seen(self, mail: Mail) -> Outcome | None:
        row = await self._fetch_one(SEEN, external_id=mail.identity, message_id=mail.message_id)
        assert row is not None
        return Outcome.OWN if row["is_own"] else Outcome.DUPLICATE if row["is_known"] else None

    async def find(self, mail: Mail, sender: str) -> FoundConversation | None:
        row = await self._fetch_one(FIND, thread_ids=with_other_copies(mail.thread_ids), address=sender)
        if row is None:
            return None
        if row["id"] is None:
            raise LeadGone
        return FoundConversation(id=row["id"], lead_id=row["lead_id"], contact_address=row["contact_address"])

    async def start(self, sender: str, lead_id: UUID, status: ConversationStatus) -> FoundConversation:
        row = await self._fetch_one(
            START,
            id=uuid7(),
            lead_id=lead_id,
            channel=self._account.channel,
            address=sender,
            status=status.value,
        )
        assert row is not None
        changed = ["created"] * row["is_new"] + ["lead"] * row["is_taken_over"]
        return FoundConversation(
            id=row["id"],
            lead_id=row["lead_id"],
            contact_address=row["contact_address"],
            changed=tuple(changed),
        )

    async def add(
        self,
        conversation: FoundConversation,
        mail: Mail,
        *,
        body: str,
        html: str | None,
        file_ids: Sequence[UUID],
    ) -> AddedMessage | None:
        id = uuid7()
        row = await self._fetch_one(
            ADD,
            id=id,
            conversation_id=conversation.id,
            event_id=self._event_id,
            body=body,
            html=html,
            file_ids=list(file_ids),
            opened=[one.value for one in OPENED_BY_REPLY],
            search_text=search_text(
                body=body,
                subject=mail.subject,
                contact_name=mail.from_name,
                contact_address=conversation.contact_address,
                file_names=[part.name for part in mail.parts],
            ),
            **_facts(mail),
        )
        if row is None:
            return None
        return AddedMessage(
            id=id,
            position=row["position"],
            lead_id=row["lead_id"],
            status_before=ConversationStatus(row["status_before"]),
            status=ConversationStatus(row["status"]),
        )

    async def stop_sends(self, conversation: FoundConversation) -> Sequence[MessageUpdated]:
        rows = await self._work.fetch(
            STOP_SENDS,
            workspace_id=self._account.workspace_id,
            lead_id=conversation.lead_id,
            conversation_id=conversation.id,
            reason=Reason.REPLIED,
            may_cancel=sources(MessageStatus.CANCELED),
        )
        return [_stopped(row) for row in rows]

    async def returned(self, message_ids: Sequence[str]) -> ReturnedMessage | None:
        row = await self._fetch_one(RETURNED, message_ids=with_other_copies(message_ids))
        if row is None:
            return None
        return ReturnedMessage(
            id=row["id"], conversation_id=row["conversation_id"], contact_address=row["contact_address"]
        )

    async def mark_bounced(self, message_id: UUID, error: str) -> MessageStatus | None:
        await self._fetch_one(SETTLE_BOUNCED, id=message_id)
        may_bounce = sources(MessageStatus.BOUNCED)
        row = await self._fetch_one(MARK_BOUNCED, id=message_id, error=error, may_bounce=may_bounce)
        return None if row is None else MessageStatus(row["before"])


def _stopped(row: asyncpg.Record) -> MessageUpdated:
    return MessageUpdated(
        entity_ids=[row["id"]],
        before={"status": row["before"]},
        after={"status": MessageStatus.CANCELED, "conversationId": str(row["conversation_id"])},
    )


def _facts(mail: Mail) -> Mapping[str, object]:
    """What is stored as the mail says it."""
    return {
        "subject": mail.subject,
        "quoted_text": mail.quoted_text,
        "sent_at": mail.sent_at if mail.sent_at and mail.sent_at.tzinfo else None,
        "is_reply": not mail.is_auto_reply,
        "external_id": mail.identity,
        "message_id": mail.message_id,
        "thread_ids": list(mail.thread_ids),
    }
