"""What a conversation is, and what people may do with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from app.common.domain import Invalid
from app.conversations.domain.events import ConversationUpdated

MAX_SNOOZE = timedelta(days=366)


class ConversationStatus(StrEnum):
    OPEN = "OPEN"
    SNOOZED = "SNOOZED"
    CLOSED = "CLOSED"


OPENED_BY_REPLY = frozenset({ConversationStatus.CLOSED, ConversationStatus.SNOOZED})
"""What a reply opens (words.md, Conversation); from any other status it stays."""


def after_inbound(status: ConversationStatus, *, is_auto_reply: bool) -> ConversationStatus:
    """Where a conversation stands once something came in; an auto-reply is no reply and moves nothing."""
    return ConversationStatus.OPEN if not is_auto_reply and status in OPENED_BY_REPLY else status


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """As far as its rules go. A rule gives the conversation as it is then, with what happened; None: nothing did."""

    id: UUID
    lead_id: UUID
    status: ConversationStatus = ConversationStatus.OPEN
    is_dormant: bool = False
    """CLOSED since a bulk send or an automation began it; what takes it up ends that."""
    assignee_id: UUID | None = None
    snoozed_until: datetime | None = None

    def assign(self, user_id: UUID | None) -> "Changed":
        if user_id == self.assignee_id:
            return self, None
        return replace(self, assignee_id=user_id), ConversationUpdated(
            entity_ids=[self.id],
            changed=["assignee"],
            before={"assigneeId": _text(self.assignee_id)},
            after={"assigneeId": _text(user_id)},
        )

    def snooze(self, until: datetime, *, now: datetime) -> "Changed":
        """Raises Invalid at `until`."""
        if until <= now:
            raise Invalid("That moment is over: choose a later one.", path=("until",))
        if until > now + MAX_SNOOZE:
            raise Invalid("Snooze for a year at most: choose an earlier moment.", path=("until",))
        if self.status is ConversationStatus.SNOOZED and self.snoozed_until == until:
            return self, None
        return self._become(ConversationStatus.SNOOZED, until)

    def close(self) -> "Changed":
        return self._become(ConversationStatus.CLOSED)

    def reopen(self) -> "Changed":
        return self._become(ConversationStatus.OPEN)

    def receive(self, *, is_auto_reply: bool) -> "Changed":
        """Something came in from the lead. Written set-based (`infrastructure/receiving.py`), by this rule."""
        status = after_inbound(self.status, is_auto_reply=is_auto_reply)
        return (self, None) if status is self.status else self._become(status)

    def wake(self, *, now: datetime) -> "Changed":
        """What was snoozed is open again once its time has come."""
        if (
            self.status is not ConversationStatus.SNOOZED
            or self.snoozed_until is None
            or self.snoozed_until > now
        ):
            return self, None
        return self.reopen()

    def _become(self, status: ConversationStatus, snoozed_until: datetime | None = None) -> "Changed":
        if status is self.status and status is not ConversationStatus.SNOOZED:
            return self, None
        is_dormant = self.is_dormant and status is ConversationStatus.CLOSED
        changed = replace(self, status=status, snoozed_until=snoozed_until, is_dormant=is_dormant)
        return changed, status_changed(self.id, self.status, status)


Changed: TypeAlias = tuple[Conversation, ConversationUpdated | None]


def status_changed(id: UUID, before: ConversationStatus, after: ConversationStatus) -> ConversationUpdated:
    return ConversationUpdated(
        entity_ids=[id],
        changed=["status"],
        before={"status": before.value},
        after={"status": after.value},
    )


def woken(ids: Sequence[UUID]) -> ConversationUpdated:
    """Snoozed ones whose time had come; many are told at once."""
    return ConversationUpdated(
        entity_ids=ids,
        changed=["status"],
        before={"status": ConversationStatus.SNOOZED.value},
        after={"status": ConversationStatus.OPEN.value},
    )


def unassigned(ids: Sequence[UUID], assignee_id: UUID) -> ConversationUpdated:
    """Who looked after them is gone; many are told at once."""
    return ConversationUpdated(
        entity_ids=ids,
        changed=["assignee"],
        before={"assigneeId": str(assignee_id)},
        after={"assigneeId": None},
    )


def started(id: UUID, *, lead_id: UUID) -> ConversationUpdated:
    return ConversationUpdated(entity_ids=[id], changed=["created"], after={"leadId": str(lead_id)})


def given_to(id: UUID, *, lead_id: UUID) -> ConversationUpdated:
    """Its address belongs to another lead now."""
    return ConversationUpdated(entity_ids=[id], changed=["lead"], after={"leadId": str(lead_id)})


@dataclass(frozen=True, slots=True)
class ReadPointer:
    """How many of the lead's messages a member has read. It only goes up."""

    read: int = 0

    def moved_to(self, count: int) -> "ReadPointer":
        return ReadPointer(max(self.read, count))

    def unread(self, inbound_count: int) -> int:
        return max(inbound_count - self.read, 0)


def read_by(id: UUID, user_id: UUID) -> ConversationUpdated:
    """For the member's own other screens: the feed shows it to nobody else."""
    return ConversationUpdated(entity_ids=[id], changed=["read"], after={"userId": str(user_id)})


def _text(id: UUID | None) -> str | None:
    return str(id) if id else None
