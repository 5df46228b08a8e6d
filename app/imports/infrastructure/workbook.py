"""The first sheet of an XLSX as CSV. A workbook can be made to take any memory and time: a child of its own reads it,
within limits that end the child and nobody else. It ends also when who started it does: its stdin closes; and when
nobody wants it any more."""

import subprocess
import sys
from pathlib import Path
from threading import Event

from app.imports.domain.dialect import FileProblem, UnreadableFile
from app.imports.infrastructure import workbook_child
from app.imports.infrastructure.encodings import open_file
from app.imports.infrastructure.rewriting import written_whole

POLL_S = 0.25
ENDINGS = {
    workbook_child.BROKEN: FileProblem.BROKEN_WORKBOOK,
    workbook_child.TOO_LARGE: FileProblem.TOO_LARGE_UNPACKED,
    workbook_child.DISK_FULL: FileProblem.DISK_FULL,
}


class NobodyWaits(Exception):
    """The import was canceled, or is another worker's by now."""


def rewrite_workbook(path: Path, rewritten: Path, is_nobodys: Event | None = None) -> None:
    """Raises UnreadableFile: BROKEN_WORKBOOK, TOO_LARGE_UNPACKED, FILE_GONE, DISK_FULL; NobodyWaits."""
    open_file(path).close()
    with written_whole(rewritten) as part:
        command = [sys.executable, "-I", workbook_child.__file__, str(path), str(part)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}) as child:  # noqa: S603 - our own program
            try:
                while (ending := _ending(child)) is None:
                    if is_nobodys is not None and is_nobodys.is_set():
                        raise NobodyWaits
            finally:
                child.kill()
        if ending == workbook_child.WRITTEN:
            return
        if not path.exists():
            raise UnreadableFile(FileProblem.FILE_GONE)
        # What a limit ended has no number of ours: it was killed, or had no memory left to say so.
        raise UnreadableFile(ENDINGS.get(ending, FileProblem.TOO_LARGE_UNPACKED))


def _ending(child: "subprocess.Popen[bytes]") -> int | None:
    try:
        return child.wait(timeout=POLL_S)
    except subprocess.TimeoutExpired:
        return None
