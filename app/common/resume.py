"""Where a subscription of the feed begins: now, or after a cursor that is still kept."""

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry

from app.common.feed.channel import FeedEvent, Tap
from app.common.feed.cursor import BadCursor, CursorExpired, decode_cursor
from app.common.graphql import ClientError, Info, bad_user_input

ResumeAfter = Annotated[
    str | None, strawberry.argument(description="A feed cursor to go on from; null: from now on.")
]


async def start_after(info: Info, after: str | None) -> int:
    """The seq to go on from. Raises the top-level BAD_USER_INPUT and CURSOR_EXPIRED."""
    workspace_id = info.context.signed_in.workspace_id
    try:
        position = decode_cursor(workspace_id, after) if after is not None else None
    except BadCursor:
        raise bad_user_input("`after` is not a feed cursor of this workspace.") from None
    head, floor = await info.context.hub.head(workspace_id)
    if position is not None and not floor <= position <= head:
        raise _expired()
    return head if position is None else position


async def events_after(
    info: Info, position: int, tap: Tap, *, idle_s: float | None = None
) -> AsyncGenerator[FeedEvent | None, None]:
    """As `Hub.subscribe`, for this viewer's workspace. Raises the top-level CURSOR_EXPIRED."""
    try:
        workspace_id = info.context.signed_in.workspace_id
        async for event in info.context.hub.subscribe(workspace_id, after=position, idle_s=idle_s, tap=tap):
            yield event
    except CursorExpired:
        raise _expired() from None


def _expired() -> ClientError:
    return ClientError(
        "That position is no longer kept: fetch again and subscribe with the new cursor.", "CURSOR_EXPIRED"
    )
