"""The door of onboarding."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.accounts.domain.attempt import sign_up_limits
from app.accounts.wiring import AccountsServices, account_use_cases
from app.common.work import Doors
from app.leads.wiring import stage_use_cases
from app.onboarding.application import Founding, OnboardingUseCases


def onboarding_use_cases(doors: Doors, accounts: AccountsServices) -> OnboardingUseCases:
    @asynccontextmanager
    async def open_founding() -> AsyncIterator[Founding]:
        async with doors.open_system() as work:
            yield Founding(account_use_cases(work, accounts), stage_use_cases(work))

    return OnboardingUseCases(
        open_founding=open_founding,
        passwords=accounts.passwords,
        attempts=accounts.attempts,
        limits=sign_up_limits(accounts.settings.sign_ups_per_hour),
        sign_ins=accounts.sessions,
    )
