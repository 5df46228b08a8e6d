"""The use cases that found a workspace."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.accounts.domain.attempt import Limits
from app.accounts.domain.ports import AttemptCounter, PasswordHasher
from app.accounts.domain.session import Caller, OpenedSession
from app.accounts.domain.user import Membership, NewAccount
from app.accounts.domain.workspace import NewWorkspace
from app.common.domain import Actor, ClientKind
from app.onboarding.domain import Registration


class Accounts(Protocol):
    async def create_account(self, account: NewAccount, caller: Caller) -> Membership:
        """Raises Conflict when the address has an account."""

    async def create_workspace(
        self, actor: Actor, fields: Mapping[str, str]
    ) -> tuple[Membership, NewWorkspace]:
        """Raises LimitReached."""

    async def open_session(self, member: Membership, client: ClientKind, caller: Caller) -> OpenedSession: ...


class DefaultStages(Protocol):
    async def create_default_stages(self, workspace_id: UUID, locale: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Founding:
    """What the modules below do in the one transaction that founds a workspace."""

    accounts: Accounts
    stages: DefaultStages


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardingUseCases:
    open_founding: Callable[[], AbstractAsyncContextManager[Founding]]
    passwords: PasswordHasher
    attempts: AttemptCounter
    limits: Limits

    async def sign_up(self, registration: Registration, caller: Caller) -> OpenedSession:
        """All of it or nothing. Raises Conflict at `email`, Throttled."""
        await self.attempts.count(self.limits, caller)
        account = registration.account(await self.passwords.hash(registration.password))
        async with self.open_founding() as founding:
            owner = await founding.accounts.create_account(account, caller)
            await founding.stages.create_default_stages(owner.workspace_id, registration.locale)
            return await founding.accounts.open_session(owner, ClientKind.WEB, caller)

    async def create_workspace(self, actor: Actor, fields: Mapping[str, str]) -> UUID:
        """Another one for somebody who is signed in; `fields` are cleaned. Raises LimitReached."""
        async with self.open_founding() as founding:
            owner, new = await founding.accounts.create_workspace(actor, fields)
            await founding.stages.create_default_stages(owner.workspace_id, new.locale)
            return owner.workspace_id
