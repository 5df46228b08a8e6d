"""The gate before everything that may be tried only so often."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.accounts.domain.attempt import Limits, Tally
from app.accounts.domain.ports import AccountStore, OpenStore
from app.accounts.domain.session import Caller
from app.common.domain import Throttled


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptGate:
    open_store: OpenStore
    now: Callable[[], datetime] = utc_now

    async def count(self, limits: Limits, caller: Caller, *, subject: str = "") -> None:
        """One more attempt, committed before it goes on. `subject` is what is tried: an e-mail address as it was typed,
        or an id. Raises Throttled.
        """
        tally = Tally.of(limits, caller, subject=subject)
        if tally.windows:
            async with self.open_store() as store:
                await self.count_in(store, limits, tally)

    async def count_in(self, store: AccountStore, limits: Limits, tally: Tally) -> None:
        """In the caller's transaction, which must commit before the attempt is made. Raises Throttled."""
        attempts = await store.lock_attempts(tally.windows, now=self.now())
        now = self.now()  # after the wait for the lock
        if retry_at := tally.next_allowed(attempts, now):
            raise Throttled(limits.refusal, retry_at=retry_at)
        await store.save_attempts(tally.counted(attempts, now))
