"""The door to bulk sends: their use cases, and the handler of the due row `bulk_send`."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from uuid_utils.compat import uuid7

from app.common.domain import Actor
from app.common.idempotency import Idempotency
from app.common.leases import Claim
from app.common.work import Doors, Reads, Work
from app.outreach.application.audience import AudienceUseCases
from app.outreach.application.bulk_sends import BulkSendUseCases
from app.outreach.application.running import WATCH_S, RunBulkSend
from app.outreach.domain.bulk_send import DUE
from app.outreach.infrastructure.audience_reads import AudienceReads
from app.outreach.infrastructure.erasing import end_bulk_sends, hold_bulk_sends
from app.outreach.infrastructure.ledger import BulkSendLedger
from app.outreach.infrastructure.reads import (
    bulk_send_and_position,
    bulk_sends_by_id,
    list_bulk_sends,
)
from app.outreach.infrastructure.repository import (
    AccountLookup,
    BulkSendRepository,
    LedgerBatches,
    Pinned,
)
from app.outreach.infrastructure.tables import bulk_sends
from app.settings import Settings

SLICE_S = 2
"""After this time one that takes in its audience lets those that wait behind it go first."""


def bulk_send_use_cases(work: Work, actor: Actor) -> BulkSendUseCases:
    return BulkSendUseCases(
        actor.workspace_id,
        actor.user_id,
        BulkSendRepository(work),
        Pinned(work),
        AccountLookup(work),
        LedgerBatches(work),
        Idempotency(work, actor.workspace_id),
        work,
        uuid7,
    )


def audience_use_cases(reads: Reads, workspace_id: UUID) -> AudienceUseCases:
    return AudienceUseCases(workspace_id, AudienceReads(reads))


async def run_bulk_send(
    doors: Doors, settings: Settings, claim: Claim, is_stopping: Callable[[], bool]
) -> bool:
    """Step after step; True when it was let go of, False when its turn is over or it was asked to stop.

    Safe to be killed anywhere and to run twice at once: the claim's token fences every step (LostLease).
    """
    loop = asyncio.get_running_loop()
    until, watched_at = loop.time() + SLICE_S, loop.time()
    while not is_stopping():
        is_watch_due = loop.time() - watched_at >= WATCH_S
        async with doors.open_work(claim.workspace_id) as work:
            ledger = BulkSendLedger(work, claim, lease_s=settings.bulk_send_lease_s)
            run = RunBulkSend(ledger, work, settings.bulk_send_chunk_leads)
            if await run.step(is_watch_due=is_watch_due):
                return True
        if is_watch_due:
            watched_at = loop.time()
        if loop.time() > until:
            break
    return False


async def fail_bulk_send(doors: Doors, claim: Claim, error: str) -> None:
    """Pauses one that cannot be run; what was sent stays so. Raises LostLease."""
    async with doors.open_work(claim.workspace_id) as work:
        await BulkSendLedger(work, claim, lease_s=0).give_up(error)


__all__ = [
    "DUE",
    "audience_use_cases",
    "bulk_send_and_position",
    "bulk_send_use_cases",
    "bulk_sends",
    "bulk_sends_by_id",
    "end_bulk_sends",
    "fail_bulk_send",
    "hold_bulk_sends",
    "list_bulk_sends",
    "run_bulk_send",
]
