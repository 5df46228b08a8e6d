"""How a text file is written, told by how it begins: its delimiter, which of its records is the header, its columns.

Each delimiter is tried with `csv` itself. The one wins under which most records are as wide as the header, and many
columns weigh more than few: a comma in every price never does against the semicolon between them. What stands in
front of the header (titles, notes, Excel's `sep=`) is left out. A first record in which somebody's e-mail address, web
address or number stands is no header but a person: the columns are then `Column 1`, `Column 2`, and nobody is lost.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.imports.domain.dialect import (
    MAX_COLUMNS,
    MAX_HEADER,
    ONE_COLUMN,
    REPORT_COLUMNS,
    Dialect,
    FileProblem,
    UnreadableFile,
    unnamed_column,
)
from app.imports.domain.guards import unguarded
from app.imports.infrastructure.encodings import BLOCK, TextKind, open_file
from app.imports.infrastructure.records import RecordReader

DELIMITERS = (",", ";", "\t", "|")
TRIED_RECORDS = 200
PREAMBLE_RECORDS = 50
"""Of the first so many one is the header."""
BEHIND_PREAMBLE, PROSE, LEAST = 0.7, 0.5, 0.3
"""What lowers the score of a delimiter, and the score under which there is none."""
LEAST_UNDER_HEADER = 0.1
"""That score where the first record is a row of names: then it is the rows below that are ragged."""

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*')
# A number has eight digits or more, but two years ("2023-2024") are a heading.
_DATA = re.compile(
    r"[^\s@]+@[^\s@]+\.\w+|(?:https?://|www\.)\S+|(?!\d{4}\s*-\s*\d{4}$)(?=(?:\D*\d){8})\+?[\d\s().-]+"
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

Record = Sequence[str]


@dataclass(frozen=True, slots=True)
class _Look:
    """The first records under one delimiter."""

    records: Sequence[Record]
    width: int
    """Of most of them."""
    header: int
    """Which of them it is."""

    @property
    def score(self) -> float:
        first = next((n for n, record in enumerate(self.records) if any(record)), 0)
        below = [record for record in self.records[self.header :] if any(record)]
        score = sum(len(record) == self.width for record in below) / len(below) * (1 - 1 / self.width)
        if self.header > first:
            header = self.records[self.header]
            score *= BEHIND_PREAMBLE
            if looks_like_data(header) or any(cell.startswith(" ") for cell in header):
                score *= PROSE
        return score

    @property
    def is_headed(self) -> bool:
        header = self.records[self.header]
        names = all(cell.strip() and not cell.startswith(" ") for cell in header)
        return self.header == 0 and len(header) > 1 and names and not looks_like_data(header)


def find_dialect(path: Path, kind: TextKind) -> tuple[Dialect, Sequence[str]]:
    """With the columns. Raises UnreadableFile."""
    start, delimiter = _separator_line(path, kind)
    looks = {one: _look(path, kind, start, one) for one in ([delimiter] if delimiter else DELIMITERS)}
    best = max(looks, key=lambda one: looks[one].score)
    if not delimiter and looks[best].score < (LEAST_UNDER_HEADER if looks[best].is_headed else LEAST):
        best, looks = ONE_COLUMN, {ONE_COLUMN: _look(path, kind, start, ONE_COLUMN)}
    look = looks[best]
    header = look.records[look.header]
    is_first = not any(map(any, look.records[: look.header]))
    has_header = not (is_first and looks_like_data(header))
    offset = _end_of_record(path, kind, start, best, look.header) if has_header else start
    raw = tuple(cell.strip().lower() for cell in header[-len(REPORT_COLUMNS) :])
    is_report = has_header and raw == REPORT_COLUMNS and len(header) > len(REPORT_COLUMNS)
    names = [unguarded(cell) if is_report else cell for cell in header] if has_header else [""] * look.width
    if not any(any(record[len(names) :]) for record in look.records[look.header + 1 :]):
        names += [""] * (look.width - len(names))  # each row ends with a delimiter, and the header does not
    if len(names) > MAX_COLUMNS:
        raise UnreadableFile(FileProblem.TOO_MANY_COLUMNS)
    return Dialect(kind.encoding, best, offset, is_report), named_columns(names)


def looks_like_data(record: Record) -> bool:
    return any(_DATA.fullmatch(cell[:MAX_HEADER].strip()) for cell in record)


def named_columns(header: Record) -> list[str]:
    """None empty, no two equal: `Column 3`, `Nome (2)`."""
    names: list[str] = []
    taken: set[str] = set()
    for n, cell in enumerate(header, start=1):
        told = " ".join(_UNSTORABLE.sub("\ufffd", cell[: 2 * MAX_HEADER]).split())[
            :MAX_HEADER
        ] or unnamed_column(n)
        name, again = told, 2
        while name in taken:
            name, again = f"{told} ({again})", again + 1
        names.append(name)
        taken.add(name)
    return names


def header_index(records: Sequence[Record], width: int) -> int:
    """Titles and notes fill one cell, or few; a header fills as many as most rows have, or half of them."""
    fallback = None
    for n, record in enumerate(records[:PREAMBLE_RECORDS]):
        filled = sum(bool(cell.strip()) for cell in record)
        if not filled:
            continue
        fallback = n if fallback is None else fallback
        if len(record) != width:
            is_header = filled >= max(2, width / 2)
        elif width > 2 or filled > 1:
            is_header = filled > 1
        else:
            is_header = width == 1 or n + 1 >= len(records) or any(records[n + 1])
        if is_header:
            return n
    return fallback or 0


def _separator_line(path: Path, kind: TextKind) -> tuple[int, str | None]:
    """Excel's first line `sep=;`: where the file goes on, and the delimiter."""
    with open_file(path) as file:
        file.seek(kind.start)
        line = next(iter(file.read(20).splitlines(keepends=True)), b"")
    said = _SEPARATOR_LINE.fullmatch(line.decode("latin-1"))
    if said is None or not line.endswith((b"\n", b"\r")):
        return kind.start, None
    return kind.start + len(line), said[1]


def _look(path: Path, kind: TextKind, start: int, delimiter: str) -> _Look:
    records: list[Record] = []
    with open_file(path) as file:
        reader = RecordReader(file, kind.encoding, delimiter, offset=start)
        try:
            for cells in reader:
                records.append(cells)
                if len(records) >= TRIED_RECORDS or reader.end - start > BLOCK:
                    break
        except UnreadableFile as unreadable:
            if not any(map(any, records)):
                raise UnreadableFile(unreadable.problem, row=1) from None
    widths = Counter(len(record) for record in records if len(record) > 1 and any(record))
    width = max(widths, key=lambda one: (widths[one], one)) if widths else 1
    return _Look(records, width, header_index(records, width))


def _end_of_record(path: Path, kind: TextKind, start: int, delimiter: str, index: int) -> int:
    with open_file(path) as file:
        reader = RecordReader(file, kind.encoding, delimiter, offset=start)
        for n, _ in enumerate(reader):
            if n == index:
                break
        return reader.end
