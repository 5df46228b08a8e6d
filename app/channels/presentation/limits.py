"""Sending domains: their types, query and mutation."""

from collections.abc import Sequence

import asyncpg
import strawberry

from app.channels.domain.sending_domain import clean_domain, clean_domain_limit
from app.channels.wiring import limit_use_cases, list_sending_domains, sent_today
from app.common.domain import Refusals, Role, SalesPadError
from app.common.graphql import Context, Info, Payload, mutation, query


@strawberry.type(description="A domain that accounts send from, its subdomains included.")
class SendingDomain:
    domain: str = strawberry.field(description="The part of it that somebody registered.")
    daily_limit: int | None = strawberry.field(
        description="Messages a day at most, over all its accounts; null: no limit."
    )
    sent_today: int = strawberry.field(
        description="Messages that have left today, in the workspace's time zone, or are about to."
    )

    @classmethod
    def of(cls, row: asyncpg.Record) -> "SendingDomain":
        return cls(domain=row["domain"], daily_limit=row["daily_limit"], sent_today=row["sent_today"])


@strawberry.input(description="What a domain may send.")
class SetSendingDomainLimitInput:
    domain: str = strawberry.field(description="A domain that an account sends from, or a subdomain of it.")
    daily_limit: int | None = strawberry.field(
        description="At least 1 message a day; null: no limit.", default=None
    )


@strawberry.type(description="The domain as it is now.")
class SendingDomainPayload(Payload):
    sending_domain: SendingDomain | None = strawberry.field(
        description="Null when it was refused.", default=None
    )


@strawberry.type
class LimitsQuery:
    @query(requires=Role.VIEWER, description="The domains that the workspace's accounts send from, by name.")
    async def sending_domains(self, info: Info) -> list[SendingDomain]:
        return await _domains(info.context)


@strawberry.type
class LimitsMutation:
    @mutation(
        requires=Role.ADMIN, description="Limits what a domain sends a day; in force with the next message."
    )
    async def set_sending_domain_limit(
        self, info: Info, input: SetSendingDomainLimitInput
    ) -> SendingDomainPayload:
        actor = info.context.signed_in
        domain, daily_limit = _cleaned(input)
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            await limit_use_cases(work, actor).set_sending_domain_limit(domain, daily_limit)
        found = await _domains(info.context)
        return SendingDomainPayload(sending_domain=next((one for one in found if one.domain == domain), None))


def _cleaned(input: SetSendingDomainLimitInput) -> tuple[str, int | None]:
    """Raises Invalid, or Refusals for both."""
    refusals: list[SalesPadError] = []
    domain = ""
    try:
        domain = clean_domain(input.domain)
    except SalesPadError as refusal:
        refusals.append(refusal)
    try:
        clean_domain_limit(input.daily_limit)
    except SalesPadError as refusal:
        refusals.append(refusal)
    if refusals:
        raise refusals[0] if len(refusals) == 1 else Refusals(refusals)
    return domain, input.daily_limit


async def _domains(context: Context) -> list[SendingDomain]:
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        return [SendingDomain.of(row) for row in await list_sending_domains(reads, workspace_id)]


async def load_sent_today(context: Context, ids: Sequence[str]) -> list[int]:
    """Of many accounts by one statement."""
    workspace_id = context.signed_in.workspace_id
    async with context.doors.open_reads(workspace_id) as reads:
        found = await sent_today(reads, workspace_id, [str(id) for id in ids])
    return [found.get(str(id), 0) for id in ids]
