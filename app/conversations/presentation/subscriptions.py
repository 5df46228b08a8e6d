"""Subscriptions of the inbox."""

from collections.abc import AsyncGenerator
from typing import Annotated, cast

import strawberry

from app.common.domain import Role
from app.common.feed.channel import FeedEvent, Tap
from app.common.feed.cursor import encode_cursor
from app.common.graphql import ClientError, Info, parse_id, subscription
from app.common.resume import ResumeAfter, events_after, start_after
from app.common.sharing import Scope, SharedItem
from app.conversations.domain.events import MessageCreated
from app.conversations.presentation.queries import load_conversations, load_messages
from app.conversations.presentation.types import Message


@strawberry.type(description="A message that came or was written.")
class MessageAdded:
    cursor: str = strawberry.field(description="The feed's position: resume with it as `after`.")
    message: Message = strawberry.field(description="The message.")


@strawberry.type
class ConversationsSubscription:
    @subscription(
        requires=Role.VIEWER,
        description="Every message to and from leads, in order, each once: from `after` on (left out: from now), live.",
    )
    async def message_added(
        self,
        info: Info,
        conversation_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only this conversation's; null: all.")
        ] = None,
        after: ResumeAfter = None,
    ) -> AsyncGenerator[MessageAdded, None]:
        only = await _conversation(info, conversation_id) if conversation_id is not None else None
        position = await start_after(info, after)

        def wants(event: FeedEvent) -> bool:
            return event.name == MessageCreated.name and only in (None, event.facts.get("conversationId"))

        tap = Tap(wants, lambda event: _shared(info, event))
        yield cast("MessageAdded", tap)
        async for event in events_after(info, position, tap):
            if event is not None and wants(event):
                yield cast("MessageAdded", _shared(info, event))


async def _conversation(info: Info, id: str) -> str:
    """The id as events hold it. Raises the top-level NOT_FOUND."""
    key = parse_id(id)
    if key is None or (await load_conversations(info.context, [key]))[0] is None:
        raise ClientError("No such conversation.", "NOT_FOUND")
    return str(key)


def _shared(info: Info, event: FeedEvent) -> SharedItem:
    async def load(scope: Scope) -> MessageAdded | None:
        context, ids = info.context, event.entity_ids
        once = context.shares.once
        message = (await once(event, ("message", scope), lambda: load_messages(context, ids)))[0]
        cursor = encode_cursor(context.signed_in.workspace_id, event.seq)
        return MessageAdded(cursor=cursor, message=message) if message else None

    return SharedItem(event, load)
