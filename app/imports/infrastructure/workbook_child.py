"""A program of its own, run by path: `workbook_child.py <xlsx> <csv>`. It knows nothing of SalesPad but this file.

Its answer is its exit status. It limits itself before it looks at anything, and what it reads is counted first.
"""

import csv
import errno
import io
import os
import re
import sys
import threading
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from itertools import chain, islice
from typing import IO, Any
from xml.etree import ElementTree
from xml.parsers import expat

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

WRITTEN, BROKEN, TOO_LARGE, DISK_FULL = 0, 71, 72, 73
NO_MEMORY = expat.errors.codes[expat.errors.XML_ERROR_NO_MEMORY]
"""The code of a ParseError: where memory ends, the reader of XML says so in its own way."""
MAX_MEMORY = 2**30
MAX_CPU_S = 900
MAX_UNPACKED = 2 * 2**30
LIKELY_UNPACKED, MAX_RATIO = 64 * 2**20, 100
"""Above the one, what is packed this tightly is no table but a bomb: sheets of one and the same cell reach 40."""
MAX_ROWS = 1_048_576
"""Excel's own."""
MAX_CELLS = 1_000
"""Of a row; an import takes fewer."""
TRIED_ROWS = 200
"""The widest of the first so many says how wide the table is."""
ERRORS = frozenset({"#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!", "#CALC!"})
EXACT = 2**53
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STYLES = "xl/styles.xml"
STRICT = (
    (b"http://purl.oclc.org/ooxml/spreadsheetml/main", MAIN.encode()),
    (
        b"http://purl.oclc.org/ooxml/officeDocument/relationships",
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    ),
)
"""What "Strict Open XML" calls the same. Names stand at the beginning of a part, or in a part that is read at once."""

_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class TooLarge(Exception):
    """More than a table that people make."""


def main(source: str, target: str) -> int:
    limit_this_process()
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        check_size(source)
        write(source, target)
    except (TooLarge, MemoryError):
        return TOO_LARGE
    except OSError as error:
        if error.errno == errno.EFBIG:
            return TOO_LARGE
        return DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else BROKEN
    except Exception as error:  # noqa: BLE001 - a broken workbook fails anywhere in its reader, in any way
        return TOO_LARGE if getattr(error, "code", None) == NO_MEMORY else BROKEN
    return WRITTEN


def limit_this_process() -> None:
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
        resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_UNPACKED, MAX_UNPACKED))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(TOO_LARGE)


def check_size(source: str) -> None:
    """By what the archive says of itself; nothing is unpacked beyond that. Raises TooLarge."""
    with zipfile.ZipFile(source) as archive:
        parts = [part for part in archive.infolist() if part.filename.endswith((".xml", ".rels"))]
    unpacked, packed = sum(part.file_size for part in parts), sum(part.compress_size for part in parts)
    if unpacked > MAX_UNPACKED or (unpacked > LIKELY_UNPACKED and unpacked > MAX_RATIO * packed):
        raise TooLarge


def write(source: str, target: str) -> None:
    rows = filled_rows(source)
    first = list(islice(rows, TRIED_ROWS))
    width = max(map(len, first), default=0)
    with open(target, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        if first:
            file.write("\ufeffsep=,\r\n")  # as Excel would say it: whoever reads this guesses nothing
        writer = csv.writer(file, lineterminator="\r\n")  # else a bare "\r" stands without quotes
        for n, cells in enumerate(chain(first, rows), start=1):
            writer.writerow(cells + [""] * (width - len(cells)))
            if n % 1000 == 0 and file.tell() > MAX_UNPACKED:
                raise TooLarge


def filled_rows(source: str) -> Iterator[list[str]]:
    """Rows with anything in them, without what is empty at their ends."""
    for n, values in enumerate(first_sheet(source), start=1):
        if n > MAX_ROWS:
            raise ValueError("more rows than a sheet has")
        cells = [text_of(value) if value is not None else "" for value in values[:MAX_CELLS]]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield cells


def first_sheet(source: str) -> Iterator[Sequence[object]]:
    """Of the first sheet that is shown, formulas as what Excel last made of them."""
    os.environ["OPENPYXL_LXML"] = "False"
    from openpyxl.reader import excel

    excel.read_string_table = shared_texts
    with open(source, "rb") as file:  # of a path it would judge the ending, and uploads have none
        reader = excel.ExcelReader(file, read_only=True, data_only=True, keep_links=False)
        reader.archive = Parts(file)
        reader.read_manifest()
        reader.read_strings()
        reader.read_workbook()
        excel.apply_stylesheet(reader.archive, reader.wb)
        reader.read_worksheets()
        book = reader.wb
        sheets: list[Any] = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        sheet = (sheets or book.worksheets)[0]
        sheet.reset_dimensions()  # what the file says of its size may be wrong
        yield from sheet.iter_rows(values_only=True)


class Parts(zipfile.ZipFile):
    """What a workbook is made of. Many a program writes colours, fonts and fills that its reader refuses, and the whole
    workbook for them: it gets the formats of numbers alone, by which it knows dates."""

    def getinfo(self, name: str) -> zipfile.ZipInfo:
        """Where programs made on Windows mean a part, they may write its name otherwise: SharedStrings.xml."""
        return super().getinfo({one.lower(): one for one in self.namelist()}.get(name.lower(), name))

    def open(self, name: Any, *args: Any, **options: Any) -> Any:
        part = Part(super().open(name, *args, **options))
        return io.BytesIO(without_looks(part.read())) if name == STYLES else part


class Part(io.RawIOBase):
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        content = self._file.read(size)
        for strict, usual in STRICT:
            content = content.replace(strict, usual)
        return content

    def close(self) -> None:
        self._file.close()
        super().close()


def shared_texts(source: IO[bytes]) -> list[str]:
    texts = []
    for _, node in ElementTree.iterparse(source):  # noqa: S314 - within limits
        if node.tag == f"{{{MAIN}}}si":
            texts.append(
                "".join(one.text or "" for path in ("{*}t", "{*}r/{*}t") for one in node.iterfind(path))
            )
            node.clear()
    return texts


def without_looks(styles: bytes) -> bytes:
    old, new = ElementTree.fromstring(styles), ElementTree.Element(f"{{{MAIN}}}styleSheet")  # noqa: S314 - within limits
    formats = ElementTree.SubElement(new, f"{{{MAIN}}}numFmts")
    formats.extend(one for one in old.iterfind("{*}numFmts/{*}numFmt") if one.get("formatCode"))
    cells = ElementTree.SubElement(new, f"{{{MAIN}}}cellXfs")
    for one in old.iterfind("{*}cellXfs/{*}xf"):
        ElementTree.SubElement(cells, f"{{{MAIN}}}xf", numFmtId=one.get("numFmtId", "0"))
    return ElementTree.tostring(new)


def text_of(value: object) -> str:
    if isinstance(value, str):
        return "" if value in ERRORS else _ESCAPED.sub(lambda escaped: chr(int(escaped[1], 16)), value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < EXACT else repr(value)
    if isinstance(value, datetime):
        is_day = value.time() == time()
        return value.date().isoformat() if is_day else value.isoformat(timespec="seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


if __name__ == "__main__":
    os._exit(main(*sys.argv[1:]))
