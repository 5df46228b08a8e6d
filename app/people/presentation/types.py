"""GraphQL types and inputs of people."""

from datetime import datetime
from uuid import UUID

import asyncpg
import strawberry

from app.common.graphql import Info, Payload, nested, still_there
from app.leads.presentation.types import Lead


@strawberry.type(description="Leads that were merged into one.")
class Merge:
    id: strawberry.ID = strawberry.field(description="Its id: give it to `unmergeLeads`.")
    kept_id: strawberry.Private[UUID]
    merged_ids: list[strawberry.ID] = strawberry.field(
        description="The leads that became part of the kept one."
    )
    at: datetime = strawberry.field(description="When they were merged.")

    @nested(description="The lead they were merged into.")
    async def kept(self, info: Info) -> Lead:
        found: Lead | None = await info.context.loader("leads").load(self.kept_id)
        return still_there(found)

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Merge":
        return cls(
            id=strawberry.ID(str(row["id"])),
            kept_id=row["kept_id"],
            merged_ids=[strawberry.ID(str(id)) for id in row["merged_ids"]],
            at=row["created_at"],
        )


@strawberry.type(description="Leads that may be one person.")
class DuplicateGroup:
    reason: str = strawberry.field(
        description="Why: SAME_NUMBER (one's phone is another's WhatsApp), or the same name without regard to case and "
        "accents, and SAME_NAME_AND_PHONE (the last 8 digits of the lead's phone), SAME_NAME_AND_EMAIL (what stands "
        "before the @ of its e-mail, without dots and +tag) or SAME_NAME_AND_COMPANY. A name that more than 50 leads "
        "have tells nothing."
    )
    leads: list[Lead] = strawberry.field(description="Two to 20 of them, the oldest first.")


@strawberry.input(description="Which leads are one person.")
class MergeLeadsInput:
    keep_id: strawberry.ID = strawberry.field(
        description="The lead that stays: its name, stage and whatever else it has."
    )
    merge_ids: list[strawberry.ID] = strawberry.field(
        description="1 to 20 leads that become part of it; the first fills first what it lacks."
    )


@strawberry.input(description="Which merge to undo.")
class UnmergeLeadsInput:
    merge_id: strawberry.ID = strawberry.field(description="The merge; the newest of a lead comes first.")


@strawberry.type(description="The merge that was made.")
class MergePayload(Payload):
    merge: Merge | None = strawberry.field(description="Null when it was refused.", default=None)
