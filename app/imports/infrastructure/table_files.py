"""The doors to an uploaded table: `analyse` reads all of it once, `read_rows` goes on from a checkpoint.

Both hold little more than a block of it, whatever its size, and wait for the disk: they are for threads.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from app.imports.domain.dialect import (
    MAX_CELL,
    MAX_COLUMNS,
    MAX_PREVIEW_CELL,
    PREVIEW_ROWS,
    Analysis,
    Dialect,
    FileProblem,
    RawRow,
    UnreadableFile,
)
from app.imports.domain.outcomes import RowCode, RowProblem
from app.imports.infrastructure.dialects import find_dialect
from app.imports.infrastructure.encodings import open_file, text_kind
from app.imports.infrastructure.records import RecordReader
from app.imports.infrastructure.rewriting import rewrite_utf_16
from app.imports.infrastructure.workbook import rewrite_workbook

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def analyse(
    path: Path, *, is_workbook: bool, rewritten: Path, is_nobodys: Event | None = None
) -> tuple[Analysis, bool]:
    """True: `rewritten` was written and is to be read from now on; who looks at that finds the same. `is_nobodys`: then
    no workbook is read any longer. Raises UnreadableFile; again is harmless."""
    kind = None if is_workbook else text_kind(path)
    if is_rewritten := kind is None or kind.is_utf_16:
        if kind is None:
            rewrite_workbook(path, rewritten, is_nobodys)
        else:
            rewrite_utf_16(path, kind, rewritten)
        path, kind = rewritten, text_kind(rewritten)
    dialect, columns = find_dialect(path, kind)
    preview: list[list[str]] = []
    total = 0
    rows = read_rows(path, dialect, len(columns), offset=dialect.data_offset, n=1)
    for row in rows:
        cells = [cell[:MAX_PREVIEW_CELL] for cell in row.cells[: len(columns)]]
        preview.append(cells + [""] * (len(columns) - len(cells)))
        total = row.n
        if total == PREVIEW_ROWS:
            total += _count_rows(path, dialect, offset=row.end, before=total)
            break
    if not total:
        raise UnreadableFile(FileProblem.HEADER_ONLY)
    return Analysis(dialect, columns, preview, total), is_rewritten


def read_rows(path: Path, dialect: Dialect, columns: int, *, offset: int, n: int) -> Iterator[RawRow]:
    """The rows from a checkpoint on, lazily: the first is the row `n` and begins at the byte `offset`.

    One row may take `MAX_RECORD` bytes: who collects them counts bytes (`end`), not rows alone. Raises UnreadableFile.
    """
    with open_file(path) as file:
        reader = RecordReader(file, dialect.encoding, dialect.delimiter, offset=offset)
        start, make = offset, tuple.__new__  # RawRow(...) takes twice as long
        try:
            for cells in reader:
                end = reader.end
                if any(cells):
                    if len(cells) == columns and end - start <= MAX_CELL and start >= reader.dirty_until:
                        yield make(RawRow, (n, cells, None, end))
                    else:
                        yield _judged(RawRow(n, cells, None, end), columns)
                    n += 1
                start = end
        except UnreadableFile as unreadable:
            raise UnreadableFile(unreadable.problem, n) from None


def _judged(row: RawRow, columns: int) -> RawRow:
    """A row that may have a problem; what is kept of it can be stored, and is no longer than a row may be."""
    cells = [cell[:MAX_CELL] for cell in row.cells[: MAX_COLUMNS + 1]]
    code = None
    if len(row.cells) != columns:
        code = RowCode.RAGGED_ROW
    elif any(map(_UNSTORABLE.search, row.cells)):
        code = RowCode.INVALID_TEXT
    elif max(map(len, row.cells)) > MAX_CELL:
        code = RowCode.TOO_LONG
    storable = [_UNSTORABLE.sub("\ufffd", cell) for cell in cells]
    return row._replace(cells=storable, problem=RowProblem(code, None) if code else None)


def _count_rows(path: Path, dialect: Dialect, *, offset: int, before: int) -> int:
    rows = 0
    with open_file(path) as file:
        try:
            for cells in RecordReader(file, dialect.encoding, dialect.delimiter, offset=offset):
                if any(cells):
                    rows += 1
        except UnreadableFile as unreadable:
            raise UnreadableFile(unreadable.problem, before + rows + 1) from None
    return rows
