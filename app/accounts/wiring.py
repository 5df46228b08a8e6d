"""The door of accounts: its long-lived services, and its use cases in another module's transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from uuid_utils.compat import uuid7

from app.accounts.application.accounts import AccountUseCases
from app.accounts.application.api_keys import ApiKeyUseCases
from app.accounts.application.attempts import AttemptGate
from app.accounts.application.invitations import InvitationUseCases
from app.accounts.application.members import MemberUseCases
from app.accounts.application.own_sessions import OwnSessionUseCases
from app.accounts.application.profile import ProfileUseCases
from app.accounts.application.resets import ResetUseCases
from app.accounts.application.sessions import SessionUseCases
from app.accounts.application.workspaces import WorkspaceUseCases
from app.accounts.domain.api_key import PREFIX as API_KEY
from app.accounts.domain.invitation import Acceptances, Invitations
from app.accounts.domain.ports import AccountStore, Profiles
from app.accounts.domain.reset import Resets
from app.accounts.domain.session import ip_prefix
from app.accounts.domain.system_mail import SystemMail
from app.accounts.infrastructure.api_keys import ApiKeyRepository, api_key_by_id, list_api_keys
from app.accounts.infrastructure.audit import record_audit
from app.accounts.infrastructure.invitations import (
    AcceptanceRepository,
    InvitationRepository,
    list_invitations,
)
from app.accounts.infrastructure.key_ring import KeyRing
from app.accounts.infrastructure.members import MemberRepository
from app.accounts.infrastructure.passwords import PasswordService
from app.accounts.infrastructure.profiles import ProfileRepository
from app.accounts.infrastructure.quiet_changes import quiet_change_seen, quiet_changes
from app.accounts.infrastructure.reads import (
    held_member_name,
    hold_member,
    hold_members,
    list_members,
    member_by_id,
    phone_region,
    read_workspace,
)
from app.accounts.infrastructure.repository import AccountRepository
from app.accounts.infrastructure.resets import ResetRepository
from app.accounts.infrastructure.revocations import RevocationService
from app.accounts.infrastructure.system_mails import DUE as SYSTEM_MAIL
from app.accounts.infrastructure.system_mails import drop_old_mails, queue_system_mail
from app.accounts.infrastructure.tables import system_mails
from app.accounts.infrastructure.tokens import TokenService
from app.accounts.infrastructure.workspaces import WorkspaceRepository
from app.common.crypto import SecretBox
from app.common.domain import Actor, Unauthenticated
from app.common.work import Doors, Work
from app.settings import Settings

if TYPE_CHECKING:
    from app.accounts.infrastructure.postman import Postman


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsServices:
    """One per process; `Context.services["accounts"]`."""

    settings: Settings
    tokens: TokenService
    passwords: PasswordService
    revocations: RevocationService
    keys: KeyRing
    sessions: SessionUseCases
    attempts: AttemptGate
    own_sessions: OwnSessionUseCases
    profiles: ProfileUseCases
    invitations: InvitationUseCases
    resets: ResetUseCases

    async def start(self) -> None:
        await self.revocations.start()
        await self.keys.start()

    async def stop(self) -> None:
        await self.keys.stop()
        await self.revocations.stop()
        self.passwords.stop()

    async def authenticate(self, token: str, ip: str) -> Actor:
        """Who bears this access token or API key; only a key may be looked up. Raises Unauthenticated: bad, expired or
        revoked; for a key also Throttled, Unavailable.
        """
        if token.startswith(API_KEY):
            return await self.keys.bearer(token, ip_prefix(ip))
        actor = self.tokens.verify(token)
        if self.revocations.is_revoked(actor):
            raise Unauthenticated("This session is over. Sign in again.")
        return replace(actor, ip_prefix=ip_prefix(ip))


def accounts_services(settings: Settings, doors: Doors) -> AccountsServices:
    tokens, passwords = TokenService(settings), PasswordService(settings)
    revocations = RevocationService(settings, doors)

    @asynccontextmanager
    async def open_store() -> AsyncIterator[AccountStore]:
        async with doors.open_system() as work:
            yield account_store(work, settings)

    @asynccontextmanager
    async def open_profiles(user_id: UUID) -> AsyncIterator[Profiles]:
        async with doors.open_system(by_user=user_id) as work:
            yield ProfileRepository(work, SecretBox(settings.credential_keys))

    attempts = AttemptGate(open_store=open_store)
    sessions = SessionUseCases(
        open_store=open_store,
        passwords=passwords,
        tokens=tokens,
        attempts=attempts,
        refresh_grace=timedelta(seconds=settings.refresh_grace_s),
    )
    return AccountsServices(
        settings=settings,
        tokens=tokens,
        passwords=passwords,
        revocations=revocations,
        keys=KeyRing(settings, doors, revocations),
        sessions=sessions,
        attempts=attempts,
        own_sessions=OwnSessionUseCases(open_store=open_store, tokens=tokens),
        profiles=ProfileUseCases(open_profiles=open_profiles, attempts=attempts, passwords=passwords),
        invitations=invitation_use_cases(settings, doors, sessions),
        resets=reset_use_cases(settings, doors, sessions),
    )


def invitation_use_cases(settings: Settings, doors: Doors, sessions: SessionUseCases) -> InvitationUseCases:
    @asynccontextmanager
    async def open_invitations(actor: Actor) -> AsyncIterator[Invitations]:
        async with doors.open_work(actor.workspace_id, actor) as work:
            yield InvitationRepository(work, SecretBox(settings.credential_keys))

    @asynccontextmanager
    async def open_acceptances(user_id: UUID | None) -> AsyncIterator[Acceptances]:
        async with doors.open_system(by_user=user_id) as work:
            yield AcceptanceRepository(work, account_store(work, settings))

    return InvitationUseCases(
        open_invitations=open_invitations,
        open_acceptances=open_acceptances,
        attempts=sessions.attempts,
        passwords=sessions.passwords,
        sessions=sessions,
        new_id=uuid7,
    )


def reset_use_cases(settings: Settings, doors: Doors, sessions: SessionUseCases) -> ResetUseCases:
    @asynccontextmanager
    async def open_resets() -> AsyncIterator[Resets]:
        async with doors.open_system() as work:
            yield ResetRepository(work, account_store(work, settings))

    return ResetUseCases(open_resets=open_resets, attempts=sessions.attempts, passwords=sessions.passwords)


def account_store(work: Work, settings: Settings) -> AccountStore:
    return AccountRepository(
        work,
        refresh_ttl=timedelta(seconds=settings.refresh_token_ttl_s),
        session_ttl=timedelta(seconds=settings.session_ttl_s),
        box=lambda: SecretBox(settings.credential_keys),
    )


async def queue_mail(work: Work, settings: Settings, workspace_id: UUID, mail: SystemMail) -> None:
    """A mail of SalesPad's own goes out once this transaction is committed, and not before."""
    await queue_system_mail(work, SecretBox(settings.credential_keys), workspace_id, mail)


def create_postman(settings: Settings) -> "Postman":
    """One a worker process; what carries mails is imported here: the API starts without it."""
    from app.accounts.infrastructure import postman

    return postman.Postman(settings)


def account_use_cases(work: Work, services: AccountsServices) -> AccountUseCases:
    """In a transaction of the system door."""
    return AccountUseCases(account_store(work, services.settings), services.sessions)


def api_key_use_cases(work: Work, workspace_id: UUID, actor: Actor) -> ApiKeyUseCases:
    """In a transaction of that workspace's door."""
    return ApiKeyUseCases(workspace_id, actor, ApiKeyRepository(work), partial(record_audit, work))


def member_use_cases(work: Work, workspace_id: UUID, actor: Actor) -> MemberUseCases:
    """In a transaction of that workspace's door."""
    return MemberUseCases(workspace_id, actor, MemberRepository(work), work, partial(record_audit, work))


def workspace_use_cases(work: Work, workspace_id: UUID, actor: Actor) -> WorkspaceUseCases:
    """In a transaction of that workspace's door."""
    return WorkspaceUseCases(workspace_id, actor, WorkspaceRepository(work), partial(record_audit, work))


__all__ = [
    "SYSTEM_MAIL",
    "AccountsServices",
    "account_store",
    "account_use_cases",
    "accounts_services",
    "api_key_by_id",
    "api_key_use_cases",
    "create_postman",
    "drop_old_mails",
    "held_member_name",
    "hold_member",
    "hold_members",
    "list_api_keys",
    "list_invitations",
    "list_members",
    "member_by_id",
    "member_use_cases",
    "phone_region",
    "queue_mail",
    "quiet_change_seen",
    "quiet_changes",
    "read_workspace",
    "record_audit",
    "system_mails",
    "workspace_use_cases",
]
