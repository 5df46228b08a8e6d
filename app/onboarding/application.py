"""The use cases that found a workspace."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.accounts.domain.attempt import Limits
from app.accounts.domain.ports import AttemptCounter, PasswordHasher
from app.accounts.domain.session import Caller, OpenedSession
from app.accounts.domain.user import Credentials, Membership, NewAccount
from app.accounts.domain.workspace import NewWorkspace
from app.common.domain import Actor, ClientKind, Conflict
from app.onboarding.domain import Registration


class Accounts(Protocol):
    async def create_account(self, account: NewAccount, caller: Caller) -> Membership:
        """Raises Conflict when the address has an account."""

    async def found_again(self, known: Credentials, new: NewWorkspace, caller: Caller) -> Membership | None:
        """None: they belong to a workspace."""

    async def create_workspace(
        self, actor: Actor, fields: Mapping[str, str]
    ) -> tuple[Membership, NewWorkspace]:
        """Raises LimitReached."""

    async def open_session(self, member: Membership, client: ClientKind, caller: Caller) -> OpenedSession: ...


class SignIns(Protocol):
    async def check_password(self, email: str, password: str, caller: Caller) -> Credentials | None:
        """One more attempt to sign in. Raises Throttled."""


class DefaultStages(Protocol):
    async def create_default_stages(self, workspace_id: UUID, locale: str) -> None: ...


class DefaultScoreRules(Protocol):
    async def create_default_rules(self, workspace_id: UUID) -> None: ...


class StarterTemplates(Protocol):
    async def add(self, workspace_id: UUID, locale: str, user_id: UUID) -> None: ...


@dataclass(frozen=True, slots=True)
class Founding:
    """What the modules below do in the one transaction that founds a workspace."""

    accounts: Accounts
    stages: DefaultStages
    scores: DefaultScoreRules
    templates: StarterTemplates

    async def furnish(self, owner: Membership, locale: str) -> None:
        """What every workspace begins with."""
        await self.stages.create_default_stages(owner.workspace_id, locale)
        await self.scores.create_default_rules(owner.workspace_id)
        await self.templates.add(owner.workspace_id, locale, owner.user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardingUseCases:
    open_founding: Callable[[], AbstractAsyncContextManager[Founding]]
    passwords: PasswordHasher
    attempts: AttemptCounter
    limits: Limits
    sign_ins: SignIns

    async def sign_up(self, registration: Registration, caller: Caller) -> OpenedSession:
        """All of it or nothing. Who has an account and belongs to no workspace any more founds one with its password.
        Raises Conflict at `email`, Throttled.
        """
        await self.attempts.count(self.limits, caller)
        account = registration.account(await self.passwords.hash(registration.password))
        try:
            async with self.open_founding() as founding:
                owner = await founding.accounts.create_account(account, caller)
                return await self._open(founding, owner, registration, caller)
        except Conflict:
            known = await self.sign_ins.check_password(registration.email, registration.password, caller)
            if known is None:
                raise
            new = NewWorkspace.of(name=registration.workspace_name, locale=registration.locale)
            async with self.open_founding() as founding:
                again = await founding.accounts.found_again(known, new, caller)
                if again is None:
                    raise
                return await self._open(founding, again, registration, caller)

    async def _open(
        self, founding: Founding, owner: Membership, registration: Registration, caller: Caller
    ) -> OpenedSession:
        await founding.furnish(owner, registration.locale)
        return await founding.accounts.open_session(owner, ClientKind.WEB, caller)

    async def create_workspace(self, actor: Actor, fields: Mapping[str, str]) -> UUID:
        """Another one for somebody who is signed in; `fields` are cleaned. Raises LimitReached."""
        async with self.open_founding() as founding:
            owner, new = await founding.accounts.create_workspace(actor, fields)
            await founding.furnish(owner, new.locale)
            return owner.workspace_id
