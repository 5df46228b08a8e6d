"""Bulk sends in the GraphQL schema."""

from datetime import datetime
from uuid import UUID

import asyncpg
import orjson
import strawberry

from app.channels.presentation.types import ChannelAccount
from app.common.graphql import Info, Payload, enum_type, nested
from app.common.sharing import VIEWERS_OWN
from app.conversations.domain.audience import ExclusionReason, Tally
from app.leads.presentation.types import LeadFilter
from app.outreach.domain.bulk_send import BulkSendStatus
from app.templates.presentation.types import Template

enum_type(
    BulkSendStatus,
    "Where a bulk send stands.",
    DRAFT="Not launched: nobody is written to.",
    SCHEDULED="Launched; it starts at `startAt`.",
    RUNNING="It is being sent, as fast as its limits allow.",
    PAUSED="It stands still, and says why.",
    COMPLETED="Everybody has been written to, or cannot be.",
    CANCELED="It was stopped for good; what was on its way has gone out.",
)
FILTER = "Who it is for; an empty filter means all leads. Whoever matches when it is launched, and was there by then."
START = "When it starts, within a year; null: as soon as it is launched."
RATE = "Messages a minute at most; null: as many as the account may send."
BURST = "Messages that may leave at once under the rate; null: a second's worth."


@strawberry.type(description="What has become of a bulk send's audience, now.")
class BulkSendCounts:
    eligible: int = strawberry.field(
        description="Its recipients: queued + sent + failed + unknown + canceled."
    )
    excluded: int = strawberry.field(description="Leads that match, and are no recipients: see `exclusions`.")
    queued: int = strawberry.field(description="Waiting, or on their way.")
    sent: int = strawberry.field(description="Handed over.")
    failed: int = strawberry.field(description="Refused for good.")
    unknown: int = strawberry.field(description="Nobody knows whether they went out: check, and send again.")
    canceled: int = strawberry.field(description="Not sent, with the reason.")
    replied: int = strawberry.field(description="Of those handed over: the lead answered.")
    bounced: int = strawberry.field(description="Of those handed over: they came back.")
    complained: int = strawberry.field(description="Of those handed over: reported as spam.")

    @classmethod
    def of(cls, tally: Tally, *, excluded: int) -> "BulkSendCounts":
        return cls(
            eligible=tally.eligible,
            excluded=excluded,
            queued=tally.queued,
            sent=tally.sent,
            failed=tally.failed,
            unknown=tally.unknown,
            canceled=tally.canceled,
            replied=tally.replied,
            bounced=tally.bounced,
            complained=tally.complained,
        )


@strawberry.type(description="Leads that match and are not written to, for one reason.")
class Exclusion:
    reason: str = strawberry.field(
        description="NO_ADDRESS, SUPPRESSED, or MISSING_VARIABLE: a required variable of the template is empty. Of "
        "a dry run also NO_SUBJECT and ACCOUNT_DISCONNECTED."
    )
    count: int = strawberry.field(description="How many leads; of a dry run, how many messages.")


@strawberry.type(description="One template, sent from one account to all leads of a filter.")
class BulkSend:
    id: strawberry.ID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="What people call it.")
    status: BulkSendStatus = strawberry.field(description="Where it stands.")
    start_at: datetime | None = strawberry.field(description=START)
    rate_per_minute: int | None = strawberry.field(description=RATE)
    burst: int | None = strawberry.field(description=BURST)
    counts: BulkSendCounts = strawberry.field(description="What has become of its audience, now.")
    exclusions: list[Exclusion] = strawberry.field(
        description="Who of the audience taken in so far is no recipient."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    started_at: datetime | None = strawberry.field(description="When it began to send.")
    finished_at: datetime | None = strawberry.field(description="When nothing of it was left to do.")
    template_key: strawberry.Private[UUID]
    account_key: strawberry.Private[str]
    paused_for: strawberry.Private[str | None]

    @nested(
        description="Why it is PAUSED, or was canceled by the system: a code, a colon, and what to do, in the viewer's "
        "language. Codes: PAUSED_BY_MEMBER, ERROR_RATE, BOUNCE_RATE, COMPLAINT_RATE, ACCOUNT_DISCONNECTED, "
        "ACCOUNT_NEEDS_REAUTH, INTERNAL_ERROR, SEARCH_ERASED.",
        metadata=VIEWERS_OWN,
    )
    async def pause_reason(self, info: Info) -> str | None:
        if self.paused_for is None:
            return None
        found: str = await info.context.loader("pause_reasons").load(self.paused_for)
        return found

    @nested(description="The template; its newest version at the launch is what is sent.")
    async def template(self, info: Info) -> Template:
        found: Template = await info.context.loader("templates").load(self.template_key)
        return found

    @nested(description="The account it is sent from.")
    async def account(self, info: Info) -> ChannelAccount:
        found: ChannelAccount = await info.context.loader("channel_accounts").load(self.account_key)
        return found

    @property
    def has_ended(self) -> bool:
        return self.finished_at is not None

    @classmethod
    def of(cls, row: asyncpg.Record, tally: Tally | None) -> "BulkSend":
        """`tally` None: it has no recipients yet."""
        exclusions: dict[str, int] = orjson.loads(row["exclusions"])
        order = [one.value for one in ExclusionReason]
        return cls(
            id=row["id"],
            name=row["name"],
            status=BulkSendStatus(row["state"]),
            start_at=row["start_at"],
            rate_per_minute=row["rate_per_minute"],
            burst=row["burst"],
            counts=BulkSendCounts.of(tally or Tally(), excluded=sum(exclusions.values())),
            exclusions=[
                Exclusion(reason=reason, count=exclusions[reason]) for reason in order if reason in exclusions
            ],
            created_at=row["created_at"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            template_key=UUID(row["template_id"]),
            account_key=row["account_id"],
            paused_for=row["pause_reason"],
        )


@strawberry.input(description="A bulk send as a draft.")
class CreateBulkSendInput:
    name: str = strawberry.field(description="1 to 200 characters.")
    template_id: strawberry.ID = strawberry.field(description="What is sent.")
    account_id: strawberry.ID = strawberry.field(description="What it is sent from.")
    filter: LeadFilter = strawberry.field(description=FILTER)
    start_at: datetime | None = strawberry.field(description=START, default=None)
    rate_per_minute: int | None = strawberry.field(description=RATE, default=None)
    burst: int | None = strawberry.field(description=BURST, default=None)
    idempotency_key: strawberry.ID = strawberry.field(
        description="Made by the client for this bulk send: sending it again gives the same one."
    )


@strawberry.input(description="What to change of a draft; what is left out stays.")
class UpdateBulkSendInput:
    id: strawberry.ID = strawberry.field(description="The bulk send.")
    name: str | None = strawberry.field(
        description="1 to 200 characters; never cleared.", default=strawberry.UNSET
    )
    template_id: strawberry.ID | None = strawberry.field(
        description="What is sent; never cleared.", default=strawberry.UNSET
    )
    account_id: strawberry.ID | None = strawberry.field(
        description="What it is sent from; never cleared.", default=strawberry.UNSET
    )
    filter: LeadFilter | None = strawberry.field(
        description=f"{FILTER} Never cleared.", default=strawberry.UNSET
    )
    start_at: datetime | None = strawberry.field(description=START, default=strawberry.UNSET)
    rate_per_minute: int | None = strawberry.field(description=RATE, default=strawberry.UNSET)
    burst: int | None = strawberry.field(description=BURST, default=strawberry.UNSET)


@strawberry.input(description="Which bulk send.")
class BulkSendIdInput:
    id: strawberry.ID = strawberry.field(description="The bulk send.")


@strawberry.type(description="The bulk send as it is now.")
class BulkSendPayload(Payload):
    bulk_send: BulkSend | None = strawberry.field(description="Null when it was refused.", default=None)
