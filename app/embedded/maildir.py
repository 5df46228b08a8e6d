"""The local mailbox's folder, a Maildir: mails that would have left the machine are kept in it, one file each.

The file's name is a digest of the envelope and the mail, so that a sender's second try of the same mail finds it kept.
Written to `tmp`, synced, renamed into `new`: what is kept outlives a crash, and no reader meets half a mail.
"""

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ID = re.compile(r"[0-9a-f]{40}")
UNSAFE = re.compile(r"[\x00-\x20\x7f]")
HEAD_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Kept:
    """A mail in the folder."""

    id: str
    at: datetime
    size: int


class Maildir:
    def __init__(self, root: Path) -> None:
        self._new, self._tmp = root / "new", root / "tmp"

    def keep(self, raw: bytes, *, sender: str, recipients: Sequence[str]) -> str:
        """The mail's id, once it is on the disk, under the lines a mail server puts on top. Raises OSError."""
        for folder in (self._new, self._tmp, self._new.with_name("cur")):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = [f"Return-Path: <{one_word(sender)}>"]
        lines += [f"Delivered-To: {one_word(recipient)}" for recipient in recipients]
        content = "".join(f"{line}\r\n" for line in lines).encode() + raw
        name = hashlib.sha256(content).hexdigest()[:40]
        if not (self._new / name).exists():
            draft = self._tmp / f"{name}.{secrets.token_hex(8)}"
            try:
                write_synced(draft, content)
                draft.replace(self._new / name)
            except OSError:
                draft.unlink(missing_ok=True)
                raise
        sync_folder(self._new)
        return name

    def newest(self, *, skip: int, limit: int) -> tuple[list[Kept], int]:
        """A page of what is there, the newest first, and how many there are."""
        kept = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._new) as entries:
            for entry in entries:
                if ID.fullmatch(entry.name):
                    found = entry.stat()
                    kept.append((found.st_mtime_ns, entry.name, found.st_size))
        kept.sort(reverse=True)
        page = kept[skip : skip + limit]
        return [Kept(name, moment(time_ns), size) for time_ns, name, size in page], len(kept)

    def read(self, id: str, *, limit: int = -1) -> tuple[Kept, bytes] | None:
        """The mail's bytes, the first `limit` of them; None where it is not, or no longer, there."""
        if not ID.fullmatch(id):
            return None
        try:
            with (self._new / id).open("rb") as file:
                found = os.fstat(file.fileno())
                return Kept(id, moment(found.st_mtime_ns), found.st_size), file.read(limit)
        except FileNotFoundError:
            return None


def one_word(address: str) -> str:
    """An envelope's address as one line of a header."""
    return UNSAFE.sub("", address.encode(errors="replace").decode())


def moment(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns / 1e9, UTC)


def write_synced(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def sync_folder(folder: Path) -> None:
    """A rename is on the disk once its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
