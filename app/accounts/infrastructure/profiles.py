"""The port `Profiles` in Core, on the system door: a person belongs to several workspaces."""

from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

from sqlalchemy import func, null, or_, select, update

from app.accounts.domain.user import Addressee
from app.accounts.infrastructure.audit import record_audit
from app.accounts.infrastructure.endings import end_other_sessions
from app.accounts.infrastructure.system_mails import queue_system_mail
from app.accounts.infrastructure.tables import app_user, member
from app.common.crypto import SecretBox
from app.common.domain import Event
from app.common.work import Work


class ProfileRepository:
    def __init__(self, work: Work, box: SecretBox) -> None:
        self._work = work
        self.record = partial(record_audit, work)
        self.queue_mail = partial(queue_system_mail, work, box)

    async def save(self, user_id: UUID, fields: Mapping[str, str]) -> bool:
        differs = or_(*(app_user.c[field] != text for field, text in fields.items()))
        saved = await self._work.execute(
            update(app_user)
            .where(app_user.c.id == user_id, differs)
            .values({**fields, "updated_at": func.now()})
        )
        return saved.rowcount == 1

    async def list_workspaces(self, user_id: UUID) -> Sequence[UUID]:
        found = await self._work.execute(select(member.c.workspace_id).where(member.c.user_id == user_id))
        return found.scalars().all()

    async def find_password_hash(self, user_id: UUID) -> str | None:
        found = await self._work.execute(select(app_user.c.password_hash).where(app_user.c.id == user_id))
        return found.scalar_one_or_none()

    async def replace_password(self, user_id: UUID, verified: str | None, fresh: str) -> Addressee | None:
        replaced = await self._work.execute(
            update(app_user)
            .where(app_user.c.id == user_id, app_user.c.password_hash == verified)
            .values(password_hash=fresh, reset_hash=null(), reset_expires_at=null(), updated_at=func.now())
            .returning(app_user.c.email, app_user.c.locale)
        )
        row = replaced.one_or_none()
        return Addressee(row.email, row.locale) if row else None

    async def end_other_sessions(self, user_id: UUID, kept_session_id: UUID) -> None:
        await end_other_sessions(self._work, user_id, kept_session_id)

    def announce_in(self, workspace_id: UUID, event: Event) -> None:
        self._work.announce_in(workspace_id, event)
