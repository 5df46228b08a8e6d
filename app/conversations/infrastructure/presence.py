"""Presences of all processes, through Redis where it is there: keys that expire, and hints to look again.

Each process says every few seconds where its own sockets are; what a killed one said ends by itself. Without Redis
(off, or away for now) a process shows its own sockets, and goes over at its next look either way. One sorted set a
workspace: the member says who, the score when it ends, by the clock of Redis.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, cast
from uuid import UUID, uuid4

from redis.exceptions import RedisError

from app.common.feed.doorbell import request_path_redis
from app.conversations.application.presence import (
    MAX_PLACES,
    MAX_PRESENCES,
    Board,
    Change,
    Place,
    Presence,
)

TYPING_S = 6.0
TYPING_AGAIN_S = 2.0
"""A key pressed within this time after the last one that was told tells nothing new."""
GAP_S = 0.2
"""Between two looks of a workspace: what comes meanwhile is one look."""

LOOK = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for i = 2, 1 + ARGV[1] do redis.call('ZREM', KEYS[1], ARGV[i]) end
for i = 2 + ARGV[1], #ARGV, 2 do redis.call('ZADD', KEYS[1], now + ARGV[i + 1], ARGV[i]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -__MAX__ - 1)
redis.call('PEXPIRE', KEYS[1], 60000)
return {now, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
""".replace("__MAX__", str(2 * MAX_PRESENCES))


class Bell(Protocol):
    """The doorbell, for hints that a workspace's presences changed."""

    def ring_presence(self, workspace_id: UUID) -> None: ...
    def hear_presence(self, look: Callable[[UUID | None], None]) -> None: ...


@dataclass
class _Room:
    """One workspace with readers here, or with somebody typing from here."""

    board: Board = field(default_factory=Board)
    readers: int = 0
    mine: Counter[Presence] = field(default_factory=Counter)
    typing: dict[tuple[UUID, UUID], float] = field(default_factory=dict)
    """Who types in which conversation, said here: until when, on this process's clock."""
    told: dict[str, float] = field(default_factory=dict)
    """What Redis said last: member, until when on this process's clock."""
    left: set[str] = field(default_factory=set)
    """Members of ours to take out of Redis."""
    is_changed: bool = False
    """Something of ours is to be told to the other processes."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    keeper: "asyncio.Task[None] | None" = None

    @property
    def is_needed(self) -> bool:
        return bool(self.readers or self.typing or self.left)


class Presences:
    """This process's presences, and what it knows of the others'."""

    def __init__(self, url: str | None, bell: Bell, *, ttl_s: float) -> None:
        self._redis = request_path_redis(url) if url is not None else None
        self._bell, self._ttl_s = bell, ttl_s
        self._process = uuid4().hex[:12]
        self._rooms: dict[UUID, _Room] = {}

    async def start(self) -> None:
        self._bell.hear_presence(self.look)

    async def stop(self) -> None:
        """Takes what is ours out of Redis, as far as it can be reached."""
        rooms, self._rooms = self._rooms, {}
        for workspace_id, room in rooms.items():
            if room.keeper is not None:
                room.keeper.cancel()
            room.left |= {self._member(who) for who in room.mine}
            room.mine.clear()
            await self._exchange(workspace_id, room)
        if self._redis is not None:
            with suppress(RedisError, OSError):
                await self._redis.aclose()

    def look(self, workspace_id: UUID | None) -> None:
        """A hint that a workspace's (None: any's) presences changed."""
        for room in [self._rooms.get(workspace_id)] if workspace_id else list(self._rooms.values()):
            if room is not None:
                room.wake.set()

    async def follow(self, workspace_id: UUID, who: Presence) -> AsyncGenerator[Change, None]:
        """Is there as long as it runs: who is at the same place now, then each change."""
        place, room = Place(who.conversation_id, who.lead_id), self._room(workspace_id)
        is_shown = self._enter(room, who)
        try:
            await room.looked.wait()
            self._apply(room)
            told: dict[Presence, None] = {}
            changes, seq = room.board.now(), room.board.seq
            while True:
                for change in changes:
                    if change.is_online and place.shows(change.who):
                        told[change.who] = None
                        yield change
                    elif change.who in told:
                        del told[change.who]
                        yield change
                await room.board.news(seq)
                changes, seq = list(room.board.since(seq, told)), room.board.seq
        finally:
            self._leave(room, who, is_shown=is_shown)

    def type(self, workspace_id: UUID, user_id: UUID, conversation_id: UUID) -> None:
        """Somebody types, for the next six seconds. Told anew every two, however often they press a key."""
        room, now = self._room(workspace_id), asyncio.get_running_loop().time()
        key = (user_id, conversation_id)
        if room.typing.get(key, now) - now > TYPING_S - TYPING_AGAIN_S:
            return
        if key in room.typing or len(room.typing) < MAX_PRESENCES:
            room.typing[key] = now + TYPING_S
            self._changed(room)

    # ── this process's own ────────────────────────────────────────────────────────────────────────────────────────
    def _room(self, workspace_id: UUID) -> _Room:
        room = self._rooms.get(workspace_id)
        if room is None:
            room = self._rooms[workspace_id] = _Room()
            room.keeper = asyncio.create_task(self._keep(workspace_id, room), name="presence")
        return room

    def _enter(self, room: _Room, who: Presence) -> bool:
        """Whether they are shown: past the limits they only look."""
        room.readers += 1
        places = sum(one.user_id == who.user_id for one in room.mine)
        if who not in room.mine and (places >= MAX_PLACES or len(room.mine) >= MAX_PRESENCES):
            return False
        room.mine[who] += 1
        room.left.discard(self._member(who))
        self._changed(room)
        return True

    def _leave(self, room: _Room, who: Presence, *, is_shown: bool) -> None:
        room.readers -= 1
        if is_shown:
            room.mine[who] -= 1
            if room.mine[who] == 0:
                del room.mine[who]
                room.left.add(self._member(who))
        self._changed(room)

    def _changed(self, room: _Room) -> None:
        room.is_changed = True
        if room.looked.is_set():
            self._apply(room)
        room.wake.set()

    # ── with the others ───────────────────────────────────────────────────────────────────────────────────────────
    async def _keep(self, workspace_id: UUID, room: _Room) -> None:
        """Looks as long as somebody needs it: at once on a hint or a change of ours, and every few seconds."""
        while room.is_needed:
            room.wake.clear()
            is_changed, room.is_changed = room.is_changed, False
            await self._exchange(workspace_id, room)
            self._apply(room)
            room.looked.set()
            if is_changed:
                self._bell.ring_presence(workspace_id)
            await asyncio.sleep(GAP_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s(room)):
                    await room.wake.wait()
        if self._rooms.get(workspace_id) is room:
            del self._rooms[workspace_id]

    async def _exchange(self, workspace_id: UUID, room: _Room) -> None:
        """Says what is ours and hears what is the others'. With Redis away what they said last holds until it ends."""
        if self._redis is None:
            room.left.clear()
            return
        now = asyncio.get_running_loop().time()
        left, said = list(room.left), [(self._member(who), self._ttl_s) for who in room.mine]
        said += [(f"t|{user}|{at}", until - now) for (user, at), until in room.typing.items() if until > now]
        pairs = [part for member, ttl_s in said for part in (member, max(1, round(ttl_s * 1000)))]
        try:
            arguments: list[Any] = [f"ws:{workspace_id}:presence", len(left), *left, *pairs]
            clock, scored = await cast("Any", self._redis.eval(LOOK, 1, *arguments))
        except (RedisError, OSError, TimeoutError):
            room.left.clear()  # they end by themselves
            return
        room.left.difference_update(left)
        ends = zip(scored[::2], scored[1::2], strict=True)
        room.told = {member.decode(): now + (float(score) - clock) / 1000 for member, score in ends}

    def _apply(self, room: _Room) -> None:
        now = asyncio.get_running_loop().time()
        room.typing = {key: until for key, until in room.typing.items() if until > now}
        room.told = {member: until for member, until in room.told.items() if until > now}
        present, typing = set(room.mine), set(room.typing)
        for member in room.told:
            if member in room.left or member.endswith(self._process):
                continue  # of our own we know better
            kind, user, *where = member.split("|")
            if kind == "t":
                typing.add((UUID(user), UUID(where[0])))
            elif len(present) < MAX_PRESENCES:
                present.add(Presence(UUID(user), *(UUID(id) if id else None for id in where[:2])))
        room.board.settle(present, typing)

    def _pause_s(self, room: _Room) -> float:
        """Until the next look that nobody asks for: in time for the end of whoever types, at once where that has come
        since the last one."""
        now = asyncio.get_running_loop().time()
        typing = [*room.typing.values(), *(until for one, until in room.told.items() if one[0] == "t")]
        return max(0.0, min([self._ttl_s / 3, *(until - now for until in typing)]))

    def _member(self, who: Presence) -> str:
        return f"p|{who.user_id}|{who.conversation_id or ''}|{who.lead_id or ''}|{self._process}"
