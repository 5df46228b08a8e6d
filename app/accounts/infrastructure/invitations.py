"""Invitations: stored and renewed in the workspace's door, looked up and used up by their token in the system's."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from app.accounts.domain.invitation import Invitation, Pending
from app.accounts.domain.ports import AccountStore
from app.accounts.domain.secret_link import INVITATION_TTL
from app.accounts.domain.system_mail import SystemMailKind
from app.accounts.domain.user import Membership
from app.accounts.infrastructure.audit import record_audit
from app.accounts.infrastructure.system_mails import queue_system_mail
from app.accounts.infrastructure.tables import app_user, invitation, member, system_mail, workspace
from app.common.crypto import SecretBox
from app.common.database import Statement
from app.common.domain import Event, Role
from app.common.work import Reads, Work

c = invitation.c
DAY = timedelta(days=1)


def is_good() -> ColumnElement[bool]:
    """Not run out, and who sent it might send it today: what somebody left behind who was removed opens no door."""
    may_invite = or_(member.c.role == Role.OWNER, and_(member.c.role == Role.ADMIN, c.role != Role.OWNER))
    return and_(
        c.expires_at > func.now(),
        exists()
        .where(member.c.workspace_id == c.workspace_id, member.c.user_id == c.invited_by, may_invite)
        .correlate(invitation),
    )


INVITATIONS = Statement(
    select(cast(c.id, Text).label("id"), c.email, c.role, c.expires_at)
    .where(c.workspace_id == bindparam("workspace_id"), is_good())
    .order_by(c.email)
    .limit(1000)
)


async def list_invitations(reads: Reads, workspace_id: UUID) -> list[asyncpg.Record]:
    """Those that may still be accepted, by address."""
    return await reads.fetch(INVITATIONS, workspace_id=workspace_id)


class InvitationRepository:
    """The port `Invitations`, on the tenant's door."""

    def __init__(self, work: Work, box: SecretBox) -> None:
        self._work = work
        self.record = partial(record_audit, work)
        self.queue_mail = partial(queue_system_mail, work, box)

    async def hold(self, workspace_id: UUID) -> None:
        await self._work.execute(
            select(workspace.c.id).where(workspace.c.id == workspace_id).with_for_update(key_share=True)
        )

    async def count_others(self, workspace_id: UUID, email: str) -> int:
        found = await self._work.execute(
            select(func.count()).where(c.workspace_id == workspace_id, c.email != email, is_good())
        )
        return int(found.scalar_one())

    async def count_sent_today(self, workspace_id: UUID) -> int:
        m = system_mail.c
        found = await self._work.execute(
            select(func.count()).where(
                m.workspace_id == workspace_id,
                m.kind == SystemMailKind.INVITATION,
                m.created_at > func.now() - DAY,
            )
        )
        return int(found.scalar_one())

    async def renew(
        self, workspace_id: UUID, *, email: str, role: Role, token_hash: bytes, invited_by: UUID
    ) -> Invitation:
        fresh = {
            "role": role,
            "token_hash": token_hash,
            "invited_by": invited_by,
            "expires_at": func.now() + INVITATION_TTL,
        }
        statement = upsert(invitation).values(workspace_id=workspace_id, email=email, **fresh)
        made = await self._work.execute(
            statement.on_conflict_do_update(index_elements=["workspace_id", "email"], set_=fresh).returning(
                c.id, c.expires_at
            )
        )
        row = made.one()
        return Invitation(id=row.id, email=email, role=role, expires_at=row.expires_at)

    async def is_member(self, workspace_id: UUID, email: str) -> bool:
        found = await self._work.execute(
            select(member.c.user_id)
            .join(app_user, app_user.c.id == member.c.user_id)
            .where(member.c.workspace_id == workspace_id, app_user.c.email == email)
        )
        return found.one_or_none() is not None

    async def words(self, workspace_id: UUID, user_id: UUID) -> tuple[str, str, str] | None:
        found = await self._work.execute(
            select(workspace.c.name, app_user.c.name.label("inviter"), workspace.c.locale)
            .select_from(member)
            .join(workspace, workspace.c.id == member.c.workspace_id)
            .join(app_user, app_user.c.id == member.c.user_id)
            .where(member.c.workspace_id == workspace_id, member.c.user_id == user_id)
        )
        row = found.one_or_none()
        return (row.name, row.inviter, row.locale) if row else None

    async def remove(self, workspace_id: UUID, id: UUID) -> Role | None:
        removed = await self._work.execute(
            delete(invitation).where(c.workspace_id == workspace_id, c.id == id).returning(c.role)
        )
        role = removed.scalar_one_or_none()
        return Role(role) if role else None


class AcceptanceRepository:
    """The port `Acceptances`, on the system's door."""

    def __init__(self, work: Work, accounts: AccountStore) -> None:
        self._work, self.accounts = work, accounts
        self.record = partial(record_audit, work)

    def announce_in(self, workspace_id: UUID, event: Event) -> None:
        self._work.announce_in(workspace_id, event)

    async def find(self, token_hash: bytes) -> Pending | None:
        return await self._pending(
            select(c.workspace_id, c.id, c.email, c.role).where(c.token_hash == token_hash, is_good())
        )

    async def take(self, token_hash: bytes) -> Pending | None:
        return await self._pending(
            delete(invitation)
            .where(c.token_hash == token_hash, is_good())
            .returning(c.workspace_id, c.id, c.email, c.role)
        )

    async def _pending(self, found: Any) -> Pending | None:
        rows: Any = found.cte("found")
        has_account = exists().where(app_user.c.email == rows.c.email)
        statement: Select[Any] = select(rows, workspace.c.locale, has_account.label("has_account")).join(
            workspace, workspace.c.id == rows.c.workspace_id
        )
        row = (await self._work.execute(statement)).one_or_none()
        if row is None:
            return None
        return Pending(
            workspace_id=row.workspace_id,
            id=row.id,
            email=row.email,
            role=Role(row.role),
            locale=row.locale,
            has_account=row.has_account,
        )

    async def add_user(self, id: UUID, *, email: str, name: str, password_hash: str, locale: str) -> bool:
        user = upsert(app_user).values(
            id=id, email=email, name=name, password_hash=password_hash, locale=locale
        )
        made = await self._work.execute(user.on_conflict_do_nothing().returning(app_user.c.id))
        return made.one_or_none() is not None

    async def join(self, pending: Pending, user_id: UUID) -> tuple[Membership, bool]:
        m, here = member.c, pending.workspace_id
        joining = upsert(member).values(workspace_id=here, user_id=user_id, role=pending.role)
        # One statement, which also holds the row: between two the membership that is kept could end.
        kept = joining.on_conflict_do_update(
            index_elements=[m.workspace_id, m.user_id], set_={"user_id": joining.excluded.user_id}
        )
        joined = await self._work.execute(kept.returning(m.role, literal_column("xmax = 0").label("is_new")))
        row = joined.one()
        return Membership(user_id, here, Role(row.role)), bool(row.is_new)
