"""Changing many leads: accepted in the request's transaction, done by a worker a chunk a transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.common.domain import EVENT_IDS_MAX, Announcer, Once, Waker
from app.leads.domain.bulk_change import (
    DUE,
    LeadChange,
    Progress,
    RunningChange,
    TargetGone,
    TaskStatus,
    refuse_deleted,
)


class BulkChanges(Protocol):
    """The rows of bulk changes, for the request that makes one."""

    async def check_target(self, workspace_id: UUID, change: LeadChange) -> None:
        """Raises TargetNotFound; the target stays until the commit."""

    async def add(
        self,
        workspace_id: UUID,
        id: UUID,
        filter: Mapping[str, object],
        change: LeadChange,
        *,
        created_by: UUID,
    ) -> int:
        """How many leads it is about."""


class ChangeLedger(Protocol):
    """One bulk change in this worker's hands. `hold` and `record` fail with LostLease once another worker has it."""

    async def hold(self) -> RunningChange:
        """Renews the lease and locks the row until the commit: the chunk's first statement."""

    async def hold_target(self, change: LeadChange) -> None:
        """Raises TargetGone; the target stays until the commit."""

    async def next(self, job: RunningChange, limit: int) -> Sequence[UUID]:
        """The next leads it is about, by their ids, locked until the commit."""

    async def apply(self, job: RunningChange, ids: Sequence[UUID]) -> Sequence[UUID]:
        """Changes these leads and writes their timelines; those that were different before."""

    async def record(self, progress: Progress, *, changed: int, is_told: bool) -> None: ...

    async def fail(self, error: str) -> Progress:
        """Ends it; what was done stays."""


class FeedAndBell(Announcer, Waker, Protocol):
    """What an accepted change is told to."""


@dataclass(frozen=True)
class BulkChangeUseCases:
    workspace_id: UUID
    bulk_changes: BulkChanges
    once: Once
    work: FeedAndBell
    new_id: Callable[[], UUID]

    async def change_leads(
        self, filter: Mapping[str, object], change: LeadChange, *, idempotency_key: str, created_by: UUID
    ) -> UUID:
        """The bulk change's id; the same one for the same key. Raises Conflict, Invalid, TargetNotFound."""
        if earlier := await self.once.seen(idempotency_key, [filter, change.stored]):
            return earlier
        refuse_deleted(bool(filter.get("deleted")))
        await self.bulk_changes.check_target(self.workspace_id, change)
        id = self.new_id()
        total = await self.bulk_changes.add(self.workspace_id, id, filter, change, created_by=created_by)
        await self.once.remember(idempotency_key, id)
        self.work.announce(Progress(TaskStatus.RUNNING, total, 0).told(id))
        self.work.wake(DUE, id)
        return id


class FeedOfOne(Announcer, Protocol):
    def act_for(self, user_id: UUID | None) -> None:
        """From here on this member has done it."""


@dataclass(frozen=True)
class RunBulkChange:
    ledger: ChangeLedger
    feed: FeedOfOne
    chunk: int

    async def run_chunk(self) -> bool:
        """Changes the next leads; True when it has ended. Raises LostLease: then nothing was written."""
        job = await self.ledger.hold()
        self.feed.act_for(job.created_by)
        try:
            await self.ledger.hold_target(job.change)
        except TargetGone as gone:
            self.feed.announce((await self.ledger.fail(str(gone))).told(job.id))
            return True
        ids = await self.ledger.next(job, self.chunk)
        changed = await self.ledger.apply(job, ids) if ids else ()
        progress = job.after(ids, chunk=self.chunk)
        is_told = progress.has_ended or job.is_progress_due
        await self.ledger.record(progress, changed=len(changed), is_told=is_told)
        for start in range(0, len(changed), EVENT_IDS_MAX):
            self.feed.announce(job.change.told(changed[start : start + EVENT_IDS_MAX]))
        if is_told:
            self.feed.announce(progress.told(job.id))
        return progress.has_ended
