"""Whom a bulk send goes to: the plan before its launch, its recipients after it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
import strawberry

from app.common.domain import Role
from app.common.graphql import (
    NO_ID,
    After,
    First,
    Id,
    Info,
    PageInfo,
    Payload,
    enum_type,
    mutation,
    nested,
    page_info,
    page_size,
    parse_id,
    query,
    still_there,
)
from app.common.paging import Keyset, Page
from app.conversations.domain.audience import STATUS_OF, ExclusionReason, RecipientStatus, reason_told
from app.conversations.domain.delivery import DeliveryStatus, Reason
from app.conversations.presentation.types import Message
from app.conversations.wiring import recipients, used_up
from app.leads.presentation.types import Lead, LeadFilter, lead_conditions
from app.leads.wiring import stored_filter
from app.outreach.application.audience import Plan
from app.outreach.domain.bulk_send import BulkSendStatus, Draft
from app.outreach.presentation.queries import viewers_locale
from app.outreach.presentation.types import BURST, FILTER, RATE, START, Exclusion
from app.outreach.wiring import audience_use_cases, bulk_sends_by_id
from app.templates.presentation.types import RenderedTemplate

MAX_DAYS = 100

enum_type(
    RecipientStatus,
    "Where a recipient of a bulk send stands.",
    QUEUED="Waiting; `reason` says what for, or what went wrong where it was tried before.",
    SENDING="Being handed over.",
    SENT="Handed over; `reason` says what came of it: HARD_BOUNCE, SOFT_BOUNCE or COMPLAINT.",
    FAILED="Refused for good.",
    UNKNOWN="Nobody knows whether it went out: check, and send it again.",
    CANCELED="Not sent.",
)


@strawberry.type(description="What leaves on one day.")
class PlanDay:
    date: str = strawberry.field(description="A day in the workspace's time zone: YYYY-MM-DD.")
    messages: int = strawberry.field(description="How many messages.")


@strawberry.type(description="What a bulk send would do if it were launched now.")
class BulkSendPlan:
    eligible: int = strawberry.field(description="How many leads it would be sent to.")
    exclusions: list[Exclusion] = strawberry.field(
        description="Leads that match and would be left out, by reason."
    )
    finish_at: datetime | None = strawberry.field(
        description="When the last message would leave, by all limits; null: not within ten years. What "
        "the account's running bulk sends still have to send is counted as going first, as fast as the account may; "
        "where it has no rate, 25 messages a second are assumed. Later ones, paused ones, other accounts of the same "
        "domain and people's messages are not foreseen."
    )
    days: list[PlanDay] = strawberry.field(
        description=f"How many messages would leave each day: the first {MAX_DAYS} days on which something does."
    )
    samples: list[RenderedTemplate] = strawberry.field(
        description="Worst cases among those it would be sent to: the longest values, the shortest, who lacks most, "
        "who has most letters beyond ASCII. A lead that is several of these stands here once."
    )

    @classmethod
    def of(cls, plan: Plan) -> "BulkSendPlan":
        excluded = plan.audience.exclusions
        return cls(
            eligible=plan.audience.eligible,
            exclusions=[
                Exclusion(reason=why.value, count=excluded[why])
                for why in ExclusionReason
                if excluded.get(why)
            ],
            finish_at=plan.timetable.finish_at,
            days=[
                PlanDay(date=day.date.isoformat(), messages=day.messages)
                for day in plan.timetable.days[:MAX_DAYS]
            ],
            samples=[RenderedTemplate.of(text) for text in plan.samples],
        )


@strawberry.type(description="The plan.")
class BulkSendPlanPayload(Payload):
    plan: BulkSendPlan | None = strawberry.field(description="Null when it was refused.", default=None)


@strawberry.input(description="What a bulk send would be.")
class PlanBulkSendInput:
    template_id: strawberry.ID = strawberry.field(description="What would be sent.")
    account_id: strawberry.ID = strawberry.field(description="What it would be sent from.")
    filter: LeadFilter = strawberry.field(description=FILTER)
    start_at: datetime | None = strawberry.field(description=START, default=None)
    rate_per_minute: int | None = strawberry.field(description=RATE, default=None)
    burst: int | None = strawberry.field(description=BURST, default=None)


@strawberry.type(description="One lead of a bulk send's audience, and what became of its message.")
class BulkSendRecipient:
    status: RecipientStatus = strawberry.field(description="Where it stands.")
    reason: str | None = strawberry.field(
        description="Why it stands there: a code, a colon, and what it means in the viewer's language, or what the "
        "provider said. Null: nothing went wrong."
    )
    at: datetime = strawberry.field(
        description="When it was sent, or tried last; of one that waits, when it may leave; of one that was never "
        "tried, when it was taken in."
    )
    lead_key: strawberry.Private[UUID]
    message_key: strawberry.Private[UUID | None]

    @nested(description="Who; a deleted lead has its `deletedAt`.")
    async def lead(self, info: Info) -> Lead:
        found: Lead | None = await info.context.loader("leads").load(self.lead_key)
        return still_there(found)

    @nested(description="The message; null: it never came to that.")
    async def message(self, info: Info) -> Message | None:
        if self.message_key is None:
            return None
        found: Message | None = await info.context.loader("messages_by_id").load(self.message_key)
        return found

    @classmethod
    def of(cls, row: asyncpg.Record, locale: str, next_day: datetime | None) -> "BulkSendRecipient":
        """`next_day`: when the account may send again, where it may send no more today."""
        status, error, at = STATUS_OF[DeliveryStatus(row["status"])], row["error"], row["at"]
        if status is RecipientStatus.QUEUED and error is None and next_day is not None:
            error, at = Reason.DAILY_LIMIT, max(at, next_day)
        return cls(
            status=status,
            reason=reason_told(
                error,
                has_bounced=row["has_bounced"],
                has_complained=row["has_complained"],
                locale=locale,
            ),
            at=at,
            lead_key=row["lead_id"],
            message_key=row["message_id"],
        )


@strawberry.type(description="A recipient in a list.")
class BulkSendRecipientEdge:
    cursor: str = strawberry.field(description="Its position: give it as `after`.")
    node: BulkSendRecipient = strawberry.field(description="The recipient.")


@strawberry.type(description="A page of recipients.")
class BulkSendRecipientConnection:
    edges: list[BulkSendRecipientEdge] = strawberry.field(description="The page's recipients.")
    page_info: PageInfo = strawberry.field(description="Where the page stands.")


def list_of(bulk_send_id: UUID) -> str:
    """What a cursor is of: another bulk send's is refused."""
    return f"recipients/{bulk_send_id}"


NOBODY: Page[asyncpg.Record] = Page((), has_next=False)


@strawberry.type
class AudienceQuery:
    @query(
        requires=Role.VIEWER,
        description="A bulk send's recipients, in the order in which they were taken in; none of an unknown one. Who "
        "was erased is not among them.",
    )
    async def bulk_send_recipients(
        self,
        info: Info,
        id: Id,
        status: Annotated[
            RecipientStatus | None, strawberry.argument(description="Those that stand there; null: all.")
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> BulkSendRecipientConnection:
        key, actor = parse_id(id) or NO_ID, info.context.signed_in
        count = page_size(first)
        place = Keyset.decode(list_of(key), after, str).id if after is not None else NO_ID
        async with info.context.doors.open_reads(actor.workspace_id) as reads:
            found = (await bulk_sends_by_id(reads, actor.workspace_id, [key])).get(key)
            page, next_day, locale = NOBODY, None, await viewers_locale(reads, actor)
            if found and found["state"] == BulkSendStatus.RUNNING:
                next_day = await used_up(reads, actor.workspace_id, UUID(found["account_id"]))
            if found and found["send_batch_id"]:
                page = await recipients(
                    reads,
                    actor.workspace_id,
                    found["send_batch_id"],
                    statuses=[status] if status else list(RecipientStatus),
                    after=place,
                    first=count,
                )
        cursors = [Keyset("", row["id"]).encode(list_of(key)) for row in page.rows]
        return BulkSendRecipientConnection(
            edges=[
                BulkSendRecipientEdge(cursor=cursor, node=BulkSendRecipient.of(row, locale, next_day))
                for cursor, row in zip(cursors, page.rows, strict=True)
            ],
            page_info=page_info(page, cursors, after=after),
        )


@strawberry.type
class AudienceMutation:
    @mutation(
        requires=Role.MEMBER,
        description="What a bulk send would do if it were launched now: whom it would be sent to, when it would end, "
        "how it would read at its worst. Nothing is written.",
    )
    async def plan_bulk_send(self, info: Info, input: PlanBulkSendInput) -> BulkSendPlanPayload:
        workspace_id = info.context.signed_in.workspace_id
        draft = Draft(
            name="-",
            template_id=parse_id(input.template_id) or NO_ID,
            account_id=parse_id(input.account_id) or NO_ID,
            filter=stored_filter(lead_conditions(input.filter)),
            start_at=input.start_at,
            rate_per_minute=input.rate_per_minute,
            burst=input.burst,
        )
        async with info.context.doors.open_reads(workspace_id, one_snapshot=True) as reads:
            plan = await audience_use_cases(reads, workspace_id).plan_bulk_send(draft)
        return BulkSendPlanPayload(plan=BulkSendPlan.of(plan))
