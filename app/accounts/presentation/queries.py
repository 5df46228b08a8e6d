"""Root queries of accounts."""

from typing import Annotated

import strawberry

from app.accounts.infrastructure.audit_reads import AuditConditions, list_audit_events
from app.accounts.infrastructure.reads import read_memberships
from app.accounts.presentation.types import (
    AuditEvent,
    AuditEventConnection,
    AuditEventEdge,
    AuditEventFilter,
    Member,
    Viewer,
)
from app.accounts.wiring import list_members
from app.common.domain import Role, clean_optional
from app.common.graphql import (
    NO_ID,
    After,
    First,
    Info,
    page_info,
    page_size,
    parse_id,
    query,
    unauthenticated,
)
from app.common.paging import Keyset

AUDIT = "audit"
"""The list's name in cursors."""


@strawberry.type
class AccountsQuery:
    @query(requires=Role.VIEWER, extension=True, description="Who is signed in, and in which workspace.")
    async def viewer(self, info: Info) -> Viewer:
        actor = info.context.signed_in
        rows = await read_memberships(info.context.doors, actor.user_id)
        if actor.is_api_key:  # it is bound to one workspace, and learns of no other
            rows = [row for row in rows if row["workspace_id"] == str(actor.workspace_id)]
        viewer = Viewer.of(rows, actor.workspace_id)
        if viewer is None:
            raise unauthenticated("You are no member of this workspace any more: sign in again.")
        if actor.is_api_key:
            viewer.role = viewer.memberships[0].role = actor.role
        return viewer

    @query(requires=Role.VIEWER, description="Who belongs to the workspace, by name.")
    async def members(self, info: Info) -> list[Member]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            return [Member.of(row) for row in await list_members(reads, workspace_id)]

    @query(requires=Role.ADMIN, description="Who did what in the workspace, newest first, a page at a time.")
    async def audit_events(
        self,
        info: Info,
        filter: Annotated[
            AuditEventFilter | None, strawberry.argument(description="Which; null: all.")
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> AuditEventConnection:
        workspace_id = info.context.signed_in.workspace_id
        position = Keyset.decode(AUDIT, after) if after is not None else None
        async with info.context.doors.open_reads(workspace_id) as reads:
            page = await list_audit_events(
                reads, workspace_id, _conditions(filter), first=page_size(first), after=position
            )
        cursors = [Keyset(row["at"], row["key"]).encode(AUDIT) for row in page.rows]
        return AuditEventConnection(
            edges=[
                AuditEventEdge(cursor=cursor, node=AuditEvent.of(row))
                for cursor, row in zip(cursors, page.rows, strict=True)
            ],
            page_info=page_info(page, cursors, after=after),
        )


def _conditions(filter: AuditEventFilter | None) -> AuditConditions:
    if filter is None:
        return AuditConditions()
    return AuditConditions(
        actor_id=parse_id(filter.actor_id) or NO_ID if filter.actor_id is not None else None,
        action=clean_optional(filter.action, "filter", "action"),
        since=filter.from_,
        until=filter.to,
    )
