"""Signing in and out, and refreshing. Each step is a transaction of its own: none is open while a password is
hashed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.accounts.application.attempts import AttemptGate, utc_now
from app.accounts.domain.attempt import SIGN_IN, Tally, subject_key
from app.accounts.domain.audit import Author
from app.accounts.domain.member import NotYourWorkspace
from app.accounts.domain.ports import AccountStore, OpenStore, PasswordHasher, TokenIssuer
from app.accounts.domain.session import Caller, OpenedSession, RefreshToken, StoredSession
from app.accounts.domain.system_mail import NO_WORKSPACE, SystemMail, SystemMailKind
from app.accounts.domain.user import Credentials, Membership, clean_email
from app.common.domain import ClientKind, Conflict, Invalid, NotFound, Unauthenticated

KNOWN_FOR = timedelta(days=90)
"""A device that was used within this time is no news; a session that ran out longer ago is forgotten sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUseCases:
    open_store: OpenStore
    passwords: PasswordHasher
    tokens: TokenIssuer
    attempts: AttemptGate
    refresh_grace: timedelta
    now: Callable[[], datetime] = utc_now

    async def sign_in(
        self, email: str, password: str, *, workspace_id: UUID | None, client: ClientKind, caller: Caller
    ) -> OpenedSession:
        """Without a workspace: into the one used or joined last. Raises Throttled, Unauthenticated,
        NotFound.
        """
        known = await self.check_password(email, password, caller)
        if known is None:
            raise password_is_wrong()
        async with self.open_store() as store:
            if not await store.hold_credentials(
                known
            ):  # changed, and all sessions ended, while it was checked
                raise password_is_wrong()
            member = await store.hold_membership(known.user_id, workspace_id)
            if member is None:
                raise belongs_nowhere() if workspace_id is None else NotYourWorkspace()
            await store.forget_attempts(
                subject_key(SIGN_IN, email, place) for place in {"", caller.ip_prefix}
            )
            await self._warn(store, known.user_id, caller)
            return await self.open_session(store, member, client, caller)

    async def check_password(self, email: str, password: str, caller: Caller) -> Credentials | None:
        """One more attempt to sign in. None: there is no such account, or it has another password. Raises Throttled."""
        known = await self._count_and_find(email, caller)
        is_right = await self.passwords.verify(password, known.password_hash if known else None)
        return known if is_right else None

    async def _warn(self, store: AccountStore, user_id: UUID, caller: Caller) -> None:
        """Of a device or network that is new, but not at somebody's first session."""
        now = self.now()
        addressee = await store.stranger(user_id, caller, since=now - KNOWN_FOR)
        if addressee is None:
            return
        words = {
            "at": now.isoformat(timespec="seconds"),
            "user_agent": caller.user_agent or "–",
            "ip_prefix": caller.ip_prefix or "–",
        }
        await store.queue_mail(
            NO_WORKSPACE,
            SystemMail(
                kind=SystemMailKind.NEW_SIGN_IN, to=addressee.email, locale=addressee.locale, words=words
            ),
        )

    async def _count_and_find(self, email: str, caller: Caller) -> Credentials | None:
        try:
            known = clean_email(email)
        except Invalid:
            known = ""
        async with self.open_store() as store:
            is_at_home = await store.is_at_home(known, caller.ip_prefix)
            tally = Tally.of(SIGN_IN, caller, subject=email, is_at_home=is_at_home)
            await self.attempts.count_in(store, SIGN_IN, tally)
            return await store.find_credentials(known)

    async def open_session(
        self, store: AccountStore, member: Membership, client: ClientKind, caller: Caller
    ) -> OpenedSession:
        """A new session in the caller's transaction, which holds or made the membership."""
        token = RefreshToken.mint()
        live = await store.add_session(member, client, token, caller, now=self.now())
        author = Author.calling(caller, user_id=member.user_id, client=client, session_id=live.id)
        await store.record(member.workspace_id, author, "session.opened", object_id=live.id)
        return OpenedSession(live, self.tokens.issue(live), token)

    async def refresh_session(self, refresh_token: str, caller: Caller) -> OpenedSession:
        """Trades a refresh token for fresh ones; one that was used already ends its session, unless it is a
        second tab's. Raises Conflict, Unauthenticated.
        """
        used = RefreshToken.parse(refresh_token)
        if used is None:
            raise session_is_over()
        fresh = used.next()
        async with self.open_store() as store:
            live = await store.rotate(used, fresh, caller, now=self.now())
            if live is None:
                await self._refuse(store, used, caller)
        if live is None:  # raised after the commit: what ends the session is kept
            raise session_is_over()
        return OpenedSession(live, self.tokens.issue(live), fresh)

    async def _refuse(self, store: AccountStore, used: RefreshToken, caller: Caller) -> None:
        """Ends the session of a used token. Raises Conflict for a second tab's."""
        now = self.now()
        session = await store.find_session(used, now=now)
        if session is None or session.is_over:
            return
        if session.is_second_tab(used, caller, now, self.refresh_grace):
            raise Conflict(
                "Another tab has just refreshed this session: use the token it got.", path=("refreshToken",)
            )
        await self._end(store, session, "session.replayed", caller)

    async def sign_out(self, refresh_token: str, caller: Caller) -> None:
        """Ends the session of the token, used or not. Done already or unknown: nothing happens."""
        token = RefreshToken.parse(refresh_token)
        if token is None:
            return
        async with self.open_store() as store:
            session = await store.find_session(token, now=self.now())
            if session is not None:
                await self._end(store, session, "session.closed", caller)

    async def _end(self, store: AccountStore, session: StoredSession, action: str, caller: Caller) -> None:
        if await store.end_session(session.user_id, session.id):
            author = Author.calling(
                caller, user_id=session.user_id, client=session.client, session_id=session.id
            )
            await store.record(session.workspace_id, author, action, object_id=session.id)


def password_is_wrong() -> Unauthenticated:
    return Unauthenticated("E-mail or password is wrong. Check both and try again.")


def belongs_nowhere() -> NotFound:
    return NotFound(
        "You belong to no workspace any more: have yourself invited, or found one by signing up with this address and "
        "password."
    )


def session_is_over() -> Unauthenticated:
    return Unauthenticated("This session is over. Sign in again.", path=("refreshToken",))
