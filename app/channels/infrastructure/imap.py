"""A mailbox over IMAP, read-only: nothing in it is marked as read, moved or deleted.

IMAPClient blocks, so each question runs in a thread.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from app.common.mail_servers import CannotReach, ReachProblem

ANSWER_S = 20.0
"""Wait for each of a server's answers, and for its login."""
IDLE_S = 20.0
"""A slice of IDLE; well below what servers and routers on the way put up with."""
STOP_CHECK_S = 0.5
INBOX = "INBOX"
Answer = TypeVar("Answer")


async def while_renewing(
    waited_for: "asyncio.Future[Answer]", renew: Callable[[], Awaitable[None]], *, every_s: float
) -> Answer:
    """What it comes to, with the lease renewed meanwhile: a slow server costs nobody the mailbox. Raises LostLease."""
    try:
        while not (await asyncio.wait({waited_for}, timeout=every_s))[0]:
            await renew()
    except BaseException:
        waited_for.cancel()
        raise
    return waited_for.result()


@dataclass
class ImapMailbox:
    """Implements the port `OpenMailbox` of application.following."""

    client: IMAPClient
    executor: Executor
    renew: Callable[[], Awaitable[None]]
    renew_every_s: float
    idle_s: float
    is_stopping: Callable[[], bool]
    uid_validity: int = 0
    last_uid: int = 0

    async def open(self) -> None:
        """Raises CannotReach: NO_INBOX where there is none to read."""
        state = await self._ask(self._select)
        self.uid_validity = int(state[b"UIDVALIDITY"])
        uid_next = state.get(b"UIDNEXT")
        self.last_uid = int(uid_next) - 1 if uid_next else max(await self.after(0), default=0)

    async def since(self, day: date) -> Sequence[int]:
        return await self._ask(lambda: sorted(self.client.search(["SINCE", day])))

    async def after(self, uid: int) -> Sequence[int]:
        """`n:*` names the last mail even where that is below n."""
        return await self._ask(
            lambda: sorted(found for found in self.client.search(["UID", f"{uid + 1}:*"]) if found > uid)
        )

    async def sizes(self, uids: Sequence[int]) -> Mapping[int, int]:
        found = await self._ask(lambda: self.client.fetch(uids, ["RFC822.SIZE"]))
        return {uid: int(item[b"RFC822.SIZE"]) for uid, item in found.items() if b"RFC822.SIZE" in item}

    async def mails(self, uids: Sequence[int]) -> Mapping[int, bytes]:
        found = await self._ask(lambda: self.client.fetch(uids, ["BODY.PEEK[]"]))
        return {uid: item[b"BODY[]"] for uid, item in found.items() if item.get(b"BODY[]") is not None}

    async def wait(self) -> None:
        await self._ask(self._wait)

    async def close(self) -> None:
        """Politely, but not for long."""
        leaving = asyncio.get_running_loop().run_in_executor(self.executor, self.client.logout)
        with suppress(Exception):
            await asyncio.wait_for(leaving, STOP_CHECK_S)
        self.cut()

    def cut(self) -> None:
        """Ends whatever a thread waits for."""
        with suppress(Exception):
            self.client.shutdown()

    async def _ask(self, question: Callable[[], Answer]) -> Answer:
        """Raises CannotReach; LostLease from renewing."""
        asked = asyncio.get_running_loop().run_in_executor(self.executor, question)
        try:
            return await while_renewing(asked, self.renew, every_s=self.renew_every_s)
        except CannotReach:
            raise
        except (IMAPClientError, OSError, KeyError) as error:
            raise CannotReach(ReachProblem.CONNECTION_LOST) from error

    def _select(self) -> dict[bytes, Any]:
        try:
            state: dict[bytes, Any] = self.client.select_folder(INBOX, readonly=True)
        except IMAPClient.AbortError:
            raise
        except IMAPClientError as error:
            raise CannotReach(ReachProblem.NO_INBOX) from error
        return state

    def _wait(self) -> None:
        (self._idle if self.client.has_capability("IDLE") else self._pause)()

    def _idle(self) -> None:
        """A connection that has ended answers at once with nothing: leaving IDLE then raises."""
        deadline, has_news = time.monotonic() + self.idle_s, False
        self.client.idle()
        while not has_news and not self.is_stopping() and (left := deadline - time.monotonic()) > 0:
            wait_s, began = min(STOP_CHECK_S, left), time.monotonic()
            answers = self.client.idle_check(timeout=wait_s)
            has_news = any(b"EXISTS" in answer for answer in answers)
            if not answers and time.monotonic() - began < wait_s / 2:
                break
        self.client.idle_done()

    def _pause(self) -> None:
        """Of a server without IDLE the next question is the poll."""
        deadline = time.monotonic() + self.idle_s
        while not self.is_stopping() and time.monotonic() < deadline:
            time.sleep(STOP_CHECK_S)
