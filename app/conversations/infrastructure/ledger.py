"""The ledger as a worker writes it: the intent before a call, the record after it, the end of calls nobody outlived.

Each is one statement. It is fenced by the claim's token, moves the message along with its delivery and keeps the
evidence; states are compared by the tables of moves in the domain.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, Uuid, bindparam, text

from app.channels.domain.account import ChannelAccountStatus
from app.common.database import Statement
from app.common.leases import Claim, LostLease
from app.common.work import Work
from app.conversations.domain.delivery import (
    MAX_CALLS,
    MAX_REFERENCES,
    Attachment,
    Intent,
    Postponed,
    Reason,
    Recorded,
    Refused,
    Settled,
)
from app.conversations.domain.message import LEFT, MessageStatus, sources
from app.conversations.infrastructure.batch_verdict import BATCH_REFUSAL, QUIET_UNTIL, RUN_AT, WAITS_FOR

TOLD = sorted(LEFT | {MessageStatus.BOUNCED})
INTEND = Statement(
    text(
        """
        WITH found AS (
            SELECT d.id, d.resend, d.message_id, d.conversation_id, c.lead_id, d.account_id, d.position, d.run_at,
                d.send_batch_id, d.origin_kind <> 'MESSAGE' AS may_opt_out, b.status AS batch_status, w.locale,
                {quiet_until} AS quiet_until,
                m.status AS shown, m.subject, m.body, coalesce(m.not_before, m.created_at) AS dated,
                c.contact_address, l.name AS lead_name, l.time_zone AS lead_zone,
                a.channel, a.smtp_secret, a.name AS account_name, a.address AS account_address,
                a.status AS account_status,
                '<' || d.id::text || CASE WHEN d.resend > 0 THEN '-' || d.resend::text ELSE '' END || '@'
                    || split_part(a.address, '@', -1) || '>' AS rfc_message_id,
                nullif({refusal}, CASE WHEN d.resend > 0 THEN 'ACCOUNT_NEEDS_REAUTH' END) AS refusal
            FROM delivery d
                JOIN message m ON (m.workspace_id, m.id) = (d.workspace_id, d.message_id)
                JOIN conversation c ON (c.workspace_id, c.id) = (d.workspace_id, d.conversation_id)
                JOIN channel_account a ON (a.workspace_id, a.id) = (d.workspace_id, d.account_id)
                JOIN lead l ON (l.workspace_id, l.id) = (c.workspace_id, c.lead_id)
                JOIN workspace w ON w.id = d.workspace_id
                LEFT JOIN send_batch b
                    ON b.workspace_id = d.workspace_id AND b.id = d.send_batch_id AND d.resend = 0
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = cast(:id as uuid)
                AND d.token = cast(:token as uuid) AND d.status = 'claimed' AND d.lease_until > now()
            FOR UPDATE OF d
        ), held AS (
            SELECT h.*, {waits_for} AS waits_for FROM found h
        ), refused AS (
            SELECT h.*, CASE WHEN h.refusal LIKE 'ACCOUNT_%' THEN 'FAILED' ELSE 'CANCELED' END AS becomes
            FROM held h WHERE h.refusal IS NOT NULL AND h.waits_for IS NULL
        ), postponed AS (
            UPDATE delivery d SET status = 'queued', attempt = greatest(d.attempt - 1, 0), token = NULL,
                lease_until = NULL, run_at = {run_at}, quiet_until = h.quiet_until,
                time_zone = coalesce(h.lead_zone, d.time_zone)
            FROM held h
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = h.id AND h.waits_for IS NOT NULL
        ), dropped AS (
            UPDATE delivery d SET status = lower(r.becomes), error = r.refusal, token = NULL, lease_until = NULL,
                settled_at = CASE WHEN r.becomes = 'FAILED' THEN now() END
            FROM refused r
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = r.id AND d.status = 'claimed'
        ), moved AS (
            UPDATE delivery d SET status = 'sending', attempt = 0,
                lease_until = now() + cast(:lease_s as float) * interval '1 second'
            FROM held h
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = h.id AND d.status = 'claimed'
                AND h.refusal IS NULL AND h.waits_for IS NULL
        ), parent AS (
            SELECT p.rfc_message_id, p.thread_ids
            FROM held h JOIN message p
                ON p.workspace_id = cast(:workspace_id as uuid) AND p.conversation_id = h.conversation_id
            WHERE p.position < h.position AND p.rfc_message_id IS NOT NULL
                AND p.status IN ('RECEIVED', 'SENT', 'DELIVERED', 'READ')
            ORDER BY p.position DESC LIMIT 1
        ), thread AS (
            SELECT coalesce(
                (SELECT (p.rfc_message_id || p.thread_ids)[1 : cast(:references as int)] FROM parent p), '{}'
            ) AS ids
        ), shown AS (
            UPDATE message m SET status = coalesce(r.becomes, 'SENDING'), error = r.refusal,
                rfc_message_id = CASE WHEN r.id IS NULL THEN h.rfc_message_id ELSE m.rfc_message_id END,
                thread_ids = thread.ids
            FROM thread, held h LEFT JOIN refused r ON r.id = h.id
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = h.message_id AND h.waits_for IS NULL
                AND (m.status = ANY (:may_send) OR (m.status = 'SENDING' AND r.id IS NULL)
                    OR (r.becomes = 'FAILED' AND m.status = ANY (:may_fail))
                    OR (r.becomes = 'CANCELED' AND m.status = ANY (:may_cancel)))
        ), tried AS (
            SELECT coalesce(max(t.n), 0) + 1 AS n, count(*) FILTER (WHERE t.resend = h.resend) + 1 AS calls
            FROM held h LEFT JOIN delivery_attempt t
                ON t.workspace_id = cast(:workspace_id as uuid) AND t.delivery_id = h.id
        ), evidence AS (
            INSERT INTO delivery_attempt (workspace_id, delivery_id, n, resend)
            SELECT cast(:workspace_id as uuid), h.id, tried.n, h.resend
            FROM held h, tried WHERE h.refusal IS NULL AND h.waits_for IS NULL
        )
        SELECT h.*, r.becomes, tried.n, tried.calls, thread.ids AS thread_ids,
            ARRAY (
                SELECT ARRAY [f.id::text, f.name, f.media_type]
                FROM attachment x JOIN file f ON (f.workspace_id, f.id) = (x.workspace_id, x.file_id)
                WHERE x.workspace_id = cast(:workspace_id as uuid) AND x.message_id = h.message_id
                ORDER BY x.position
            ) AS attachments
        FROM tried, thread, held h LEFT JOIN refused r ON r.id = h.id
        """.replace("{refusal}", BATCH_REFUSAL.format(c_address="c.contact_address"))
        .replace("{quiet_until}", QUIET_UNTIL)
        .replace("{waits_for}", WAITS_FOR)
        .replace("{run_at}", RUN_AT)
    ).bindparams(*(bindparam(name, type_=ARRAY(Text)) for name in ("may_send", "may_fail", "may_cancel")))
)
# What a provider has told of a message says that it went out: its delivery is then not unknown. Both are held, for it
# may be told at this moment.
RECORD = Statement(
    text(
        """
        WITH held AS (
            SELECT d.id, d.message_id, d.token IS NULL AS is_late,
                cast(:status as text) = 'unknown' AND m.status = ANY (:told) AS is_told
            FROM delivery d JOIN message m ON (m.workspace_id, m.id) = (d.workspace_id, d.message_id)
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = cast(:id as uuid)
                AND (
                    (d.status = 'sending' AND d.token = cast(:token as uuid))
                    OR (d.status = 'unknown' AND cast(:is_sure as boolean) AND EXISTS (
                        SELECT FROM delivery_attempt t
                        WHERE t.workspace_id = d.workspace_id AND t.delivery_id = d.id AND t.resend = d.resend
                            AND t.n = cast(:n as int) AND t.ended_at IS NULL
                            AND NOT EXISTS (
                                SELECT FROM delivery_attempt later
                                WHERE (later.workspace_id, later.delivery_id) = (t.workspace_id, t.delivery_id)
                                    AND later.n > t.n
                            )
                    ))
                )
            FOR UPDATE OF d FOR NO KEY UPDATE OF m
        ), moved AS (
            UPDATE delivery d SET
                status = CASE WHEN h.is_told THEN 'sent'
                    WHEN h.is_late AND cast(:status as text) = 'queued' THEN 'failed'
                    ELSE cast(:status as text) END,
                error = CASE WHEN NOT h.is_told THEN cast(:error as text) END,
                provider_id = coalesce(cast(:provider_id as text), d.provider_id),
                run_at = CASE WHEN cast(:status as text) = 'queued' AND NOT h.is_late
                    THEN now() + cast(:wait_s as float) * interval '1 second' ELSE d.run_at END,
                settled_at = CASE WHEN cast(:status as text) <> 'queued' OR h.is_late THEN now() END,
                token = NULL, lease_until = NULL
            FROM held h
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = h.id
            RETURNING d.id, d.message_id, h.is_late
        ), shown AS (
            UPDATE message m SET
                status = coalesce(cast(:shows as text), 'FAILED'),
                error = cast(:error as text),
                sent_at = CASE WHEN cast(:shows as text) = 'SENT' THEN now() ELSE m.sent_at END
            FROM moved h
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = h.message_id
                AND (cast(:shows as text) IS NOT NULL OR h.is_late) AND m.status = ANY (:sources)
            RETURNING m.status
        ), evidence AS (
            UPDATE delivery_attempt
            SET ended_at = now(), outcome = cast(:outcome as text), provider_code = cast(:code as text)
            WHERE workspace_id = cast(:workspace_id as uuid) AND delivery_id = cast(:id as uuid)
                AND n = cast(:n as int) AND ended_at IS NULL
        )
        SELECT h.is_late, (SELECT s.status FROM shown s) AS shows FROM moved h
        """
    ).bindparams(bindparam("sources", type_=ARRAY(Text)), bindparam("told", type_=ARRAY(Text)))
)
OVERDUE = Statement(
    text(
        """
        SELECT workspace_id, array_agg(id) AS ids FROM (
            SELECT workspace_id, id FROM delivery
            WHERE status = 'sending' AND lease_until < now() LIMIT cast(:limit as bigint)
        ) overdue
        GROUP BY workspace_id
        """
    )
)
END_OVERDUE = Statement(
    text(
        """
        WITH over AS (
            SELECT d.id, d.message_id, d.conversation_id,
                a.channel = ANY (:idempotent) AND (
                    SELECT count(*) FROM delivery_attempt t
                    WHERE t.workspace_id = d.workspace_id AND t.delivery_id = d.id AND t.resend = d.resend
                ) < cast(:max_calls as bigint) AS may_repeat, m.status = ANY (:told) AS is_told
            FROM delivery d
                JOIN channel_account a ON (a.workspace_id, a.id) = (d.workspace_id, d.account_id)
                JOIN message m ON (m.workspace_id, m.id) = (d.workspace_id, d.message_id)
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = ANY (:ids)
                AND d.status = 'sending' AND d.lease_until < now()
            FOR UPDATE OF d SKIP LOCKED FOR NO KEY UPDATE OF m SKIP LOCKED
        ), moved AS (
            UPDATE delivery d SET
                status = CASE WHEN o.is_told THEN 'sent' WHEN o.may_repeat THEN 'queued' ELSE 'unknown' END,
                error = CASE WHEN NOT o.is_told THEN cast(:reason as text) END, token = NULL, lease_until = NULL,
                run_at = now(), settled_at = CASE WHEN o.is_told OR NOT o.may_repeat THEN now() END
            FROM over o
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = o.id
        ), shown AS (
            UPDATE message m SET status = 'UNKNOWN', error = cast(:reason as text)
            FROM over o
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = o.message_id AND NOT o.may_repeat
                AND m.status = ANY (:sources)
            RETURNING m.id
        )
        SELECT o.id, o.message_id, o.conversation_id, s.id IS NOT NULL AS is_shown
        FROM over o LEFT JOIN shown s ON s.id = o.message_id
        """
    ).bindparams(
        bindparam("idempotent", type_=ARRAY(Text)),
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("sources", type_=ARRAY(Text)),
        bindparam("told", type_=ARRAY(Text)),
    )
)
GIVE_UP = Statement(
    text(
        """
        WITH moved AS (
            UPDATE delivery SET status = 'failed', error = cast(:reason as text), token = NULL, lease_until = NULL,
                settled_at = now()
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
                AND token = cast(:token as uuid) AND status = 'claimed'
            RETURNING message_id
        ), shown AS (
            UPDATE message m SET status = 'FAILED', error = cast(:reason as text)
            FROM moved
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = moved.message_id AND m.status = ANY (:sources)
            RETURNING m.id, m.conversation_id, old.status AS shown
        )
        SELECT shown.* FROM moved LEFT JOIN shown ON true
        """
    ).bindparams(bindparam("sources", type_=ARRAY(Text)))
)
REAP_LIMIT = 500


class Ledger:
    """Implements DeliveryLedger, for one claim or for none; `idempotent` are the channels that take our key."""

    def __init__(
        self, work: Work, claim: Claim | None = None, *, lease_s: float = 0, idempotent: Sequence[str] = ()
    ) -> None:
        self._work, self._claim, self._lease_s, self._idempotent = work, claim, lease_s, idempotent

    @property
    def claim(self) -> Claim:
        assert self._claim is not None
        return self._claim

    async def intend(self) -> Intent | Refused | Postponed:
        """Committed before the provider is called; the lease begins anew. Of a batch's delivery, the batch is held
        (`batch_ledger.hold`). Raises LostLease: then do not call."""
        claim = self.claim
        row = await self._work.fetch_one(
            INTEND,
            workspace_id=claim.workspace_id,
            id=claim.id,
            token=claim.token,
            lease_s=self._lease_s,
            references=MAX_REFERENCES,
            may_send=sources(MessageStatus.SENDING),
            may_fail=sources(MessageStatus.FAILED),
            may_cancel=sources(MessageStatus.CANCELED),
        )
        if row is None:
            raise LostLease
        if row["waits_for"] is not None:
            return Postponed(row["waits_for"])
        if row["becomes"] is not None:
            return Refused(
                message_id=row["message_id"],
                conversation_id=row["conversation_id"],
                shown=MessageStatus(row["shown"]),
                becomes=MessageStatus(row["becomes"]),
            )
        return _intent(claim, row)

    async def record(self, intent: Intent, settled: Settled) -> Recorded | None:
        """None where the row is no longer this worker's: then only the evidence is written.

        A late worker that is sure still settles what was given up as unknown.
        """
        row = await self._work.fetch_one(
            RECORD,
            workspace_id=intent.workspace_id,
            id=intent.id,
            token=intent.token,
            n=intent.n,
            is_sure=settled.shows is not MessageStatus.UNKNOWN,
            status=settled.status,
            shows=settled.shows,
            error=settled.error,
            wait_s=settled.wait_s,
            outcome=settled.outcome,
            code=settled.code,
            provider_id=settled.provider_id,
            sources=sources(settled.shows or MessageStatus.FAILED),
            told=TOLD,
        )
        if row is None:
            return None
        return Recorded(MessageStatus(row["shows"]) if row["shows"] else None, bool(row["is_late"]))

    async def end_overdue(
        self, workspace_id: UUID, ids: Sequence[UUID]
    ) -> tuple[int, Sequence[tuple[UUID, UUID]]]:
        """Calls whose worker is gone: unknown, or queued again where the channel takes our key; sent, where that was
        told. How many, and the (message, conversation) of those that show UNKNOWN now."""
        rows = await self._work.fetch(
            END_OVERDUE,
            workspace_id=workspace_id,
            ids=list(ids),
            idempotent=list(self._idempotent),
            max_calls=MAX_CALLS,
            reason=Reason.NO_ANSWER,
            sources=sources(MessageStatus.UNKNOWN),
            told=TOLD,
        )
        return len(rows), [(row["message_id"], row["conversation_id"]) for row in rows if row["is_shown"]]

    async def give_up(self, reason: str) -> Refused | None:
        """None: it has no message yet. Raises LostLease."""
        claim = self.claim
        row = await self._work.fetch_one(
            GIVE_UP,
            workspace_id=claim.workspace_id,
            id=claim.id,
            token=claim.token,
            reason=reason,
            sources=sources(MessageStatus.FAILED),
        )
        if row is None:
            raise LostLease
        if row["id"] is None:
            return None
        return Refused(
            message_id=row["id"],
            conversation_id=row["conversation_id"],
            shown=MessageStatus(row["shown"]),
            becomes=MessageStatus.FAILED,
        )


async def overdue(system: Work) -> Sequence[tuple[UUID, Sequence[UUID]]]:
    """Deliveries whose call nobody has ended within its lease, by workspace."""
    return [(row["workspace_id"], row["ids"]) for row in await system.fetch(OVERDUE, limit=REAP_LIMIT)]


def _intent(claim: Claim, row: asyncpg.Record) -> Intent:
    return Intent(
        workspace_id=claim.workspace_id,
        id=claim.id,
        token=claim.token,
        n=row["n"],
        calls=row["calls"],
        resend=row["resend"],
        message_id=row["message_id"],
        conversation_id=row["conversation_id"],
        lead_id=row["lead_id"],
        account_id=row["account_id"],
        account_version=tuple(
            row[name]
            for name in ("account_id", "account_name", "account_address", "account_status", "smtp_secret")
        ),
        is_account_ailing=row["account_status"] != ChannelAccountStatus.CONNECTED,
        channel=row["channel"],
        to_address=row["contact_address"],
        to_name=row["lead_name"],
        subject=row["subject"] or "",
        body=row["body"],
        dated=row["dated"],
        rfc_message_id=row["rfc_message_id"],
        thread_ids=row["thread_ids"],
        attachments=[Attachment(UUID(id), name, media_type) for id, name, media_type in row["attachments"]],
        shown=MessageStatus(row["shown"]),
        send_batch_id=row["send_batch_id"],
        may_opt_out=row["may_opt_out"],
        locale=row["locale"],
    )
