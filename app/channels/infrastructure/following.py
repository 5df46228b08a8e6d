"""Handles the due row `imap_mailbox`: a connection, and the following of a mailbox while no other one waits."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from app.channels.application.following import FollowMailbox
from app.channels.infrastructure.imap import ANSWER_S, IDLE_S, ImapMailbox, while_renewing
from app.channels.infrastructure.imap_connection import ImapDoor
from app.channels.infrastructure.reading import MailboxReading, do_others_wait
from app.channels.infrastructure.reads import imap_server
from app.common.egress import Egress
from app.common.leases import BACKOFF_S, Claim
from app.common.mail_servers import CannotReach, MailServer, what_to_do
from app.common.work import Doors
from app.settings import Settings

LANES = 16
"""Mailboxes a worker follows beside each other. Where there are more, each is looked at once per `imap_poll_s`."""
FOLLOW_MAX_S = 1500
"""Servers end an IDLE of half an hour; a fresh login before that is no loss."""
UNREADABLE = "Its stored login cannot be opened with the keys there are: give its imapUrl again."


@dataclass
class MailboxFollower:
    """One a worker: it holds the threads that wait for servers."""

    lanes: ClassVar[int] = LANES
    egress: Egress
    _executor: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, LANES, "imap"))

    async def follow(
        self, doors: Doors, settings: Settings, claim: Claim, is_stopping: Callable[[], bool]
    ) -> bool:
        """Always True: the row is back in its queue, with its wait. Raises LostLease."""
        began, is_crowded = time.monotonic(), False

        async def may_go_on() -> bool:
            nonlocal is_crowded
            async with doors.open_system() as system:
                is_crowded = await do_others_wait(system)
            return not is_crowded and time.monotonic() - began < FOLLOW_MAX_S

        reading = MailboxReading(doors, claim, settings.imap_lease_s, may_go_on)
        async with doors.open_reads(claim.workspace_id) as reads:
            server = await imap_server(reads, settings, claim.workspace_id, claim.id)
        if server is None:
            await reading.fail(UNREADABLE, is_of_account=True)
            return True
        try:
            await self._follow(server, reading, settings, is_stopping)
        except CannotReach as failure:
            await reading.fail(what_to_do(server, failure), is_of_account=failure.problem.is_of_account)
        else:
            await reading.put_back(wait_s=settings.imap_poll_s if is_crowded and not is_stopping() else 0)
        return True

    async def _follow(
        self, server: MailServer, reading: MailboxReading, settings: Settings, is_stopping: Callable[[], bool]
    ) -> None:
        lease_s = settings.imap_lease_s
        opening = asyncio.create_task(ImapDoor(self.egress, self._executor).open(server, timeout_s=ANSWER_S))
        client = await while_renewing(opening, reading.renew, every_s=lease_s / 3)
        mailbox = ImapMailbox(
            client,
            self._executor,
            reading.renew,
            renew_every_s=lease_s / 3,
            idle_s=min(IDLE_S, settings.imap_poll_s),
            is_stopping=is_stopping,
        )
        try:
            await mailbox.open()
            await FollowMailbox(mailbox, reading, is_stopping, settings.inbound_mail_max_bytes).follow()
            await mailbox.close()
        finally:
            mailbox.cut()

    async def give_up(self, doors: Doors, claim: Claim, error: str) -> None:
        """A mailbox is never given up: it is tried again, seldom, and the account says why."""
        reading = MailboxReading(
            doors, Claim(claim.workspace_id, claim.id, claim.token, len(BACKOFF_S)), 0, _no
        )
        await reading.fail(f"It cannot be read. {error}", is_of_account=False)

    async def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


async def _no() -> bool:
    return False


def mailbox_follower(settings: Settings) -> MailboxFollower:
    return MailboxFollower(Egress.of(settings))
