"""Queries of the inbox, and what batches its nested fields."""

from collections.abc import Sequence
from uuid import UUID

import strawberry

from app.common.database import Joined
from app.common.domain import Role
from app.common.graphql import Context, Id, Info, parse_id, query
from app.conversations.presentation.types import Conversation, Message
from app.conversations.wiring import conversations_by_id, messages_by_id
from app.tags.presentation.types import tag_map


@strawberry.type
class ConversationsQuery:
    @query(requires=Role.VIEWER, description="A conversation by its id; null when there is none.")
    async def conversation(self, info: Info, id: Id) -> Conversation | None:
        key = parse_id(id)
        return (await load_conversations(info.context, [key]))[0] if key else None


async def load_conversations(context: Context, ids: Sequence[UUID]) -> list[Conversation | None]:
    """In the order of `ids`, as the viewer sees them (unread and draft are theirs); None for unknown ones."""
    actor = context.signed_in
    async with context.doors.open_reads(actor.workspace_id) as reads:
        rows = await conversations_by_id(reads, actor.workspace_id, actor.user_id, ids)
        tags = await tag_map(reads, actor.workspace_id, [Joined(row, "lead_") for row in rows.values()])
    return [Conversation.of(rows[id], tags) if id in rows else None for id in ids]


async def load_messages(context: Context, ids: Sequence[UUID]) -> list[Message | None]:
    """In the order of `ids`; None for unknown ones."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        rows = await messages_by_id(reads, workspace_id, ids)
    return [Message.of(rows[id]) if id in rows else None for id in ids]
