"""Subscriptions of bulk sends."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.graphql import ClientError, Info, parse_id, subscription
from app.common.work import Unavailable
from app.outreach.domain.events import BulkSendProgressed
from app.outreach.presentation.queries import counted, load_bulk_sends
from app.outreach.presentation.types import BulkSend
from app.outreach.wiring import bulk_send_and_position

RETRY_S = 0.5


@strawberry.type
class OutreachSubscription:
    @subscription(
        requires=Role.VIEWER,
        description="A bulk send's progress: its state now, then at most once a second and when somebody moves it, "
        "until it has ended.",
    )
    async def bulk_send_progress(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The bulk send.")]
    ) -> AsyncGenerator[BulkSend, None]:
        workspace_id, key = info.context.signed_in.workspace_id, parse_id(id)
        async with info.context.doors.open_reads(workspace_id) as reads:
            found = await bulk_send_and_position(reads, workspace_id, key) if key else None
            current = (await counted(reads, workspace_id, [found[0]]))[0] if found else None
        if found is None or key is None or current is None:
            raise ClientError("No such bulk send.", "NOT_FOUND")
        yield current
        if current.has_ended:
            return
        async for event in info.context.hub.subscribe(workspace_id, after=found[1]):
            if event and event.name == BulkSendProgressed.name and key in event.entity_ids:
                current = await _load(info, key)
                yield current
                if current.has_ended:
                    return


async def _load(info: Info, key: UUID) -> BulkSend:
    """Waits the database out: an outage delays a state, it ends no subscription."""
    while True:
        try:
            loaded = (await load_bulk_sends(info.context, [key]))[0]
        except Unavailable:
            await asyncio.sleep(RETRY_S)
            continue
        assert loaded is not None
        return loaded
