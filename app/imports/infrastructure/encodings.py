"""What bytes a text file is made of: told by all of them, in one pass of constant memory."""

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.imports.domain.dialect import FileProblem, UnreadableFile

BLOCK = 65_536
"""Bytes read at once; even, so that every block of UTF-16 begins with a whole unit."""
UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
OTHER_KINDS = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF8",
    b"%PDF-",
    b"{\\rtf",
    b"\xd0\xcf\x11\xe0",
    b"\x1f\x8b",
    b"Rar!",
    b"7z\xbc\xaf",
    b"SQLite format 3\x00",
)
MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<table", b"<svg", b'{"', b'[{"')
"""Texts that are no tables: a page saved as .csv or .xls, XML, JSON."""
NOTHING = b" \t\r\n\x0b\x0c,;|\"'"
CONTROLS = bytes({*range(1, 32)} - {*b"\t\n\r\x0b\x0c\x1a\x1b"})
MANY_CONTROLS = 0.02
"""Of a file's first block: more, and it is no text."""
MANY_NULS = 0.3
UTF_16_NULS = 0.1
"""Of the bytes at even or at odd places: even a Chinese table has its delimiters, digits and line feeds."""

MAC_LETTERS = b"\x87\x88\x89\x8b\x8d\x8e\x8f\x90\x9b\x9c\x9f"
"""áàâãçéèêõúü as Excel for the Mac saves them; to Windows they are signs that hardly anybody writes, or nothing."""
WINDOWS_LETTERS = bytes({*range(0xC0, 0x100)} - {*b"\xd0\xd2\xd3\xd5"})
"""But for a Mac's dash and quotes."""


@dataclass(frozen=True, slots=True)
class TextKind:
    encoding: str
    start: int
    """The bytes of its mark."""

    @property
    def is_utf_16(self) -> bool:
        return self.encoding.startswith("utf-16")


@dataclass(slots=True)
class _Count:
    size: int = 0
    nuls: int = 0
    even_nuls: int = 0
    characters: int = 0
    """Of more than one byte, at least."""
    broken: int = 0
    mac: int = 0
    windows: int = 0
    """Letters, if they are those of the one or of the other."""
    is_empty: bool = True


def text_kind(path: Path) -> TextKind:
    """Reads the whole file. Raises UnreadableFile: EMPTY, NOT_A_TABLE."""
    with open_file(path) as file:
        head = file.read(BLOCK)
        _check_kind(head)
        for mark, encoding in UTF_16.items():
            if head.startswith(mark):
                return TextKind(encoding, len(mark))
        has_mark = head.startswith(codecs.BOM_UTF8)
        count = _count(file, head.removeprefix(codecs.BOM_UTF8) if has_mark else head)
    if count.is_empty:
        raise UnreadableFile(FileProblem.EMPTY)
    if not has_mark and count.nuls and (by_nuls := _utf_16_by_nuls(count)):
        return TextKind(by_nuls, 0)
    controls = len(head) - len(head.translate(None, CONTROLS))
    if controls > MANY_CONTROLS * len(head) or count.nuls > MANY_NULS * count.size:
        raise UnreadableFile(FileProblem.NOT_A_TABLE)
    if has_mark:
        return TextKind("utf-8", len(codecs.BOM_UTF8))
    # Bytes of another encoding are hardly ever right UTF-8 by chance; and a broken byte is its row's error, where
    # taking the rest for cp1252 would garble every other name and tell nobody.
    if count.characters >= count.broken:
        return TextKind("utf-8", 0)
    return TextKind("mac_roman" if count.mac > count.windows else "cp1252", 0)


def open_file(path: Path) -> BinaryIO:
    """Raises UnreadableFile where it is not there any more."""
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise UnreadableFile(FileProblem.FILE_GONE) from None


def decode_line(line: bytes, encoding: str) -> str:
    """What is no character of the encoding becomes a lone surrogate (UTF-8), or what Latin-1 has there."""
    return line.decode(encoding, "surrogateescape" if encoding == "utf-8" else "salespad-latin-1")


def _latin_1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("salespad-latin-1", _latin_1)


def _check_kind(head: bytes) -> None:
    if head.startswith(OTHER_KINDS) or head.lstrip(codecs.BOM_UTF8 + b" \r\n\t")[:20].lower().startswith(
        MARKUP
    ):
        raise UnreadableFile(FileProblem.NOT_A_TABLE)


def _count(file: BinaryIO, block: bytes) -> _Count:
    count = _Count()
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    while block:
        if count.is_empty:
            count.is_empty = not block.translate(None, NOTHING)
        if b"\0" in block:
            count.nuls += block.count(0)
            count.even_nuls += block[count.size % 2 :: 2].count(0)
        count.size += len(block)
        if not block.isascii() or decoder.getstate()[0]:
            _judge(count, block, decoder.decode(block))
        block = file.read(BLOCK)
    _judge(count, b"", decoder.decode(b"", final=True))
    return count


def _judge(count: _Count, block: bytes, text: str) -> None:
    count.characters += max(0, len(block) - len(text))
    count.mac += len(block) - len(block.translate(None, MAC_LETTERS))
    count.windows += len(block) - len(block.translate(None, WINDOWS_LETTERS))
    try:
        text.encode()
    except UnicodeEncodeError:
        count.broken += len(text) - len(text.encode(errors="ignore").decode())


def _utf_16_by_nuls(count: _Count) -> str | None:
    """A text of Latin letters has NUL in every other byte."""
    odd_nuls = count.nuls - count.even_nuls
    least = UTF_16_NULS * count.size / 2
    if odd_nuls > least and count.even_nuls * 10 < odd_nuls:
        return "utf-16-le"
    if count.even_nuls > least and odd_nuls * 10 < count.even_nuls:
        return "utf-16-be"
    return None
