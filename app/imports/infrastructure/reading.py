"""The file of an import, read in threads: a chunk at a time, the next one while PostgreSQL writes this one."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import file_digest
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

from app.imports.domain.chunks import Chunk, Position, read_chunk
from app.imports.domain.dialect import Analysis, FileProblem, UnreadableFile
from app.imports.domain.imports import TableFile
from app.imports.domain.reports import own_cells
from app.imports.domain.row_reader import RowReader
from app.imports.infrastructure.table_files import analyse, read_rows

Result = TypeVar("Result")
POLL_S = 0.25
WORKBOOK = b"PK\x03\x04"
"""How a workbook begins. By its bytes: one that is rewritten is a text under the same name."""


@dataclass(frozen=True, slots=True)
class Look:
    """A file's first look; `part` is to be read in its place, where there is one."""

    analysis: Analysis
    part: Path | None
    size: int
    digest: bytes


class ChunkReader:
    """Reads one file by one mapping."""

    def __init__(self, path: Path, file: TableFile, region: str) -> None:
        assert file.dialect is not None
        self._path, self._dialect, self._columns = path, file.dialect, len(file.columns)
        self._rows = RowReader(file.mapping, region, file.dialect.is_error_report)

    async def read(self, start: Position, limit: int) -> Chunk:
        """Raises UnreadableFile, also where the file ends before its time."""
        return await asyncio.to_thread(self._read, start, limit)

    def _read(self, start: Position, limit: int) -> Chunk:
        try:
            rows = read_rows(self._path, self._dialect, self._columns, offset=start.offset, n=start.row)
            chunk = read_chunk(rows, start, limit, read=self._rows.read_raw, named_in=self._rows.named_in)
        except FileNotFoundError:
            raise UnreadableFile(FileProblem.FILE_GONE) from None
        if self._dialect.is_error_report:
            chunk.refused = [replace(one, cells=own_cells(one.cells, self._columns)) for one in chunk.refused]
        if not chunk.size:
            raise UnreadableFile(FileProblem.FILE_GONE, start.row)
        return chunk


async def look_at(path: Path, part: Path, keep_on: Callable[[], Awaitable[None]]) -> Look:
    """Reads all of it, once. What `keep_on` raises, called again and again meanwhile, ends the wait; whatever the
    reading leaves behind after that it removes itself. Raises UnreadableFile."""
    is_nobodys = Event()

    def act() -> Look:
        try:
            return _look_at(path, part, is_nobodys)
        finally:
            if is_nobodys.is_set():
                part.unlink(missing_ok=True)

    looking = _in_own_thread(act)
    try:
        while not looking.done():
            await keep_on()
            await asyncio.wait([looking], timeout=POLL_S)
        return looking.result()
    finally:
        is_nobodys.set()
        looking.cancel()


def _look_at(path: Path, part: Path, is_nobodys: Event) -> Look:
    try:
        with open(path, "rb") as file:
            is_workbook = file.read(len(WORKBOOK)) == WORKBOOK
        analysis, is_rewritten = analyse(path, is_workbook=is_workbook, rewritten=part, is_nobodys=is_nobodys)
    except FileNotFoundError:
        raise UnreadableFile(FileProblem.FILE_GONE) from None
    if not is_rewritten:
        return Look(analysis, None, 0, b"")
    with open(part, "rb") as file:
        digest = file_digest(file, "sha256").digest()
        os.fsync(file.fileno())
    return Look(analysis, part, part.stat().st_size, digest)


def _in_own_thread(act: Callable[[], Result]) -> "asyncio.Future[Result]":
    """One that a worker which stops does not wait for, long as it may take."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(set_it: Callable[[], None]) -> None:
        if not future.done():
            set_it()

    def run() -> None:
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001 - whoever waits for it is told
            told = partial(future.set_exception, error)
        else:
            told = partial(future.set_result, result)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, told)

    Thread(target=run, name="file look", daemon=True).start()
    return future
