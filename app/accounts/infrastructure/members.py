"""The port `Members` in Core, on a workspace's own door."""

from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, delete, or_, select, update

from app.accounts.infrastructure.endings import end_membership, void_tokens
from app.accounts.infrastructure.tables import member, workspace
from app.common.database import Statement
from app.common.domain import Role
from app.common.work import Work

IS_HERE = member.c.workspace_id == bindparam("workspace_id")
LOCK = Statement(
    select(workspace.c.id)
    .where(
        workspace.c.id == bindparam("workspace_id"),
        select(member.c.user_id).where(IS_HERE, member.c.user_id == bindparam("acting_id")).exists(),
    )
    .with_for_update(key_share=True)
)
ROLES = Statement(
    select(member.c.user_id, member.c.role).where(
        IS_HERE,
        or_(member.c.user_id == any_(bindparam("ids", type_=ARRAY(Uuid))), member.c.role == Role.OWNER.value),
    )
)


class MemberRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def lock(self, workspace_id: UUID, acting_id: UUID, user_id: UUID) -> dict[UUID, Role]:
        # Who is no member locks nothing of it. The roles are read after the wait, by a statement of their own.
        if not await self._work.fetch(LOCK, workspace_id=workspace_id, acting_id=acting_id):
            return {}
        rows = await self._work.fetch(ROLES, workspace_id=workspace_id, ids=[acting_id, user_id])
        return {row["user_id"]: Role(row["role"]) for row in rows}

    async def save_role(self, workspace_id: UUID, user_id: UUID, role: Role) -> None:
        changed = await self._work.execute(
            update(member)
            .where(member.c.workspace_id == workspace_id, member.c.user_id == user_id)
            .values(role=role)
        )
        assert changed.rowcount == 1, "a locked workspace's member is gone"
        await void_tokens(self._work, workspace_id, user_id)

    async def remove(self, workspace_id: UUID, user_id: UUID) -> None:
        removed = await self._work.execute(
            delete(member).where(member.c.workspace_id == workspace_id, member.c.user_id == user_id)
        )
        assert removed.rowcount == 1, "a locked workspace's member is gone"
        await end_membership(self._work, workspace_id, user_id)
