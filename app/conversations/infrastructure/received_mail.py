"""What receiving asks of lower modules, for one mail: the held row itself, its lead, the files it brought."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from app.channels.domain.mail import Mail
from app.common.domain import ActorKind, Channel, Direction
from app.common.work import Reads, Work
from app.conversations.domain.receiving import LeadGone, ReceivingAccount, SenderErased, contact_address
from app.files.wiring import add_received_file, file_store
from app.leads.domain.contact import SuppressionReason
from app.leads.domain.identity import Identity, IdentityKind
from app.leads.domain.timeline import Entry, InteractionType
from app.leads.wiring import erased_among, reach_or_create, stay, suppress, timeline, touch
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


async def remove_bytes(settings: Settings, account: ReceivingAccount, mail: Mail) -> None:
    """Of files that no row names, since the mail was let go of."""
    store = file_store(settings)
    for id in file_ids(account, mail):
        await asyncio.to_thread(store.remove, account.workspace_id, id)


async def is_erased(reads: Reads, account: ReceivingAccount, mail: Mail) -> bool:
    told = [contact_address(mail), mail.bounce.recipient if mail.bounce else None]
    wanted = [Identity(IdentityKind.EMAIL, address) for address in told if address]
    return bool(await erased_among(reads, account.workspace_id, wanted))


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

    async def is_erased(self, mail: Mail) -> bool:
        return await is_erased(self.work, self.account, mail)

    async def reach_or_create(self, *, email: str, name: str | None) -> UUID:
        """Asked once more after the identity was written, which waits for an erase that is under way."""
        workspace_id = self.account.workspace_id
        lead_id, is_new = await reach_or_create(self.work, workspace_id, email=email, name=name)
        if is_new and await erased_among(self.work, workspace_id, [Identity(IdentityKind.EMAIL, email)]):
            raise SenderErased
        if not await stay(self.work, workspace_id, lead_id):
            raise LeadGone
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
