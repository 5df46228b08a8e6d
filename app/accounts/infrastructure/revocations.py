"""Which access tokens are void before they expire: in each process's memory, read at the doorbell and by a poll.

A row outlives every access token it speaks of. What this process revokes holds at once, what another one revokes, when
the bell rings, or within the poll; sockets wait on `until_revoked`. The same poll now and then throws away what is of
no use any more.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from sqlalchemy import Interval, bindparam, delete, func, select

from app.accounts.domain.attempt import KEPT as ATTEMPTS_KEPT
from app.accounts.infrastructure.tables import login_attempt, revocation, session
from app.common.database import Statement
from app.common.domain import Actor
from app.common.tasks import for_ever
from app.common.work import Doors, Whose
from app.settings import Settings

KEPT_S = 15 * 60
BEYOND_TOKEN_S = 5 * 60
CLEANED_EVERY_S = 5 * 60
POLL_SHARE, MIN_POLL_S = 0.4, 0.2
"""Of the poll behind every doorbell: a socket that may not go on is closed within a second without Redis, too."""
OVERLAP_S = 2 * 60
"""How much later than it says a revocation may be committed: no transaction lives that long."""

oldest = func.now() - bindparam("kept", type_=Interval)
RECENT = Statement(
    select(
        revocation.c.kind,
        revocation.c.session_id,
        revocation.c.user_id,
        revocation.c.workspace_id,
        revocation.c.at,
    ).where(revocation.c.at > oldest)
)
DELETE_REVOCATIONS = Statement(delete(revocation).where(revocation.c.at < oldest))
DELETE_ATTEMPTS = Statement(delete(login_attempt).where(login_attempt.c.last_at < oldest))
DELETE_SESSIONS = Statement(delete(session).where(session.c.expires_at < oldest))


class RevocationService:
    def __init__(self, settings: Settings, doors: Doors) -> None:
        self._doors = doors
        self._poll_s = max(MIN_POLL_S, settings.poll_s * POLL_SHARE)
        self._kept_s = max(KEPT_S, settings.access_token_ttl_s + BEYOND_TOKEN_S)
        self._revoked_at: dict[Whose, float] = {}
        self._news = asyncio.Event()
        self._rung = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._read_at = -math.inf
        self._clean_at = time.monotonic() + CLEANED_EVERY_S

    async def start(self) -> None:
        """Knows all that is revoked when it returns. Raises Unavailable."""
        self._doors.bells.hear_revocations(self._hear, self._rung.set)
        await self.refresh()
        self._loops = [
            asyncio.create_task(for_ever(self._poll, pause_s=self._poll_s, name="revocations")),
            asyncio.create_task(for_ever(self._look, pause_s=0, name="revocations rung")),
        ]

    async def stop(self) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    def is_revoked(self, actor: Actor) -> bool:
        """A user or member revoked (a role changed, say) may come back with a token issued after that."""
        if not self._revoked_at:
            return False
        return (
            actor.session_id in self._revoked_at
            or self._revoked_at.get((actor.user_id, actor.workspace_id), 0) >= actor.issued_at
            or self._revoked_at.get(actor.user_id, 0) >= actor.issued_at
        )

    async def until_revoked(self, actor: Actor) -> None:
        """Returns as soon as this process knows that the actor's token is void."""
        while True:
            news = self._news  # taken before the look, so nothing falls between look and wait
            if self.is_revoked(actor):
                return
            await news.wait()

    async def refresh(self) -> None:
        """Reads what any process revoked since the last time. Raises Unavailable."""
        began = time.monotonic()
        since = min(self._kept_s, began - self._read_at + OVERLAP_S)
        async with self._doors.open_system() as system:
            rows = await system.fetch(RECENT, kept=timedelta(seconds=since))
        self._read_at = began
        self._learn({_subject(row): row["at"].timestamp() for row in rows})
        forgotten_before = time.time() - self._kept_s
        self._revoked_at = {who: at for who, at in self._revoked_at.items() if at > forgotten_before}

    def _learn(self, revoked_at: dict[Whose, float]) -> None:
        is_news = any(at > self._revoked_at.get(who, 0) for who, at in revoked_at.items())
        for who, at in revoked_at.items():
            self._revoked_at[who] = max(at, self._revoked_at.get(who, 0))
        if is_news:
            self._news.set()
            self._news = asyncio.Event()

    def _hear(self, revoked: Mapping[Whose, datetime]) -> None:
        self._learn({whose: at.timestamp() for whose, at in revoked.items()})

    async def _look(self) -> None:
        """One read for all the rings that came while the one before was under way."""
        await self._rung.wait()
        self._rung.clear()
        await self.refresh()

    async def _poll(self) -> None:
        await self.refresh()
        if time.monotonic() >= self._clean_at:
            self._clean_at = time.monotonic() + CLEANED_EVERY_S
            await self.clean()

    async def clean(self) -> None:
        """Old revocations, attempts that count no more, sessions past their end. Any process may do it."""
        async with self._doors.open_system() as system:
            await system.fetch(DELETE_REVOCATIONS, kept=timedelta(seconds=self._kept_s))
            await system.fetch(DELETE_ATTEMPTS, kept=ATTEMPTS_KEPT)
            await system.fetch(DELETE_SESSIONS, kept=timedelta(0))


def _subject(row: asyncpg.Record) -> Whose:
    if row["kind"] == "SESSION":
        session_id: UUID = row["session_id"]
        return session_id
    user_id: UUID = row["user_id"]
    return (user_id, row["workspace_id"]) if row["kind"] == "MEMBER" else user_id
