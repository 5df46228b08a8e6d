"""Delivering: what stands before a call to a provider and after it, each in a transaction of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.channels.domain.ports import Answer, Rejected, Retry
from app.common.domain import Announcer
from app.conversations.domain.delivery import Intent, Postponed, Refused, Settled
from app.conversations.domain.events import MessageUpdated
from app.conversations.domain.message import MessageStatus
from app.conversations.domain.ports import Accounts, Contacts, DeliveryLedger


@dataclass(frozen=True)
class Delivering:
    ledger: DeliveryLedger
    contacts: Contacts
    accounts: Accounts
    feed: Announcer

    async def intend(self) -> Intent | None:
        """What to hand over, or None: it may not be sent any more, and says why; or not now, and is queued again.
        Raises LostLease."""
        found = await self.intend_or_wait()
        return found if isinstance(found, Intent) else None

    async def intend_or_wait(self) -> Intent | Postponed | None:
        """As `intend`, and what it waits for."""
        found = await self.ledger.intend()
        if isinstance(found, Postponed):
            return found
        if isinstance(found, Refused):
            self._tell(found.message_id, found.conversation_id, found.shown, found.becomes)
            return None
        if found.shown is not MessageStatus.SENDING:  # it is, while it is tried again
            self._tell(found.message_id, found.conversation_id, found.shown, MessageStatus.SENDING)
        return found

    async def record(
        self, intent: Intent, answer: Answer, settled: Settled, *, with_effects: bool = True
    ) -> bool:
        """False: the lease was lost, and the row has gone another way; the evidence is written all the same.

        `with_effects`: also what follows from it for the lead, the address and the account.
        """
        if with_effects and settled.shows is MessageStatus.SENT:
            await self.contacts.touch(
                intent.lead_id
            )  # its row lock comes before the delivery's, as everywhere
        recorded = await self.ledger.record(intent, settled)
        if recorded is None:
            return False
        if recorded.shows is not None:
            before = MessageStatus.UNKNOWN if recorded.is_late else MessageStatus.SENDING
            self.tell(intent, before, recorded.shows)
        if not with_effects:
            return True
        if settled.shows is MessageStatus.SENT and intent.is_account_ailing:
            await self.accounts.report_well(intent.account_id)
        if isinstance(answer, Rejected) and answer.is_address_bad:
            await self.contacts.suppress_bounced(intent.to_address)
        if isinstance(answer, Retry) and answer.is_account_broken:
            await self.accounts.report_broken(intent.account_id, settled.error or answer.code)
        return True

    def tell(self, intent: Intent, before: MessageStatus, after: MessageStatus) -> None:
        self._tell(intent.message_id, intent.conversation_id, before, after)

    async def end_overdue(self, workspace_id: UUID, ids: Sequence[UUID]) -> int:
        """Ends calls whose worker is gone; how many."""
        count, unknown = await self.ledger.end_overdue(workspace_id, ids)
        for message_id, conversation_id in unknown:
            self._tell(message_id, conversation_id, MessageStatus.SENDING, MessageStatus.UNKNOWN)
        return count

    async def give_up(self, reason: str) -> None:
        """Raises LostLease."""
        ended = await self.ledger.give_up(reason)
        if ended is not None:
            self._tell(ended.message_id, ended.conversation_id, ended.shown, ended.becomes)

    def _tell(
        self, message_id: UUID, conversation_id: UUID, before: MessageStatus, after: MessageStatus
    ) -> None:
        self.feed.announce(
            MessageUpdated(
                entity_ids=[message_id],
                before={"status": before},
                after={"status": after, "conversationId": str(conversation_id)},
            )
        )
