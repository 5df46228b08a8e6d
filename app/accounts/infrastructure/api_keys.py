"""The port `ApiKeys` in Core, on a workspace's own door, and the list of its keys."""

from uuid import UUID

import asyncpg
from sqlalchemy import Text, bindparam, cast, func, insert, select

from app.accounts.domain.api_key import ApiKeySecret
from app.accounts.infrastructure.endings import end_api_key
from app.accounts.infrastructure.tables import api_key, member, workspace
from app.common.database import Statement
from app.common.domain import Role
from app.common.work import Reads, Work

IS_LIVE_HERE = (api_key.c.workspace_id == bindparam("workspace_id"), api_key.c.revoked_at.is_(None))
SHOWN = (
    cast(api_key.c.id, Text).label("id"),
    api_key.c.name,
    api_key.c.role,
    api_key.c.last_four,
    api_key.c.created_at,
    api_key.c.last_used_at,
)
LOCK = Statement(
    select(workspace.c.id).where(workspace.c.id == bindparam("workspace_id")).with_for_update(key_share=True)
)
ROLE = Statement(
    select(member.c.role)
    .where(member.c.workspace_id == bindparam("workspace_id"), member.c.user_id == bindparam("user_id"))
    .with_for_update(read=True)
)
COUNT = Statement(select(func.count()).select_from(api_key).where(*IS_LIVE_HERE))
LIST = Statement(select(*SHOWN).where(*IS_LIVE_HERE).order_by(api_key.c.id.desc()))
ONE = Statement(select(*SHOWN).where(*IS_LIVE_HERE, api_key.c.id == bindparam("id")))


class ApiKeyRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def lock(self, workspace_id: UUID, user_id: UUID) -> tuple[Role | None, int]:
        await self._work.fetch(LOCK, workspace_id=workspace_id)
        own = await self._work.fetch_one(ROLE, workspace_id=workspace_id, user_id=user_id)
        (live,) = await self._work.fetch(COUNT, workspace_id=workspace_id)
        return Role(own["role"]) if own else None, int(live[0])

    async def add(
        self, workspace_id: UUID, user_id: UUID, name: str, role: Role, secret: ApiKeySecret
    ) -> UUID:
        added = await self._work.execute(
            insert(api_key)
            .values(
                workspace_id=workspace_id,
                name=name,
                role=role,
                secret_hash=secret.hash,
                last_four=secret.last_four,
                created_by=user_id,
            )
            .returning(api_key.c.id)
        )
        id: UUID = added.scalar_one()
        return id

    async def revoke(self, workspace_id: UUID, key_id: UUID) -> bool:
        return await end_api_key(self._work, workspace_id, key_id)


async def list_api_keys(reads: Reads, workspace_id: UUID) -> list[asyncpg.Record]:
    """The live ones, newest first."""
    return await reads.fetch(LIST, workspace_id=workspace_id)


async def api_key_by_id(reads: Reads, workspace_id: UUID, key_id: UUID) -> asyncpg.Record | None:
    """A live one."""
    return await reads.fetch_one(ONE, workspace_id=workspace_id, id=key_id)
