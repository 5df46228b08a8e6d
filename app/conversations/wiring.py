"""The door to the inbox for other modules, and the handlers of the due rows `delivery` and `inbound_event`.

What only the worker runs is imported when it does: the API starts without it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from uuid_utils.compat import uuid7

from app.channels.domain.mail import Mail
from app.channels.wiring import INBOUND, inbound_events, senders
from app.common.domain import Actor
from app.common.idempotency import Idempotency
from app.common.leases import Claim
from app.common.work import Doors, Work
from app.conversations.application.inbox import InboxUseCases
from app.conversations.application.sending import SendingUseCases
from app.conversations.domain.audience import BULK_SEND, Added, Audience, ExclusionReason, Tally
from app.conversations.domain.by_rule import Accepted, NotNow, NotSent
from app.conversations.domain.delivery import DUE as DELIVERY
from app.conversations.domain.delivery import SEND_BATCH
from app.conversations.domain.receiving import ReceivingAccount
from app.conversations.domain.sending import AttachedFile
from app.conversations.infrastructure.audience import add_recipients, tallies
from app.conversations.infrastructure.audience_reads import plan_audience, refused_leads, sending_limits
from app.conversations.infrastructure.batches import cancel_rest, create_batch, switch_batch
from app.conversations.infrastructure.bulk import unassign_conversations
from app.conversations.infrastructure.by_rule import send_by_rule
from app.conversations.infrastructure.erasing import erase_conversations, hold_conversations
from app.conversations.infrastructure.exchanged import exchanged_messages
from app.conversations.infrastructure.exporting import export_conversations
from app.conversations.infrastructure.list_reads import (
    ConversationConditions,
    ConversationPage,
    list_conversations,
)
from app.conversations.infrastructure.merging import REASSIGNED as REASSIGNED_WITH_CONVERSATIONS
from app.conversations.infrastructure.merging import give_back as give_back_conversations
from app.conversations.infrastructure.merging import reassign as reassign_conversations
from app.conversations.infrastructure.outgoing import OutgoingRepository, attached_files
from app.conversations.infrastructure.pacing import end_pace, start_pace, used_up
from app.conversations.infrastructure.presence import Bell, Presences
from app.conversations.infrastructure.reads import (
    MessagePage,
    Wanted,
    are_there,
    conversations_by_id,
    messages_by_id,
    messages_of,
)
from app.conversations.infrastructure.recipient_reads import recipients
from app.conversations.infrastructure.releasing import release_from_quiet_hours
from app.conversations.infrastructure.repository import ConversationRepository
from app.conversations.infrastructure.sent_timeline import SentTimeline
from app.conversations.infrastructure.standings import account_refusal
from app.conversations.infrastructure.tables import deliveries
from app.conversations.infrastructure.templated import TemplateRepository
from app.conversations.infrastructure.unsubscribe import PATH as UNSUBSCRIBE_PATH
from app.conversations.infrastructure.unsubscribe import UnsubscribeToken, unsubscribe_url
from app.conversations.infrastructure.unsubscribe import read_token as read_unsubscribe_token
from app.conversations.infrastructure.unsubscribing import locale_of as workspace_locale
from app.conversations.infrastructure.unsubscribing import subscribe_again, unsubscribe
from app.conversations.infrastructure.verdicts import verdicts
from app.conversations.infrastructure.waking import wake_snoozed
from app.files.wiring import take_uploads
from app.leads.wiring import timeline
from app.settings import Settings

if TYPE_CHECKING:
    from app.conversations.infrastructure.batch_courier import BatchCourier
    from app.conversations.infrastructure.courier import Courier


def sending_use_cases(work: Work, workspace_id: UUID, settings: Settings) -> SendingUseCases:
    return SendingUseCases(
        workspace_id,
        OutgoingRepository(work),
        TemplateRepository(work),
        _Uploads(work, workspace_id, settings),
        SentTimeline(work, workspace_id),
        Idempotency(work, workspace_id),
        work,
        uuid7,
    )


def create_courier(settings: Settings) -> "Courier":
    """One a worker process: it keeps connections to providers open."""
    from app.conversations.infrastructure.courier import Courier

    return Courier(settings, senders(settings))


def create_batch_courier(settings: Settings, courier: "Courier") -> "BatchCourier":
    """One a worker process; it sends through the courier of single messages."""
    from app.conversations.infrastructure.batch_courier import BatchCourier

    return BatchCourier(settings, courier)


async def receive_mail(
    doors: Doors, settings: Settings, claim: Claim, is_stopping: Callable[[], bool]
) -> bool:
    """From a mail as it came to a message in its conversation, or from what a provider told of one of ours to what that
    changes; False when asked to stop before that."""
    from app.conversations.infrastructure import feedback, inbound

    async with doors.open_reads(claim.workspace_id) as reads:
        told = await feedback.held_feedback(reads, claim)
    if told is not None:
        await feedback.take_feedback(doors, settings, told)
        return True
    return await inbound.receive_mail(doors, settings, claim, is_stopping)


async def receive_at_once(
    work: Work, settings: Settings, account: ReceivingAccount, event_id: UUID, mail: Mail
) -> None:
    """A mail that is read already, in the caller's transaction, which also ends its due row."""
    from app.conversations.infrastructure import inbound

    await inbound.receive_at_once(work, settings, account, event_id, mail)


async def fail_mail(doors: Doors, claim: Claim, error: str) -> None:
    """Ends one that cannot be read into the inbox; it is kept as it came. Raises LostLease."""
    from app.conversations.infrastructure import inbound

    await inbound.fail_mail(doors, claim, error)


class _Uploads:
    """Implements the port Uploads."""

    def __init__(self, work: Work, workspace_id: UUID, settings: Settings) -> None:
        self._work, self._workspace_id, self._settings = work, workspace_id, settings

    async def take(self, user_id: UUID, tokens: Sequence[str]) -> Sequence[AttachedFile]:
        ids = await take_uploads(self._work, self._workspace_id, user_id, tokens, self._settings)
        return await attached_files(self._work, self._workspace_id, ids)


def inbox_use_cases(work: Work, actor: Actor) -> InboxUseCases:
    workspace_id = actor.workspace_id
    return InboxUseCases(
        workspace_id, actor.user_id, ConversationRepository(work), timeline(work, workspace_id), work, uuid7
    )


__all__ = [
    "BULK_SEND",
    "DELIVERY",
    "INBOUND",
    "REASSIGNED_WITH_CONVERSATIONS",
    "SEND_BATCH",
    "UNSUBSCRIBE_PATH",
    "Accepted",
    "Added",
    "Audience",
    "ConversationConditions",
    "ConversationPage",
    "ExclusionReason",
    "MessagePage",
    "NotNow",
    "NotSent",
    "Tally",
    "UnsubscribeToken",
    "Wanted",
    "account_refusal",
    "add_recipients",
    "are_there",
    "cancel_rest",
    "conversations_by_id",
    "create_batch",
    "create_batch_courier",
    "create_courier",
    "deliveries",
    "end_pace",
    "erase_conversations",
    "exchanged_messages",
    "export_conversations",
    "fail_mail",
    "give_back_conversations",
    "hold_conversations",
    "inbound_events",
    "inbox_use_cases",
    "list_conversations",
    "messages_by_id",
    "messages_of",
    "plan_audience",
    "presence_service",
    "read_unsubscribe_token",
    "reassign_conversations",
    "receive_at_once",
    "receive_mail",
    "recipients",
    "refused_leads",
    "release_from_quiet_hours",
    "send_by_rule",
    "sending_limits",
    "sending_use_cases",
    "start_pace",
    "subscribe_again",
    "switch_batch",
    "tallies",
    "unassign_conversations",
    "unsubscribe",
    "unsubscribe_url",
    "used_up",
    "verdicts",
    "wake_snoozed",
    "workspace_locale",
]


def presence_service(settings: Settings, bell: Bell) -> Presences:
    """One a process, for its whole life."""
    url = None if settings.redis_is_off else settings.redis_url
    return Presences(url, bell, ttl_s=settings.presence_ttl_s)
