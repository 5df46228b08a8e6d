"""Claims of batches' rows, at the pace that limits allow, and all that is counted towards these limits.

A claim spends tokens of batch and account and the day's allowance of account and domain; what goes back unsent is given
back (docs/decisions/0029). Pace rows are locked after everything else but the feed's head, so whoever else of a
transaction is to be locked comes before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from app.common.leases import Claim, LostLease
from app.common.work import Reads, Work
from app.conversations.domain.delivery import MAX_WAIT_S, Reason
from app.conversations.infrastructure import allowances, pace
from app.conversations.infrastructure.tables import deliveries

TURNS = 16
"""Batches that one claim looks at, until it finds one of which something may go."""
SHORTEST_S, LONGEST_S = 0.005, 600.0
"""The least a lane waits before it looks again; the most for which a claim may be held, its call included."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Rows of one batch that were claimed and not sent. `held_s`: for how long at least, by the database's clock; None:
    nobody knows, or the provider was called: then only the day's allowance is given back."""

    workspace_id: UUID
    account_id: UUID
    batch_id: UUID
    count: int
    held_s: float | None = None


class BatchClaims:
    """What the worker's Drainer asks of a due table, for rows of batches. One a worker process."""

    def __init__(self) -> None:
        self.wait_s: float = 0.0
        """After a claim that found nothing: until it is worth looking again."""
        self._lease_s = 0.0

    async def claim(
        self, work: Work, *, lease_s: float, limit: int = 1, key: UUID | None = None
    ) -> list[Claim]:
        """Up to `limit` rows of one batch (of this one, if there is a key), by the system door. Waits for nobody."""
        self._lease_s = lease_s
        for _ in range(TURNS):
            picked = await work.fetch_one(pace.PICK, key=str(key) if key else None, ready_max=pace.READY_MAX)
            if picked is None:
                break
            rows = await self._claim_of(work, picked, lease_s=lease_s, limit=limit)
            if rows and rows[0]["asleep"]:
                await self._postpone(work, picked, rows[0]["zones"])
            claims = [
                Claim(picked["workspace_id"], row["id"], row["token"], row["attempt"])
                for row in rows
                if row["id"] is not None
            ]
            if claims:
                return claims
            if rows and rows[0]["asleep"]:  # so many more may sleep: each lot in a transaction of its own
                break
        row = await work.fetch_one(pace.NEXT_LOOK)
        found = row["wait_s"] if row else None
        self.wait_s = LONGEST_S if found is None else max(SHORTEST_S, found)
        return []

    async def _claim_of(
        self, work: Work, picked: asyncpg.Record, *, lease_s: float, limit: int
    ) -> list[asyncpg.Record]:
        return await work.fetch(
            pace.CLAIM,
            workspace_id=picked["workspace_id"],
            batch_id=picked["batch_id"],
            account_id=picked["account_id"],
            domain=picked["domain"],
            limit=limit,
            lease_s=lease_s,
            chunk_s=pace.CHUNK_S,
            idle_s=pace.IDLE_S,
            later_s=pace.LATER_S,
            at_most_s=pace.AT_MOST_S,
        )

    async def _postpone(self, work: Work, picked: asyncpg.Record, zones: Sequence[str]) -> None:
        """Those that sleep now, many at once: they are not looked at again before they wake."""
        await work.fetch(
            pace.POSTPONE,
            workspace_id=picked["workspace_id"],
            batch_id=picked["batch_id"],
            zones=list(zones),
            limit=pace.POSTPONED_MAX,
        )

    async def retry_later(self, work: Work, claim: Claim, *, error: str, wait_s: float) -> None:
        """Raises LostLease."""
        await deliveries.retry_later(work, claim, error=error, wait_s=wait_s)

    async def give_back(self, work: Work, claims: Sequence[Claim]) -> int:
        """What was claimed and not begun is as due as before, and uses nothing up; how many rows it were."""
        rows = await work.fetch(
            pace.GIVE_BACK,
            tokens=list({claim.token for claim in claims}),
            ids=[claim.id for claim in claims],
        )
        await refund(
            work,
            [_given_back(row, held_s=max(0.0, self._lease_s + row["overdue_s"])) for row in rows],
        )
        return sum(row["count"] for row in rows)

    async def reap(self, work: Work) -> int:
        """Rows whose worker died or stalled before their intent become due again."""
        rows = await work.fetch(pace.REAP)
        await refund(work, [_given_back(row, held_s=None) for row in rows])
        return sum(row["count"] for row in rows)

    async def count(self, work: Work) -> int:
        row = await work.fetch_one(pace.COUNT)
        return int(row[0]) if row else 0


def _given_back(row: asyncpg.Record, *, held_s: float | None) -> GivenBack:
    return GivenBack(row["workspace_id"], row["account_id"], row["batch_id"], row["count"], held_s)


async def start_pace(work: Work, workspace_id: UUID, batch_id: UUID) -> None:
    """The batch is looked at from now on, however long it was to wait. Idempotent.

    Whoever makes one of its rows due calls it, or its batch RUNNING: at the end, for it locks the pace.
    """
    await work.fetch(allowances.START, workspace_id=workspace_id, batch_id=batch_id)


async def end_pace(work: Work, workspace_id: UUID, batch_id: UUID) -> None:
    """It is looked at no more, until `start_pace`."""
    await work.fetch(allowances.END, workspace_id=workspace_id, batch_id=batch_id)


async def spend(work: Work, workspace_id: UUID, account_id: UUID) -> datetime | None:
    """A person's message is about to leave: it counts for the day and goes before what is sent in bulk.

    None: it may go, and is counted if the transaction commits. Otherwise the day's allowance of account or domain is
    used up: when the next begins.
    """
    row = await work.fetch_one(allowances.SPEND, workspace_id=workspace_id, account_id=account_id)
    if row is not None and not row["is_there"]:
        await work.fetch(allowances.ADD_SHARED, workspace_id=workspace_id, account_id=account_id)
        row = await work.fetch_one(allowances.SPEND, workspace_id=workspace_id, account_id=account_id)
    if row is None or row["is_free"]:
        return None
    until: datetime = row["until"]
    return until


async def postpone(work: Work, claim: Claim, *, until: datetime) -> None:
    """A person's message goes back, and waits for the next day's allowance; no attempt is counted. Raises LostLease.

    It asks now and then: somebody may allow more meanwhile.
    """
    if not await work.fetch(
        allowances.POSTPONE,
        workspace_id=claim.workspace_id,
        id=claim.id,
        token=claim.token,
        until=until,
        reason=Reason.DAILY_LIMIT,
    ):
        raise LostLease


async def refund(work: Work, given_back: Sequence[GivenBack]) -> None:
    """What was claimed and not sent. The allowance of a day that is over is not given back."""
    if not given_back:
        return
    await work.fetch(
        allowances.REFUND,
        workspace_ids=[one.workspace_id for one in given_back],
        account_ids=[one.account_id for one in given_back],
        batch_ids=[one.batch_id for one in given_back],
        counts=[one.count for one in given_back],
        held_s=[one.held_s for one in given_back],
        longest_s=LONGEST_S,
    )


async def brake(work: Work, workspace_id: UUID, account_id: UUID, wait_s: float) -> None:
    """The provider asked this account to wait: none of its batches goes on before. People's messages are tried."""
    await work.fetch(
        allowances.BRAKE, workspace_id=workspace_id, account_id=account_id, wait_s=min(wait_s, MAX_WAIT_S)
    )


async def used_up(reads: Reads, workspace_id: UUID, account_id: UUID) -> datetime | None:
    """When the day's allowance of the account or its domain is used up: the moment the next one begins."""
    return (await used_up_by_account(reads, workspace_id, [account_id])).get(account_id)


async def used_up_by_account(
    reads: Reads, workspace_id: UUID, account_ids: Iterable[UUID]
) -> dict[UUID, datetime]:
    """Those of many accounts that have nothing left for the day."""
    rows = await reads.fetch(allowances.USED_UP, workspace_id=workspace_id, account_ids=list(account_ids))
    return {row["account_id"]: row["until"] for row in rows}
