"""What receiving asks of lower modules, for one mail: the held row itself, its lead, the files it brought."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from app.channels.domain.mail import Mail
from app.common.domain import ActorKind, Channel, Direction
from app.common.work import Work
from app.conversations.domain.receiving import ReceivingAccount
from app.files.wiring import add_received_file, file_store
from app.leads.domain.contact import SuppressionReason
from app.leads.domain.timeline import Entry, InteractionType
from app.leads.wiring import reach_or_create, suppress, timeline, touch
from app.settings import Settings


def file_ids(account: ReceivingAccount, mail: Mail) -> Sequence[UUID]:
    """Of its attachments. Made from what the mail is, so that it writes the same files however often it comes."""
    return [uuid5(account.id, f"{mail.identity}/{number}") for number in range(len(mail.parts))]


async def store_files(settings: Settings, account: ReceivingAccount, mail: Mail) -> None:
    """The attachments' bytes, before any row names them: again is no harm."""
    store = file_store(settings)

    def write() -> None:
        for id, part in zip(file_ids(account, mail), mail.parts, strict=True):
            store.write(account.workspace_id, id, part.content)

    if mail.parts:
        await asyncio.to_thread(write)


@dataclass(frozen=True)
class MailFiles:
    work: Work
    account: ReceivingAccount

    async def add(self, mail: Mail) -> Sequence[UUID]:
        ids = file_ids(self.account, mail)
        for id, part in zip(ids, mail.parts, strict=True):
            await add_received_file(
                self.work,
                self.account.workspace_id,
                id=id,
                name=part.name,
                claimed_media_type=part.media_type,
                content=part.content,
            )
        return ids


@dataclass(frozen=True)
class MailLeads:
    work: Work
    account: ReceivingAccount

    async def reach_or_create(self, *, email: str, name: str | None) -> UUID:
        lead_id, _ = await reach_or_create(self.work, self.account.workspace_id, email=email, name=name)
        return lead_id

    async def touch(self, lead_id: UUID) -> None:
        await touch(self.work, self.account.workspace_id, lead_id, Direction.INBOUND)

    async def suppress(self, address: str) -> None:
        await suppress(
            self.work,
            self.account.workspace_id,
            value=address,
            channel=Channel(self.account.channel),
            reason=SuppressionReason.HARD_BOUNCE,
        )

    async def record(self, lead_id: UUID, conversation_id: UUID, message_id: UUID, content: str) -> None:
        entry = Entry(
            lead_id=lead_id,
            type=InteractionType.MESSAGE,
            actor_kind=ActorKind.CONTACT,
            channel=Channel(self.account.channel),
            direction=Direction.INBOUND,
            content=content,
            conversation_id=conversation_id,
            message_id=message_id,
        )
        await timeline(self.work, self.account.workspace_id).record([entry])
