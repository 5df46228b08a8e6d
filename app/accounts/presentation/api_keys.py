"""API keys of a workspace: the list, making one, revoking one."""

from datetime import datetime
from typing import Self

import asyncpg
import strawberry

from app.accounts.wiring import api_key_by_id, api_key_use_cases, list_api_keys
from app.common.domain import Role
from app.common.graphql import NO_ID, Info, OkPayload, Payload, mutation, parse_id, query


@strawberry.type(description="What a program sends in a person's stead, in one workspace.")
class ApiKey:
    id: strawberry.ID = strawberry.field(description="Id.")
    name: str = strawberry.field(description="What it is for.")
    last_four: str = strawberry.field(description="The secret's last four characters, to tell keys apart.")
    role: Role = strawberry.field(
        description="What it may do at most; never more than who made it may by now."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    last_used_at: datetime | None = strawberry.field(
        description="When it was last used, to the minute; null: never."
    )

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        return cls(**(dict(row) | {"role": Role(row["role"])}))


@strawberry.type(description="A new API key, or why there is none.")
class ApiKeyPayload(Payload):
    api_key: ApiKey | None = strawberry.field(description="The key; null when refused.", default=None)
    secret: str | None = strawberry.field(
        description="Send it as `Authorization: Bearer …`. Shown this once: keep it.", default=None
    )


@strawberry.input(description="A key to make.")
class CreateApiKeyInput:
    name: str = strawberry.field(description="What it is for.")
    role: Role = strawberry.field(
        description="What it may do at most: no more than you.", default=Role.MEMBER
    )


@strawberry.input(description="A key.")
class ApiKeyInput:
    id: strawberry.ID = strawberry.field(description="Which.")


@strawberry.type
class ApiKeysQuery:
    @query(requires=Role.ADMIN, description="The workspace's API keys that are not revoked, newest first.")
    async def api_keys(self, info: Info) -> list[ApiKey]:
        workspace_id = info.context.signed_in.workspace_id
        async with info.context.doors.open_reads(workspace_id) as reads:
            return [ApiKey.of(row) for row in await list_api_keys(reads, workspace_id)]


@strawberry.type
class ApiKeysMutation:
    @mutation(
        requires=Role.ADMIN,
        personal=True,
        description="Makes an API key for a program; its secret is shown this once.",
    )
    async def create_api_key(self, info: Info, input: CreateApiKeyInput) -> ApiKeyPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = api_key_use_cases(work, actor.workspace_id, actor)
            key_id, secret = await use_cases.create_api_key(input.name, input.role)
            row = await api_key_by_id(work, actor.workspace_id, key_id)
        assert row is not None, "a key made in this transaction is not there"
        return ApiKeyPayload(api_key=ApiKey.of(row), secret=secret.text)

    @mutation(requires=Role.ADMIN, description="Ends an API key: it is refused from then on.")
    async def revoke_api_key(self, info: Info, input: ApiKeyInput) -> OkPayload:
        actor = info.context.signed_in
        async with info.context.doors.open_work(actor.workspace_id, actor) as work:
            use_cases = api_key_use_cases(work, actor.workspace_id, actor)
            await use_cases.revoke_api_key(parse_id(input.id) or NO_ID)
        return OkPayload(ok=True)
