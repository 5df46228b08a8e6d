"""Carries a batch's claimed deliveries to the providers, one after the other in each lane.

The record of one and the intent of the next are one transaction: a lane costs one commit a message. So at any moment
one delivery of a lane is between its intent and its record, and where the worker dies there, one is unknown. What the
provider said outweighs the next one: where the two cannot be written together, it is recorded alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

from app.channels.domain.ports import Answer, SendingAccount
from app.common import telemetry
from app.common.leases import Claim, LostLease
from app.common.work import Doors, Unavailable, Work
from app.conversations.application.batch_delivering import DeliveringBatch
from app.conversations.domain.batch_turn import Draft, Sent, Unbegun
from app.conversations.domain.delivery import (
    DeliveryStatus,
    Intent,
    Postponed,
    Settled,
    brake_of,
)
from app.conversations.domain.message import MessageStatus
from app.conversations.infrastructure.batch_drafts import Renderer
from app.conversations.infrastructure.batch_ledger import BatchLedger, hold
from app.conversations.infrastructure.courier import OUTAGE_WAIT_S, Courier, delivering
from app.conversations.infrastructure.ledger import Ledger
from app.conversations.infrastructure.pacing import BatchClaims, GivenBack, brake, refund
from app.leads.wiring import announce_touched
from app.settings import Settings

Fail: TypeAlias = Callable[[Claim, Exception], Awaitable[None]]
Drafts: TypeAlias = Mapping[UUID, "Draft | Exception"]


@dataclass(frozen=True, slots=True)
class Call:
    """What is about to be handed over: its intent is committed."""

    claim: Claim
    intent: Intent
    account: SendingAccount | None
    by: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call, not yet written."""

    call: Call
    answer: Answer
    settled: Settled

    @property
    def is_plain(self) -> bool:
        """It was sent, and nothing else follows from it: such a record fits beside an intent."""
        return self.settled.shows is MessageStatus.SENT and not self.call.intent.is_account_ailing


class BatchCourier:
    """One a worker process; what it hands over goes through the courier of single messages."""

    def __init__(self, settings: Settings, courier: Courier) -> None:
        self.settings, self.courier = settings, courier
        self.claims = BatchClaims()
        self.renderer = Renderer()

    async def deliver_all(
        self, doors: Doors, claims: Sequence[Claim], is_stopping: Callable[[], bool], fail: Fail
    ) -> int:
        """One batch's claims, in their order; how many were handed over. `fail` ends a turn that cannot be taken.

        Asked to stop, it ends after the call that is under way, and gives the rest back. Raises Unavailable.
        """
        turn = Turn(self, doors, claims, is_stopping, fail)
        return await self.courier.ended(turn.run())


@dataclass
class Turn:
    """One lane's claims."""

    of: BatchCourier
    doors: Doors
    claims: Sequence[Claim]
    is_stopping: Callable[[], bool]
    fail: Fail
    called: int = 0
    begun: int = 0
    """Whose turn came; not all of them were handed over."""
    unsent: int = 0
    """Of these, those whose turn ended here without a call: whoever takes a lost lease over gives back for it."""
    retried: int = 0
    """That the provider did not take, and that come again."""
    began_at: float = 0
    ends_at: float = 0
    """No more turns then; until then the leases are ours for certain."""
    is_over: bool = False
    """The batch or its account does not send now."""
    drafts: Drafts = field(default_factory=dict)

    @property
    def workspace_id(self) -> UUID:
        return self.claims[0].workspace_id

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def run(self) -> int:
        self.began_at = self.now()
        self.ends_at = self.began_at + self.of.settings.delivery_lease_s / 2
        async with self.doors.open_reads(self.workspace_id) as reads:
            self.drafts = await self.of.renderer.drafts(
                reads, self.workspace_id, [one.id for one in self.claims]
            )
        outcome: Outcome | None = None
        for claim in self.claims:
            if self.is_over or self.is_stopping() or self.now() > self.ends_at:
                break
            self.begun += 1
            call, outcome = await self._next(outcome, claim), None
            if call is not None:
                outcome = await self._made(call)
        if outcome is not None:
            await self._record(outcome)
        await self._give_back(self.claims[self.begun :])
        return self.called

    async def _made(self, call: Call) -> Outcome | None:
        """The call. What is not plain is recorded at once."""
        self.called += 1
        outcome = Outcome(call, *await self.of.courier.call(call.intent, call.account, call.by))
        if outcome.is_plain:
            return outcome
        await self._record(outcome)
        self.retried += outcome.settled.status is DeliveryStatus.QUEUED
        if (brake_s := brake_of(outcome.answer)) is not None:
            await self._brake(call.intent.account_id, brake_s)
        return None

    async def _next(self, outcome: Outcome | None, claim: Claim) -> Call | None:
        """Records what became of the one before, and begins this one: together, or else one after the other."""
        draft = self.drafts.get(claim.id)
        if outcome is not None and isinstance(draft, Draft):
            try:
                return await self._begin(claim, draft, outcome)
            except LostLease:
                pass  # it went another way, and took nothing with it: the transaction was rolled back
            except Unavailable as error:
                telemetry.log.warning("intent failed", reason=str(error))
            except Exception as error:  # noqa: BLE001 - whosesoever it is, the record is written alone
                _log("intent failed", claim, error)
        if outcome is not None:
            await self._record(outcome)
        if isinstance(draft, Exception):
            await self._fail(claim, draft)
            return None
        return None if draft is None else await self._begin_alone(claim, draft)

    async def _begin_alone(self, claim: Claim, draft: Draft) -> Call | None:
        """While the lease may still be ours an outage is waited out; past it the fence says so."""
        until = self.now() + self.of.settings.delivery_lease_s
        while True:
            try:
                return await self._begin(claim, draft, None)
            except LostLease:
                return None
            except Unavailable:
                if self.now() >= until or self.is_stopping():
                    return None
                await asyncio.sleep(OUTAGE_WAIT_S)
            except Exception as error:  # noqa: BLE001 - a bug becomes the row's state, with a reason
                await self._fail(claim, error)
                return None

    async def _fail(self, claim: Claim, error: Exception) -> None:
        self.unsent += self.now() <= self.ends_at
        await self.fail(claim, error)

    async def _begin(self, claim: Claim, draft: Draft, outcome: Outcome | None) -> Call | None:
        """One transaction. Raises LostLease, Unavailable."""
        call_by = self.now() + self.of.settings.delivery_lease_s - self.of.courier.call_s
        async with self.doors.open_work(self.workspace_id, plans_once=True) as work:
            leads = {draft.lead_id} | ({outcome.call.intent.lead_id} if outcome else set())
            await hold(work, self.workspace_id, draft.batch_id, sorted(leads))
            if outcome is not None and draft.has_message:
                await delivering(work, Ledger(work, outcome.call.claim)).record(
                    outcome.call.intent, outcome.answer, outcome.settled
                )
                outcome = None
            found = await self._intend(work, claim, draft, outcome)
            account = await self.of.courier.account(work, found) if isinstance(found, Intent) else None
        if isinstance(found, Intent):
            return Call(claim, found, account, call_by)
        self.unsent += 1
        self.is_over = isinstance(found, Postponed) and found.is_of_all
        return None

    async def _intend(
        self, work: Work, claim: Claim, draft: Draft, outcome: Outcome | None
    ) -> Intent | Postponed | Unbegun:
        lease_s = self.of.settings.delivery_lease_s
        batch = DeliveringBatch(
            BatchLedger(work, claim, lease_s=lease_s),
            delivering(work, Ledger(work, claim, lease_s=lease_s)),
            _Touched(work),
            work,
        )
        if outcome is not None:
            found = await batch.record_and_intend(Sent(outcome.call.intent, outcome.settled), draft)
        else:
            found = await batch.intend(draft)
        if found is not Unbegun.STALE:
            return found
        renewed = (await self.of.renderer.drafts(work, self.workspace_id, [claim.id])).get(claim.id)
        if isinstance(renewed, Exception):
            raise renewed
        if renewed is None:
            raise LostLease
        return await batch.intend(renewed)

    def _freed(self) -> Sequence[GivenBack]:
        draft = next((one for one in self.drafts.values() if isinstance(one, Draft)), None)
        if draft is None:
            return ()
        whose = (self.workspace_id, draft.account_id, draft.batch_id)
        held_s = self.now() - self.began_at
        both = (GivenBack(*whose, self.unsent, held_s), GivenBack(*whose, self.retried))
        return [one for one in both if one.count]

    async def _record(self, outcome: Outcome) -> None:
        call = outcome.call
        await self.of.courier.record(self.doors, call.claim, call.intent, outcome.answer, outcome.settled)

    async def _brake(self, account_id: UUID, seconds: float) -> None:
        self.is_over = True
        async with self.doors.open_work(self.workspace_id) as work:
            await brake(work, self.workspace_id, account_id, seconds)

    async def _give_back(self, rest: Sequence[Claim]) -> None:
        """What was claimed and not begun is as due as before; what it and the unsent would have used of the limits is
        free again."""
        if rest or self.unsent or self.retried:
            async with self.doors.open_work(self.workspace_id) as work:
                await self.of.claims.give_back(work, rest)
                await refund(work, self._freed())


class _Touched:
    def __init__(self, work: Work) -> None:
        self._work = work

    def announce_touched(self, lead_id: UUID, before: str, after: str) -> None:
        announce_touched(self._work, lead_id, before, after)


def _log(what: str, claim: Claim, error: Exception) -> None:
    telemetry.log.error(
        what,
        key=str(claim.id),
        error_id=telemetry.new_error_id(),
        error_type=type(error).__name__,
        exc_info=error,
    )
