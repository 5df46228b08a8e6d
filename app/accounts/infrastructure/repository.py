"""The port `AccountStore` in Core, on the system door: what it touches comes before any tenant."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import and_, delete, exists, func, insert, not_, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.accounts.domain.session import Caller, LiveSession, RefreshToken, StoredSession
from app.accounts.domain.system_mail import SystemMail
from app.accounts.domain.user import Addressee, Credentials, Membership, NewAccount
from app.accounts.domain.workspace import NewWorkspace
from app.accounts.infrastructure.audit import record_audit
from app.accounts.infrastructure.endings import end_session
from app.accounts.infrastructure.system_mails import queue_system_mail
from app.accounts.infrastructure.tables import app_user, login_attempt, member, session, workspace
from app.common.crypto import SecretBox
from app.common.domain import ClientKind, Role
from app.common.feed_log import feed_head
from app.common.work import Work


class AccountRepository:
    def __init__(
        self, work: Work, *, refresh_ttl: timedelta, session_ttl: timedelta, box: Callable[[], SecretBox]
    ) -> None:
        self._work = work
        self.record = partial(record_audit, work)
        self._box = box
        self._refresh_ttl, self._session_ttl = refresh_ttl, session_ttl

    async def add_account(self, account: NewAccount) -> Membership | None:
        user = upsert(app_user).values(
            name=account.name, email=account.email, password_hash=account.password_hash, locale=account.locale
        )
        made = await self._work.execute(user.on_conflict_do_nothing().returning(app_user.c.id))
        user_id: UUID | None = made.scalar()
        if user_id is None:
            return None
        new = NewWorkspace.of(name=account.workspace_name, locale=account.locale)
        return await self.add_workspace(user_id, new)

    async def add_workspace(self, user_id: UUID, new: NewWorkspace) -> Membership:
        founded = await self._work.execute(insert(workspace).values(asdict(new)).returning(workspace.c.id))
        owner = Membership(user_id, founded.scalar_one(), Role.OWNER)
        await self._work.execute(
            insert(member).values(workspace_id=owner.workspace_id, user_id=user_id, role=owner.role)
        )
        await self._work.execute(insert(feed_head).values(workspace_id=owner.workspace_id))
        return owner

    async def lock_owner(self, user_id: UUID) -> tuple[str, int]:
        locked = await self._work.execute(
            select(app_user.c.locale).where(app_user.c.id == user_id).with_for_update(key_share=True)
        )
        owned = await self._work.execute(
            select(func.count()).where(member.c.user_id == user_id, member.c.role == Role.OWNER)
        )
        return locked.scalar_one(), owned.scalar_one()

    async def find_credentials(self, email: str) -> Credentials | None:
        found = await self._work.execute(
            select(app_user.c.id, app_user.c.password_hash).where(app_user.c.email == email)
        )
        row = found.one_or_none()
        return Credentials(row.id, row.password_hash) if row else None

    async def hold_credentials(self, known: Credentials) -> bool:
        held = await self._work.execute(
            select(app_user.c.id)
            .where(app_user.c.id == known.user_id, app_user.c.password_hash == known.password_hash)
            .with_for_update(read=True)
        )
        return held.one_or_none() is not None

    async def stranger(self, user_id: UUID, caller: Caller, *, since: datetime) -> Addressee | None:
        own = exists().where(session.c.user_id == app_user.c.id)
        from_here = own.where(
            session.c.user_agent == caller.user_agent,
            session.c.ip_prefix == caller.ip_prefix,
            session.c.last_used_at >= since,
        )
        found = await self._work.execute(
            select(app_user.c.email, app_user.c.locale).where(app_user.c.id == user_id, own, not_(from_here))
        )
        row = found.one_or_none()
        return Addressee(row.email, row.locale) if row else None

    async def queue_mail(self, workspace_id: UUID, mail: SystemMail) -> None:
        await queue_system_mail(self._work, self._box(), workspace_id, mail)

    async def hold_membership(self, user_id: UUID, workspace_id: UUID | None) -> Membership | None:
        used_at = (
            select(func.max(session.c.last_used_at))
            .where(session.c.user_id == member.c.user_id, session.c.workspace_id == member.c.workspace_id)
            .scalar_subquery()
        )
        found = await self._work.execute(
            select(member.c.workspace_id, member.c.role)
            .where(
                member.c.user_id == user_id,
                member.c.workspace_id == (workspace_id or member.c.workspace_id),
            )
            .order_by(func.greatest(used_at, member.c.joined_at).desc())
            .limit(1)
            .with_for_update(read=True, of=member)
        )
        row = found.one_or_none()
        return Membership(user_id, row.workspace_id, Role(row.role)) if row else None

    async def add_session(
        self, member: Membership, client: ClientKind, token: RefreshToken, caller: Caller, *, now: datetime
    ) -> LiveSession:
        added = await self._work.execute(
            insert(session)
            .values(
                user_id=member.user_id,
                workspace_id=member.workspace_id,
                client=client,
                family_hash=token.family_hash,
                token_hash=token.token_hash,
                expires_at=now + min(self._refresh_ttl, self._session_ttl),
                user_agent=caller.user_agent,
                ip_prefix=caller.ip_prefix,
                created_at=now,
                last_used_at=now,
            )
            .returning(session.c.id, func.clock_timestamp().label("issued_at"))
        )
        row = added.one()
        return LiveSession(row.id, member, client, row.issued_at)

    async def rotate(
        self, used: RefreshToken, fresh: RefreshToken, caller: Caller, *, now: datetime
    ) -> LiveSession | None:
        held: Membership | None = None
        while (owner := await self._hold_owner(used)) not in (
            None,
            held,
        ):  # once more where it was just moved
            held = owner
            if live := await self._rotate(owner, used, fresh, caller, now=now):
                return live
        return None

    async def _rotate(
        self, owner: Membership, used: RefreshToken, fresh: RefreshToken, caller: Caller, *, now: datetime
    ) -> LiveSession | None:
        rotated = await self._work.execute(
            update(session)
            .where(
                session.c.family_hash == used.family_hash,
                session.c.token_hash == used.token_hash,
                session.c.revoked_at.is_(None),
                session.c.expires_at > now,
                session.c.workspace_id == owner.workspace_id,
            )
            .values(
                token_hash=fresh.token_hash,
                prev_hash=used.token_hash,
                rotated_at=now,
                expires_at=func.least(now + self._refresh_ttl, session.c.created_at + self._session_ttl),
                user_agent=caller.user_agent,
                ip_prefix=caller.ip_prefix,
                last_used_at=now,
            )
            .returning(session.c.id, session.c.client, func.clock_timestamp().label("issued_at"))
        )
        row = rotated.one_or_none()
        return LiveSession(row.id, owner, ClientKind(row.client), row.issued_at) if row else None

    async def _hold_owner(self, token: RefreshToken) -> Membership | None:
        """Of the token's session. Held before the session is: in the other order a change of role and a refresh could
        each wait for the other.
        """
        held = await self._work.execute(
            select(member.c.user_id, member.c.workspace_id, member.c.role)
            .join_from(
                session,
                member,
                and_(session.c.user_id == member.c.user_id, session.c.workspace_id == member.c.workspace_id),
            )
            .where(session.c.family_hash == token.family_hash)
            .with_for_update(read=True, of=member)
        )
        row = held.one_or_none()
        return Membership(row.user_id, row.workspace_id, Role(row.role)) if row else None

    async def find_session(self, token: RefreshToken, *, now: datetime) -> StoredSession | None:
        is_over = or_(session.c.revoked_at.is_not(None), session.c.expires_at <= now)
        found = await self._work.execute(
            select(
                session.c.id,
                session.c.user_id,
                session.c.workspace_id,
                session.c.client,
                session.c.prev_hash,
                session.c.rotated_at,
                session.c.user_agent,
                is_over.label("is_over"),
            ).where(session.c.family_hash == token.family_hash)
        )
        row = found.one_or_none()
        if row is None:
            return None
        return StoredSession(
            id=row.id,
            user_id=row.user_id,
            workspace_id=row.workspace_id,
            client=ClientKind(row.client),
            prev_hash=row.prev_hash,
            rotated_at=row.rotated_at,
            user_agent=row.user_agent,
            is_over=row.is_over,
        )

    async def end_session(self, user_id: UUID, session_id: UUID) -> bool:
        return await end_session(self._work, user_id, session_id)

    async def find_own_session(self, user_id: UUID, session_id: UUID) -> UUID | None:
        found = await self._work.execute(
            select(session.c.workspace_id).where(
                session.c.id == session_id, session.c.user_id == user_id, session.c.revoked_at.is_(None)
            )
        )
        return found.scalar_one_or_none()

    async def move_session(
        self,
        session_id: UUID,
        from_workspace_id: UUID,
        member: Membership,
        *,
        now: datetime,
    ) -> LiveSession | None:
        moved = await self._work.execute(
            update(session)
            .where(
                session.c.id == session_id,
                session.c.user_id == member.user_id,
                session.c.workspace_id == from_workspace_id,
                session.c.revoked_at.is_(None),
                session.c.expires_at > now,
            )
            .values(workspace_id=member.workspace_id, last_used_at=now)
            .returning(session.c.client, func.clock_timestamp().label("issued_at"))
        )
        row = moved.one_or_none()
        return LiveSession(session_id, member, ClientKind(row.client), row.issued_at) if row else None

    async def lock_attempts(self, keys: Iterable[bytes], *, now: datetime) -> dict[bytes, Sequence[datetime]]:
        rows = [
            {"key": key, "attempts": [], "last_at": now} for key in sorted(keys)
        ]  # one order: no deadlock
        locked = await self._work.execute(
            upsert(login_attempt)
            .values(rows)
            .on_conflict_do_update(index_elements=[login_attempt.c.key], set_={"last_at": now})
            .returning(login_attempt.c.key, login_attempt.c.attempts)
        )
        return {row.key: row.attempts for row in locked}

    async def save_attempts(self, attempts: Mapping[bytes, Sequence[datetime]]) -> None:
        for key, at in attempts.items():
            await self._work.execute(
                update(login_attempt).where(login_attempt.c.key == key).values(attempts=list(at))
            )

    async def forget_attempts(self, keys: Iterable[bytes]) -> None:
        held = (  # in the order of `lock_attempts`, which may be at them
            select(login_attempt.c.key)
            .where(login_attempt.c.key.in_(list(keys)))
            .order_by(login_attempt.c.key)
            .with_for_update()
        )
        await self._work.execute(delete(login_attempt).where(login_attempt.c.key.in_(held)))

    async def is_at_home(self, email: str, ip_prefix: str) -> bool:
        found = await self._work.execute(
            select(session.c.id)
            .join_from(session, app_user, session.c.user_id == app_user.c.id)
            .where(app_user.c.email == email, session.c.ip_prefix == ip_prefix)
            .limit(1)
        )
        return found.scalar() is not None
