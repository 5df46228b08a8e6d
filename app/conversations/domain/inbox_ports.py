"""What the use cases of the inbox need from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from app.conversations.domain.conversation import Conversation
from app.leads.domain.timeline import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What came of asking for the conversation with a lead over an account."""

    has_lead: bool
    has_address: bool
    has_account: bool
    is_connected: bool
    id: UUID | None
    """None: one of the above is missing."""
    is_new: bool
    is_repointed: bool
    """It was there with another lead, whose address this was."""


class Conversations(Protocol):
    async def get(self, workspace_id: UUID, id: UUID) -> tuple[Conversation, datetime]:
        """With the database's time. Locks it until the commit. Raises ConversationNotFound."""

    async def save(self, workspace_id: UUID, conversation: Conversation) -> None: ...

    async def start(self, workspace_id: UUID, new_id: UUID, *, lead_id: UUID, account_id: UUID) -> Started:
        """The one there is, or a new one: one, however many ask at once."""

    async def member_name(self, workspace_id: UUID, user_id: UUID) -> str | None:
        """None for somebody who is no member; else they are one until the commit."""

    async def mark_read(self, workspace_id: UUID, id: UUID, *, user_id: UUID, up_to: UUID | None) -> bool:
        """Whether the pointer moved. `up_to` None: the newest message. Raises ConversationNotFound, MessageNotFound."""

    async def save_draft(self, workspace_id: UUID, id: UUID, *, user_id: UUID, body: str | None) -> None:
        """None drops it. Raises ConversationNotFound."""

    async def is_of_lead(self, workspace_id: UUID, id: UUID, *, lead_id: UUID) -> bool: ...


class Timeline(Protocol):
    """The lead's timeline, as leads have it."""

    async def record(self, entries: Sequence[Entry]) -> None: ...

    async def add_note(
        self,
        lead_id: UUID,
        body: str,
        *,
        author_id: UUID,
        conversation_id: UUID | None = None,
        mentions: Sequence[UUID] = (),
    ) -> UUID: ...
