"""The door of onboarding."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from app.accounts.domain.attempt import sign_up_limits
from app.accounts.wiring import AccountsServices, account_use_cases
from app.common.work import Doors, Work
from app.leads.wiring import score_rule_use_cases, stage_use_cases
from app.onboarding.application import Founding, OnboardingUseCases
from app.templates.wiring import add_starter_templates


def onboarding_use_cases(doors: Doors, accounts: AccountsServices) -> OnboardingUseCases:
    @asynccontextmanager
    async def open_founding() -> AsyncIterator[Founding]:
        async with doors.open_system() as work:
            yield Founding(
                account_use_cases(work, accounts),
                stage_use_cases(work),
                score_rule_use_cases(work, accounts.settings),
                _Starters(work),
            )

    return OnboardingUseCases(
        open_founding=open_founding,
        passwords=accounts.passwords,
        attempts=accounts.attempts,
        limits=sign_up_limits(accounts.settings.sign_ups_per_hour),
        sign_ins=accounts.sessions,
    )


class _Starters:
    """Implements the port StarterTemplates."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def add(self, workspace_id: UUID, locale: str, user_id: UUID) -> None:
        await add_starter_templates(self._work, workspace_id, locale, user_id)
