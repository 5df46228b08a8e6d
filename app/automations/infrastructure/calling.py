"""Calls webhooks: intent, call, receipt (docs/decisions/0045).

The intent is the claim: it is committed before anything is sent, so that a worker which dies between the call and its
receipt leaves a run that is taken up again, and calls again under the same id. No transaction is open during a call;
one that has begun is waited for, also by a worker that is asked to stop.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine
from typing import Any

from app.automations.domain.run import CALL_DUE, RunReason, RunStatus, StepResult
from app.automations.infrastructure.calling_reads import Call, read_call
from app.automations.infrastructure.receipts import Receipt, end_runs, write_late_receipt, write_receipts
from app.automations.infrastructure.runs import RunClaim, calls, hold_runs
from app.automations.infrastructure.secrets import opened_secret
from app.common import telemetry
from app.common.egress import Egress, EgressProblem, EgressRefused
from app.common.leases import BACKOFF_S, Claim, LostLease
from app.common.webhooks import TIMEOUT_S, Answer, CannotPost, Target, signed_headers
from app.common.work import Doors, Unavailable
from app.settings import Settings

OUTAGE_WAIT_S = 0.5


class Caller:
    """One a worker process."""

    attempts = len(BACKOFF_S) + 1

    def __init__(
        self,
        settings: Settings,
        *,
        egress: Egress | None = None,
        context: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._settings, self._egress = settings, egress or Egress.to_public(settings)
        self._context, self._timeout_s = context, timeout_s
        self._under_way: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._timeout_s + 1)

    async def call(self, doors: Doors, _: Settings, claim: Claim, is_stopping: Callable[[], bool]) -> bool:
        """Makes one call and records what came of it; False where it was held up for too long and has to wait its turn
        again. Raises LostLease, Unavailable.
        """
        assert isinstance(claim, RunClaim)
        lease_ends = asyncio.get_running_loop().time() + self._settings.webhook_lease_s
        call = await self._intend(doors, claim)
        if call is None:
            return True
        if asyncio.get_running_loop().time() > lease_ends - self._timeout_s:
            return False
        await self._to_its_end(self._carry(doors, call, lease_ends))
        return True

    async def _intend(self, doors: Doors, claim: RunClaim) -> Call | None:
        """None: there is nothing to call any more, and the run has ended."""
        async with doors.open_work(claim.workspace_id) as work:
            held = await hold_runs(work, claim.workspace_id, [claim], lease_s=self._settings.webhook_lease_s)
            if claim.id not in held:
                raise LostLease
            call = await read_call(work, claim)
            if isinstance(call, Call):
                return call
            await end_runs(work, claim.workspace_id, claim.position, [claim], RunStatus.CANCELED, call)
            return None

    async def _to_its_end(self, calling: Coroutine[Any, Any, None]) -> None:
        """What has begun is brought to its end, whoever waits for it no longer."""
        task = asyncio.create_task(calling)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.shield(task)

    async def _carry(self, doors: Doors, call: Call, lease_ends: float) -> None:
        began = time.perf_counter()
        answer = await self._post(call)
        telemetry.log.info(
            "webhook called",
            kind=CALL_DUE,
            key=str(call.claim.id),
            workspace_id=str(call.claim.workspace_id),
            attempt=call.claim.attempt,
            status=answer.status if isinstance(answer, Answer) else None,
            reason=None if isinstance(answer, Answer) else str(answer),
            duration_ms=round((time.perf_counter() - began) * 1000),
        )
        while True:
            try:
                await self._record(doors, call, answer)
                return
            except Unavailable:
                if asyncio.get_running_loop().time() > lease_ends:
                    raise
                await asyncio.sleep(OUTAGE_WAIT_S)

    async def _post(self, call: Call) -> Answer | CannotPost | EgressRefused:
        from app.common.posting import post  # with the first call: many a worker makes none

        secret = opened_secret(self._settings, call.claim.workspace_id, call.sealed_secret)
        headers = signed_headers(secret, id=call.webhook_id, timestamp=int(time.time()), body=call.body)
        try:
            return await post(
                Target.of(call.url),
                call.body,
                headers,
                self._egress,
                context=self._context,
                timeout_s=self._timeout_s,
            )
        except (CannotPost, EgressRefused) as failure:
            return failure

    async def _record(self, doors: Doors, call: Call, answer: Answer | CannotPost | EgressRefused) -> None:
        """Raises LostLease, Unavailable."""
        claim = call.claim
        written = receipt(claim, answer)
        if may_be_otherwise(answer) and claim.attempt < self.attempts:
            wait_s = wait_before_next(claim.attempt, answer)
            async with doors.open_work(claim.workspace_id) as work:
                await calls.retry_later(work, claim, error=told(answer), wait_s=wait_s)
            return
        try:
            async with doors.open_work(claim.workspace_id) as work:
                await write_receipts(
                    work, claim.workspace_id, call.rule, claim.position, [written], is_kept=False
                )
        except LostLease:
            async with doors.open_work(claim.workspace_id) as work:
                await write_late_receipt(work, call.rule, claim.position, written)
            raise


def may_be_otherwise(answer: Answer | CannotPost | EgressRefused) -> bool:
    """Whether the same again may come to something else."""
    if isinstance(answer, Answer):
        return answer.may_change
    return isinstance(answer, CannotPost) or answer.problem is EgressProblem.HOST_NOT_FOUND


def wait_before_next(attempt: int, answer: Answer | CannotPost | EgressRefused) -> float:
    """What who was called asks for, and no less than the back-off."""
    asked_s = answer.retry_after_s if isinstance(answer, Answer) else None
    return max(BACKOFF_S[attempt - 1], asked_s or 0.0)


def told(answer: Answer | CannotPost | EgressRefused) -> str:
    """Without the address, which may be a secret."""
    return str(answer.status) if isinstance(answer, Answer) else str(answer)


def receipt(claim: RunClaim, answer: Answer | CannotPost | EgressRefused) -> Receipt:
    """Of the last attempt. `detail`: the status or what there was instead of one, and how often it was tried."""
    detail: dict[str, object] = {"attempts": claim.attempt}
    if isinstance(answer, Answer):
        detail["status"] = answer.status
        if answer.is_accepted:
            return Receipt(claim, StepResult.CALLED, detail)
    else:
        detail["problem"] = str(answer)
    is_refused = isinstance(answer, EgressRefused) and not may_be_otherwise(answer)
    reason = RunReason.WEBHOOK_REFUSED if is_refused else RunReason.WEBHOOK_FAILED
    return Receipt(claim, StepResult.FAILED, {"reason": reason.value, **detail}, reason)
