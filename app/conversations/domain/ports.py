"""What the use cases of the inbox need of others."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from app.channels.domain.ports import MessageSender
from app.common.domain import Channel
from app.conversations.domain.delivery import Intent, Postponed, Recorded, Refused, Settled
from app.conversations.domain.message import MessageStatus
from app.conversations.domain.policy import Standing
from app.conversations.domain.sending import AttachedFile, Outbox


class DeliveryLedger(Protocol):
    """One claimed delivery's rows, in one transaction (`infrastructure/ledger.py`)."""

    async def intend(self) -> Intent | Refused | Postponed: ...

    async def record(self, intent: Intent, settled: Settled) -> Recorded | None: ...

    async def end_overdue(
        self, workspace_id: UUID, ids: Sequence[UUID]
    ) -> tuple[int, Sequence[tuple[UUID, UUID]]]: ...

    async def give_up(self, reason: str) -> Refused | None:
        """None: it has no message yet."""


class Contacts(Protocol):
    """What a message that left makes of its lead."""

    async def touch(self, lead_id: UUID) -> None: ...

    async def suppress_bounced(self, address: str) -> None: ...


class Accounts(Protocol):
    async def report_broken(self, account_id: UUID, reason: str) -> None: ...

    async def report_well(self, account_id: UUID) -> None: ...


class Senders(Protocol):
    """One sender a channel, for the life of the process."""

    def of(self, channel: Channel) -> MessageSender: ...

    async def close(self) -> None: ...


class Outgoing(Protocol):
    """A person's messages on their way into the ledger (`infrastructure/outgoing.py`)."""

    async def open(self, workspace_id: UUID, conversation_id: UUID) -> Outbox | None:
        """Locked until the transaction ends."""

    async def open_by_message(
        self, workspace_id: UUID, message_id: UUID
    ) -> tuple[Outbox, MessageStatus] | None:
        """The conversation of an outbound message, locked, and what the message shows."""

    async def standing(
        self, workspace_id: UUID, conversation_id: UUID, leaves_at: datetime | None
    ) -> Standing:
        """Of a conversation that is open, for a message that would leave then (None: now)."""

    async def add(
        self,
        workspace_id: UUID,
        outbox: Outbox,
        *,
        message_id: UUID,
        author_id: UUID,
        subject: str,
        body: str,
        files: Sequence[AttachedFile],
        not_before: datetime | None,
        time_zone: str | None,
    ) -> int:
        """Message, conversation and delivery together; the message's position."""

    async def cancel(
        self, workspace_id: UUID, message_id: UUID, *, conversation_id: UUID, reason: str
    ) -> MessageStatus | None:
        """What it showed before; None: its sending has begun, or ended."""

    async def resend(self, workspace_id: UUID, message_id: UUID) -> MessageStatus | None:
        """What it showed before; None: it is not one to send again."""


class Uploads(Protocol):
    async def take(self, user_id: UUID, tokens: Sequence[str]) -> Sequence[AttachedFile]:
        """The files, now used."""


class Timeline(Protocol):
    async def record_sent(
        self,
        lead_id: UUID,
        *,
        channel: Channel,
        conversation_id: UUID,
        message_id: UUID,
        author_id: UUID | None,
        content: str,
    ) -> None: ...
