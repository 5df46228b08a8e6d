"""Takes an upload in: row, bytes, row. Whatever dies when, nothing is left that has no row (see `Upload.receive`)."""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from uuid import UUID

from app.files.domain.media import OFFICE, ZIP, settle_type
from app.files.domain.uploads import Empty, Files, Part, Sizes, Storage, StoredFile, TooLarge

END_BYTES = 65_536
"""Of a file's beginning and of its end: what tells its type."""
WRITE_BYTES = 262_144

Sniff = Callable[[bytes, bytes], str]
"""The type of a file by its beginning and its end (b"": more is to come)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One upload of one person."""

    workspace_id: UUID
    user_id: UUID
    id: UUID
    name: str
    claimed: str
    files: Files
    storage: Storage
    sizes: Sizes
    sniff: Sniff

    async def receive(self, chunks: AsyncIterator[bytes]) -> StoredFile:
        """Raises UploadRefused, LyingType, and whatever `chunks` raises; then nothing of it is left.

        Killed before the row is settled, a row and a part, or its bytes at their place, are left: the clean-up takes
        the row with its bytes, and old parts.
        """
        await self.files.add(self.workspace_id, self.id, name=self.name, created_by=self.user_id)
        try:
            part = await self.storage.open_part(self.id)
            try:
                file = await self._write(part, chunks)
                await self.files.settle(self.workspace_id, file, part)
            finally:
                await part.discard()
        except BaseException:
            await self.files.drop(self.workspace_id, self.id)
            raise
        return file

    async def _write(self, part: Part, chunks: AsyncIterator[bytes]) -> StoredFile:
        content = Content(self.claimed, self.sizes, self.sniff)
        async for chunk in chunks:
            content.take(chunk)
            if content.waiting_bytes >= WRITE_BYTES:
                await part.write(content.waiting())
        media_type = content.settle()
        await part.write(content.waiting())
        await part.finish()
        return StoredFile(
            id=self.id, name=self.name, media_type=media_type, size=content.size, sha256=content.sha256
        )


@dataclass
class Content:
    """What has come so far: counted, hashed, and refused as soon as it shows that it must be."""

    claimed: str
    sizes: Sizes
    sniff: Sniff
    size: int = 0
    waiting_bytes: int = 0
    _head: bytes = b""
    _tail: bytes = b""
    _largest: int = 0
    _waiting: list[bytes] = field(default_factory=list)
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def take(self, chunk: bytes) -> None:
        """Raises TooLarge, LyingType."""
        self.size += len(chunk)
        self._waiting.append(chunk)
        self.waiting_bytes += len(chunk)
        if len(self._head) < END_BYTES:
            self._head = (self._head + chunk)[:END_BYTES]
            if len(self._head) == END_BYTES:
                self._largest = self.sizes.largest(self._begun())
        self._tail = (self._tail + chunk)[-END_BYTES:]
        if self.size > (self._largest or self.sizes.largest(self.claimed)):
            raise TooLarge(self._largest or self.sizes.largest(self.claimed))

    def waiting(self) -> list[bytes]:
        """What is to be written next."""
        chunks, self._waiting, self.waiting_bytes = self._waiting, [], 0
        for chunk in chunks:
            self._hash.update(chunk)
        return chunks

    def settle(self) -> str:
        """The type, when all has come. Raises Empty, TooLarge, LyingType."""
        if not self.size:
            raise Empty
        media_type = settle_type(self.claimed, self.sniff(self._head, self._tail))
        if self.size > self.sizes.largest(media_type):
            raise TooLarge(self.sizes.largest(media_type))
        return media_type

    @property
    def sha256(self) -> bytes:
        return self._hash.digest()

    def _begun(self) -> str:
        """The type by the beginning alone. What is inside a ZIP shows at its end only: until then it is believed."""
        found = self.sniff(self._head, b"")
        if found == ZIP and self.claimed.startswith(OFFICE):
            return self.claimed
        return settle_type(self.claimed, found)
