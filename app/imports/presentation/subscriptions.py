"""Subscriptions of imports."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

import strawberry

from app.common.domain import Role
from app.common.graphql import ClientError, Info, parse_id, subscription
from app.common.work import Unavailable
from app.imports.domain.imports import ImportProgressed
from app.imports.presentation.queries import load_imports
from app.imports.presentation.types import LeadImport
from app.imports.wiring import import_and_position

RETRY_S = 0.5


@strawberry.type
class ImportsSubscription:
    @subscription(
        requires=Role.VIEWER,
        extension=True,
        description="An import's progress: its state now, then at most once a second, until it has ended.",
    )
    async def import_progress(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The import.")]
    ) -> AsyncGenerator[LeadImport, None]:
        workspace_id, key = info.context.signed_in.workspace_id, parse_id(id)
        async with info.context.doors.open_reads(workspace_id) as reads:
            found = await import_and_position(reads, workspace_id, key) if key else None
        if found is None or key is None:
            raise ClientError("No such import.", "NOT_FOUND")
        current = LeadImport.of(found[0])
        yield current
        if current.status.has_ended:
            return
        async for event in info.context.hub.subscribe(workspace_id, after=found[1]):
            if event and event.name == ImportProgressed.name and key in event.entity_ids:
                current = await _load(info, key)
                yield current
                if current.status.has_ended:
                    return


async def _load(info: Info, key: UUID) -> LeadImport:
    """Waits the database out: an outage delays a state, it ends no subscription."""
    while True:
        try:
            loaded = (await load_imports(info.context, [key]))[0]
        except Unavailable:
            await asyncio.sleep(RETRY_S)
            continue
        assert loaded is not None
        return loaded
