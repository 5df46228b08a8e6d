"""What a person does with the link below a mail: no more is sent to the address that the mail went to, or it was a
mistake.

The delivery leads to its conversation, the conversation to the address. Who was erased, or purged, has neither: then
there is nobody to send to either, and the answer is the same. The intent of every send asks for suppressions again, so
this is in force for sends under way once it has committed.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.domain import ActorKind, Channel, Direction
from app.common.work import Doors, Reads, Work
from app.conversations.infrastructure.unsubscribe import UnsubscribeToken
from app.leads.domain.contact import SuppressionReason
from app.leads.domain.events import LeadUpdated
from app.leads.domain.timeline import Entry, InteractionType
from app.leads.wiring import may_take_back, suppress, take_back_opt_out, timeline

UNSUBSCRIBED, SUBSCRIBED = "unsubscribed", "subscribed"
"""What the lead's timeline says, and the feed."""

FIND = Statement(
    text(
        """
        SELECT c.lead_id, c.id AS conversation_id, d.message_id, c.contact_address, c.channel
        FROM delivery d JOIN conversation c ON (c.workspace_id, c.id) = (d.workspace_id, d.conversation_id)
        WHERE d.workspace_id = cast(:workspace_id as uuid) AND d.id = cast(:delivery_id as uuid)
        """
    )
)
# The lead may be in the trash: whoever restores it finds the address suppressed.
HOLD = Statement(
    text(
        """
        SELECT id FROM lead WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:lead_id as uuid) FOR SHARE
        """
    )
)
LOCALE = Statement(text("SELECT locale FROM workspace WHERE id = cast(:workspace_id as uuid)"))


class Moved(Exception):
    """The conversation went to another lead between two statements: roll back, and begin again."""


@dataclass(frozen=True, slots=True)
class Recipient:
    lead_id: UUID
    conversation_id: UUID
    message_id: UUID | None
    address: str
    channel: Channel


async def unsubscribe(doors: Doors, token: UnsubscribeToken) -> bool:
    """Whether the person may still take it back. However often, it is done once. Raises Unavailable."""
    while True:
        try:
            async with doors.open_work(token.workspace_id) as work:
                return await _unsubscribe(work, token)
        except Moved:
            continue


async def subscribe_again(doors: Doors, token: UnsubscribeToken) -> bool:
    """Takes back what `unsubscribe` has just done; False: too late, or it was not the link's. Raises Unavailable."""
    while True:
        try:
            async with doors.open_work(token.workspace_id) as work:
                return await _subscribe_again(work, token)
        except Moved:
            continue


async def locale_of(reads: Reads, workspace_id: UUID) -> str | None:
    row = await reads.fetch_one(LOCALE, workspace_id=workspace_id)
    return row["locale"] if row else None


async def _unsubscribe(work: Work, token: UnsubscribeToken) -> bool:
    recipient = await _held(work, token)
    if recipient is None:
        return False
    is_new = await suppress(
        work,
        token.workspace_id,
        value=recipient.address,
        channel=recipient.channel,
        reason=SuppressionReason.OPT_OUT,
    )
    if is_new:
        await tell(work, recipient, UNSUBSCRIBED)
    return await may_take_back(work, token.workspace_id, recipient.address, recipient.channel)


async def _subscribe_again(work: Work, token: UnsubscribeToken) -> bool:
    recipient = await _held(work, token)
    if recipient is None or not await take_back_opt_out(
        work, token.workspace_id, recipient.address, recipient.channel
    ):
        return False
    await tell(work, recipient, SUBSCRIBED)
    return True


async def _held(work: Work, token: UnsubscribeToken) -> Recipient | None:
    """Found, its lead held, and found again: a merge or an erase may have been faster. Raises Moved."""
    recipient = await _found(work, token)
    if recipient is None:
        return None
    await work.fetch(HOLD, workspace_id=token.workspace_id, lead_id=recipient.lead_id)
    again = await _found(work, token)
    if again is not None and again.lead_id != recipient.lead_id:
        raise Moved
    return again


async def _found(work: Work, token: UnsubscribeToken) -> Recipient | None:
    row = await work.fetch_one(FIND, workspace_id=token.workspace_id, delivery_id=token.delivery_id)
    if row is None:
        return None
    return Recipient(
        lead_id=row["lead_id"],
        conversation_id=row["conversation_id"],
        message_id=row["message_id"],
        address=row["contact_address"],
        channel=Channel(row["channel"]),
    )


async def tell(work: Work, recipient: Recipient, what: str) -> None:
    """On the lead's timeline, and in the feed."""
    assert work.workspace_id is not None
    entry = Entry(
        lead_id=recipient.lead_id,
        type=InteractionType.UPDATED,
        actor_kind=ActorKind.CONTACT,
        channel=recipient.channel,
        direction=Direction.INBOUND,
        content=what,
        conversation_id=recipient.conversation_id,
        message_id=recipient.message_id,
    )
    await timeline(work, work.workspace_id).record([entry])
    work.announce(LeadUpdated(entity_ids=[recipient.lead_id], changed=[what]))
