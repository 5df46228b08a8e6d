"""Following one IMAP mailbox: what is new in it is stored, in the order of its UIDs, and where that stands with it.

A mail and the place after it are stored in one transaction under the row's claim, so a worker that is killed anywhere
loses none and stores none twice. A UID means something under one UIDVALIDITY only. When that changes (a server was
moved or mended) reading begins again at the day before the last mail that came this way: what is met a second time
then has another number, and is known by its Message-ID and text when it is read. Beginning at 0 would bring in years.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from app.channels.domain.inbound import WINDOW, batches_of

A_DAY = timedelta(days=1)
"""IMAP's SINCE knows days, in whatever time zone the server has."""


@dataclass(frozen=True, slots=True)
class Place:
    """The last UID that is stored; `uid_validity` None: nothing has been read yet."""

    uid_validity: int | None
    uid: int


class OpenMailbox(Protocol):
    """A mailbox with a connection to it; every call may raise CannotReach."""

    @property
    def uid_validity(self) -> int: ...

    @property
    def last_uid(self) -> int:
        """As it was opened; 0 of an empty one."""
        ...

    async def since(self, day: date) -> Sequence[int]: ...

    async def after(self, uid: int) -> Sequence[int]:
        """In their order."""
        ...

    async def sizes(self, uids: Sequence[int]) -> Mapping[int, int]:
        """In bytes; without those that are gone."""
        ...

    async def mails(self, uids: Sequence[int]) -> Mapping[int, bytes]:
        """Raw, and left unread; without those that are gone."""
        ...

    async def wait(self) -> None:
        """Until there may be news, for some seconds at most, or until the worker is to stop."""
        ...


class Reading(Protocol):
    """The mailbox's row under this worker's claim; every call may raise LostLease."""

    async def place(self) -> Place: ...

    async def last_came(self) -> datetime:
        """When the last mail came this way; before the first one, when the mailbox was connected."""
        ...

    async def store(self, place: Place, mails: Mapping[int, bytes], *, too_large: int = 0) -> None:
        """Mails and place, together. `too_large` were left where they are, and are only told of."""
        ...

    async def up_to_date(self) -> bool:
        """Says that all is read, and holds the row on; whether this mailbox may be followed further."""
        ...


@dataclass(frozen=True)
class FollowMailbox:
    mailbox: OpenMailbox
    reading: Reading
    is_stopping: Callable[[], bool]
    max_bytes: int
    """Of one mail."""

    async def follow(self) -> None:
        """Until others want this worker, or it is to stop. Raises LostLease, CannotReach."""
        uid = await self._first()
        while not self.is_stopping():
            uid = await self._catch_up(uid)
            if self.is_stopping() or not await self.reading.up_to_date():
                return
            await self.mailbox.wait()

    async def _first(self) -> int:
        place = await self.reading.place()
        if place.uid_validity == self.mailbox.uid_validity:
            return place.uid
        recent = await self.mailbox.since((await self.reading.last_came() - A_DAY).date())
        uid = min(recent) - 1 if recent else self.mailbox.last_uid
        await self.reading.store(Place(self.mailbox.uid_validity, uid), {})
        return uid

    async def _catch_up(self, uid: int) -> int:
        while not self.is_stopping() and (uids := (await self.mailbox.after(uid))[:WINDOW]):
            sizes = await self.mailbox.sizes(uids)
            for batch in batches_of(uids, sizes, max_bytes=self.max_bytes):
                mails = await self.mailbox.mails(batch.uids) if batch.uids else {}
                uid = batch.last
                await self.reading.store(
                    Place(self.mailbox.uid_validity, uid), mails, too_large=batch.too_large
                )
                if self.is_stopping():
                    return uid
        return uid
