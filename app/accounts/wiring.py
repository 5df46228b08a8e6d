"""The door of accounts: its long-lived services, and its use cases in another module's transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from app.accounts.application.accounts import AccountUseCases
from app.accounts.application.attempts import AttemptGate
from app.accounts.application.sessions import SessionUseCases
from app.accounts.domain.ports import AccountStore
from app.accounts.domain.system_mail import SystemMail
from app.accounts.infrastructure.audit import record_audit
from app.accounts.infrastructure.passwords import PasswordService
from app.accounts.infrastructure.reads import (
    held_member_name,
    hold_member,
    list_members,
    member_by_id,
    phone_region,
)
from app.accounts.infrastructure.repository import AccountRepository
from app.accounts.infrastructure.revocations import RevocationService
from app.accounts.infrastructure.system_mails import DUE as SYSTEM_MAIL
from app.accounts.infrastructure.system_mails import drop_old_mails, queue_system_mail
from app.accounts.infrastructure.tables import system_mails
from app.accounts.infrastructure.tokens import TokenService
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
    sessions: SessionUseCases
    attempts: AttemptGate

    async def start(self) -> None:
        await self.revocations.start()

    async def stop(self) -> None:
        await self.revocations.stop()
        self.passwords.stop()

    def authenticate(self, token: str) -> Actor:
        """Who bears this access token. Raises Unauthenticated: bad, expired or revoked."""
        actor = self.tokens.verify(token)
        if self.revocations.is_revoked(actor):
            raise Unauthenticated("This session is over. Sign in again.")
        return actor


def accounts_services(settings: Settings, doors: Doors) -> AccountsServices:
    tokens, passwords = TokenService(settings), PasswordService(settings)
    revocations = RevocationService(settings, doors)

    @asynccontextmanager
    async def open_store() -> AsyncIterator[AccountStore]:
        async with doors.open_system() as work:
            yield account_store(work, settings)

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
        sessions=sessions,
        attempts=attempts,
    )


def account_store(work: Work, settings: Settings) -> AccountStore:
    return AccountRepository(
        work,
        refresh_ttl=timedelta(seconds=settings.refresh_token_ttl_s),
        session_ttl=timedelta(seconds=settings.session_ttl_s),
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


__all__ = [
    "SYSTEM_MAIL",
    "AccountsServices",
    "account_store",
    "account_use_cases",
    "accounts_services",
    "create_postman",
    "drop_old_mails",
    "held_member_name",
    "hold_member",
    "list_members",
    "member_by_id",
    "phone_region",
    "queue_mail",
    "record_audit",
    "system_mails",
]
