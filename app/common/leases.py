"""Due rows: work to do as rows of the tables that own it, claimed under a lease and fenced by a token.

A row is due when it is waiting and its `run_at` has come. `claim` hands rows to one worker for a lease; the worker's
every write carries its token and finds 0 rows once the lease is lost, so a worker that was paused, killed or doubled
changes nothing. `reap` gives rows of dead workers back. All times are the database's: no worker's clock decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Float,
    Index,
    Named,
    Table,
    Text,
    TypedColumns,
    Uuid,
    and_,
    any_,
    bindparam,
    func,
    literal_column,
    not_,
    null,
    select,
    text,
    true,
    tuple_,
    update,
)

from app.common.database import Statement
from app.common.work import Work

BACKOFF_S = (2, 8, 32, 120, 600)
"""Wait before the next attempt; after the last one the row has failed."""

SECOND: ColumnElement[timedelta] = literal_column("interval '1 second'")
LEASE_END = func.now() + bindparam("lease_s", type_=Float) * SECOND


class LeasedColumns(TypedColumns):
    status: Named[str] = Column(Text)
    run_at: Named[datetime] = Column(DateTime(timezone=True), server_default=func.now())
    attempt: Named[int] = Column(server_default=text("0"))
    lease_until: Named[datetime | None] = Column(DateTime(timezone=True))
    token: Named[UUID | None] = Column(Uuid)
    error: Named[str | None] = Column(Text)


@dataclass(frozen=True, slots=True)
class Claim:
    """One due row in this worker's hands until its lease ends."""

    workspace_id: UUID
    id: UUID
    token: UUID
    attempt: int


class LostLease(Exception):
    """Another worker has the row now: stop, write nothing."""


class DueRows(Protocol):
    """Where a worker's claims come from: a table of due rows, or what stands before one."""

    wait_s: float
    """After a claim that found nothing: until it is worth looking again, where that is known."""

    async def claim(
        self, work: Work, *, lease_s: float, limit: int = 1, key: UUID | None = None
    ) -> list[Claim]: ...

    async def retry_later(self, work: Work, claim: Claim, *, error: str, wait_s: float) -> None: ...

    async def give_back(self, work: Work, claims: Sequence[Claim]) -> int: ...

    async def reap(self, work: Work) -> int: ...


class DueTable:
    """The lease statements of one leased table, compiled once.

    `waiting` and `held` are the statuses between which `claim` and `reap` move a row. `key` is the column whose value
    rings (an account's deliveries are drained together); `blocked` holds for rows that must let others go first.
    `among` are the rows that are claimed, reaped and counted here, where others of the table are somebody else's: said
    in so many words, so that partial indexes over just these serve.
    """

    wait_s = inf

    def __init__(
        self,
        table: "Table[Any]",
        *,
        waiting: str,
        held: str,
        key: str = "id",
        blocked: "ColumnElement[bool] | None" = None,
        among: "ColumnElement[bool] | None" = None,
    ) -> None:
        self.table = table
        self._is_among: ColumnElement[bool] = true() if among is None else among
        self._key: ColumnElement[UUID] = table.c[key]
        self._may_go: ColumnElement[bool] = true() if blocked is None else not_(blocked)
        self.waiting, self.held = waiting, held
        self._is_waiting: ColumnElement[bool] = table.c.status == literal_column(f"'{waiting}'")
        self._is_held: ColumnElement[bool] = table.c.status == literal_column(f"'{held}'")
        self._claim_any, self._claim_of = self._claim_statement(), self._claim_statement(of_key=True)
        self._reap = self._reap_statement()
        self._renew, self._put_back = self._renew_statement(), self._put_back_statement()
        self._give_back = self._give_back_statement()
        self._count = Statement(
            select(func.count())
            .select_from(table)
            .where((self._is_waiting & (table.c.run_at <= func.now())) | self._is_held, self._is_among)
        )

    def _claim_statement(self, *, of_key: bool = False) -> Statement:
        c = self.table.c
        is_asked_for = self._key == bindparam("key", type_=Uuid) if of_key else true()
        due = (
            select(c.workspace_id, c.id)
            .where(
                self._is_waiting,
                self._is_among,
                c.run_at <= func.now(),
                is_asked_for,
                self._may_go,
            )
            .order_by(c.run_at, c.id)
            .limit(bindparam("limit", type_=BigInteger))
            .with_for_update(skip_locked=True)
            .cte("due")
            # As a plain subquery a planner that thinks the table small runs it once a row, past any limit.
            .prefix_with("MATERIALIZED")
        )
        return Statement(
            update(self.table)
            .where(c.workspace_id == due.c.workspace_id, c.id == due.c.id)
            .values(
                status=literal_column(f"'{self.held}'"),
                attempt=c.attempt + 1,
                token=func.gen_random_uuid(),
                lease_until=LEASE_END,
            )
            .returning(c.workspace_id, c.id, c.token, c.attempt)
        )

    def _reap_statement(self) -> Statement:
        c = self.table.c
        # A worker that stalled inside a transaction still locks its row: reaping goes round it, never waits for it.
        over = (
            select(c.workspace_id, c.id)
            .where(self._is_held, self._is_among, c.lease_until < func.now())
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        return Statement(
            update(self.table)
            .where(tuple_(c.workspace_id, c.id).in_(over))
            .values(
                status=literal_column(f"'{self.waiting}'"),
                token=null(),
                lease_until=null(),
                run_at=func.now(),
            )
            .returning(c.workspace_id, c.id)
        )

    def _is_mine(self) -> ColumnElement[bool]:
        """Held under the token that a worker carries."""
        c = self.table.c
        return and_(
            c.workspace_id == bindparam("workspace_id"),
            c.id == bindparam("id"),
            c.token == bindparam("held_token"),
            self._is_held,
        )

    def _renew_statement(self) -> Statement:
        return Statement(
            update(self.table)
            .where(self._is_mine(), self.table.c.lease_until > func.now())
            .values(lease_until=LEASE_END)
            .returning(self.table.c.id)
        )

    def _put_back_statement(self) -> Statement:
        return Statement(
            update(self.table)
            .where(self._is_mine())
            .values(
                status=bindparam("new_status"),
                error=bindparam("new_error"),
                token=null(),
                lease_until=null(),
                run_at=func.now() + bindparam("wait_s", type_=Float) * SECOND,
            )
            .returning(self.table.c.id)
        )

    def _give_back_statement(self) -> Statement:
        c = self.table.c
        tokens = bindparam("tokens", type_=ARRAY(Uuid))
        return Statement(
            update(self.table)
            .where(c.token == any_(tokens), self._is_held)
            .values(
                status=literal_column(f"'{self.waiting}'"),
                attempt=c.attempt - 1,
                token=null(),
                lease_until=null(),
            )
            .returning(c.id)
        )

    @staticmethod
    def indexes(name: str, waiting: str, held: str) -> Sequence[Index]:
        """The partial indexes that keep claims cheap however long the table grows."""
        return (
            Index(f"ix_{name}_due", "run_at", "id", postgresql_where=text(f"status = '{waiting}'")),
            Index(f"ix_{name}_lease", "lease_until", postgresql_where=text(f"status = '{held}'")),
        )

    async def claim(
        self, work: Work, *, lease_s: float, limit: int = 1, key: UUID | None = None
    ) -> list[Claim]:
        """Takes up to `limit` due rows; two workers at once split them."""
        statement = self._claim_any if key is None else self._claim_of
        rows = await work.fetch(statement, key=key, limit=limit, lease_s=lease_s)
        return [Claim(row["workspace_id"], row["id"], row["token"], row["attempt"]) for row in rows]

    async def renew(self, work: Work, claim: Claim, *, lease_s: float) -> None:
        """First statement of each chunk: locks the row, so the lease cannot be reaped under it. Raises LostLease."""
        if not await work.fetch(
            self._renew, workspace_id=claim.workspace_id, id=claim.id, held_token=claim.token, lease_s=lease_s
        ):
            raise LostLease

    async def retry_later(self, work: Work, claim: Claim, *, error: str, wait_s: float) -> None:
        await self._finish(work, claim, status=self.waiting, error=error, wait_s=wait_s)

    async def finish(self, work: Work, claim: Claim, *, status: str, error: str | None = None) -> None:
        """Raises LostLease when the row is no longer this worker's."""
        await self._finish(work, claim, status=status, error=error, wait_s=0)

    async def _finish(
        self, work: Work, claim: Claim, *, status: str, error: str | None, wait_s: float
    ) -> None:
        if not await work.fetch(
            self._put_back,
            workspace_id=claim.workspace_id,
            id=claim.id,
            held_token=claim.token,
            new_status=status,
            new_error=error,
            wait_s=wait_s,
        ):
            raise LostLease

    async def give_back(self, work: Work, claims: Sequence[Claim]) -> int:
        """Rows that were claimed and not begun are as due as before, and no attempt is counted; how many they were."""
        return len(await work.fetch(self._give_back, tokens=[claim.token for claim in claims]))

    async def reap(self, work: Work) -> int:
        """Rows whose worker died or stalled past its lease become due again."""
        return len(await work.fetch(self._reap))

    async def count(self, work: Work) -> int:
        row = await work.fetch_one(self._count)
        return int(row[0]) if row else 0
