"""Carries claimed deliveries to the providers: intent, call, record (delivery.md 3.2).

No transaction is open during a call. A call that has begun is waited for, also by a worker that is asked to stop, and
its record outlasts an outage of the database: only then does what the provider said not get lost.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from secrets import SystemRandom
from typing import Any, TypeVar
from uuid import UUID

from app.channels.domain.account import ChannelAccountStatus
from app.channels.domain.ports import (
    Answer,
    MessageSender,
    OutboundFile,
    OutboundMessage,
    Retry,
    SendingAccount,
    Unknown,
)
from app.channels.wiring import report_account, sending_account
from app.common import telemetry
from app.common.domain import Channel, Direction
from app.common.leases import Claim, LostLease
from app.common.work import Doors, Unavailable, Work
from app.conversations.application.delivering import Delivering
from app.conversations.domain.delivery import Intent, Reason, Settled, settle, settle_of_batch
from app.conversations.domain.ports import Senders
from app.conversations.infrastructure.ledger import Ledger, overdue
from app.conversations.infrastructure.pacing import postpone, spend
from app.conversations.infrastructure.quiet import hold_till, quiet_until
from app.conversations.infrastructure.unsubscribe import unsubscribe_url
from app.files.wiring import file_store
from app.leads.domain.contact import SuppressionReason
from app.leads.wiring import suppress, touch
from app.settings import Settings

Done = TypeVar("Done")
ACCOUNTS_MAX = 1000
OUTAGE_WAIT_S = 0.5
BACKSTOP_S = 1
"""A sender keeps to `send_timeout_s` itself, and knows best how far it came; after this much more it is cut off."""
LATE = Retry("LATE", "The worker was held up between the intent and the call.")
NO_ACCOUNT = Retry("ACCOUNT_UNREADABLE", "Connect the account again.", is_account_broken=True)


class _DayUsedUp(Exception):
    def __init__(self, until: datetime) -> None:
        self.until = until


class _QuietNow(Exception):
    def __init__(self, until: datetime) -> None:
        self.until = until


class Courier:
    """One a worker process."""

    def __init__(self, settings: Settings, senders: Senders) -> None:
        self._settings, self._senders = settings, senders
        self._files = file_store(settings)
        self._accounts: dict[tuple[object, ...], SendingAccount] = {}
        self._calls: set[asyncio.Task[object]] = set()
        self._random = SystemRandom()
        self.call_s = settings.send_timeout_s + BACKSTOP_S
        """What a call takes at most."""

    async def close(self) -> None:
        if self._calls:
            await asyncio.wait(self._calls, timeout=self.call_s)
        await self._senders.close()

    async def deliver(
        self, doors: Doors, settings: Settings, claim: Claim, is_stopping: Callable[[], bool]
    ) -> bool:
        """Hands one over and records what became of it; or has it wait, where the day's allowance is used up or the
        lead's hours are quiet.

        Raises LostLease, Unavailable.
        """
        call_by = asyncio.get_running_loop().time() + settings.delivery_lease_s - self.call_s
        try:
            intent, account = await self._intend(doors, settings, claim)
        except _DayUsedUp as used_up:
            async with doors.open_work(claim.workspace_id) as work:
                await postpone(work, claim, until=used_up.until)
            return True
        except _QuietNow as quiet:
            async with doors.open_work(claim.workspace_id) as work:
                await hold_till(work, claim, quiet.until)
            return True
        if intent is None:
            return True
        if not await self.ended(self._carry(doors, claim, intent, account, call_by)):
            raise LostLease
        return True

    async def _intend(
        self, doors: Doors, settings: Settings, claim: Claim
    ) -> tuple[Intent | None, SendingAccount | None]:
        """Raises _DayUsedUp, _QuietNow: then nothing of it has happened."""
        async with doors.open_work(claim.workspace_id, plans_once=True) as work:
            intent = await delivering(work, Ledger(work, claim, lease_s=settings.delivery_lease_s)).intend()
            if intent is None:
                return None, None
            account = await self.account(work, intent)
            if (until := await quiet_until(work, claim)) is not None:
                raise _QuietNow(until)
            if (until := await spend(work, claim.workspace_id, intent.account_id)) is not None:
                raise _DayUsedUp(until)
            return intent, account

    async def ended(self, calling: Coroutine[Any, Any, Done]) -> Done:
        """What has begun is brought to its end, whoever waits for it no longer."""
        call = asyncio.create_task(calling)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.shield(call)

    async def give_up(self, doors: Doors, claim: Claim, error: str) -> None:
        """Raises LostLease."""
        async with doors.open_work(claim.workspace_id) as work:
            await delivering(work, Ledger(work, claim)).give_up(f"{Reason.NO_WORKER}: {error}")

    async def end_overdue(self, doors: Doors, settings: Settings) -> int:
        """Calls that no worker outlived become unknown, or are made again where that is safe; how many."""
        idempotent = [channel for channel in Channel if self._senders.of(channel).is_idempotent]
        ended = 0
        async with doors.open_system() as system:
            found = await overdue(system)
        for workspace_id, ids in found:
            async with doors.open_work(workspace_id) as work:
                ledger = Ledger(work, idempotent=idempotent)
                ended += await delivering(work, ledger).end_overdue(workspace_id, ids)
        return ended

    async def account(self, work: Work, intent: Intent) -> SendingAccount | None:
        """Decrypted once, for as long as its row says the same."""
        if (known := self._accounts.get(intent.account_version)) is not None:
            return known
        account = await sending_account(work, self._settings, intent.workspace_id, intent.account_id)
        if account is not None:
            if len(self._accounts) >= ACCOUNTS_MAX:
                self._accounts.clear()
            self._accounts[intent.account_version] = account
        return account

    async def _carry(
        self, doors: Doors, claim: Claim, intent: Intent, account: SendingAccount | None, call_by: float
    ) -> bool:
        answer, settled = await self.call(intent, account, call_by)
        return await self.record(doors, claim, intent, answer, settled)

    async def call(
        self, intent: Intent, account: SendingAccount | None, call_by: float
    ) -> tuple[Answer, Settled]:
        """The one way to a provider; what it said, and what becomes of the delivery. Never raises."""
        sender = self._senders.of(Channel(intent.channel))
        if account is None:
            answer: Answer = NO_ACCOUNT
        elif asyncio.get_running_loop().time() > call_by:
            answer = LATE
        else:
            answer = await self._call(sender, account, intent)
        rule = settle_of_batch if intent.send_batch_id and not intent.resend else settle
        settled = rule(
            answer,
            calls=intent.calls,
            is_idempotent=sender.is_idempotent,
            jitter=self._random.uniform(0.8, 1.2),
        )
        return answer, settled

    async def _call(self, sender: MessageSender, account: SendingAccount, intent: Intent) -> Answer:
        try:
            async with asyncio.timeout(self.call_s):
                return await sender.send(account, self._message(account, intent))
        except TimeoutError:
            return Unknown(Reason.NO_ANSWER, "The provider did not answer in time.")
        except Exception as error:  # noqa: BLE001 - whatever it was, the message may have gone out
            error_id = telemetry.new_error_id()
            telemetry.log.error(
                "sender failed",
                key=str(intent.id),
                error_id=error_id,
                error_type=type(error).__name__,
                exc_info=error,
            )
            return Unknown(Reason.SENDER_ERROR, error_id)

    def _message(self, account: SendingAccount, intent: Intent) -> OutboundMessage:
        return OutboundMessage(
            key=intent.key,
            to_address=intent.to_address,
            to_name=intent.to_name,
            from_name=account.name,
            subject=intent.subject,
            text=intent.body,
            message_id=intent.rfc_message_id,
            date=intent.dated,
            in_reply_to=intent.thread_ids[0] if intent.thread_ids else None,
            references=tuple(reversed(intent.thread_ids)),
            files=[
                OutboundFile(one.name, one.media_type, self._files.path(intent.workspace_id, one.file_id))
                for one in intent.attachments
            ],
            unsubscribe_url=unsubscribe_url(self._settings, intent.workspace_id, intent.id)
            if intent.may_opt_out
            else None,
            locale=intent.locale,
        )

    async def record(
        self, doors: Doors, claim: Claim, intent: Intent, answer: Answer, settled: Settled
    ) -> bool:
        """Waits an outage out, however long: a record that comes late still counts where it is sure.

        What the provider said outweighs what follows from it: where that cannot be written, it is recorded alone.
        """
        with_effects = True
        while True:
            try:
                async with doors.open_work(intent.workspace_id, plans_once=True) as work:
                    return await delivering(work, Ledger(work, claim)).record(
                        intent, answer, settled, with_effects=with_effects
                    )
            except Unavailable:
                await asyncio.sleep(OUTAGE_WAIT_S)
            except Exception as error:
                if not with_effects:
                    raise
                with_effects = False
                telemetry.log.error(
                    "effects of a send failed",
                    key=str(intent.id),
                    error_id=telemetry.new_error_id(),
                    error_type=type(error).__name__,
                    exc_info=error,
                )


class _Contacts:
    def __init__(self, work: Work, workspace_id: UUID) -> None:
        self._work, self._workspace_id = work, workspace_id

    async def touch(self, lead_id: UUID) -> None:
        await touch(self._work, self._workspace_id, lead_id, Direction.OUTBOUND)

    async def suppress_bounced(self, address: str) -> None:
        await suppress(
            self._work,
            self._workspace_id,
            value=address,
            channel=Channel.EMAIL,
            reason=SuppressionReason.HARD_BOUNCE,
        )


class _Accounts:
    def __init__(self, work: Work, workspace_id: UUID) -> None:
        self._work, self._workspace_id = work, workspace_id

    async def report_broken(self, account_id: UUID, reason: str) -> None:
        await self._report(account_id, ChannelAccountStatus.NEEDS_REAUTH, reason)

    async def report_well(self, account_id: UUID) -> None:
        await self._report(account_id, ChannelAccountStatus.CONNECTED, None)

    async def _report(self, account_id: UUID, status: ChannelAccountStatus, reason: str | None) -> None:
        await report_account(self._work, self._workspace_id, account_id, status, reason)


def delivering(work: Work, ledger: Ledger) -> Delivering:
    assert work.workspace_id is not None
    workspace_id = work.workspace_id
    return Delivering(ledger, _Contacts(work, workspace_id), _Accounts(work, workspace_id), work)
