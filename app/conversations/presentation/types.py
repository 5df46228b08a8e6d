"""GraphQL types and inputs of the inbox. On a list item every field is plain data from its row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
import strawberry

from app.accounts.presentation.types import User
from app.channels.presentation.types import ChannelAccount
from app.common.database import Joined
from app.common.domain import ActorKind, Channel, Direction
from app.common.graphql import (
    NO_ID,
    Info,
    PageInfo,
    Payload,
    bad_user_input,
    enum_type,
    nested,
    parse_id,
    selects,
    still_there,
)
from app.common.paging import PAGE_MAX, Place
from app.common.sharing import VIEWERS_OWN
from app.conversations.domain.conversation import ConversationStatus
from app.conversations.domain.message import MessageStatus
from app.conversations.domain.policy import SendRefusal, Verdict
from app.conversations.wiring import Wanted
from app.files.wiring import file_url
from app.leads.presentation.types import Lead
from app.tags.presentation.types import Tag

enum_type(
    ConversationStatus,
    "Where a conversation stands.",
    OPEN="Somebody is to look after it.",
    SNOOZED="Put away until `snoozedUntil`, or until the lead writes.",
    CLOSED="Done with, until the lead writes.",
)
enum_type(
    MessageStatus,
    "Where a message stands.",
    SCHEDULED="Waits for its `notBefore`.",
    QUEUED="Waits for its turn to leave.",
    SENDING="Being handed to the provider.",
    SENT="The provider has taken it.",
    DELIVERED="It reached the lead.",
    READ="The lead has read it.",
    RECEIVED="It came from the lead.",
    FAILED="It did not go out; `error` says why.",
    BOUNCED="It came back; `error` says why.",
    UNKNOWN="It may have gone out or not: nobody can say. Look, and send it again or not.",
    CANCELED="It was not sent; `error` says why.",
)
enum_type(
    SendRefusal,
    "What stands in the way of a message.",
    SUPPRESSED="Nothing may be sent to this person or address.",
    QUIET_HOURS="It is in the workspace's quiet hours where the lead lives; who wrote within 24 hours is answered.",
    RATE_LIMITED="The day's limit of the account, or of its sending domain, is used up.",
    ACCOUNT_DISCONNECTED="The account is not connected, or its server refuses its login.",
)


Last = Annotated[int, strawberry.argument(description="How many at most: 1 to 100.")]
TemplateId = Annotated[
    strawberry.ID | None,
    strawberry.argument(
        description="Whether this template may be sent; null: a message that a person writes."
    ),
]
Before = Annotated[str | None, strawberry.argument(description="Those before this cursor; null: the newest.")]


def message_list(conversation_id: UUID) -> str:
    """What a cursor is of: another conversation's is refused."""
    return f"messages/{conversation_id}"


def user_of(row: asyncpg.Record | Joined) -> User | None:
    return (
        User(id=row["id"], name=row["name"], email=row["email"], locale=row["locale"]) if row["id"] else None
    )


@strawberry.type(description="A file that came or goes with a message.")
class Attachment:
    id: strawberry.ID = strawberry.field(description="Its id.")
    file_name: str = strawberry.field(description="What it is called.")
    media_type: str = strawberry.field(description="What its bytes are, as far as they tell.")
    size: int = strawberry.field(description="In bytes.")
    file_id: strawberry.Private[UUID]

    @nested(
        description="Where it can be fetched, for a short time by whoever has the link: ask anew each time."
    )
    def url(self, info: Info) -> str:
        return file_url(info.context.settings, info.context.signed_in.workspace_id, self.file_id)

    @classmethod
    def of(cls, row: Sequence[str]) -> "Attachment":
        id, file_id, name, media_type, size = row
        return cls(
            id=strawberry.ID(id), file_name=name, media_type=media_type, size=int(size), file_id=UUID(file_id)
        )


@strawberry.type(description="One message of a conversation, to the lead or from it.")
class Message:
    id: strawberry.ID = strawberry.field(description="Its id.")
    direction: Direction = strawberry.field(description="Which way it went.")
    author_kind: ActorKind = strawberry.field(description="Who wrote it.")
    author: User | None = strawberry.field(description="The member who wrote it.")
    subject: str | None = strawberry.field(description="Its subject, where it has one of its own.")
    body: str = strawberry.field(description="What was newly written, as plain text.")
    quoted_text: str | None = strawberry.field(description="What it quoted of earlier messages.")
    html_body: str | None = strawberry.field(
        description="The HTML it came with, sanitised: show it in a sandboxed frame."
    )
    attachments: list[Attachment] = strawberry.field(description="The files with it, in their order.")
    status: MessageStatus = strawberry.field(description="Where it stands.")
    error: str | None = strawberry.field(description="Why it was not sent, or came back.")
    not_before: datetime | None = strawberry.field(description="Not sent sooner than this.")
    created_at: datetime = strawberry.field(description="When it was written, or came in.")
    sent_at: datetime | None = strawberry.field(
        description="When the provider took it, or as the sender dated it."
    )
    conversation_id: strawberry.Private[UUID]
    position: strawberry.Private[int]

    @nested(description="The conversation it belongs to.")
    async def conversation(self, info: Info) -> "Conversation":
        found: Conversation | None = await info.context.loader("conversations").load(self.conversation_id)
        return still_there(found)

    @classmethod
    def of(cls, row: asyncpg.Record | Joined) -> "Message":
        return cls(
            id=row["id"],
            direction=Direction(row["direction"]),
            author_kind=ActorKind(row["author_kind"]),
            author=user_of(Joined(row, "author_")),
            subject=row["subject"],
            body=row["body"],
            quoted_text=row["quoted_text"],
            html_body=row["html_body"],
            attachments=[Attachment.of(one) for one in row.get("attachments") or ()],
            status=MessageStatus(row["status"]),
            error=row["error"],
            not_before=row["not_before"],
            created_at=row["created_at"],
            sent_at=row["sent_at"],
            conversation_id=row["conversation_id"],
            position=row["position"],
        )


@strawberry.type(description="A message in a conversation's list.")
class MessageEdge:
    cursor: str = strawberry.field(description="Its position: give it as `before`.")
    node: Message = strawberry.field(description="The message.")


@strawberry.type(description="A page of a conversation's messages, oldest first.")
class MessageConnection:
    edges: list[MessageEdge] = strawberry.field(description="The page's messages, oldest first.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")
    feed_cursor: str = strawberry.field(
        description="The feed's position of this snapshot: subscribe after it and miss nothing."
    )


@strawberry.type(description="Whether a person may send a message here now. sendMessage answers the same.")
class CanSend:
    allowed: bool = strawberry.field(description="Whether it may be sent now.")
    refusal: SendRefusal | None = strawberry.field(
        description="What stands in the way; null: nothing, or what `reason` says of the template."
    )
    reason: str | None = strawberry.field(description="What to do, in the viewer's language.")
    retry_at: datetime | None = strawberry.field(
        description="When it passes by itself: a message with this `notBefore` is accepted."
    )

    @classmethod
    def of(cls, verdict: Verdict) -> "CanSend":
        return cls(
            allowed=verdict.is_allowed,
            refusal=verdict.refusal,
            reason=verdict.reason,
            retry_at=verdict.retry_at,
        )


@dataclass(frozen=True, slots=True)
class Asked:
    conversation_id: UUID
    template_id: UUID | None


@strawberry.type(description="What goes on with one lead over one account.")
class Conversation:
    id: strawberry.ID = strawberry.field(description="Its id.")
    lead: Lead = strawberry.field(description="With whom; a deleted lead has its `deletedAt`.")
    channel: Channel = strawberry.field(description="Over which channel.")
    account: ChannelAccount = strawberry.field(description="Over which account of ours.")
    status: ConversationStatus = strawberry.field(description="Where it stands.")
    assignee: User | None = strawberry.field(description="The member who looks after it.")
    snoozed_until: datetime | None = strawberry.field(description="When it comes back, while SNOOZED.")
    unread_count: int = strawberry.field(
        description="How many of the lead's messages the viewer has not read.", metadata=VIEWERS_OWN
    )
    last_message: Message | None = strawberry.field(description="The newest message; null: none yet.")
    last_message_at: datetime | None = strawberry.field(
        description="When the newest message was written or came."
    )
    draft: str | None = strawberry.field(
        description="What the viewer has begun to write here; theirs alone.", metadata=VIEWERS_OWN
    )

    @nested(description="Its messages, the newest page of them unless `before` is given.")
    async def messages(self, info: Info, last: Last = 30, before: Before = None) -> MessageConnection:
        key = UUID(self.id)
        if not 1 <= last <= PAGE_MAX:
            raise bad_user_input(f"`last` is 1 to {PAGE_MAX}.")
        place = Place.decode(message_list(key), before).position if before is not None else None
        wanted = Wanted(key, last, place, selects(info, "edges", "node", "attachments"))
        found: MessageConnection = await info.context.loader("messages").load(wanted)
        return found

    @nested(
        description="Whether a person may send a message here now, and what to do where not.",
        metadata=VIEWERS_OWN,
    )
    async def can_send(self, info: Info, template_id: TemplateId = None) -> CanSend:
        template = parse_id(template_id) or NO_ID if template_id is not None else None
        found: CanSend | None = await info.context.loader("can_send").load(Asked(UUID(self.id), template))
        return still_there(found)

    @classmethod
    def of(cls, row: asyncpg.Record, tags: Mapping[str, Tag]) -> "Conversation":
        return cls(
            id=row["id"],
            lead=Lead.of(Joined(row, "lead_"), tags),
            channel=Channel(row["channel"]),
            account=ChannelAccount.of(row, "account_"),
            status=ConversationStatus(row["status"]),
            assignee=user_of(Joined(row, "assignee_")),
            snoozed_until=row["snoozed_until"],
            unread_count=row["unread_count"],
            last_message=Message.of(Joined(row, "message_")) if row["message_id"] else None,
            last_message_at=row["last_message_at"],
            draft=row["draft"],
        )


@strawberry.type(description="A conversation in a list.")
class ConversationEdge:
    cursor: str = strawberry.field(description="Its position: give it as `after`.")
    node: Conversation = strawberry.field(description="The conversation.")


@strawberry.type(description="A page of conversations.")
class ConversationConnection:
    edges: list[ConversationEdge] = strawberry.field(description="The page's conversations.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")
    feed_cursor: str = strawberry.field(
        description="The feed's position of this snapshot: subscribe to `feed(after:)` with it and miss nothing."
    )


@strawberry.type(description="The conversation as it is now.")
class ConversationPayload(Payload):
    conversation: Conversation | None = strawberry.field(
        description="Null when it was refused.", default=None
    )


@strawberry.type(description="The message as it is now.")
class MessagePayload(Payload):
    message: Message | None = strawberry.field(description="Null when it was refused.", default=None)


@strawberry.input(
    description="Which conversations: OR inside a list, AND across. Dormant ones (begun by a bulk send or an "
    "automation, not answered yet) are shown only where `statuses`, `leadIds` or `search` is given."
)
class ConversationFilter:
    statuses: list[ConversationStatus] | None = strawberry.field(
        description="In any of these states.", default=None
    )
    channels: list[Channel] | None = strawberry.field(description="Over any of these channels.", default=None)
    assignee_ids: list[strawberry.ID] | None = strawberry.field(
        description="Looked after by any of these members (at most 100).", default=None
    )
    lead_ids: list[strawberry.ID] | None = strawberry.field(
        description="With any of these leads (at most 100).", default=None
    )
    unassigned: bool | None = strawberry.field(
        description="true: looked after by nobody; false: by somebody.", default=None
    )
    unread: bool | None = strawberry.field(
        description="true: with messages the viewer has not read; false: without.", default=None
    )
    search: str | None = strawberry.field(
        description="Words in any of its messages, or of the lead's name and address in them: 2 to 100 characters, "
        "without regard to case and accents; the last word may be a beginning.",
        default=None,
    )


@strawberry.input(description="Which conversation.")
class ConversationIdInput:
    id: strawberry.ID = strawberry.field(description="The conversation.")


@strawberry.input(description="A conversation with a lead over an account.")
class StartConversationInput:
    lead_id: strawberry.ID = strawberry.field(description="The lead; it needs an e-mail address.")
    account_id: strawberry.ID = strawberry.field(
        description="The account to write from; it must be connected."
    )


@strawberry.input(description="Who is to look after a conversation.")
class AssignConversationInput:
    id: strawberry.ID = strawberry.field(description="The conversation.")
    user_id: strawberry.ID | None = strawberry.field(description="A member; null: nobody.", default=None)


@strawberry.input(description="Until when a conversation is put away.")
class SnoozeConversationInput:
    id: strawberry.ID = strawberry.field(description="The conversation.")
    until: datetime = strawberry.field(description="When it comes back: a moment within a year.")


@strawberry.input(description="How far the viewer has read.")
class MarkConversationReadInput:
    id: strawberry.ID = strawberry.field(description="The conversation.")
    up_to_message_id: strawberry.ID | None = strawberry.field(
        description="The newest message they saw; null: the newest there is.", default=None
    )


@strawberry.input(description="What the viewer has begun to write.")
class SaveDraftInput:
    conversation_id: strawberry.ID = strawberry.field(description="The conversation.")
    body: str = strawberry.field(description="At most 100,000 characters; empty: drop it.")
