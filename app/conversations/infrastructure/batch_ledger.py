"""The ledger as a batch's worker writes it: a recipient's first intent, which makes its conversation and its message.

One statement, after one that holds the batch and the leads: from then on nothing of the batch is switched, and none of
the leads answers, is changed, merged, deleted or erased until the commit. One that is refused never had a message, and
leaves no trace in the inbox.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, Uuid, bindparam, text
from uuid_utils.compat import uuid7

from app.channels.domain.account import ChannelAccountStatus
from app.common.database import Statement
from app.common.domain import Direction
from app.common.leases import Claim, LostLease
from app.common.work import Work
from app.conversations.domain.batch_turn import Begun, Draft, Sent, Unbegun, Written
from app.conversations.domain.delivery import MAX_REFERENCES, Intent, Postponed
from app.conversations.domain.message import MessageStatus, excerpt, sources
from app.conversations.infrastructure.batch_verdict import BATCH_REFUSAL, QUIET_UNTIL, RUN_AT, WAITS_FOR
from app.conversations.infrastructure.search import LEXEMES
from app.leads.domain.contact import ENGAGEMENT_MOVES
from app.leads.wiring import ADDED_SENT, TOUCHED

HOLD = Statement(
    text(
        """
        WITH batch AS MATERIALIZED (
            SELECT id FROM send_batch
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:batch_id as uuid) FOR SHARE
        )
        SELECT id FROM lead
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (:lead_ids) AND EXISTS (SELECT FROM batch)
        ORDER BY id FOR NO KEY UPDATE
        """
    ).bindparams(bindparam("lead_ids", type_=ARRAY(Uuid)))
)
RECORDED = f"""
sent AS (
    UPDATE delivery d SET status = 'sent', error = NULL, token = NULL, lease_until = NULL, settled_at = now(),
        provider_id = coalesce(cast(:provider_id as text), d.provider_id)
    WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = cast(:sent_id as uuid)
        AND d.token = cast(:sent_token as uuid) AND d.status = 'sending'
    RETURNING d.message_id
), shown AS (
    UPDATE message m SET status = 'SENT', error = NULL, sent_at = now()
    FROM sent
    WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = sent.message_id AND m.status = ANY (:may_be_sent)
    RETURNING m.id
), answered AS (
    UPDATE delivery_attempt
    SET ended_at = now(), outcome = cast(:outcome as text), provider_code = cast(:code as text)
    WHERE workspace_id = cast(:workspace_id as uuid) AND delivery_id = cast(:sent_id as uuid)
        AND n = cast(:n as int) AND ended_at IS NULL
), touched AS ({TOUCHED.replace(":lead_id", ":sent_lead_id")}
),"""  # noqa: S608 - constants of ours
"""What RECORD and a touch do, for one that was sent and is still this worker's."""
WRITTEN = """,
    (SELECT count(*) FROM sent) AS sent, (SELECT count(*) FROM shown) AS shown,
    (SELECT before FROM touched) AS touched_before, (SELECT after FROM touched) AS touched_after"""
BEGIN = """
WITH {recorded} held AS (
    SELECT d.id, d.account_id, d.send_batch_id, d.step, d.visit, d.run_at, b.status AS batch_status, b.author_id,
        l.id AS lead_id, l.name AS lead_name, l.version AS lead_version, l.email AS address,
        l.time_zone AS lead_zone,
        a.channel, a.smtp_secret, a.name AS account_name, a.address AS account_address, a.status AS account_status,
        w.locale,
        '<' || d.id::text || '@' || split_part(a.address, '@', -1) || '>' AS rfc_message_id,
        {refusal} AS refusal, {quiet_until} AS quiet_until
    FROM delivery d
        JOIN send_batch b ON (b.workspace_id, b.id) = (d.workspace_id, d.send_batch_id)
        JOIN channel_account a ON (a.workspace_id, a.id) = (d.workspace_id, d.account_id)
        JOIN lead l ON (l.workspace_id, l.id) = (d.workspace_id, d.lead_id)
        JOIN workspace w ON w.id = d.workspace_id
    WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = cast(:id as uuid)
        AND d.token = cast(:token as uuid) AND d.status = 'claimed' AND d.lease_until > now() AND d.message_id IS NULL
    FOR UPDATE OF d
), judged AS (
    SELECT h.*, CASE
        WHEN h.lead_id <> cast(:lead_id as uuid) THEN 'MERGED'
        ELSE {waits_for}
    END AS waits_for
    FROM held h
), decided AS (
    SELECT h.*, CASE
        WHEN h.waits_for IS NOT NULL THEN NULL
        WHEN h.refusal IS NOT NULL THEN h.refusal
        WHEN h.address IS NULL THEN 'NO_ADDRESS'
        WHEN EXISTS (
            SELECT FROM conversation c
                JOIN delivery o ON (o.workspace_id, o.conversation_id) = (c.workspace_id, c.id)
            WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.account_id = h.account_id
                AND c.contact_address = h.address AND o.send_batch_id = h.send_batch_id
                AND (o.step, o.visit) = (h.step, h.visit)
        ) THEN 'SAME_ADDRESS'
        WHEN EXISTS (
            SELECT FROM conversation c
                JOIN delivery o ON (o.workspace_id, o.conversation_id) = (c.workspace_id, c.id)
            WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.lead_id = h.lead_id
                AND o.send_batch_id = h.send_batch_id AND (o.step, o.visit) = (h.step, h.visit)
        ) THEN 'SAME_PERSON'
        WHEN (h.lead_version, h.address) IS DISTINCT FROM (cast(:lead_version as integer), cast(:address as text))
            THEN 'STALE'
        WHEN cast(:is_missing as boolean) THEN 'MISSING_VARIABLE'
    END AS canceled_for
    FROM judged h
), dropped AS (
    UPDATE delivery d SET status = CASE WHEN h.waits_for IS NULL THEN 'canceled' ELSE 'queued' END,
        error = CASE WHEN h.waits_for IS NULL THEN h.canceled_for ELSE d.error END,
        run_at = CASE WHEN h.waits_for IS NULL THEN d.run_at ELSE {run_at} END, quiet_until = h.quiet_until,
        time_zone = coalesce(h.lead_zone, d.time_zone),
        attempt = greatest(d.attempt - 1, 0), token = NULL, lease_until = NULL
    FROM decided h
    WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = h.id
        AND (h.waits_for IS NOT NULL OR h.canceled_for <> 'STALE')
), place AS (
    INSERT INTO conversation AS c (workspace_id, id, lead_id, account_id, channel, contact_address, status, is_dormant,
        subject, message_count, last_message_id, last_message_at, last_outbound_at)
    SELECT cast(:workspace_id as uuid), cast(:conversation_id as uuid), h.lead_id, h.account_id, h.channel, h.address,
        'CLOSED', true, cast(:subject as text), 1, cast(:message_id as uuid), now(), now()
    FROM decided h WHERE h.waits_for IS NULL AND h.canceled_for IS NULL
    ON CONFLICT (workspace_id, account_id, contact_address) DO UPDATE SET lead_id = excluded.lead_id,
        message_count = c.message_count + 1, last_message_id = excluded.last_message_id, last_message_at = now(),
        last_outbound_at = now(), subject = coalesce(excluded.subject, c.subject), updated_at = now()
    RETURNING c.id, c.message_count AS position, c.inbound_count,
        coalesce(old.lead_id <> new.lead_id, false) AS is_repointed
), thread AS (
    SELECT coalesce((
        SELECT (p.rfc_message_id || p.thread_ids)[1 : cast(:references as int)]
        FROM place JOIN message p ON p.workspace_id = cast(:workspace_id as uuid) AND p.conversation_id = place.id
        WHERE p.rfc_message_id IS NOT NULL AND p.status IN ('RECEIVED', 'SENT', 'DELIVERED', 'READ')
        ORDER BY p.position DESC LIMIT 1
    ), '{{}}') AS ids
), said AS (
    INSERT INTO message (workspace_id, id, conversation_id, position, account_id, direction, author_kind, author_id,
        subject, body, status, inbound_count, rfc_message_id, thread_ids, lexemes)
    SELECT cast(:workspace_id as uuid), cast(:message_id as uuid), place.id, place.position, h.account_id, 'OUTBOUND',
        'HUMAN', h.author_id, cast(:subject as text), cast(:body as text), 'SENDING', place.inbound_count,
        h.rfc_message_id, thread.ids, {lexemes}
    FROM decided h, place, thread
), begun AS (
    UPDATE delivery d SET status = 'sending', attempt = 0, error = NULL, conversation_id = place.id,
        position = place.position, message_id = cast(:message_id as uuid),
        lease_until = now() + cast(:lease_s as float) * interval '1 second'
    FROM decided h, place
    WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = h.id
), evidence AS (
    INSERT INTO delivery_attempt (workspace_id, delivery_id, n, resend)
    SELECT cast(:workspace_id as uuid), h.id, 1, 0 FROM decided h, place
), entry AS ({entry}
)
SELECT h.*, place.id AS conversation_id, place.position, place.is_repointed, thread.ids AS thread_ids,
    now() AS now{written}
FROM thread, decided h LEFT JOIN place ON true
"""


def _begin(recorded: str = "", written: str = "") -> str:
    entry = ADDED_SENT.format(
        lead_id="h.lead_id",
        channel="h.channel",
        author_id="h.author_id",
        conversation_id="place.id",
        rows="decided h, place",
    )
    return BEGIN.format(
        recorded=recorded,
        written=written,
        entry=entry,
        refusal=BATCH_REFUSAL.format(c_address="l.email"),
        quiet_until=QUIET_UNTIL,
        waits_for=WAITS_FOR,
        run_at=RUN_AT,
        lexemes=LEXEMES,
    )


BEGIN_BATCH = Statement(text(_begin()))
RECORD_AND_BEGIN = Statement(
    text(_begin(RECORDED, WRITTEN)).bindparams(bindparam("may_be_sent", type_=ARRAY(Text)))
)
CANCEL = Statement(
    text(
        """
        UPDATE delivery SET status = 'canceled', error = cast(:reason as text), token = NULL, lease_until = NULL
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
            AND token = cast(:token as uuid) AND status = 'claimed'
        """
    )
)


class BatchLedger:
    """Implements the port `FirstIntents`, for one claim."""

    def __init__(self, work: Work, claim: Claim, *, lease_s: float) -> None:
        self._work, self._claim, self._lease_s = work, claim, lease_s

    async def first_intent(self, draft: Draft) -> Begun | Postponed | Unbegun:
        """The batch and the lead are held. Raises LostLease: then do not call."""
        given = self._given(draft)
        row = await self._work.fetch_one(BEGIN_BATCH, **given)
        if row is None:
            raise LostLease
        return self._found(draft, row, given["message_id"])

    async def record_and_intend(
        self, sent: Sent, draft: Draft
    ) -> tuple[Written, Begun | Postponed | Unbegun]:
        """The leads of both are held. Raises LostLease, for either, or where the one that was sent is another lead's by
        now: then nothing may stay of this transaction."""
        given, moves = self._given(draft), ENGAGEMENT_MOVES[Direction.OUTBOUND]
        row = await self._work.fetch_one(
            RECORD_AND_BEGIN,
            **given,
            sent_id=sent.intent.id,
            sent_token=sent.intent.token,
            sent_lead_id=sent.intent.lead_id,
            n=sent.intent.n,
            outcome=sent.settled.outcome,
            code=sent.settled.code,
            provider_id=sent.settled.provider_id,
            may_be_sent=sources(MessageStatus.SENT),
            befores=[one.value for one in moves],
            afters=[one.value for one in moves.values()],
        )
        if row is None or not row["sent"] or row["touched_before"] is None:
            raise LostLease
        moved = (row["touched_before"], row["touched_after"])
        written = Written(bool(row["shown"]), moved if moved[0] != moved[1] else None)
        return written, self._found(draft, row, given["message_id"])

    def _given(self, draft: Draft) -> dict[str, Any]:
        claim = self._claim
        return {
            "workspace_id": claim.workspace_id,
            "id": claim.id,
            "token": claim.token,
            "lead_id": draft.lead_id,
            "lead_version": draft.lead_version,
            "address": draft.address,
            "is_missing": draft.is_missing,
            "conversation_id": uuid7(),
            "message_id": uuid7(),
            "interaction_id": uuid7(),
            "subject": draft.subject,
            "body": draft.body,
            "excerpt": excerpt(draft.body, draft.subject or ""),
            "search_text": draft.search_text,
            "references": MAX_REFERENCES,
            "lease_s": self._lease_s,
        }

    def _found(self, draft: Draft, row: asyncpg.Record, message_id: UUID) -> Begun | Postponed | Unbegun:
        if row["waits_for"] is not None:
            return Postponed(row["waits_for"])
        if row["canceled_for"] is not None:
            return Unbegun.STALE if row["canceled_for"] == Unbegun.STALE else Unbegun.CANCELED
        return Begun(
            intent=_intent(self._claim, draft, row, message_id),
            position=row["position"],
            author_id=row["author_id"],
            is_repointed=row["is_repointed"],
        )


async def hold(work: Work, workspace_id: UUID, batch_id: UUID, lead_ids: Sequence[UUID]) -> None:
    """The first statement of an intent: the batch, then the leads, by their ids (decision 0026)."""
    await work.fetch(HOLD, workspace_id=workspace_id, batch_id=batch_id, lead_ids=list(lead_ids))


async def cancel(work: Work, claim: Claim, reason: str) -> None:
    """One that never had a message."""
    await work.fetch(CANCEL, workspace_id=claim.workspace_id, id=claim.id, token=claim.token, reason=reason)


def _intent(claim: Claim, draft: Draft, row: asyncpg.Record, message_id: UUID) -> Intent:
    return Intent(
        workspace_id=claim.workspace_id,
        id=claim.id,
        token=claim.token,
        n=1,
        calls=1,
        resend=0,
        message_id=message_id,
        conversation_id=row["conversation_id"],
        lead_id=row["lead_id"],
        account_id=row["account_id"],
        account_version=tuple(
            row[name]
            for name in ("account_id", "account_name", "account_address", "account_status", "smtp_secret")
        ),
        is_account_ailing=row["account_status"] != ChannelAccountStatus.CONNECTED,
        channel=row["channel"],
        to_address=row["address"],
        to_name=row["lead_name"],
        subject=draft.subject or "",
        body=draft.body,
        dated=row["now"],
        rfc_message_id=row["rfc_message_id"],
        thread_ids=row["thread_ids"],
        attachments=(),
        shown=MessageStatus.SENDING,
        send_batch_id=row["send_batch_id"],
        may_opt_out=True,
        locale=row["locale"],
    )
