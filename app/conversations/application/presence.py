"""Who is where in one workspace, and what changed lately: a board that each of its readers follows at their own pace.

Lossy on purpose: nothing here is ever written to PostgreSQL or the feed. A reader is a position, never a queue; one
that is too far behind is told how things stand instead of how they came about.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

RING = 1000
MAX_PRESENCES = 500
"""Of a workspace; the rest is not shown."""
MAX_PLACES = 20
"""At which one person is shown at once."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Somebody in the workspace, at a conversation or a lead where they said so."""

    user_id: UUID
    conversation_id: UUID | None = None
    lead_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """What a reader looks at; None: everywhere."""

    conversation_id: UUID | None = None
    lead_id: UUID | None = None

    def shows(self, who: Presence) -> bool:
        return self.conversation_id in (None, who.conversation_id) and self.lead_id in (None, who.lead_id)


@dataclass(slots=True, eq=False)
class Change:
    """How somebody is there from now on; all readers share the object, and what is made of it."""

    seq: int
    who: Presence
    is_online: bool
    is_typing: bool
    shared: dict[Hashable, "asyncio.Future[object]"] = field(default_factory=dict)


class Board:
    """One workspace's presences as this process knows them."""

    def __init__(self) -> None:
        self.seq = 0
        self._now: dict[Presence, Change] = {}
        self._changes: deque[Change] = deque(maxlen=RING)
        self._news = asyncio.Event()

    def settle(self, present: Collection[Presence], typing: Collection[tuple[UUID, UUID]]) -> None:
        """Brings the board to what is so now: `typing` is who types in which conversation, which is being there."""
        at = {(who.user_id, who.conversation_id) for who in present}
        everybody = {*present, *(Presence(*one) for one in typing if one not in at)}
        for gone in [who for who in self._now if who not in everybody]:
            self._tell(gone, is_online=False, is_typing=False)
        for who in everybody:
            is_typing = who.conversation_id is not None and (who.user_id, who.conversation_id) in typing
            known = self._now.get(who)
            if known is None or known.is_typing != is_typing:
                self._tell(who, is_online=True, is_typing=is_typing)

    def _tell(self, who: Presence, *, is_online: bool, is_typing: bool) -> None:
        self.seq += 1
        change = Change(self.seq, who, is_online, is_typing)
        self._changes.append(change)
        if is_online:
            self._now[who] = change
        else:
            del self._now[who]
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, seq: int) -> None:
        """Returns when something later than `seq` is known."""
        while self.seq == seq:
            await self._news.wait()

    def now(self) -> list[Change]:
        return list(self._now.values())

    def since(self, seq: int, told: Collection[Presence]) -> Iterator[Change]:
        """What came later; how things stand where that is no longer known, for one who was `told` of these."""
        if not self._changes or self._changes[0].seq <= seq + 1:
            yield from [change for change in self._changes if change.seq > seq]
            return
        yield from [Change(self.seq, who, False, False) for who in told if who not in self._now]
        yield from self.now()
