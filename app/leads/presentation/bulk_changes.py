"""Changing all leads of a filter at once, in the GraphQL schema."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import strawberry

from app.common.domain import Invalid, Role
from app.common.graphql import NO_ID, Context, Id, Info, Payload, enum_type, mutation, parse_id, query
from app.common.paging import PAGE_MAX
from app.leads.domain.bulk_change import ChangeKind, LeadChange, TaskStatus
from app.leads.presentation.types import LeadFilter, lead_conditions
from app.leads.wiring import WAITING, bulk_change_use_cases, bulk_changes_by_id, stored_filter

enum_type(
    TaskStatus,
    "Where a task stands that a worker does.",
    RUNNING="Accepted, or being done.",
    COMPLETED="Done to its end.",
    FAILED="It could not be done to its end: see `failure`. What was done stays.",
    CANCELED="It was stopped. What was done stays.",
)
LISTS = {"tag_ids": "tagIds", "stage_ids": "stageIds", "owner_ids": "ownerIds", "sources": "sources"}


@strawberry.type(description="One change to all leads of a filter, going on or ended.")
class BulkChange:
    id: strawberry.ID = strawberry.field(description="Its id.")
    status: TaskStatus = strawberry.field(description="Where it stands.")
    total: int = strawberry.field(
        description="The leads it is about; while it runs, as many as matched when it was asked for."
    )
    done: int = strawberry.field(description="The leads it has come to.")
    changed: int = strawberry.field(description="Of those, the leads that were different before.")
    failure: str | None = strawberry.field(description="Why it FAILED.")
    created_at: datetime = strawberry.field(
        description="When it was asked for: leads made later are left out."
    )
    finished_at: datetime | None = strawberry.field(description="When it ended.")

    @classmethod
    def of(cls, row: asyncpg.Record) -> "BulkChange":
        status = TaskStatus.RUNNING if row["status"] == WAITING else TaskStatus(row["status"])
        return cls(
            id=row["id"],
            status=status,
            total=row["total"],
            done=row["done"],
            changed=row["changed"],
            failure=row["error"] if status is TaskStatus.FAILED else None,
            created_at=row["created_at"],
            finished_at=row["finished_at"],
        )


@strawberry.input(one_of=True, description="What to change: exactly one of these.")
class BulkLeadChangeInput:
    add_tag_id: strawberry.ID | None = strawberry.field(
        description="Put this tag on them.", default=strawberry.UNSET
    )
    remove_tag_id: strawberry.ID | None = strawberry.field(
        description="Take this tag off them.", default=strawberry.UNSET
    )
    stage_id: strawberry.ID | None = strawberry.field(
        description="Move them to this stage, in the order in which they were made.", default=strawberry.UNSET
    )
    owner_id: strawberry.ID | None = strawberry.field(
        description="Give them to this member.", default=strawberry.UNSET
    )
    delete: bool | None = strawberry.field(description="True: delete them.", default=strawberry.UNSET)


@strawberry.input(description="A change to all leads of a filter.")
class ChangeLeadsInput:
    filter: LeadFilter = strawberry.field(description="Which leads; an empty filter means all.")
    change: BulkLeadChangeInput = strawberry.field(description="What to change.")
    idempotency_key: strawberry.ID = strawberry.field(
        description="Made by the client for this change: sending it again gives the same bulk change."
    )


@strawberry.type(description="The bulk change as it is now.")
class BulkChangePayload(Payload):
    bulk_change: BulkChange | None = strawberry.field(description="Null when it was refused.", default=None)


@strawberry.type
class BulkChangesQuery:
    @query(requires=Role.VIEWER, description="A change to many leads by its id; null when there is none.")
    async def bulk_change(self, info: Info, id: Id) -> BulkChange | None:
        key = parse_id(id)
        return (await load_bulk_changes(info.context, [key]))[0] if key else None


@strawberry.type
class BulkChangesMutation:
    @mutation(
        requires=Role.MEMBER,
        description="Changes all leads that match now. It answers at once, RUNNING; watch `bulkChange` in the feed.",
    )
    async def change_leads(self, info: Info, input: ChangeLeadsInput) -> BulkChangePayload:
        actor, change = info.context.signed_in, _change(input.change)
        _check_lists(input.filter)
        filter = stored_filter(lead_conditions(input.filter))
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            id = await bulk_change_use_cases(work, actor.workspace_id).change_leads(
                filter, change, idempotency_key=input.idempotency_key, created_by=actor.user_id
            )
        return BulkChangePayload(bulk_change=(await load_bulk_changes(info.context, [id]))[0])


async def load_bulk_changes(context: Context, ids: Sequence[UUID]) -> list[BulkChange | None]:
    """In the order of `ids`; None for unknown ones."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        rows = await bulk_changes_by_id(reads, workspace_id, ids)
    return [BulkChange.of(rows[id]) if id in rows else None for id in ids]


def _change(input: BulkLeadChangeInput) -> LeadChange:
    """The one that was given. Raises Invalid."""
    targets = {
        ChangeKind.ADD_TAG: input.add_tag_id,
        ChangeKind.REMOVE_TAG: input.remove_tag_id,
        ChangeKind.STAGE: input.stage_id,
        ChangeKind.OWNER: input.owner_id,
    }
    for kind, target in targets.items():
        if target:
            return LeadChange(kind, parse_id(target) or NO_ID)
    if input.delete is not True:
        raise Invalid("Say true to delete them, or leave `delete` out.", path=("change", "delete"))
    return LeadChange(ChangeKind.DELETE)


def _check_lists(filter: LeadFilter) -> None:
    """Raises Invalid at the list that is too long."""
    for name, path in LISTS.items():
        if len(getattr(filter, name) or ()) > PAGE_MAX:
            raise Invalid(f"A list in a filter takes {PAGE_MAX} entries at most.", path=("filter", path))
