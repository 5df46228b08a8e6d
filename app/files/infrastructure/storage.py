"""Where the bytes of files are: a folder that all processes share. Another kind of storage would stand here.

`<folder>/<workspace>/<file>` is whole or not there: bytes are written to a part in `<folder>/parts`, forced to disk and
then renamed. A part is its writer's alone; one that nobody writes to any more is deleted by the clean-up.
"""

import asyncio
import errno
import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar
from uuid import UUID

from app.files.domain.uploads import StorageFull

PARTS = "parts"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
Result = TypeVar("Result")


class FileStore:
    """Thread-safe; its calls wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, workspace_id: UUID, file_id: UUID) -> Path:
        return self._folder / str(workspace_id) / str(file_id)

    def write(self, workspace_id: UUID, file_id: UUID, content: bytes) -> None:
        """All of it or nothing, and it outlives a loss of power; again is harmless. Raises StorageFull."""
        with _translated():
            part = self.begin_part(file_id)
            try:
                with open(part, "wb", opener=_private) as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                self.publish(part, workspace_id, file_id)
            finally:
                part.unlink(missing_ok=True)

    def begin_part(self, file_id: UUID) -> Path:
        """Where to write it first; of a name that no other writer has."""
        parts = self._folder / PARTS
        parts.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        return parts / f"{file_id}.{secrets.token_hex(8)}"

    def publish(self, part: Path, workspace_id: UUID, file_id: UUID) -> None:
        """Puts a written part in its place."""
        place = self.path(workspace_id, file_id)
        place.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        part.replace(place)
        _force_names(place.parent)
        _force_names(self._folder)

    def remove(self, workspace_id: UUID, file_id: UUID) -> None:
        self.path(workspace_id, file_id).unlink(missing_ok=True)

    def remove_old_parts(self, *, older_than_s: float) -> int:
        """Those that nobody has written to for so long; how many it were."""
        removed, before = 0, time.time() - older_than_s
        with suppress(FileNotFoundError):  # another worker was faster, or no file has ever come
            for part in (self._folder / PARTS).iterdir():
                with suppress(FileNotFoundError):
                    if part.stat().st_mtime < before:
                        part.unlink()
                        removed += 1
        return removed


class PartWriter:
    """Implements the port `Part`: one upload on its way, written in threads."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self._file = path, file

    async def write(self, content: Sequence[bytes]) -> None:
        await _in_thread(partial(self._write, content))

    async def finish(self) -> None:
        await _in_thread(self._force)

    async def discard(self) -> None:
        """Also after `publish`, when only the handle is left to close."""
        await _in_thread(self._drop)

    def _write(self, content: Sequence[bytes]) -> None:
        for chunk in content:
            self._file.write(chunk)

    def _force(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def _drop(self) -> None:
        self.path.unlink(missing_ok=True)
        with suppress(OSError):  # what was not written yet does not matter any more
            self._file.close()


class Parts:
    """Implements the port `Storage`."""

    def __init__(self, store: FileStore) -> None:
        self._store = store

    async def open_part(self, id: UUID) -> PartWriter:
        return await _in_thread(partial(self._open, id))

    def _open(self, id: UUID) -> PartWriter:
        path = self._store.begin_part(id)
        return PartWriter(path, open(path, "wb", opener=_private))


async def _in_thread(act: Callable[[], Result]) -> Result:
    """Not left before the thread is: a cancelled write must not run beside what tidies up after it."""
    with _translated():
        acting = asyncio.ensure_future(asyncio.to_thread(act))
        try:
            return await asyncio.shield(acting)
        except asyncio.CancelledError:
            await asyncio.wait([acting])
            raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE_FILE)


def _force_names(folder: Path) -> None:
    """A rename is safe when its folder is (Windows has nothing of the kind)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class _translated:
    """A full disk, a quota, a limit of the process: StorageFull."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, OSError) and error.errno in FULL:
            raise StorageFull from error
