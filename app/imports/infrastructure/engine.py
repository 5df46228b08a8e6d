"""What a worker does with an import that it holds: steps of its phase until it ends or rests, or its turn is over."""

import asyncio
import errno
from collections.abc import Callable, MutableMapping
from math import ceil
from uuid import UUID

import asyncpg

from app.common.leases import BACKOFF_S, Claim
from app.common.work import Doors, Work
from app.files.wiring import UploadGone, file_store, remove_files, replace_file
from app.imports.application.analysing import Analyse
from app.imports.application.dry_running import DryRun
from app.imports.application.running import RunFile, RunImport
from app.imports.application.undoing import UndoImport
from app.imports.domain.chunks import Chunk, Position
from app.imports.domain.dialect import FileProblem, UnreadableFile
from app.imports.domain.failing import why
from app.imports.domain.imports import ImportStatus, Phase, RunningImport, TableFile, progressed
from app.imports.infrastructure.file_ledger import FileImportLedger
from app.imports.infrastructure.reading import ChunkReader, Look, look_at
from app.imports.infrastructure.turns import import_jobs
from app.imports.infrastructure.undoing import UndoLedger
from app.leads.domain.lead import LeadSource
from app.settings import Settings

AIM_S = 0.45
"""Time that a chunk's transaction is to take: within a turn progress is told, and a pause answered, each second."""
MIN_AIM_S = 0.1
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NAP_S = 0.2
FIRST_ROWS = 500
BATCH_ROWS = 500
GROWTH = 3
CLEAR_ROWS = 5_000
SIZES_MAX = 100
"""Imports whose size of chunk is remembered from turn to turn."""


class Engine:
    """One per worker."""

    def __init__(self) -> None:
        self._sizes: dict[UUID, int] = {}

    async def run(
        self, doors: Doors, settings: Settings, claim: Claim, is_stopping: Callable[[], bool]
    ) -> bool:
        """One turn; True when it has ended or rests, False when others are to go first or it was asked to stop.

        Safe to be killed anywhere and to run twice at once: the claim's token fences every step (LostLease).
        """
        self._sizes.setdefault(claim.id, FIRST_ROWS)
        turn = Turn(doors, settings, claim, is_stopping, self._sizes)
        has_ended = True
        try:
            has_ended = await turn.take()
        except UnreadableFile as unreadable:
            await turn.fail(why(unreadable.problem, unreadable.row or ""))
        except UploadGone:
            await turn.fail(why(FileProblem.FILE_GONE))
        except (OSError, asyncpg.DiskFullError) as error:
            if not _is_full(error) or claim.attempt < len(BACKOFF_S):
                raise
            await turn.fail(why(FileProblem.DISK_FULL))
        if has_ended or len(self._sizes) > SIZES_MAX:
            self._sizes.pop(claim.id, None)
        return has_ended


class Turn:
    def __init__(
        self,
        doors: Doors,
        settings: Settings,
        claim: Claim,
        is_stopping: Callable[[], bool],
        sizes: MutableMapping[UUID, int],
    ) -> None:
        self._doors, self._settings, self._claim = doors, settings, claim
        self._is_stopping, self._sizes = is_stopping, sizes
        self._store = file_store(settings)
        self._loop = asyncio.get_running_loop()
        self._renewed_at = self._loop.time()
        self._until = self._loop.time() + settings.import_turn_s
        self._phases = {
            Phase.ANALYZE: self._analyse,
            Phase.DRY_RUN: self._read_on,
            Phase.RUN: self._run,
            Phase.UNDO: self._undo,
        }

    @property
    def _is_over(self) -> bool:
        return self._is_stopping() or self._loop.time() >= self._until

    async def _lasts(self, for_s: float = 0) -> bool:
        """So much longer; a turn that nobody waits for the end of begins anew."""
        if self._is_stopping():
            return False
        if self._loop.time() + for_s < self._until:
            return True
        async with self._doors.open_system() as system:
            if await import_jobs.is_any_due(system):
                return False
        self._until = self._loop.time() + self._settings.import_turn_s
        return True

    async def take(self) -> bool:
        while True:
            job = await self._look()
            if await self._phases[job.phase](job):
                return True
            if not await self._lasts():
                return False

    async def fail(self, error: str) -> None:
        async with self._doors.open_work(self._claim.workspace_id) as work:
            processed, file_id = await self._ledger(work).end(ImportStatus.FAILED, error)
            work.announce(progressed(self._claim.id, ImportStatus.FAILED, processed))
        await self._remove(file_id)

    def _ledger(self, work: Work) -> FileImportLedger:
        return FileImportLedger(work, self._claim, lease_s=self._settings.import_lease_s)

    async def _look(self) -> RunningImport:
        async with self._doors.open_work(self._claim.workspace_id) as work:
            return await self._ledger(work).hold()

    async def _remove(self, file_id: UUID | None) -> None:
        """After the commit that let go of it; where this dies before, the clean-up does it."""
        if file_id is not None:
            await remove_files(self._doors, self._settings, self._claim.workspace_id, [file_id])

    async def _analyse(self, job: RunningImport) -> bool:
        """Reads all of it in one go, however long that takes; told to stop, it leaves it to another worker."""
        if job.file is None:
            raise UnreadableFile(FileProblem.FILE_GONE)
        part = self._store.begin_part(job.file.id)
        try:
            path = self._store.path(self._claim.workspace_id, job.file.id)
            look = await look_at(path, part, self._keep_on)
            goes_on, gone = await self._settle(job.file.id, look)
        except _Stopped:
            await self._give_back()
            return True
        finally:
            part.unlink(missing_ok=True)
        await self._remove(gone)
        return not goes_on

    async def _keep_on(self) -> None:
        """While a thread reads: whether it is still wanted."""
        if self._is_stopping():
            raise _Stopped
        if self._loop.time() > self._renewed_at + self._settings.import_lease_s / 10:
            await self._look()
            self._renewed_at = self._loop.time()

    async def _give_back(self) -> None:
        async with self._doors.open_work(self._claim.workspace_id) as work:
            await import_jobs.give_back(work, [self._claim])

    async def _settle(self, file_id: UUID, look: Look) -> tuple[bool, UUID | None]:
        """The bytes are replaced last, under the import's lock: killed before the commit, the next worker looks at
        what was rewritten and finds the same."""
        async with self._doors.open_work(self._claim.workspace_id) as work:
            goes_on, gone = await Analyse(self._ledger(work), work).settle(look.analysis)
            if look.part is not None and gone is None:
                await replace_file(
                    work,
                    self._settings,
                    self._claim.workspace_id,
                    file_id,
                    look.part,
                    size=look.size,
                    sha256=look.digest,
                )
        return goes_on, gone

    async def _run(self, job: RunningImport) -> bool:
        if job.file is not None:
            return await self._read_on(job)
        if job.total_rows == 0 or job.source is LeadSource.CSV:
            raise UnreadableFile(FileProblem.FILE_GONE)
        async with self._doors.open_work(self._claim.workspace_id) as work:
            rows = min(BATCH_ROWS, self._settings.import_chunk_rows)
            return await RunImport(self._ledger(work), work, rows).run_chunk()

    async def _undo(self, job: RunningImport) -> bool:
        async with self._doors.open_work(self._claim.workspace_id) as work:
            ledger = UndoLedger(work, self._claim, lease_s=self._settings.import_lease_s)
            return await UndoImport(ledger, work).run_chunk()

    async def _read_on(self, job: RunningImport) -> bool:
        """Chunk after chunk of a file; while PostgreSQL writes one, a thread reads the next."""
        if job.file is None:
            raise UnreadableFile(FileProblem.FILE_GONE)
        position, total = job.file.position, job.total_rows
        if position.row == 1 and await self._clear():
            return False
        if position.row > total:
            return await self._end_dry_run()
        reader = await self._reader(job.file)
        write = self._write if job.phase is Phase.RUN else self._count
        ahead = self._read(reader, position, total)
        try:
            while True:
                began = self._loop.time()
                chunk = await ahead
                await self._lasts(AIM_S)  # before what is read ahead is given up for the turn's end
                if self._may_read_ahead(chunk, total):
                    ahead = self._read(reader, chunk.end, total)
                if await write(chunk):
                    return True
                if chunk.end.row > total or self._is_over:
                    return False
                await self._pace(began)
                if ahead.done() and ahead.result() is chunk:
                    ahead = self._read(reader, chunk.end, total)
        finally:
            await _let_finish(ahead)

    async def _clear(self) -> bool:
        """What an earlier dry run left, a step at a time; whether there was any."""
        async with self._doors.open_work(self._claim.workspace_id) as work:
            ledger = self._ledger(work)
            await ledger.hold()
            return bool(
                await ledger.clear_rows(limit=CLEAR_ROWS) or await ledger.forget_seen(limit=CLEAR_ROWS)
            )

    async def _end_dry_run(self) -> bool:
        async with self._doors.open_work(self._claim.workspace_id) as work:
            return await DryRun(self._ledger(work), work).end(limit=CLEAR_ROWS)

    async def _reader(self, file: TableFile) -> ChunkReader:
        async with self._doors.open_work(self._claim.workspace_id) as work:
            region = await self._ledger(work).phone_region()
        return ChunkReader(self._store.path(self._claim.workspace_id, file.id), file, region)

    def _read(self, reader: ChunkReader, start: Position, total: int) -> "asyncio.Task[Chunk]":
        rows = min(self._sizes[self._claim.id], self._settings.import_chunk_rows, total - start.row + 1)
        return asyncio.create_task(reader.read(start, rows))

    def _may_read_ahead(self, chunk: Chunk, total: int) -> bool:
        """Not in what is likely this turn's last chunk; nor where the time between chunks is other people's."""
        is_last = chunk.end.row > total or self._loop.time() + AIM_S >= self._until
        return not is_last and self._settings.import_share == 1

    async def _write(self, chunk: Chunk) -> bool:
        began = self._loop.time()
        async with self._doors.open_work(self._claim.workspace_id) as work:
            ended = await RunFile(self._ledger(work), work).write(chunk)
        self._learn(chunk, self._loop.time() - began)
        await self._remove(ended)
        return ended is not None

    async def _count(self, chunk: Chunk) -> bool:
        began = self._loop.time()
        async with self._doors.open_work(self._claim.workspace_id) as work:
            await DryRun(self._ledger(work), work).count(chunk)
        self._learn(chunk, self._loop.time() - began)
        return False

    def _learn(self, chunk: Chunk, took_s: float) -> None:
        """How many rows take as long as a chunk is to take; more at once only step by step."""
        aim_s = max(AIM_S * self._settings.import_share, MIN_AIM_S)
        fitting = int(chunk.size * aim_s / max(took_s, 0.001))
        self._sizes[self._claim.id] = max(min(fitting, GROWTH * self._sizes[self._claim.id]), FIRST_ROWS)

    async def _pace(self, began: float) -> None:
        share = self._settings.import_share
        naps = (self._loop.time() - began) * (1 / share - 1) / NAP_S
        for nap in range(ceil(naps)):
            if self._is_stopping():
                return
            await asyncio.sleep(NAP_S * min(naps - nap, 1))


class _Stopped(Exception):
    """The worker is told to stop."""


async def _let_finish(ahead: "asyncio.Task[Chunk]") -> None:
    """A chunk that was read and is not wanted any more, whatever came of it."""
    ahead.cancel()
    await asyncio.wait([ahead])
    if not ahead.cancelled():
        ahead.exception()


def _is_full(error: Exception) -> bool:
    return isinstance(error, asyncpg.DiskFullError) or getattr(error, "errno", None) in FULL
