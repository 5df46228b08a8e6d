"""The records of a text file with the byte at which each ends: `csv` over lines that are read, and counted, as bytes.

A file is read in blocks, of which little more than one is held at a time. Blocks end at multiples of their size,
wherever reading begins: what is judged by them does not depend on the checkpoint.
"""

import csv
from collections.abc import Iterator
from itertools import accumulate, chain
from typing import BinaryIO

from app.imports.domain.dialect import MAX_LINE, ONE_COLUMN, FileProblem, UnreadableFile
from app.imports.infrastructure.encodings import BLOCK, decode_line

MAX_FIELD = MAX_LINE + 2 * BLOCK
"""Characters; no line that is let through is longer, so a longer cell is one whose quote was never closed."""
MAX_RECORD = 2 * MAX_LINE
NO_DELIMITER = "\x1f"
BEHIND_THE_END = -1


class RecordReader:
    """Iterated once: lists of cells; a line with nothing is none. `end` is the byte after the last one given."""

    def __init__(self, file: BinaryIO, encoding: str, delimiter: str, *, offset: int) -> None:
        file.seek(offset)
        self.end = offset
        self.dirty_until = 0
        """What ends in front of it or begins behind it holds no NUL and nothing undecodable, as far as read."""
        self._file, self._encoding, self._position = file, encoding, offset
        self._given = offset
        """Where the last line ends that csv was given: behind `end`, while a quote is open."""
        self._ends: list[int] = []
        self._lines = 1
        """The number of the line that `_ends` begins with."""
        csv.field_size_limit(MAX_FIELD)  # of the process; nothing else in it reads with csv
        separator = NO_DELIMITER if delimiter == ONE_COLUMN else delimiter
        self._reader = csv.reader(chain.from_iterable(self._blocks()), delimiter=separator)

    def __iter__(self) -> Iterator[list[str]]:
        """Raises UnreadableFile: LINE_TOO_LONG, OPEN_QUOTE."""
        reader = self._reader
        try:
            for cells in reader:
                end = self._ends[reader.line_num - self._lines]
                if end == BEHIND_THE_END:
                    if cells:
                        raise UnreadableFile(FileProblem.OPEN_QUOTE)
                    return
                self.end = end
                if cells:
                    yield cells
        except csv.Error:  # of those that csv has, only this one can be
            raise UnreadableFile(FileProblem.OPEN_QUOTE) from None

    def _blocks(self) -> Iterator[list[str]]:
        """Whole lines, each with what ends it; then an empty one, which only an open quote takes in."""
        carried = b""
        while block := self._file.read(BLOCK - self._position % BLOCK):
            start = self._position - len(carried)
            self._position += len(block)
            if b"\0" in block:
                self.dirty_until = self._position
            whole = carried + block
            if self.end == self._given and not whole.strip(b"\r\n"):  # millions of empty lines cost nothing
                carried = whole[len(whole.rstrip(b"\r")) :][-1:]
                self.end = self._given = self._position - len(carried)
                continue
            lines = whole.splitlines(keepends=True)
            carried = b"" if lines[-1].endswith(b"\n") else lines.pop()  # "\r" may be half a line end
            if len(carried) > MAX_LINE:
                raise UnreadableFile(FileProblem.LINE_TOO_LONG)
            if start - self.end > MAX_RECORD:
                raise UnreadableFile(FileProblem.OPEN_QUOTE)
            if lines:
                yield self._decoded(lines, start)
        if carried:
            yield self._decoded([carried], self._position - len(carried))
        self._lines += len(self._ends)
        self._ends = [BEHIND_THE_END]
        yield [""]

    def _decoded(self, lines: list[bytes], start: int) -> list[str]:
        self._lines += len(self._ends)
        self._ends = list(accumulate(map(len, lines), initial=start))
        del self._ends[0]
        self._given = self._ends[-1]
        try:
            if self._encoding == "utf-8" or all(map(bytes.isascii, lines)):
                return list(map(bytes.decode, lines))
        except UnicodeDecodeError:
            self.dirty_until = self._position
        return [decode_line(line, self._encoding) for line in lines]
