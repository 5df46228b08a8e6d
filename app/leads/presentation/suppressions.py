"""Suppressions: whom nothing is sent to."""

from datetime import datetime

import asyncpg
import strawberry

from app.accounts.domain.audit import Author
from app.common.domain import Channel, Role
from app.common.graphql import (
    NO_ID,
    After,
    DeletedPayload,
    First,
    Info,
    PageInfo,
    Payload,
    mutation,
    nested,
    page_info,
    page_size,
    parse_id,
    query,
)
from app.common.paging import Keyset
from app.leads.presentation.types import Lead
from app.leads.wiring import list_suppressions, suppression_by_id, suppression_use_cases

LIST = "suppressions"


@strawberry.type(description="An address, a number, a domain or a person that nothing is sent to.")
class Suppression:
    id: strawberry.ID = strawberry.field(description="Its id.")
    value: str = strawberry.field(
        description="The address, the number or the @domain; a person's address, or name."
    )
    channel: Channel | None = strawberry.field(description="On this channel; null: on all.")
    reason: str = strawberry.field(
        description="HARD_BOUNCE, COMPLAINT, OPT_OUT, MANUAL, or what a person wrote; one after the other, with "
        "commas, where there is more than one reason."
    )
    created_at: datetime = strawberry.field(description="Since when.")
    lead_id: strawberry.Private[object | None]

    @nested(description="The person, where it is one with all their addresses.")
    async def lead(self, info: Info) -> Lead | None:
        found: Lead | None = await info.context.loader("leads").load(self.lead_id) if self.lead_id else None
        return found

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Suppression":
        return cls(
            id=row["id"],
            value=row["value"],
            channel=Channel(row["channel"]) if row["channel"] else None,
            reason=row["reason"],
            created_at=row["created_at"],
            lead_id=row["lead_id"],
        )


@strawberry.type(description="A suppression in a list.")
class SuppressionEdge:
    cursor: str = strawberry.field(description="Its position: give it as `after`.")
    node: Suppression = strawberry.field(description="The suppression.")


@strawberry.type(description="A page of suppressions.")
class SuppressionConnection:
    edges: list[SuppressionEdge] = strawberry.field(description="The page's suppressions.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")


@strawberry.input(description="Whom nothing is to be sent to: a value or a lead.")
class SuppressInput:
    value: str | None = strawberry.field(
        description="An e-mail address, a domain such as @example.com, or a phone number.", default=None
    )
    lead_id: strawberry.ID | None = strawberry.field(
        description="A person, whatever their addresses.", default=None
    )
    channel: Channel | None = strawberry.field(description="Only on this one; null: on all.", default=None)
    reason: str | None = strawberry.field(description="Why, in at most 200 characters.", default=None)


@strawberry.input(description="One suppression.")
class SuppressionIdInput:
    id: strawberry.ID = strawberry.field(description="Its id.")


@strawberry.type(description="The suppression as it stands.")
class SuppressionPayload(Payload):
    suppression: Suppression | None = strawberry.field(description="Null when it was refused.", default=None)


@strawberry.type
class SuppressionsQuery:
    @query(requires=Role.VIEWER, description="Whom nothing is sent to, newest first.")
    async def suppressions(self, info: Info, first: First = 20, after: After = None) -> SuppressionConnection:
        workspace_id = info.context.signed_in.workspace_id
        position = Keyset.decode(LIST, after) if after is not None else None
        async with info.context.doors.open_reads(workspace_id) as reads:
            page = await list_suppressions(reads, workspace_id, first=page_size(first), after=position)
        cursors = [Keyset(row["created_at"], row["key"]).encode(LIST) for row in page.rows]
        return SuppressionConnection(
            edges=[
                SuppressionEdge(cursor=cursor, node=Suppression.of(row))
                for cursor, row in zip(cursors, page.rows, strict=True)
            ],
            page_info=page_info(page, cursors, after=after),
        )


@strawberry.type
class SuppressionsMutation:
    @mutation(
        requires=Role.MEMBER,
        description="Nothing is sent there any more, and what waits to be sent is canceled as its turn comes. Again "
        "changes nothing.",
    )
    async def suppress(self, info: Info, input: SuppressInput) -> SuppressionPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await suppression_use_cases(work, actor.workspace_id, Author.of(actor)).suppress(
                value=input.value,
                lead_id=parse_id(input.lead_id) or NO_ID if input.lead_id is not None else None,
                channel=input.channel,
                reason=input.reason,
                created_by=actor.user_id,
            )
        async with info.context.doors.open_reads(actor.workspace_id) as reads:
            row = await suppression_by_id(reads, actor.workspace_id, id)
        return SuppressionPayload(suppression=Suppression.of(row) if row else None)

    @mutation(requires=Role.ADMIN, description="It may be written there again.")
    async def lift_suppression(self, info: Info, input: SuppressionIdInput) -> DeletedPayload:
        actor, id = info.context.signed_in, parse_id(input.id) or NO_ID
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            await suppression_use_cases(work, actor.workspace_id, Author.of(actor)).lift_suppression(id)
        return DeletedPayload(deleted_ids=[strawberry.ID(str(id))])
