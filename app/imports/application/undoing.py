"""Undoing an import: one chunk of its rows is one transaction, with the leads, the checkpoint and the feed's events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.common.domain import EVENT_IDS_MAX, Announcer
from app.imports.domain.imports import ImportStatus, progressed
from app.leads.domain.events import LeadUpdated
from app.leads.domain.lead import deleted
from app.leads.domain.undo import Undone

CHUNK_ROWS = 1_000
"""About half a second: people who edit these leads wait for no longer."""
UNDONE = "undone"
"""What the feed says of a lead that an undo gave back what it had."""


@dataclass(frozen=True, slots=True)
class RunningUndo:
    """An undo in a worker's hands."""

    import_id: UUID
    next_row: int
    last_row: int
    processed_rows: int
    is_progress_due: bool


class UndoneLedger(Protocol):
    """One import whose rows are taken back. Every method fails with LostLease once another worker has it."""

    async def hold(self) -> RunningUndo:
        """Renews the lease and locks the import until the commit: the chunk's first statement."""

    async def take_back(self, first: int, last: int) -> Undone:
        """What these rows wrote."""

    async def record(
        self, undone: Undone, *, first: int, last: int, has_ended: bool, is_told: bool
    ) -> None: ...


@dataclass(frozen=True)
class UndoImport:
    ledger: UndoneLedger
    feed: Announcer
    chunk_rows: int = CHUNK_ROWS

    async def run_chunk(self) -> bool:
        """Takes back the next rows; True when none is left. Raises LostLease: then nothing was written."""
        job = await self.ledger.hold()
        last = min(job.next_row + self.chunk_rows - 1, job.last_row)
        undone = await self.ledger.take_back(job.next_row, last)
        has_ended = last >= job.last_row
        is_told = has_ended or job.is_progress_due
        await self.ledger.record(undone, first=job.next_row, last=last, has_ended=has_ended, is_told=is_told)
        self._announce(undone)
        if is_told:
            status = ImportStatus.UNDONE if has_ended else ImportStatus.UNDOING
            self.feed.announce(progressed(job.import_id, status, job.processed_rows))
        return has_ended

    def _announce(self, undone: Undone) -> None:
        for ids in _in_events(undone.deleted):
            self.feed.announce(deleted(ids))
        for ids in _in_events(undone.restored):
            self.feed.announce(LeadUpdated(entity_ids=ids, changed=[UNDONE]))


def _in_events(ids: Sequence[UUID]) -> list[Sequence[UUID]]:
    return [ids[start : start + EVENT_IDS_MAX] for start in range(0, len(ids), EVENT_IDS_MAX)]
