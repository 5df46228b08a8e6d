"""The three doors to the database, and the only place that begins and ends a transaction.

`open_work(workspace)` writes and reads, `open_reads(workspace)` reads, both as role sp_app with the tenant set inside
their BEGIN; `open_system()` is for what has no tenant yet (sign-in, claims of due rows, the feed's poll), as sp_system:
`tests/test_architecture.py` lists its callers. Whatever is announced is appended to the feed as the last statement
before COMMIT, and the doorbells ring only after it. Cancelled, killed or forgotten, a transaction is rolled back or its
connection thrown away: none is handed on with a tenant in it.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Protocol, TypeAlias, cast
from uuid import UUID

import asyncpg
from sqlalchemy import CursorResult, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.common import telemetry, tracing
from app.common.database import Statement, create_role_engine
from app.common.domain import Actor, ActorKind, Event
from app.common.feed_log import Cause, append_events
from app.settings import Settings

ROLLBACK_WAIT_S = 5
STREAMED_ROWS = 200
PLANS_ONCE = "; SET LOCAL plan_cache_mode = force_generic_plan"
TOO_LONG_SQLSTATE = "57014"
UNAVAILABLE_SQLSTATES = frozenset(
    {TOO_LONG_SQLSTATE, "57P01", "57P02", "57P03", "53300", "25P03", "40001", "40P01", "55P03"}
)
"""Time-outs, shutdowns, too many connections; deadlocks and lock time-outs too: the same again will do."""
Values: TypeAlias = Mapping[str, object] | Sequence[Mapping[str, object]]
LOST_CONNECTION = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises on a dead connection; the last one, where the server's farewell meets the next statement."""
Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Whose: TypeAlias = UUID | tuple[UUID, UUID]
"""Whose access tokens: a session's (or API key's), a user's, or a user's in one workspace."""


class Unavailable(Exception):
    """The database cannot answer now: pool wait, statement time-out, connection lost. The edge answers 503."""


class TookTooLong(Unavailable):
    """A statement ran into its time-out: the database is there, and may have an answer to others."""


class Bells(Protocol):
    """Doorbells: hints that may be lost, doubled or late without changing any result. Never raise, never wait."""

    def ring_feed(self, workspace_id: UUID, seq: int) -> None: ...

    def ring_due(self, kind: str, key: UUID) -> None: ...

    def ring_revocation(self, revoked: Mapping[Whose, datetime]) -> None:
        """This process is told what, and since when; the others only to look."""

    def hear_revocations(
        self, learn: Callable[[Mapping[Whose, datetime]], None], look: Callable[[], None]
    ) -> None:
        """`learn` what this process revoked; `look` for what others did."""


class SilentBells:
    """No doorbell: everything is found by the polls."""

    def ring_feed(self, workspace_id: UUID, seq: int) -> None:
        pass

    def ring_due(self, kind: str, key: UUID) -> None:
        pass

    def ring_revocation(self, revoked: Mapping[Whose, datetime]) -> None:
        pass

    def hear_revocations(
        self, learn: Callable[[Mapping[Whose, datetime]], None], look: Callable[[], None]
    ) -> None:
        pass


class Reads:
    """A read-only transaction."""

    def __init__(self, driver: Driver, erasure_key: str | None = None) -> None:
        self._driver = driver
        self._erasure_key = erasure_key

    def keyed_hash(self, *parts: str) -> bytes:
        """By which what was erased is known again, and by nobody without the key."""
        assert self._erasure_key is not None, "SALESPAD_ERASURE_KEY is set wherever leads are written"
        return hmac.digest(self._erasure_key.encode(), "\0".join(parts).encode(), "sha256")

    async def fetch(self, statement: Statement, **values: object) -> list[asyncpg.Record]:
        telemetry.sql_statements.inc()
        return await self._driver.fetch(statement.sql, *statement.arguments(values))

    async def fetch_planned(self, statement: Statement, **values: object) -> list[asyncpg.Record]:
        """As `fetch`, planned for these very values; so is all that follows in this transaction. For what no one plan
        does well whatever the values: a filter by a tag that thirty leads have, or half of them."""
        await self._driver.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        return await self.fetch(statement, **values)

    async def fetch_one(self, statement: Statement, **values: object) -> asyncpg.Record | None:
        rows = await self.fetch(statement, **values)
        return rows[0] if rows else None

    async def stream(self, statement: Statement, **values: object) -> AsyncIterator[Mapping[str, object]]:
        """The rows as dicts, a few hundred in memory at a time; meanwhile other statements may run."""
        telemetry.sql_statements.inc()
        cursor = self._driver.cursor(statement.sql, *statement.arguments(values), prefetch=STREAMED_ROWS)
        async for row in cursor:
            yield dict(row)


class Work(Reads):
    """A transaction that writes. What it announces and wakes is told to others only if it commits."""

    def __init__(
        self,
        driver: Driver,
        connection: AsyncConnection,
        workspace_id: UUID | None,
        erasure_key: str | None = None,
    ) -> None:
        super().__init__(driver, erasure_key)
        self._connection = connection
        self.workspace_id = workspace_id
        self.events: list[tuple[Event, Cause | None]] = []
        self.by_user: UUID | None = None
        """Who acts; None: the system."""
        self.by_automation = False
        """A rule acts, in nobody's name."""
        self.cause: Cause | None = None
        """The event that is reacted to: what is announced now comes of it."""
        self.events_elsewhere: dict[UUID, list[Event]] = {}
        self.due: list[tuple[str, UUID]] = []
        self.revoked: dict[Whose, datetime] = {}

    async def execute(self, clause: Executable, values: Values | None = None) -> CursorResult[Any]:
        telemetry.sql_statements.inc()
        return cast("CursorResult[Any]", await self._connection.execute(clause, values))

    async def copy(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """COPY rows into a temporary table (PostgreSQL refuses COPY into a table with row-level security)."""
        telemetry.sql_statements.inc()
        await self._driver.copy_records_to_table(
            table, schema_name="pg_temp", columns=list(columns), records=rows
        )

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What fails inside is undone alone; the transaction lives on."""
        await self._driver.execute("SAVEPOINT sp")
        try:
            yield
        except BaseException:
            await self._driver.execute("ROLLBACK TO SAVEPOINT sp")
            raise
        finally:
            if not self._driver.is_closed():
                await self._driver.execute("RELEASE SAVEPOINT sp")

    def act_for(self, user_id: UUID | None) -> None:
        """A worker does what this member asked for: what is announced is told as theirs."""
        self.by_user = user_id

    def announce(self, event: Event) -> None:
        self.events.append((event, self.cause))

    def announce_in(self, workspace_id: UUID, event: Event) -> None:
        """Through the system door, where one change may concern several workspaces (a person's name, say)."""
        self.events_elsewhere.setdefault(workspace_id, []).append(event)

    def wake(self, kind: str, key: UUID) -> None:
        """After the commit, ring for a due row of this kind."""
        self.due.append((kind, key))

    def revoke(self, whose: Whose, at: datetime) -> None:
        """After the commit, tell that their access tokens issued until then are void (the row is what lasts)."""
        self.revoked[whose] = at


class Doors:
    """The engine behind the doors; one per process."""

    def __init__(self, settings: Settings, bells: Bells | None = None) -> None:
        self._engine = create_role_engine(settings, "sp_app", settings.pool_size)
        self._system_engine = create_role_engine(settings, "sp_system", settings.system_pool_size)
        self._erasure_key = settings.erasure_key
        self.bells: Bells = bells or SilentBells()

    async def close(self) -> None:
        await self._engine.dispose()
        await self._system_engine.dispose()

    @asynccontextmanager
    async def open_work(
        self, workspace_id: UUID, by: Actor | None = None, *, plans_once: bool = False
    ) -> AsyncIterator[Work]:
        """One transaction of one workspace; `by` is who acts (None: the system). Raises Unavailable.

        `plans_once`: each statement keeps the plan of its first run, whatever its values. For long statements that
        look rows up by their keys, which PostgreSQL otherwise plans anew every time, for longer than it runs them.
        """
        begin = f"BEGIN; {_tenant(workspace_id)}{PLANS_ONCE if plans_once else ''}"
        async with _transaction(self._engine, begin, door="work") as (driver, connection):
            work = Work(driver, connection, workspace_id, self._erasure_key)
            work.act_for(by.user_id if by else None)
            yield work
            assert not work.events_elsewhere, "a tenant's door announces to its own workspace"
            seq = await _append(work, workspace_id, work.events, work.by_user)
        self._ring(work, {workspace_id: seq})

    @asynccontextmanager
    async def open_reads(self, workspace_id: UUID, *, one_snapshot: bool = False) -> AsyncIterator[Reads]:
        """Each statement reads what is committed by then; one per root field, for a connection does one thing at a
        time. `one_snapshot`: all of them read the same, for what is put together of several statements."""
        level = "ISOLATION LEVEL REPEATABLE READ, " if one_snapshot else ""
        begin = f"BEGIN {level}READ ONLY; {_tenant(workspace_id)}"
        async with _transaction(self._engine, begin, door="reads") as (driver, _):
            yield Reads(driver, self._erasure_key)

    @asynccontextmanager
    async def open_system(
        self, *, by_user: UUID | None = None, plans_once: bool = False
    ) -> AsyncIterator[Work]:
        """A transaction without a tenant, over all workspaces; what it announces, it announces in one of them.

        `by_user` is who acts (None: the system).
        """
        begin = f"BEGIN{PLANS_ONCE if plans_once else ''}"
        told: dict[UUID, int] = {}
        async with _transaction(self._system_engine, begin, door="system") as (driver, connection):
            work = Work(driver, connection, None, self._erasure_key)
            yield work
            assert not work.events, "the system door has no workspace of its own: announce_in"
            for workspace_id in sorted(work.events_elsewhere):  # one order of their heads' locks: no deadlock
                events = [(event, None) for event in work.events_elsewhere[workspace_id]]
                told[workspace_id] = await _append(work, workspace_id, events, by_user)
        self._ring(work, told)

    def _ring(self, work: Work, told: Mapping[UUID, int]) -> None:
        if work.revoked:
            self.bells.ring_revocation(work.revoked)
        for workspace_id, seq in told.items():
            if seq:
                self.bells.ring_feed(workspace_id, seq)
        for kind, key in work.due:
            self.bells.ring_due(kind, key)


async def _append(
    work: Work, workspace_id: UUID, events: Sequence[tuple[Event, Cause | None]], by_user: UUID | None
) -> int:
    system = ActorKind.AUTOMATION if work.by_automation else ActorKind.SYSTEM
    actor_kind = ActorKind.HUMAN if by_user else system
    return await append_events(work, workspace_id, events, actor_id=by_user, actor_kind=actor_kind)


def _tenant(workspace_id: UUID) -> str:
    """Rebuilt through UUID: nothing else can get into the SQL text."""
    return f"SELECT set_config('app.workspace_id', '{UUID(str(workspace_id))}', true)"


@asynccontextmanager
async def _transaction(
    engine: AsyncEngine, begin: str, *, door: str
) -> AsyncIterator[tuple[Driver, AsyncConnection]]:
    with tracing.leaf(f"transaction {door}"), _translated():
        async with engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver = cast("Driver", raw.driver_connection)
            try:
                await driver.execute(begin)
                yield driver, connection
                # After a failed statement PostgreSQL answers ROLLBACK, and raises nothing.
                if await driver.execute("COMMIT") != "COMMIT":
                    raise RuntimeError("The transaction was rolled back: an error inside it was swallowed.")
            except BaseException:
                await _roll_back(driver)
                raise


async def _roll_back(driver: Driver) -> None:
    """Within 5 s, or the connection is dropped; the pool's `checkout` hook then replaces it."""
    if driver.is_closed():
        return
    try:
        async with asyncio.timeout(ROLLBACK_WAIT_S):
            await driver.execute("ROLLBACK")
    except BaseException:
        driver.terminate()
        with suppress(*LOST_CONNECTION, asyncpg.PostgresError):
            raise


class _translated:
    """Turns what the pool, the driver and SQLAlchemy say when the database is away into Unavailable."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is not None and is_unavailable(error):
            kind = TookTooLong if _sqlstate(error) == TOO_LONG_SQLSTATE else Unavailable
            raise kind("The database cannot answer right now.") from error


def is_unavailable(error: BaseException) -> bool:
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.connection_invalidated or is_unavailable(error.orig)
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return False  # a parameter of ours that the driver cannot encode
    if isinstance(error, (PoolTimeout, asyncpg.PostgresConnectionError, *LOST_CONNECTION)):
        return True
    state = _sqlstate(error)
    return state is not None and (state in UNAVAILABLE_SQLSTATES or state.startswith("08"))


def _sqlstate(error: BaseException) -> str | None:
    """The server's; through SQLAlchemy the driver's error is in `orig`."""
    state = getattr(getattr(error, "orig", None) or error, "sqlstate", None)
    return state if isinstance(state, str) else None
