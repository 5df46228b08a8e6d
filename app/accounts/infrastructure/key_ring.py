"""Who bears an API key: looked up once, then kept in memory for as long as an access token lives.

What voids a token voids what is kept of a key, by the same revocations. What nobody has is kept too, for a short while,
and one network may have only so many unknown keys looked up a minute: nobody makes the database work at each request.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from sqlalchemy import text

from app.accounts.domain.api_key import ApiKeySecret
from app.accounts.domain.member import lesser
from app.accounts.infrastructure.revocations import RevocationService
from app.common.database import Statement
from app.common.domain import Actor, ClientKind, Role, Throttled, Unauthenticated
from app.common.tasks import for_ever
from app.common.work import Doors, Unavailable
from app.settings import Settings

Value = TypeVar("Value")
MAX_KEPT = 10_000
UNKNOWN_KEPT_S = 30
MISSES_A_MINUTE = 30
LOOK_UPS_AT_ONCE = 4
USED_EVERY_S = 60

LOOK_UP = Statement(
    text(
        """
        SELECT k.id, k.workspace_id, k.created_by, k.role AS key_role, m.role, clock_timestamp() AS at
        FROM api_key k JOIN member m ON m.workspace_id = k.workspace_id AND m.user_id = k.created_by
        WHERE k.secret_hash = cast(:secret_hash as bytea) AND k.revoked_at IS NULL
        FOR SHARE OF m
        """
    )
)
"""Held, the membership is older than `at`, and what changes it afterwards says a later time."""
MARK_USED = Statement(
    text(
        """
        WITH used AS (
            SELECT workspace_id, id FROM api_key WHERE id = ANY (cast(:ids as uuid[])) AND revoked_at IS NULL
            AND (last_used_at IS NULL OR last_used_at < now() - cast(:every_s as float) * interval '1 second')
            FOR NO KEY UPDATE SKIP LOCKED
        )
        UPDATE api_key k SET last_used_at = now() FROM used u WHERE k.workspace_id = u.workspace_id AND k.id = u.id
        """
    )
)


class KeyRing:
    def __init__(self, settings: Settings, doors: Doors, revocations: RevocationService) -> None:
        self._doors, self._revocations = doors, revocations
        self._poll_s, self._kept_s = settings.poll_s, settings.access_token_ttl_s
        self._known: OrderedDict[bytes, Actor] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        """Until when."""
        self._misses: Counter[str] = Counter()
        self._minute = 0
        self._looking = asyncio.Semaphore(LOOK_UPS_AT_ONCE)
        self._used: dict[UUID, float] = {}
        self._to_mark: set[UUID] = set()
        self._marker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._marker = asyncio.create_task(for_ever(self.mark_used, pause_s=self._poll_s, name="API keys"))

    async def stop(self) -> None:
        """What was used last is told, if the database can be reached."""
        if self._marker is not None:
            self._marker.cancel()
            await asyncio.gather(self._marker, return_exceptions=True)
        with suppress(Unavailable):
            await self.mark_used()

    async def bearer(self, text: str, ip_prefix: str) -> Actor:
        """Raises Unauthenticated, with one text for every cause; Throttled, Unavailable."""
        secret = ApiKeySecret.parse(text)
        if secret is None:
            raise no_such_key()
        actor = self._kept(secret.hash)
        if actor is None:
            async with self._looking:
                actor = self._kept(secret.hash) or await self._look_up(secret.hash, ip_prefix)
        self._use(actor.session_id)
        return replace(actor, ip_prefix=ip_prefix)

    def _kept(self, hash: bytes) -> Actor | None:
        """Raises Unauthenticated for what was unknown a moment ago."""
        now = time.time()
        if self._unknown.get(hash, 0) > now:
            raise no_such_key()
        actor = self._known.get(hash)
        if actor is not None and (actor.expires_at <= now or self._revocations.is_revoked(actor)):
            return None
        return actor

    async def _look_up(self, hash: bytes, ip_prefix: str) -> Actor:
        if hash not in self._known:
            self._refuse_guessing(ip_prefix)
        async with self._doors.open_system() as system:
            row = await system.fetch_one(LOOK_UP, secret_hash=hash)
        if row is None:
            self._known.pop(hash, None)
            self._misses[ip_prefix] += 1
            _keep(self._unknown, hash, time.time() + UNKNOWN_KEPT_S)
            raise no_such_key()
        issued_at = row["at"].timestamp()
        actor = Actor(
            workspace_id=row["workspace_id"],
            user_id=row["created_by"],
            role=lesser(Role(row["key_role"]), Role(row["role"])),
            client=ClientKind.API,
            session_id=row["id"],
            expires_at=issued_at + self._kept_s,
            issued_at=issued_at,
            is_api_key=True,
        )
        _keep(self._known, hash, actor)
        if self._revocations.is_revoked(actor):  # revoked between the look-up's snapshot and now
            raise no_such_key()
        return actor

    def _refuse_guessing(self, ip_prefix: str) -> None:
        """Raises Throttled. Not asked of a key that was good here before, whoever else guesses from there."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._misses.clear()
        if self._misses[ip_prefix] >= MISSES_A_MINUTE:
            raise Throttled("Too many unknown API keys from your network: wait a minute.")

    def _use(self, key_id: UUID) -> None:
        now = time.monotonic()
        if now - self._used.get(key_id, -USED_EVERY_S) >= USED_EVERY_S:
            self._used[key_id] = now
            self._to_mark.add(key_id)

    async def mark_used(self) -> None:
        """Tells of keys that were used since the last time, each once a minute at most over all processes."""
        if not self._to_mark:
            return
        ids, self._to_mark = list(self._to_mark), set()
        stale = time.monotonic() - USED_EVERY_S
        self._used = {key_id: at for key_id, at in self._used.items() if at > stale}
        async with self._doors.open_system() as system:
            await system.fetch(MARK_USED, ids=ids, every_s=USED_EVERY_S)


def _keep(kept: "OrderedDict[bytes, Value]", hash: bytes, value: Value) -> None:
    kept[hash] = value
    if len(kept) > MAX_KEPT:
        kept.popitem(last=False)


def no_such_key() -> Unauthenticated:
    return Unauthenticated("The API key is unknown or revoked: an admin of the workspace can make a new one.")
