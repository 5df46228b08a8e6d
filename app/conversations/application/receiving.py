"""Receiving: from a mail that has been read to a message in its conversation, all in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.channels.domain.mail import Bounce, Mail
from app.common.domain import ActorKind, Announcer, Direction
from app.conversations.domain.conversation import ConversationStatus
from app.conversations.domain.events import ConversationUpdated, MessageCreated, MessageUpdated
from app.conversations.domain.message import MessageStatus, excerpt
from app.conversations.domain.receiving import (
    AddedMessage,
    AlreadyReceived,
    FoundConversation,
    Outcome,
    ReceivingAccount,
    ReturnedMessage,
    SenderErased,
    body_of,
    born_of_inbound,
    bounce_error,
    contact_address,
    html_of,
    is_to_suppress,
)


class InboundMessages(Protocol):
    """Conversations and messages of one account, as receiving writes them."""

    async def seen(self, mail: Mail) -> Outcome | None:
        """DUPLICATE or OWN, if the mail is known already."""

    async def find(self, mail: Mail, sender: str) -> FoundConversation | None:
        """By the thread, where it is ours, else by the address; locked. Those of deleted leads are not found. Raises
        LeadGone: it went to another lead, or its lead was deleted, meanwhile."""

    async def start(self, sender: str, lead_id: UUID, status: ConversationStatus) -> FoundConversation:
        """The conversation with this address, made now or taken over from a deleted lead; locked."""

    async def add(
        self,
        conversation: FoundConversation,
        mail: Mail,
        *,
        body: str,
        html: str | None,
        file_ids: Sequence[UUID],
    ) -> AddedMessage | None:
        """The message and what it does to its conversation, in one statement; None: it is there already."""

    async def stop_sends(self, conversation: FoundConversation) -> Sequence[MessageUpdated]:
        """Its lead answered: what batches, and rules that act on silence, still were to send it is canceled, and what
        they have sent is answered. What that moved of messages that were there before."""

    async def returned(self, message_ids: Sequence[str]) -> ReturnedMessage | None:
        """The message of ours with the first of these Message-IDs that is one; its lead is held."""

    async def mark_bounced(self, message_id: UUID, error: str) -> MessageStatus | None:
        """What it showed before; None: it is past bouncing. A delivery that was unknown did go out."""


class LeadsOfMails(Protocol):
    """What leads do for a mail."""

    async def is_erased(self, mail: Mail) -> bool:
        """Whether it is from, or a bounce about, somebody who was erased."""

    async def reach_or_create(self, *, email: str, name: str | None) -> UUID:
        """It stays until the commit. Raises SenderErased, LeadGone."""

    async def touch(self, lead_id: UUID) -> None: ...

    async def suppress(self, address: str) -> None: ...

    async def record(self, lead_id: UUID, conversation_id: UUID, message_id: UUID, content: str) -> None: ...


class ReceivedFiles(Protocol):
    async def add(self, mail: Mail) -> Sequence[UUID]:
        """Rows of the mail's attachments, whose bytes are stored already; their ids in order."""


@dataclass(frozen=True)
class ReceiveMail:
    account: ReceivingAccount
    messages: InboundMessages
    leads: LeadsOfMails
    files: ReceivedFiles
    feed: Announcer

    async def receive(self, mail: Mail) -> Outcome:
        """Raises AlreadyReceived where the same mail won meanwhile: roll back, and it is a duplicate. Raises
        SenderErased, LeadGone."""
        if await self.leads.is_erased(mail):
            raise SenderErased
        if mail.bounce is not None:
            return await self._take_bounce(mail, mail.bounce)
        sender = contact_address(mail)
        if sender is None:
            return Outcome.NO_SENDER
        if sender == self.account.address:
            return Outcome.OWN
        if known := await self.messages.seen(mail):
            return known
        await self._add(mail, sender)
        return Outcome.RECEIVED

    async def _add(self, mail: Mail, sender: str) -> None:
        found = await self.messages.find(mail, sender) or await self._start(mail, sender)
        added = await self.messages.add(
            found,
            mail,
            body=body_of(mail, conversation=found, sender=sender),
            html=html_of(mail, conversation=found, sender=sender),
            file_ids=await self.files.add(mail),
        )
        if added is None:
            raise AlreadyReceived
        self._announce(found, added)
        if not mail.is_auto_reply:
            await self.leads.touch(added.lead_id)
            for moved in await self.messages.stop_sends(found):
                self.feed.announce(moved)
        await self.leads.record(added.lead_id, found.id, added.id, excerpt(mail.text, mail.subject))

    async def _start(self, mail: Mail, sender: str) -> FoundConversation:
        lead_id = await self.leads.reach_or_create(email=sender, name=mail.from_name)
        return await self.messages.start(sender, lead_id, born_of_inbound(is_auto_reply=mail.is_auto_reply))

    def _announce(self, found: FoundConversation, added: AddedMessage) -> None:
        is_moved = added.status is not added.status_before
        if changed := [*found.changed, *(["status"] if is_moved else [])]:
            self.feed.announce(
                ConversationUpdated(
                    entity_ids=[found.id],
                    changed=changed,
                    before={"status": added.status_before.value} if is_moved else {},
                    after={"status": added.status.value, "leadId": str(added.lead_id)},
                )
            )
        self.feed.announce(
            MessageCreated(
                entity_ids=[added.id],
                after={
                    "direction": Direction.INBOUND.value,
                    "conversationId": str(found.id),
                    "leadId": str(added.lead_id),
                    "position": added.position,
                    "authorKind": ActorKind.CONTACT.value,
                    "status": MessageStatus.RECEIVED.value,
                },
            )
        )

    async def _take_bounce(self, mail: Mail, bounce: Bounce) -> Outcome:
        message = await self.messages.returned(bounce.message_ids)
        if message is None:
            if await self.leads.is_erased(mail):  # meanwhile
                raise SenderErased
            return Outcome.BOUNCE_OF_NOTHING
        if bounce.is_delayed:
            return Outcome.BOUNCE_NOTED
        before = await self.messages.mark_bounced(message.id, bounce_error(bounce))
        if is_to_suppress(bounce, message):
            await self.leads.suppress(message.contact_address)
        if before is None:
            return Outcome.BOUNCE_NOTED
        self.feed.announce(
            MessageUpdated(
                entity_ids=[message.id],
                before={"status": before.value},
                after={
                    "status": MessageStatus.BOUNCED.value,
                    "conversationId": str(message.conversation_id),
                },
            )
        )
        return Outcome.BOUNCED
