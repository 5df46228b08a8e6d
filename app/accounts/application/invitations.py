"""Inviting people into a workspace, and coming in. No transaction is open while a password is hashed."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from app.accounts.application.sessions import SessionUseCases
from app.accounts.domain.attempt import INVITE, INVITED, USE_LINK
from app.accounts.domain.audit import Author
from app.accounts.domain.events import MemberChanged
from app.accounts.domain.invitation import (
    MAX_A_DAY,
    MAX_LIVE,
    Acceptances,
    Invitations,
    Invited,
    Newcomer,
    OpenAcceptances,
    OpenInvitations,
    Pending,
    check_role,
    is_member_already,
    link_is_over,
    no_member_any_more,
    no_such_invitation,
    too_many_live,
    too_many_today,
)
from app.accounts.domain.ports import AttemptCounter, PasswordHasher
from app.accounts.domain.secret_link import new_secret, secret_hash
from app.accounts.domain.session import Caller, OpenedSession
from app.accounts.domain.system_mail import SystemMail, SystemMailKind
from app.accounts.domain.user import clean_email
from app.common.domain import Actor, ClientKind, Conflict, Invalid, Role, Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationUseCases:
    open_invitations: OpenInvitations
    open_acceptances: OpenAcceptances
    attempts: AttemptCounter
    passwords: PasswordHasher
    sessions: SessionUseCases
    new_id: Callable[[], UUID]

    async def invite_member(self, actor: Actor, caller: Caller, *, email: str, role: Role) -> Invited:
        """A mail goes out. Invited again, an address gets a fresh link, and the old one is dead.

        Raises Invalid, Forbidden, Conflict, LimitReached, Throttled.
        """
        check_role(actor, role)
        address = clean_email(email, "email")
        await self.attempts.count(INVITE, caller, subject=str(actor.workspace_id))
        await self.attempts.count(INVITED, caller, subject=address)
        async with self.open_invitations(actor) as invitations:
            return await self._invite(invitations, actor, address, role)

    async def _invite(self, invitations: Invitations, actor: Actor, address: str, role: Role) -> Invited:
        here = actor.workspace_id
        await invitations.hold(here)
        if await invitations.count_others(here, address) >= MAX_LIVE:
            raise too_many_live()
        if await invitations.count_sent_today(here) >= MAX_A_DAY:
            raise too_many_today()
        secret = new_secret()
        invitation = await invitations.renew(
            here, email=address, role=role, token_hash=secret_hash(secret), invited_by=actor.user_id
        )
        if await invitations.is_member(
            here, address
        ):  # after the row's lock, for which who accepts has waited
            raise is_member_already()
        named = await invitations.words(here, actor.user_id)
        if named is None:
            raise no_member_any_more()
        workspace, inviter, locale = named
        words = {"workspace": workspace, "inviter": inviter, "token": secret}
        mail = SystemMail(kind=SystemMailKind.INVITATION, to=address, locale=locale, words=words)
        await invitations.queue_mail(here, mail)
        await invitations.record(
            here, Author.of(actor), "member.invited", object_id=invitation.id, after={"role": role}
        )
        return Invited(invitation=invitation, secret=secret)

    async def revoke_invitation(self, actor: Actor, id: UUID) -> None:
        """Raises NotFound."""
        async with self.open_invitations(actor) as invitations:
            role = await invitations.remove(actor.workspace_id, id)
            if role is None:
                raise no_such_invitation()
            await invitations.record(
                actor.workspace_id,
                Author.of(actor),
                "invitation.revoked",
                object_id=id,
                before={"role": role},
            )

    async def accept_invitation(
        self, secret: str, caller: Caller, *, name: str | None, password: str | None
    ) -> OpenedSession:
        """Whose address has an account gives its password; a new person is made otherwise. Once: of two at once, one.

        Raises Invalid, Refusals, Unauthenticated, Conflict, Throttled.
        """
        await self.attempts.count(USE_LINK, caller)
        token_hash = secret_hash(secret)
        async with self.open_acceptances(None) as acceptances:
            pending = await acceptances.find(token_hash)
        if pending is None:
            raise link_is_over()
        if pending.has_account:
            return await self._accept_as_known(token_hash, pending, password, caller)
        newcomer = Newcomer.checked(name=name, password=password)
        password_hash, id = await self.passwords.hash(newcomer.password), self.new_id()
        async with self.open_acceptances(id) as acceptances:
            taken = await acceptances.take(token_hash)
            if taken is None:
                raise link_is_over()
            if not await acceptances.add_user(
                id, email=taken.email, name=newcomer.name, password_hash=password_hash, locale=taken.locale
            ):
                raise Conflict(
                    "This address has got an account by now: send this again with its password.",
                    path=("password",),
                )
            return await self._join(acceptances, taken, id, caller)

    async def _accept_as_known(
        self, token_hash: bytes, pending: Pending, password: str | None, caller: Caller
    ) -> OpenedSession:
        if not password:
            raise Invalid("This address has an account: give its password.", path=("password",))
        known = await self.sessions.check_password(pending.email, password, caller)
        if known is None:
            raise another_password()
        async with self.open_acceptances(known.user_id) as acceptances:
            taken = await acceptances.take(token_hash)
            if taken is None:
                raise link_is_over()
            if not await acceptances.accounts.hold_credentials(known):
                raise another_password()
            return await self._join(acceptances, taken, known.user_id, caller)

    async def _join(
        self, acceptances: Acceptances, taken: Pending, user_id: UUID, caller: Caller
    ) -> OpenedSession:
        member, is_new = await acceptances.join(taken, user_id)
        if is_new:
            told = MemberChanged(entity_ids=[user_id], changed=["joined"], after={"role": member.role})
            acceptances.announce_in(taken.workspace_id, told)
            author = Author.calling(caller, user_id=user_id, client=ClientKind.WEB)
            await acceptances.record(
                taken.workspace_id, author, "member.joined", object_id=user_id, after={"role": member.role}
            )
        return await self.sessions.open_session(acceptances.accounts, member, ClientKind.WEB, caller)


def another_password() -> Unauthenticated:
    return Unauthenticated(
        "This address has an account with another password: give that, or ask for a new one.",
        path=("password",),
    )
