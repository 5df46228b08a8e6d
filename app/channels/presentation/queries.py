"""Queries of channel accounts."""

from collections.abc import Sequence

import strawberry

from app.channels.presentation.types import ChannelAccount
from app.channels.wiring import accounts_by_id, list_accounts
from app.common.domain import Role
from app.common.graphql import Context, Info, parse_id, query


@strawberry.type
class ChannelsQuery:
    @query(requires=Role.VIEWER, description="The workspace's accounts, by name, the disconnected ones too.")
    async def channel_accounts(self, info: Info) -> list[ChannelAccount]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            return [ChannelAccount.of(row) for row in await list_accounts(reads, workspace_id)]


async def load_accounts(context: Context, ids: Sequence[str]) -> list[ChannelAccount | None]:
    """In the order of `ids`; None for unknown ones."""
    workspace_id = context.signed_in.workspace_id
    keys = [key for id in ids if (key := parse_id(str(id)))]
    async with context.doors.open_reads(workspace_id) as reads:
        rows = await accounts_by_id(reads, workspace_id, keys)
    return [ChannelAccount.of(rows[str(id)]) if str(id) in rows else None for id in ids]
