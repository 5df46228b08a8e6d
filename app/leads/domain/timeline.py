"""A lead's timeline: what happened with it, entry by entry, and the notes people write on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from app.common.domain import ActorKind, Channel, Direction, Event, Invalid, clean_text

MAX_NOTE, MAX_MENTIONS = 10_000, 20


class InteractionType(StrEnum):
    CREATED = "CREATED"
    """Read from the lead itself, never stored."""
    IMPORTED = "IMPORTED"
    """Read from the rows of imports, never stored."""
    UPDATED = "UPDATED"
    NOTE = "NOTE"
    STAGE_CHANGED = "STAGE_CHANGED"
    TAGGED = "TAGGED"
    ASSIGNED = "ASSIGNED"
    MERGED = "MERGED"
    MESSAGE = "MESSAGE"
    AUTOMATION = "AUTOMATION"
    SCORE = "SCORE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a timeline; written in the transaction of what it tells."""

    lead_id: UUID
    type: InteractionType
    actor_kind: ActorKind = ActorKind.SYSTEM
    actor_id: UUID | None = None
    """The member who did it."""
    channel: Channel | None = None
    direction: Direction | None = None
    content: str = ""
    cause: str | None = None
    """What else did it: an automation, an import."""
    conversation_id: UUID | None = None
    message_id: UUID | None = None
    mentions: Sequence[UUID] = ()
    """The members a note mentions."""


@dataclass(frozen=True, kw_only=True)
class NoteAdded(Event):
    """`entity_ids` is the lead; `after` has interactionId, conversationId where it was written in one, and
    mentionedUserIds where it mentions somebody. An import's notes are told together, by their leads alone."""

    name: ClassVar[str] = "note.added"


def updated_entry(lead_id: UUID, fields: Sequence[str], user_id: UUID) -> Entry:
    """A member changed these fields, by their names in the API."""
    return Entry(
        lead_id=lead_id,
        type=InteractionType.UPDATED,
        actor_kind=ActorKind.HUMAN,
        actor_id=user_id,
        content=", ".join(fields),
    )


def note(
    lead_id: UUID,
    body: str,
    *,
    author_id: UUID,
    conversation_id: UUID | None,
    mentions: Sequence[UUID] = (),
) -> Entry:
    """Who is mentioned twice is mentioned once. Raises Invalid at `body`, `mentionUserIds`."""
    if len(mentions) > MAX_MENTIONS:
        raise Invalid(f"Mention at most {MAX_MENTIONS} members.", path=("mentionUserIds",))
    return Entry(
        lead_id=lead_id,
        type=InteractionType.NOTE,
        actor_kind=ActorKind.HUMAN,
        actor_id=author_id,
        content=clean_text(body, "body", max_length=MAX_NOTE),
        conversation_id=conversation_id,
        mentions=tuple(dict.fromkeys(mentions)),
    )


def note_added(interaction_id: UUID, entry: Entry) -> NoteAdded:
    after: dict[str, object] = {"interactionId": str(interaction_id)}
    if entry.conversation_id:
        after["conversationId"] = str(entry.conversation_id)
    if entry.mentions:
        after["mentionedUserIds"] = [str(id) for id in entry.mentions]
    return NoteAdded(entity_ids=[entry.lead_id], after=after)


def notes_added(lead_ids: Sequence[UUID]) -> NoteAdded:
    """One each, as they come with an import."""
    return NoteAdded(entity_ids=lead_ids)
