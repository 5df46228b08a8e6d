"""A lead's timeline in the GraphQL schema, and the notes on it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import strawberry

from app.accounts.presentation.types import User
from app.common.domain import ActorKind, Channel, Direction
from app.common.graphql import PageInfo, Payload, enum_type, page_info
from app.common.paging import Keyset, Page
from app.leads.domain.timeline import InteractionType

enum_type(
    InteractionType,
    "What an entry of a timeline tells.",
    CREATED="The lead was made: `content` is its source.",
    IMPORTED="An import made it or changed it: `content` is the page it was read from, else the source, and the row.",
    UPDATED="It was changed: `content` names the fields; `deletedAt`: it was deleted or restored; `unsubscribed`, "
    "`subscribed`: the person wants no more mails, or took that back.",
    NOTE="A member's note: `content` is its text.",
    STAGE_CHANGED="It went to another stage: `content` has both names, and below why it was lost.",
    TAGGED="Tags were put on it (+) or taken off (−): `content` has their names.",
    ASSIGNED="It, or a conversation with it, was given to the member whom `content` names; empty: to nobody.",
    MERGED="Another lead was merged into it: `content` is that one's name.",
    MESSAGE="A message went or came: `content` is its beginning.",
    AUTOMATION="A rule acts on it: `content` is its name.",
    SCORE="Its score crossed a threshold: `content` is the threshold, with + on the way up and − on the way down.",
)


@strawberry.type(description="One entry of a lead's timeline.")
class Interaction:
    id: strawberry.ID = strawberry.field(description="Its id.")
    type: InteractionType = strawberry.field(description="What happened.")
    channel: Channel | None = strawberry.field(description="Over which channel.")
    direction: Direction | None = strawberry.field(description="Which way a message went.")
    content: str = strawberry.field(description="What it tells, as `type` says.")
    actor: User | None = strawberry.field(
        description="The member who did it; null where none did, or who has left the workspace."
    )
    actor_kind: ActorKind = strawberry.field(description="Who did it.")
    cause: str | None = strawberry.field(description="What else did it, such as import:<id>.")
    mentions: list[User] = strawberry.field(
        description="The members a note mentions, without those who have left the workspace."
    )
    conversation_id: strawberry.ID | None = strawberry.field(
        description="The conversation it happened in, or that a note is about."
    )
    message_id: strawberry.ID | None = strawberry.field(description="The message.")
    created_at: datetime = strawberry.field(description="When it happened.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Interaction":
        actor = (row["actor_id"], row["actor_name"], row["actor_email"], row["actor_locale"])
        return cls(
            id=row["id"],
            type=InteractionType(row["type"]),
            channel=Channel(row["channel"]) if row["channel"] else None,
            direction=Direction(row["direction"]) if row["direction"] else None,
            content=row["content"],
            actor=_user(actor) if row["actor_id"] else None,
            actor_kind=ActorKind(row["actor_kind"]),
            cause=row["cause"],
            mentions=[_user(one) for one in row["mentioned"]],
            conversation_id=row["conversation_id"],
            message_id=row["message_id"],
            created_at=row["created_at"],
        )


def _user(texts: Sequence[str]) -> User:
    id, name, email, locale = texts
    return User(id=strawberry.ID(id), name=name, email=email, locale=locale)


@strawberry.type(description="An entry in a timeline.")
class TimelineEdge:
    cursor: str = strawberry.field(description="Its position: give it as `after`.")
    node: Interaction = strawberry.field(description="The entry.")


@strawberry.type(description="A page of a lead's timeline, newest first.")
class TimelineConnection:
    edges: list[TimelineEdge] = strawberry.field(description="The page's entries.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")

    @classmethod
    def of(cls, lead_id: UUID, page: Page[asyncpg.Record], *, after: Keyset | None) -> "TimelineConnection":
        cursors = [Keyset(row["created_at"], row["key"]).encode(_list_of(lead_id)) for row in page.rows]
        return cls(
            edges=[
                TimelineEdge(cursor=cursor, node=Interaction.of(row))
                for cursor, row in zip(cursors, page.rows, strict=True)
            ],
            page_info=page_info(page, cursors, after=after.encode(_list_of(lead_id)) if after else None),
        )


def position_in(lead_id: UUID, after: str | None) -> Keyset | None:
    """Where a cursor of this lead's timeline stands. Raises Invalid."""
    return Keyset.decode(_list_of(lead_id), after) if after is not None else None


def _list_of(lead_id: UUID) -> str:
    """What a cursor is of: another lead's is refused."""
    return f"timeline/{lead_id}"


@strawberry.input(description="A note on a lead.")
class AddNoteInput:
    lead_id: strawberry.ID = strawberry.field(description="The lead.")
    body: str = strawberry.field(description="1 to 10,000 characters.")
    conversation_id: strawberry.ID | None = strawberry.field(
        description="The conversation with this lead that it is about.", default=None
    )
    mention_user_ids: list[strawberry.ID] | None = strawberry.field(
        description="Members it mentions, at most 20.", default=None
    )


@strawberry.type(description="The note as it stands in the timeline.")
class NotePayload(Payload):
    interaction: Interaction | None = strawberry.field(description="Null when it was refused.", default=None)
