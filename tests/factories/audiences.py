"""A workspace with leads by the thousand, written as rows, and batches whose recipients are taken from them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from uuid_utils.compat import uuid7

from app.common.work import Doors
from app.conversations.domain.audience import Added, Audience, Tally
from app.conversations.domain.batch import BatchStatus
from app.conversations.wiring import add_recipients, create_batch, plan_audience, tallies
from app.leads.wiring import LeadConditions
from app.templates.domain.language import BODY, parse
from tests.fixtures.doors import new_workspace

STAGE = "INSERT INTO stage (workspace_id, name, kind, position) VALUES (:workspace_id, 'New', 'OPEN', 1) RETURNING id"
ACCOUNT = (
    "INSERT INTO channel_account (workspace_id, channel, name, address, inbound_token) "
    "VALUES (:workspace_id, 'EMAIL', 'Sales', :address, :address) RETURNING id"
)
TEMPLATE = "INSERT INTO template (workspace_id, name) VALUES (:workspace_id, :name) RETURNING id"
VERSION = (
    "INSERT INTO template_version (workspace_id, template_id, number, subject, body, variables, required) "
    "VALUES (:workspace_id, :template_id, 1, 'Offer', :body, :variables, :required) RETURNING id"
)
LEAD = (
    "INSERT INTO lead (workspace_id, name, email, phone, company, time_zone, deleted_at, stage_id, rank, source) "
    "VALUES (:workspace_id, :name, :email, :phone, :company, :time_zone, CASE WHEN :is_deleted THEN now() END,"
    " :stage_id, 'a', 'MANUAL') RETURNING id"
)
# A tenth has no address, a fifth no company; all over Brazil.
MANY = """
    INSERT INTO lead (workspace_id, name, email, phone, company, stage_id, rank, source)
    SELECT :workspace_id, 'José da Silva ' || n,
        CASE WHEN n % 10 > 0 THEN 'lead' || n || '@host' || n % 97 || '.example' END,
        '+55' || (ARRAY[11, 21, 31, 41, 51, 61, 71, 81, 92, 68])[1 + n % 10] || '9' || 10000000 + (n * 7919) % 89999999,
        CASE WHEN n % 5 > 0 THEN 'Company ' || n END, :stage_id, lpad(n::text, 9, '0'), 'MANUAL'
    FROM generate_series(1, :count) AS n
"""
SUPPRESSION = (
    "INSERT INTO suppression (workspace_id, value, channel, lead_id, reason) "
    "VALUES (:workspace_id, :value, :channel, :lead_id, 'MANUAL')"
)


@dataclass
class Crowd:
    doors: Doors
    workspace_id: UUID
    stage_id: UUID
    account_id: UUID

    @classmethod
    async def gathered(cls, doors: Doors, workspace_id: UUID | None = None) -> "Crowd":
        workspace_id = workspace_id or await new_workspace(doors)
        crowd = cls(doors, workspace_id, workspace_id, workspace_id)
        crowd.stage_id = await crowd.sql(STAGE)
        crowd.account_id = await crowd.sql(ACCOUNT, address=f"sales-{secrets.token_hex(6)}@ours.example")
        return crowd

    async def sql(self, statement: str, **values: object) -> Any:
        """The first column of the first row, if it gives any."""
        async with self.doors.open_work(self.workspace_id) as work:
            found = await work.execute(text(statement), {"workspace_id": self.workspace_id, **values})
            return found.scalar() if found.returns_rows else None

    async def add_many(self, count: int) -> None:
        await self.sql(MANY, count=count, stage_id=self.stage_id)

    async def add_lead(self, **fields: Any) -> UUID:
        given = {
            "name": "Bia Souza",
            "email": f"{secrets.token_hex(6)}@lead.example",
            "phone": None,
            "company": "Acme",
            "time_zone": None,
            "is_deleted": False,
            "stage_id": self.stage_id,
            **fields,
        }
        id: UUID = await self.sql(LEAD, **given)
        return id

    async def suppress(self, value: str, *, channel: str | None = None, lead_id: UUID | None = None) -> None:
        await self.sql(SUPPRESSION, value=value, channel=channel, lead_id=lead_id)

    async def template(self, body: str) -> UUID:
        """A version's id."""
        read = parse(body, BODY)
        template_id = await self.sql(TEMPLATE, name=secrets.token_hex(4))
        id: UUID = await self.sql(
            VERSION,
            template_id=template_id,
            body=body,
            variables=list(read.variables),
            required=list(read.required),
        )
        return id

    async def batch(self, version_id: UUID) -> UUID:
        id = uuid7()
        async with self.doors.open_work(self.workspace_id) as work:
            await create_batch(
                work,
                self.workspace_id,
                id,
                account_id=self.account_id,
                template_version_id=version_id,
                author_id=None,
                rate_per_minute=None,
                burst=None,
                status=BatchStatus.PAUSED,
            )
        return id

    async def add(self, batch_id: UUID, lead_ids: Sequence[UUID]) -> Added:
        async with self.doors.open_work(self.workspace_id) as work:
            return await add_recipients(work, self.workspace_id, batch_id, lead_ids, origin_id=batch_id)

    async def plan(self, body: str, **conditions: Any) -> Audience:
        read = parse(body, BODY)
        async with self.doors.open_reads(self.workspace_id) as reads:
            return await plan_audience(
                reads,
                self.workspace_id,
                LeadConditions(**conditions),
                account_id=self.account_id,
                required=read.required,
                variables=read.variables,
            )

    async def tally(self, batch_id: UUID) -> Tally:
        async with self.doors.open_reads(self.workspace_id) as reads:
            return (await tallies(reads, self.workspace_id, [batch_id]))[batch_id]
