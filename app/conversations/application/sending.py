"""Sending: a message is accepted with its place in the ledger, called back, sent again. No provider is called here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.common.domain import ActorKind, Announcer, Direction, Invalid, Once, Waker
from app.conversations.domain.delivery import DUE, Reason
from app.conversations.domain.errors import ConversationNotFound
from app.conversations.domain.events import ConversationUpdated, MessageCreated, MessageUpdated
from app.conversations.domain.message import MessageStatus, excerpt
from app.conversations.domain.policy import refuse, sent_again
from app.conversations.domain.ports import Outgoing, Timeline, Uploads
from app.conversations.domain.sending import (
    MAX_ATTACHED_BYTES,
    AttachedFile,
    MessageNotFound,
    NotCancelable,
    NotResendable,
    Outbox,
    SendRequest,
)
from app.conversations.domain.templated import Templates, filled


class FeedAndBell(Announcer, Waker, Protocol):
    """What an accepted message is told to."""


@dataclass(frozen=True)
class SendingUseCases:
    workspace_id: UUID
    outgoing: Outgoing
    templates: Templates
    uploads: Uploads
    timeline: Timeline
    once: Once
    work: FeedAndBell
    new_id: Callable[[], UUID]

    async def send_message(self, request: SendRequest, *, idempotency_key: str, author_id: UUID) -> UUID:
        """The message's id; the same one for the same key. Raises what stands in the way."""
        if earlier := await self.once.seen(idempotency_key, request.fingerprint):
            return earlier
        outbox = await self.outgoing.open(self.workspace_id, request.conversation_id)
        if outbox is None:
            raise ConversationNotFound("conversationId")
        message_id, departure = self.new_id(), outbox.departure(request)
        standing = await self.outgoing.standing(self.workspace_id, outbox.conversation_id, departure)
        refuse(standing, "conversationId", when="notBefore")
        if request.template_id:
            request = filled(
                request, await self.templates.texts(self.workspace_id, outbox, request.template_id)
            )
        subject = outbox.subject_of(request)
        files = await self._take(request.attachment_tokens, author_id)
        position = await self.outgoing.add(
            self.workspace_id,
            outbox,
            message_id=message_id,
            author_id=author_id,
            subject=subject,
            body=request.body,
            files=files,
            not_before=departure,
            time_zone=standing.time_zone,
        )
        await self.timeline.record_sent(
            outbox.lead_id,
            channel=outbox.channel,
            conversation_id=outbox.conversation_id,
            message_id=message_id,
            author_id=author_id,
            content=excerpt(request.body, subject),
        )
        await self.once.remember(idempotency_key, message_id)
        self._announce(outbox, message_id, position, is_scheduled=departure is not None)
        return message_id

    async def cancel_message(self, message_id: UUID) -> None:
        """Unless its sending has begun; what is canceled already stays so. Raises MessageNotFound, NotCancelable."""
        outbox, status = await self._find(message_id)
        if status is MessageStatus.CANCELED:
            return
        before = await self.outgoing.cancel(
            self.workspace_id,
            message_id,
            conversation_id=outbox.conversation_id,
            reason=Reason.CANCELED_BY_USER,
        )
        if before is None:
            raise NotCancelable(message_id, await self._status(message_id))
        self._moved(outbox, message_id, before, MessageStatus.CANCELED)

    async def resend_message(self, message_id: UUID) -> None:
        """Only what failed, or nobody can say of. Raises MessageNotFound, NotResendable, what stands in the way."""
        outbox, status = await self._find(message_id)
        if status not in (MessageStatus.FAILED, MessageStatus.UNKNOWN):
            raise NotResendable(message_id, status)
        standing = await self.outgoing.standing(self.workspace_id, outbox.conversation_id, None)
        refuse(sent_again(standing), "id", when="id")
        before = await self.outgoing.resend(self.workspace_id, message_id)
        if before is None:
            raise NotResendable(message_id, await self._status(message_id))
        self._moved(outbox, message_id, before, MessageStatus.QUEUED)
        self.work.wake(DUE, outbox.account_id)

    async def _take(self, tokens: Sequence[str], author_id: UUID) -> Sequence[AttachedFile]:
        files = await self.uploads.take(author_id, tokens) if tokens else ()
        if sum(file.size for file in files) > MAX_ATTACHED_BYTES:
            limit_mb = MAX_ATTACHED_BYTES // 1_000_000
            raise Invalid(f"Attach at most {limit_mb} MB in all.", path=("attachmentTokens",))
        return files

    async def _find(self, message_id: UUID) -> tuple[Outbox, MessageStatus]:
        found = await self.outgoing.open_by_message(self.workspace_id, message_id)
        if found is None or found[0].is_lead_deleted:
            raise MessageNotFound
        return found

    async def _status(self, message_id: UUID) -> MessageStatus:
        """As it is by now: the move that was lost to has committed."""
        return (await self._find(message_id))[1]

    def _announce(self, outbox: Outbox, message_id: UUID, position: int, *, is_scheduled: bool) -> None:
        if not is_scheduled:
            self.work.wake(DUE, outbox.account_id)
        self.work.announce(
            MessageCreated(
                entity_ids=[message_id],
                after={
                    "direction": Direction.OUTBOUND,
                    "conversationId": str(outbox.conversation_id),
                    "leadId": str(outbox.lead_id),
                    "position": position,
                    "authorKind": ActorKind.HUMAN,
                    "status": MessageStatus.SCHEDULED if is_scheduled else MessageStatus.QUEUED,
                },
            )
        )
        if outbox.is_opened_by_sending:
            self.work.announce(
                ConversationUpdated(
                    entity_ids=[outbox.conversation_id],
                    changed=["status"],
                    before={"status": outbox.status},
                    after={"status": "OPEN"},
                )
            )

    def _moved(self, outbox: Outbox, message_id: UUID, before: MessageStatus, after: MessageStatus) -> None:
        self.work.announce(
            MessageUpdated(
                entity_ids=[message_id],
                before={"status": before},
                after={"status": after, "conversationId": str(outbox.conversation_id)},
            )
        )
