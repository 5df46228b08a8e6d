"""The door to the inbox for other modules, and the handlers of the due rows `delivery` and `inbound_event`.

What only the worker runs is imported when it does: the API starts without it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from uuid_utils.compat import uuid7

from app.channels.domain.mail import Mail
from app.channels.wiring import INBOUND, inbound_events, senders
from app.common.domain import Actor, ActorKind, Channel, Direction
from app.common.idempotency import Idempotency
from app.common.leases import Claim
from app.common.work import Doors, Work
from app.conversations.application.inbox import InboxUseCases
from app.conversations.application.sending import SendingUseCases
from app.conversations.domain.delivery import DUE as DELIVERY
from app.conversations.domain.receiving import ReceivingAccount
from app.conversations.domain.sending import AttachedFile
from app.conversations.infrastructure.bulk import unassign_conversations
from app.conversations.infrastructure.erasing import erase_conversations, hold_conversations
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
from app.conversations.infrastructure.presence import Bell, Presences
from app.conversations.infrastructure.reads import (
    MessagePage,
    Wanted,
    are_there,
    conversations_by_id,
    messages_by_id,
    messages_of,
)
from app.conversations.infrastructure.repository import ConversationRepository
from app.conversations.infrastructure.tables import deliveries
from app.conversations.infrastructure.waking import wake_snoozed
from app.files.wiring import take_uploads
from app.leads.domain.timeline import Entry, InteractionType
from app.leads.wiring import timeline
from app.settings import Settings

if TYPE_CHECKING:
    from app.conversations.infrastructure.courier import Courier


def sending_use_cases(work: Work, workspace_id: UUID, settings: Settings) -> SendingUseCases:
    return SendingUseCases(
        workspace_id,
        OutgoingRepository(work),
        _Uploads(work, workspace_id, settings),
        _Timeline(work, workspace_id),
        Idempotency(work, workspace_id),
        work,
        uuid7,
    )


def create_courier(settings: Settings) -> "Courier":
    """One a worker process: it keeps connections to providers open."""
    from app.conversations.infrastructure.courier import Courier

    return Courier(settings, senders(settings))


async def receive_mail(
    doors: Doors, settings: Settings, claim: Claim, is_stopping: Callable[[], bool]
) -> bool:
    """From a mail as it came to a message in its conversation; False when asked to stop before that."""
    from app.conversations.infrastructure import inbound

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


class _Timeline:
    """Implements the port Timeline."""

    def __init__(self, work: Work, workspace_id: UUID) -> None:
        self._work, self._workspace_id = work, workspace_id

    async def record_sent(
        self,
        lead_id: UUID,
        *,
        channel: Channel,
        conversation_id: UUID,
        message_id: UUID,
        author_id: UUID,
        content: str,
    ) -> None:
        entry = Entry(
            lead_id=lead_id,
            type=InteractionType.MESSAGE,
            actor_kind=ActorKind.HUMAN,
            actor_id=author_id,
            channel=channel,
            direction=Direction.OUTBOUND,
            content=content,
            conversation_id=conversation_id,
            message_id=message_id,
        )
        await timeline(self._work, self._workspace_id).record([entry])


def inbox_use_cases(work: Work, actor: Actor) -> InboxUseCases:
    workspace_id = actor.workspace_id
    return InboxUseCases(
        workspace_id, actor.user_id, ConversationRepository(work), timeline(work, workspace_id), work, uuid7
    )


__all__ = [
    "DELIVERY",
    "INBOUND",
    "REASSIGNED_WITH_CONVERSATIONS",
    "ConversationConditions",
    "ConversationPage",
    "MessagePage",
    "Wanted",
    "are_there",
    "conversations_by_id",
    "create_courier",
    "deliveries",
    "erase_conversations",
    "export_conversations",
    "fail_mail",
    "give_back_conversations",
    "hold_conversations",
    "inbound_events",
    "inbox_use_cases",
    "list_conversations",
    "messages_by_id",
    "messages_of",
    "presence_service",
    "reassign_conversations",
    "receive_at_once",
    "receive_mail",
    "sending_use_cases",
    "unassign_conversations",
    "wake_snoozed",
]


def presence_service(settings: Settings, bell: Bell) -> Presences:
    """One a process, for its whole life."""
    url = None if settings.redis_is_off else settings.redis_url
    return Presences(url, bell, ttl_s=settings.presence_ttl_s)
