"""A file written anew as UTF-8 beside its upload: whole or not there, and writing it again is harmless."""

import codecs
import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.imports.domain.dialect import FileProblem, UnreadableFile
from app.imports.infrastructure.encodings import BLOCK, TextKind, open_file

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PRIVATE_FILE = 0o600


@contextmanager
def written_whole(place: Path) -> Iterator[Path]:
    """Gives the part to write; it is put in its place at the end. Raises UnreadableFile where the disk is full."""
    remove_rewritten(place)  # what a killed worker left
    part = place.with_name(f"{place.name}.part-{secrets.token_hex(8)}")
    try:
        part.touch(mode=PRIVATE_FILE, exist_ok=False)
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        part.replace(place)
    except OSError as error:
        if error.errno in FULL:
            raise UnreadableFile(FileProblem.DISK_FULL) from None
        raise
    finally:
        part.unlink(missing_ok=True)


def remove_rewritten(place: Path) -> None:
    """The file written anew, with what was ever begun of it."""
    for one in place.parent.glob(f"{place.name}*"):
        one.unlink(missing_ok=True)


def rewrite_utf_16(path: Path, kind: TextKind, rewritten: Path) -> None:
    """Half a pair of surrogates stays what it is: no character, and so its row's error. Raises UnreadableFile."""
    decoder = codecs.getincrementaldecoder(kind.encoding)("surrogatepass")
    with open_file(path) as file, written_whole(rewritten) as part, open(part, "wb") as text:
        text.write(codecs.BOM_UTF8)  # or one broken character could make another encoding of it
        file.seek(kind.start)
        while block := file.read(BLOCK):
            text.write(decoder.decode(block).encode(errors="surrogatepass"))
        left = decoder.getstate()[0]
        if left.strip(b"\0\r\n "):
            text.write(b"\xff")  # half a character at the very end
