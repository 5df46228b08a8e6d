"""Handles an `inbound_event` that a provider told us: what became of a mail it had taken.

Events come in any order, twice, and beside the worker that is still writing down that the mail was sent. So each effect
is one that may come again: a status only moves up (the table of moves), what stood in doubt is settled, an address is
suppressed once. A message is found by the Message-ID that only we and the provider know, else by the provider's own id
of it; of whom no message is known, nothing is done.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import text

from app.channels.domain.feedback import Feedback, FeedbackKind
from app.channels.wiring import (
    FEEDBACK,
    confirm_subscription,
    empty_mail,
    inbound_events,
    read_feedback,
)
from app.common.database import Statement
from app.common.domain import Channel
from app.common.leases import Claim
from app.common.work import Doors, Reads, Work
from app.conversations.domain.events import MessageUpdated
from app.conversations.domain.message import MessageStatus, sources
from app.conversations.domain.receiving import with_other_copies
from app.conversations.infrastructure.unsubscribing import UNSUBSCRIBED, Recipient, tell
from app.leads.domain.contact import SuppressionReason
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.wiring import erased_among, suppress
from app.settings import Settings

DONE = "done"
TRIES, WAIT_S = 4, 15.0
"""A provider may be faster than our own record of its answer, in which its id of the mail stands."""


class Outcome(StrEnum):
    """What became of something that a provider told."""

    TAKEN = "FEEDBACK_TAKEN"
    NOTED = "FEEDBACK_NOTED"
    """It told nothing new, or of something that moves no message."""
    OF_NOTHING = "FEEDBACK_OF_NOTHING"
    """About no message of this account's."""
    ERASED = "ERASED"
    """About somebody who was erased: nothing of it is kept."""
    CONFIRMED = "SUBSCRIPTION_CONFIRMED"


HELD = Statement(
    text(
        """
        SELECT provider, account_id, raw FROM inbound_event
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
            AND token = cast(:held_token as uuid) AND status = 'claimed' AND provider = ANY (cast(:providers as text[]))
        """
    )
)
# With its lead held: whoever erases or merges the person has done so, or waits.
FIND = Statement(
    text(
        """
        WITH candidate AS (
            SELECT m.id, m.conversation_id, array_position(cast(:message_ids as text[]), m.rfc_message_id) AS place
            FROM message m
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.account_id = cast(:account_id as uuid)
                AND m.rfc_message_id = ANY (cast(:message_ids as text[])) AND m.direction = 'OUTBOUND'
            UNION ALL
            SELECT d.message_id, d.conversation_id, NULL
            FROM delivery d
            WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.account_id = cast(:account_id as uuid)
                AND d.provider_id = ANY (cast(:provider_ids as text[])) AND d.message_id IS NOT NULL
        ), best AS MATERIALIZED (
            SELECT candidate.id, c.id AS conversation_id, c.contact_address, c.channel, c.lead_id
            FROM candidate JOIN conversation c
                ON c.workspace_id = cast(:workspace_id as uuid) AND c.id = candidate.conversation_id
            ORDER BY candidate.place NULLS LAST, candidate.id LIMIT 1
        ), held AS MATERIALIZED (
            SELECT l.id FROM lead l
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = (SELECT best.lead_id FROM best)
            FOR SHARE
        )
        SELECT best.* FROM best CROSS JOIN held
        """
    )
)
# Whatever is told of it, it did go out. The delivery before the message, as the ledger takes them: held also where
# nothing of it changes, so that a worker which gives it up as unknown sees what the message shows.
SETTLE = Statement(
    text(
        """
        WITH held AS MATERIALIZED (
            SELECT id, status = 'unknown' AS is_unknown,
                cast(:has_bounced as boolean) AND NOT has_bounced AS bounces,
                cast(:has_complained as boolean) AND NOT has_complained AS complains
            FROM delivery
            WHERE workspace_id = cast(:workspace_id as uuid) AND message_id = cast(:id as uuid)
                AND status IN ('sending', 'sent', 'unknown')
            FOR NO KEY UPDATE
        )
        UPDATE delivery d SET status = CASE WHEN h.is_unknown THEN 'sent' ELSE d.status END,
            error = CASE WHEN h.is_unknown THEN NULL ELSE d.error END,
            settled_at = CASE WHEN h.is_unknown THEN now() ELSE d.settled_at END,
            has_bounced = d.has_bounced OR h.bounces, has_complained = d.has_complained OR h.complains
        FROM held h
        WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = h.id
            AND (h.is_unknown OR h.bounces OR h.complains)
        RETURNING d.id
        """
    )
)
SHOW = Statement(
    text(
        """
        UPDATE message SET status = cast(:status as text), error = cast(:error as text),
            sent_at = coalesce(sent_at, now())
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
            AND status = ANY (cast(:sources as text[]))
        RETURNING old.status AS before
        """
    )
)
SHOWS = {FeedbackKind.DELIVERED: MessageStatus.DELIVERED, FeedbackKind.HARD_BOUNCE: MessageStatus.BOUNCED}
REASONS = {
    FeedbackKind.HARD_BOUNCE: SuppressionReason.HARD_BOUNCE,
    FeedbackKind.COMPLAINT: SuppressionReason.COMPLAINT,
    FeedbackKind.UNSUBSCRIBED: SuppressionReason.OPT_OUT,
}


@dataclass(frozen=True, slots=True)
class Held:
    """What a provider told of an account, as it stands in the worker's hands."""

    claim: Claim
    provider: str
    account_id: UUID
    raw: bytes


async def held_feedback(reads: Reads, claim: Claim) -> Held | None:
    """None: it is a mail, or it is not this worker's."""
    row = await reads.fetch_one(
        HELD,
        workspace_id=claim.workspace_id,
        id=claim.id,
        held_token=claim.token,
        providers=sorted(FEEDBACK),
    )
    return Held(claim, row["provider"], row["account_id"], row["raw"]) if row else None


async def take_feedback(doors: Doors, settings: Settings, held: Held) -> None:
    """Safe to be killed anywhere and to run twice at once: one transaction, fenced by the claim's token (LostLease)."""
    feedback = read_feedback(held.provider, held.raw)
    if feedback is None:
        await _confirm(doors, settings, held)
        return
    async with doors.open_work(held.claim.workspace_id) as work:
        await inbound_events.renew(work, held.claim, lease_s=settings.inbound_lease_s)
        outcome = await _take(work, held, feedback)
        if outcome is Outcome.OF_NOTHING and held.claim.attempt < TRIES:
            await inbound_events.retry_later(work, held.claim, error=outcome, wait_s=WAIT_S)
            return
        await inbound_events.finish(work, held.claim, status=DONE, error=outcome)
        if outcome is Outcome.ERASED:
            await empty_mail(work, held.claim.workspace_id, held.claim.id)


async def _confirm(doors: Doors, settings: Settings, held: Held) -> None:
    """Outside of any transaction. What cannot be confirmed is tried again, as all that raises."""
    is_confirmed = held.provider == "ses" and await confirm_subscription(settings, held.raw)
    async with doors.open_work(held.claim.workspace_id) as work:
        outcome = Outcome.CONFIRMED if is_confirmed else Outcome.NOTED
        await inbound_events.finish(work, held.claim, status=DONE, error=outcome)


async def _take(work: Work, held: Held, feedback: Feedback) -> Outcome:
    workspace_id = held.claim.workspace_id
    row = await work.fetch_one(
        FIND,
        workspace_id=workspace_id,
        account_id=held.account_id,
        message_ids=with_other_copies(feedback.message_ids),
        provider_ids=list(feedback.provider_ids),
    )
    if row is None:
        return await _of_nothing(work, workspace_id, feedback)
    recipient = Recipient(
        lead_id=row["lead_id"],
        conversation_id=row["conversation_id"],
        message_id=row["id"],
        address=row["contact_address"],
        channel=Channel(row["channel"]),
    )
    has_moved = await _settle(work, recipient, row["id"], feedback)
    has_suppressed = await _suppress(work, recipient, feedback)
    return Outcome.TAKEN if has_moved or has_suppressed else Outcome.NOTED


async def _of_nothing(work: Work, workspace_id: UUID, feedback: Feedback) -> Outcome:
    told = [Identity(IdentityKind.EMAIL, address) for address in feedback.recipients]
    return Outcome.ERASED if await erased_among(work, workspace_id, told) else Outcome.OF_NOTHING


async def _settle(work: Work, recipient: Recipient, message_id: UUID, feedback: Feedback) -> bool:
    """Whether anything of the ledger or of the message moved."""
    assert work.workspace_id is not None
    is_hard = feedback.kind is FeedbackKind.HARD_BOUNCE
    settled = await work.fetch(
        SETTLE,
        workspace_id=work.workspace_id,
        id=message_id,
        has_bounced=is_hard,
        has_complained=feedback.kind is FeedbackKind.COMPLAINT,
    )
    status = SHOWS.get(feedback.kind, MessageStatus.SENT)
    shown = await work.fetch_one(
        SHOW,
        workspace_id=work.workspace_id,
        id=message_id,
        status=status,
        error=" ".join(filter(None, ("HARD_BOUNCE", feedback.status_code))) if is_hard else None,
        sources=sources(status),
    )
    if shown is not None:
        work.announce(
            MessageUpdated(
                entity_ids=[message_id],
                before={"status": shown["before"]},
                after={"status": status.value, "conversationId": str(recipient.conversation_id)},
            )
        )
    return bool(settled) or shown is not None


async def _suppress(work: Work, recipient: Recipient, feedback: Feedback) -> bool:
    """Whom the mail went to, and nobody else: it may have been forwarded, and is reported under another address."""
    assert work.workspace_id is not None
    reason = REASONS.get(feedback.kind)
    is_theirs = not feedback.recipients or recipient.address in feedback.recipients
    if reason is None or not is_theirs:
        return False
    is_new = await suppress(
        work, work.workspace_id, value=recipient.address, channel=recipient.channel, reason=reason
    )
    if is_new and reason is SuppressionReason.OPT_OUT:
        await tell(work, recipient, UNSUBSCRIBED)
    return is_new
