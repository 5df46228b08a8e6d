"""Quiet hours at the intent of a person's message: it goes back to the queue until they end.

Who wrote within a day is answered at any hour; the lead's own zone counts before the one it was accepted with.
"""

from datetime import datetime

from sqlalchemy import ARRAY, Text, bindparam, text

from app.common.database import Statement
from app.common.leases import Claim, LostLease
from app.common.work import Reads, Work
from app.conversations.domain.events import MessageUpdated
from app.conversations.domain.message import MessageStatus, sources
from app.conversations.domain.policy import ANSWERED_WITHIN

UNTIL = Statement(
    text(
        """
        SELECT quiet_until(
            now(), coalesce(l.time_zone, d.time_zone, w.time_zone), w.quiet_from, w.quiet_to, w.quiet_weekdays
        ) AS until
        FROM delivery d
            JOIN workspace w ON w.id = d.workspace_id
            JOIN conversation c ON (c.workspace_id, c.id) = (d.workspace_id, d.conversation_id)
            JOIN lead l ON (l.workspace_id, l.id) = (c.workspace_id, c.lead_id)
        WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = cast(:id as uuid)
            AND w.quiet_weekdays IS NOT NULL
            AND coalesce(c.last_inbound_at <= now() - cast(:answered_within as interval), true)
        """
    )
)
# The error stays as it is: without one it holds up nobody that is written after it, as what is scheduled.
HOLD = Statement(
    text(
        """
        WITH held AS (
            UPDATE delivery SET status = 'queued', attempt = attempt - 1, token = NULL, lease_until = NULL,
                run_at = cast(:until as timestamptz), quiet_until = cast(:until as timestamptz)
            WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
                AND token = cast(:token as uuid) AND status = 'claimed'
            RETURNING message_id
        ), shown AS (
            UPDATE message m SET status = 'SCHEDULED', not_before = cast(:until as timestamptz)
            FROM held
            WHERE m.workspace_id = cast(:workspace_id as uuid) AND m.id = held.message_id
                AND (m.status = ANY (:sources) OR m.status = 'SCHEDULED')
            RETURNING m.id, m.conversation_id, old.status AS before
        )
        SELECT shown.* FROM held LEFT JOIN shown ON true
        """
    ).bindparams(bindparam("sources", type_=ARRAY(Text)))
)


async def quiet_until(reads: Reads, claim: Claim) -> datetime | None:
    """When the quiet hours end that bind this message of a person's; None: none do now."""
    row = await reads.fetch_one(
        UNTIL, workspace_id=claim.workspace_id, id=claim.id, answered_within=ANSWERED_WITHIN
    )
    return row["until"] if row else None


async def hold_till(work: Work, claim: Claim, until: datetime) -> None:
    """Not begun: it is scheduled for then, and no attempt is counted. One that is tried again goes on showing SENDING.
    Raises LostLease."""
    row = await work.fetch_one(
        HOLD,
        workspace_id=claim.workspace_id,
        id=claim.id,
        token=claim.token,
        until=until,
        sources=sources(MessageStatus.SCHEDULED),
    )
    if row is None:
        raise LostLease
    if row["id"] is None:
        return
    work.announce(
        MessageUpdated(
            entity_ids=[row["id"]],
            before={"status": row["before"]},
            after={"status": MessageStatus.SCHEDULED, "conversationId": str(row["conversation_id"])},
        )
    )
