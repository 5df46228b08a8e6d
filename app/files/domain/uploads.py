"""An upload: how large it may be, what it became, why it cannot be used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.common.domain import Conflict, Invalid, NotFound
from app.files.domain.media import IMPORTED


@dataclass(frozen=True, slots=True)
class Sizes:
    """The largest files taken, in bytes."""

    upload: int
    imported: int

    def largest(self, media_type: str) -> int:
        return max(self.upload, self.imported) if media_type in IMPORTED else self.upload


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file all of whose bytes are in the storage."""

    id: UUID
    name: str
    media_type: str
    size: int
    sha256: bytes


class Files(Protocol):
    """The rows of files, each call in a transaction of its own."""

    async def add(self, workspace_id: UUID, id: UUID, *, name: str, created_by: UUID) -> None: ...

    async def settle(self, workspace_id: UUID, file: StoredFile, part: "Part") -> None:
        """The row and the bytes at their place, or neither. Raises UploadGone."""

    async def drop(self, workspace_id: UUID, id: UUID) -> None:
        """An upload that came to nothing; one that is settled stays."""


class Part(Protocol):
    """Bytes on their way into the storage."""

    async def write(self, content: Sequence[bytes]) -> None:
        """Raises StorageFull."""

    async def finish(self) -> None:
        """Returns when they would outlive a loss of power. Raises StorageFull."""

    async def discard(self) -> None: ...


class Storage(Protocol):
    async def open_part(self, id: UUID) -> Part:
        """Raises StorageFull."""


class UploadRefused(Exception):
    """It is not taken; the message says what to do."""


class TooLarge(UploadRefused):
    def __init__(self, largest: int) -> None:
        super().__init__(f"This file may take {largest:,} bytes: send a smaller one.")


class Empty(UploadRefused):
    def __init__(self) -> None:
        super().__init__("The body is empty: send the file's bytes as the body.")


class StorageFull(UploadRefused):
    def __init__(self) -> None:
        super().__init__("There is no room for it: ask whoever runs this server to free some.")


class UploadGone(UploadRefused):
    def __init__(self) -> None:
        super().__init__("The upload took too long and was given up: send it again.")


class UploadNotFound(NotFound):
    def __init__(self, path: Sequence[str]) -> None:
        super().__init__("No such upload: upload the file and use the token it gave you.", path=path)


class UploadExpired(Invalid):
    def __init__(self, path: Sequence[str]) -> None:
        super().__init__("This upload is too old: upload the file again.", path=path)


class UploadUsed(Conflict):
    def __init__(self, path: Sequence[str]) -> None:
        super().__init__("This upload is used already: upload the file again.", path=path)
