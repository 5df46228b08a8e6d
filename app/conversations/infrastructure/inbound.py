"""Handles the due row `inbound_event`: reads what came in, and has it received in one transaction."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from app.channels.domain.mail import Mail
from app.channels.wiring import empty_mail, inbound_events, read_mail
from app.common.leases import Claim
from app.common.work import Doors, Work
from app.conversations.application.receiving import ReceiveMail
from app.conversations.domain.receiving import (
    AlreadyReceived,
    LeadGone,
    Outcome,
    ReceivingAccount,
    SenderErased,
)
from app.conversations.infrastructure.received_mail import (
    MailFiles,
    MailLeads,
    is_erased,
    remove_bytes,
    store_files,
)
from app.conversations.infrastructure.receiving import InboundRepository, held_mail
from app.settings import Settings

DONE, FAILED = "done", "failed"
"""How something that came in ends; it is kept, raw, either way."""


async def receive_mail(
    doors: Doors, settings: Settings, claim: Claim, is_stopping: Callable[[], bool]
) -> bool:
    """From a mail as it came to a message in its conversation; False when asked to stop before that.

    Safe to be killed anywhere and to run twice at once: all of it is one transaction, fenced by the claim's token
    (LostLease); only the attachments' bytes are written before, each time to the same places.
    """
    async with doors.open_reads(claim.workspace_id) as reads:
        account, raw = await held_mail(reads, claim)
    mail = await asyncio.to_thread(read_mail, raw)
    if is_stopping():
        return False
    if await _is_new(doors, account, claim, mail):
        await store_files(settings, account, mail)
    try:
        await _receive_at_last(doors, settings, claim, account, mail)
    except AlreadyReceived:
        async with doors.open_work(claim.workspace_id) as work:
            await _finish(work, claim, Outcome.DUPLICATE)
    except SenderErased:
        await remove_bytes(settings, account, mail)
        async with doors.open_work(claim.workspace_id) as work:
            await _finish(work, claim, Outcome.ERASED)
            await empty_mail(work, claim.workspace_id, claim.id)
    return True


async def _receive_at_last(
    doors: Doors, settings: Settings, claim: Claim, account: ReceivingAccount, mail: Mail
) -> None:
    """Raises AlreadyReceived, SenderErased, with nothing written."""
    while True:
        with suppress(LeadGone):
            await _receive(doors, settings, claim, account, mail)
            return


async def fail_mail(doors: Doors, claim: Claim, error: str) -> None:
    """Ends one that cannot be read into the inbox; it is kept as it came. Raises LostLease."""
    async with doors.open_work(claim.workspace_id) as work:
        await inbound_events.finish(work, claim, status=FAILED, error=error)


async def _is_new(doors: Doors, account: ReceivingAccount, claim: Claim, mail: Mail) -> bool:
    """Whether its attachments are worth storing: no file is to lie there that no message has."""
    if not mail.parts or mail.bounce is not None or account.is_own(mail):
        return False
    async with doors.open_reads(claim.workspace_id) as reads:
        if await is_erased(reads, account, mail):
            return False
        return await InboundRepository(reads, account, claim.id).seen(mail) is None


async def _receive(
    doors: Doors, settings: Settings, claim: Claim, account: ReceivingAccount, mail: Mail
) -> None:
    """Raises AlreadyReceived, SenderErased, LeadGone, with nothing written."""
    async with doors.open_work(claim.workspace_id) as work:
        await inbound_events.renew(work, claim, lease_s=settings.inbound_lease_s)
        await _finish(work, claim, await _receiving(work, account, claim.id).receive(mail))


async def receive_at_once(
    work: Work, settings: Settings, account: ReceivingAccount, event_id: UUID, mail: Mail
) -> None:
    """In the caller's transaction, which also ends the due row. Raises AlreadyReceived."""
    await store_files(settings, account, mail)
    await _receiving(work, account, event_id).receive(mail)


def _receiving(work: Work, account: ReceivingAccount, event_id: UUID) -> ReceiveMail:
    messages = InboundRepository(work, account, event_id)
    return ReceiveMail(account, messages, MailLeads(work, account), MailFiles(work, account), work)


async def _finish(work: Work, claim: Claim, outcome: Outcome) -> None:
    note = None if outcome is Outcome.RECEIVED else outcome.value
    await inbound_events.finish(work, claim, status=FAILED if outcome.is_failure else DONE, error=note)
