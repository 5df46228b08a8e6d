"""Queries of the inbox, and what batches its nested fields."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import asyncpg
import strawberry

from app.common.database import Joined
from app.common.domain import Role
from app.common.feed.cursor import encode_cursor
from app.common.filters import capped, filter_ids
from app.common.graphql import (
    After,
    Context,
    First,
    Id,
    Info,
    PageInfo,
    bad_user_input,
    page_info,
    page_size,
    parse_id,
    query,
    selects,
)
from app.common.paging import Keyset, Place
from app.conversations.domain.search import search_terms
from app.conversations.presentation.types import (
    Asked,
    CanSend,
    Conversation,
    ConversationConnection,
    ConversationEdge,
    ConversationFilter,
    Message,
    MessageConnection,
    MessageEdge,
    message_list,
)
from app.conversations.wiring import (
    ConversationConditions,
    ConversationPage,
    MessagePage,
    Wanted,
    conversations_by_id,
    list_conversations,
    messages_by_id,
    messages_of,
    verdicts,
)
from app.tags.presentation.types import Tag, tag_map

LIST = "conversations"
MAX_MESSAGES = 3_000
"""Of one answer's nested pages together."""


@strawberry.type
class ConversationsQuery:
    @query(requires=Role.VIEWER, description="A conversation by its id; null when there is none.")
    async def conversation(self, info: Info, id: Id) -> Conversation | None:
        key = parse_id(id)
        return (await load_conversations(info.context, [key]))[0] if key else None

    @query(
        requires=Role.VIEWER, description="The inbox: conversations, newest activity first, a page at a time."
    )
    async def conversations(
        self,
        info: Info,
        filter: Annotated[
            ConversationFilter | None,
            strawberry.argument(description="Which; null: all but the dormant ones."),
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> ConversationConnection:
        actor, conditions = info.context.signed_in, _conditions(filter)
        async with info.context.doors.open_reads(actor.workspace_id) as reads:
            found = await list_conversations(
                reads,
                actor.workspace_id,
                actor.user_id,
                conditions,
                first=page_size(first),
                after=Keyset.decode(LIST, after) if after is not None else None,
                with_identities=selects(info, "edges", "node", "lead", "identities"),
                with_attachments=selects(info, "edges", "node", "lastMessage", "attachments"),
            )
            tags = await tag_map(reads, actor.workspace_id, _leads(found.page.rows))
        return _connection(actor.workspace_id, found, tags, after=after)


def _connection(
    workspace_id: UUID, found: ConversationPage, tags: dict[str, Tag], *, after: str | None
) -> ConversationConnection:
    cursors = [Keyset(row["activity_at"], row["key"]).encode(LIST) for row in found.page.rows]
    return ConversationConnection(
        edges=[
            ConversationEdge(cursor=cursor, node=Conversation.of(row, tags))
            for cursor, row in zip(cursors, found.page.rows, strict=True)
        ],
        page_info=page_info(found.page, cursors, after=after),
        feed_cursor=encode_cursor(workspace_id, found.feed_seq),
    )


def _conditions(filter: ConversationFilter | None) -> ConversationConditions:
    """Raises Invalid, or the top-level BAD_USER_INPUT."""
    if filter is None:
        return ConversationConditions()
    return ConversationConditions(
        statuses=[one.value for one in capped(filter.statuses)] if filter.statuses is not None else None,
        channels=[one.value for one in capped(filter.channels)] if filter.channels is not None else None,
        assignee_ids=filter_ids(filter.assignee_ids),
        lead_ids=filter_ids(filter.lead_ids),
        is_unassigned=filter.unassigned,
        is_unread=filter.unread,
        terms=search_terms(filter.search) if filter.search is not None else None,
    )


def _leads(rows: Sequence[asyncpg.Record]) -> list[Joined]:
    return [Joined(row, "lead_") for row in rows]


async def load_conversations(context: Context, ids: Sequence[UUID]) -> list[Conversation | None]:
    """In the order of `ids`, as the viewer sees them (unread and draft are theirs); None for unknown ones."""
    actor = context.signed_in
    async with context.doors.open_reads(actor.workspace_id) as reads:
        rows = await conversations_by_id(reads, actor.workspace_id, actor.user_id, ids)
        tags = await tag_map(reads, actor.workspace_id, _leads(list(rows.values())))
    return [Conversation.of(rows[id], tags) if id in rows else None for id in ids]


async def load_messages(context: Context, ids: Sequence[UUID]) -> list[Message | None]:
    """In the order of `ids`; None for unknown ones."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        rows = await messages_by_id(reads, workspace_id, ids)
    return [Message.of(rows[id]) if id in rows else None for id in ids]


async def load_message_pages(context: Context, wanted: list[Wanted]) -> list[MessageConnection]:
    """Batches `Conversation.messages`. Raises the top-level BAD_USER_INPUT for more than one answer should hold."""
    if sum(one.last for one in wanted) > MAX_MESSAGES:
        raise bad_user_input(
            f"This asks for more than {MAX_MESSAGES:,} messages at once: fewer conversations, or `last`."
        )
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        pages = await messages_of(reads, workspace_id, wanted)
    return [_message_connection(workspace_id, *pair) for pair in zip(wanted, pages, strict=True)]


def _message_connection(workspace_id: UUID, wanted: Wanted, page: MessagePage) -> MessageConnection:
    name = message_list(wanted.conversation_id)
    cursors = [Place(row["position"]).encode(name) for row in page.rows]
    return MessageConnection(
        edges=[
            MessageEdge(cursor=cursor, node=Message.of(row))
            for cursor, row in zip(cursors, page.rows, strict=True)
        ],
        page_info=PageInfo(
            has_next_page=wanted.before is not None,
            has_previous_page=page.has_older,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        feed_cursor=encode_cursor(workspace_id, page.feed_seq),
    )


async def load_can_send(context: Context, asked: list[Asked]) -> Sequence[CanSend | None]:
    """Batches `Conversation.canSend`."""
    actor = context.signed_in
    async with context.doors.open_reads(actor.workspace_id) as reads:
        wanted = [(one.conversation_id, one.template_id) for one in asked]
        found = await verdicts(reads, actor.workspace_id, actor.user_id, wanted)
    return [CanSend.of(verdict) if verdict else None for verdict in found]
