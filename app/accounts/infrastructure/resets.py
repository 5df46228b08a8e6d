"""The port `Resets` in Core, on the system door: a person belongs to several workspaces."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, null, select, update

from app.accounts.domain.ports import AccountStore
from app.accounts.domain.secret_link import ResetToken
from app.accounts.domain.user import Addressee
from app.accounts.infrastructure.audit import record_audit
from app.accounts.infrastructure.endings import end_all_sessions
from app.accounts.infrastructure.tables import app_user, member
from app.common.work import Work

c = app_user.c


def is_reset_good(token: ResetToken) -> ColumnElement[bool]:
    """Not used, not replaced by a newer one, not run out."""
    return and_(c.id == token.user_id, c.reset_hash == token.hash, c.reset_expires_at > func.now())


class ResetRepository:
    def __init__(self, work: Work, accounts: AccountStore) -> None:
        self._work, self.accounts = work, accounts
        self.record = partial(record_audit, work)

    async def is_good(self, token: ResetToken) -> bool:
        found = await self._work.execute(select(c.id).where(is_reset_good(token)))
        return found.one_or_none() is not None

    async def use(self, token: ResetToken, password_hash: str) -> Addressee | None:
        used = await self._work.execute(
            update(app_user)
            .where(is_reset_good(token))
            .values(
                password_hash=password_hash,
                reset_hash=null(),
                reset_expires_at=null(),
                updated_at=func.now(),
            )
            .returning(c.email, c.locale)
        )
        row = used.one_or_none()
        return Addressee(row.email, row.locale) if row else None

    async def end_all_sessions(self, user_id: UUID) -> None:
        await end_all_sessions(self._work, user_id)

    async def list_workspaces(self, user_id: UUID) -> Sequence[UUID]:
        found = await self._work.execute(select(member.c.workspace_id).where(member.c.user_id == user_id))
        return found.scalars().all()
