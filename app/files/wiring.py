"""The door to files: uploads taken in and used, what mails bring, signed links, the clean-up."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from app.common.domain import Actor, Refusals, SalesPadError
from app.common.work import Doors, Work
from app.files.application.uploads import END_BYTES, Upload
from app.files.domain.media import LyingType, claimed_type, settle_type
from app.files.domain.names import clean_name
from app.files.domain.uploads import (
    Sizes,
    StoredFile,
    UploadExpired,
    UploadGone,
    UploadNotFound,
    UploadUsed,
)
from app.files.infrastructure.reads import find_stored
from app.files.infrastructure.repository import (
    FileRepository,
    add_received,
    drop_unused,
    let_go,
    remove,
    replace,
    take,
)
from app.files.infrastructure.sniffing import sniff
from app.files.infrastructure.storage import FileStore, Parts
from app.files.infrastructure.tokens import Expired, FileTokens
from app.settings import Settings


def file_store(settings: Settings) -> FileStore:
    return FileStore(settings.files_folder)


def upload_sizes(settings: Settings) -> Sizes:
    return Sizes(settings.upload_max_bytes, settings.import_upload_max_bytes)


async def receive_upload(
    doors: Doors, settings: Settings, actor: Actor, *, name: str, claimed: str, chunks: AsyncIterator[bytes]
) -> tuple[StoredFile, str]:
    """The file and its token. Raises UploadRefused, LyingType."""
    store = file_store(settings)
    upload = Upload(
        workspace_id=actor.workspace_id,
        user_id=actor.user_id,
        id=uuid7(),
        name=name,
        claimed=claimed,
        files=FileRepository(doors, store),
        storage=Parts(store),
        sizes=upload_sizes(settings),
        sniff=sniff,
    )
    file = await upload.receive(chunks)
    return file, FileTokens(settings).upload(actor.workspace_id, actor.user_id, file.id)


async def take_uploads(
    work: Work, workspace_id: UUID, user_id: UUID, tokens: Sequence[str], settings: Settings
) -> list[UUID]:
    """The files these tokens stand for, in their order, now used: nothing else can use them, unless `work` fails.

    Raises UploadNotFound (also for somebody else's), UploadExpired, UploadUsed at ("attachmentTokens", index), or
    several at once as Refusals.
    """
    found, refusals = _read_tokens(FileTokens(settings), workspace_id, user_id, tokens)
    taken, used = await take(work, workspace_id, user_id, list(found)) if found else (set(), set())
    for id, path in found.items():
        if id not in taken:
            refusals.append(UploadUsed(path) if id in used else UploadNotFound(path))
    if refusals:
        raise refusals[0] if len(refusals) == 1 else Refusals(refusals)
    return list(found)


def _read_tokens(
    tokens_of: FileTokens, workspace_id: UUID, user_id: UUID, tokens: Sequence[str]
) -> tuple[dict[UUID, tuple[str, str]], list[SalesPadError]]:
    """The files' ids with their places in the input, and what is wrong with the others."""
    found: dict[UUID, tuple[str, str]] = {}
    refusals: list[SalesPadError] = []
    for index, token in enumerate(tokens):
        path = ("attachmentTokens", str(index))
        upload = tokens_of.read_upload(token)
        if upload is None or (upload.workspace_id, upload.user_id) != (workspace_id, user_id):
            refusals.append(UploadNotFound(path))
        elif tokens_of.is_upload_expired(token):
            refusals.append(UploadExpired(path))
        elif upload.file_id in found:
            refusals.append(UploadUsed(path))
        else:
            found[upload.file_id] = path
    return found, refusals


def read_upload(workspace_id: UUID, user_id: UUID, token: str, settings: Settings, path: str) -> UUID:
    """The file that a token of theirs stands for, used or not. Raises UploadNotFound."""
    upload = FileTokens(settings).read_upload(token)
    if upload is None or (upload.workspace_id, upload.user_id) != (workspace_id, user_id):
        raise UploadNotFound((path,))
    return upload.file_id


async def take_upload(
    work: Work, workspace_id: UUID, user_id: UUID, token: str, settings: Settings, path: str
) -> StoredFile:
    """As `take_uploads`, of one file, at (path,). A token that was good for a file that is gone was used.

    Raises UploadNotFound, UploadExpired, UploadUsed.
    """
    id = read_upload(workspace_id, user_id, token, settings, path)
    if FileTokens(settings).is_upload_expired(token):
        raise UploadExpired((path,))
    taken, _ = await take(work, workspace_id, user_id, [id])
    row = await find_stored(work, workspace_id, id) if id in taken else None
    if row is None:
        raise UploadUsed((path,))
    return StoredFile(
        id=id, name=row["name"], media_type=row["media_type"], size=row["size"], sha256=row["sha256"]
    )


async def add_received_file(
    work: Work, workspace_id: UUID, *, id: UUID, name: str, claimed_media_type: str, content: bytes
) -> None:
    """The row of what came with a mail; its bytes are in the store under the same id before. Again changes nothing."""
    name = clean_name(name)
    found = sniff(content[:END_BYTES], content[-END_BYTES:])
    try:
        media_type = settle_type(claimed_type(claimed_media_type, name), found)
    except LyingType:  # nobody is there to be told: what it is stands above what it says
        media_type = found
    digest = await asyncio.to_thread(lambda: hashlib.sha256(content).digest())
    file = StoredFile(id=id, name=name, media_type=media_type, size=len(content), sha256=digest)
    await add_received(work, workspace_id, file)


def file_url(settings: Settings, workspace_id: UUID, file_id: UUID) -> str:
    """A link that whoever holds it may open for `file_link_ttl_s`."""
    return f"{settings.base_url}/files/{FileTokens(settings).link(workspace_id, file_id)}"


async def remove_files(doors: Doors, settings: Settings, workspace_id: UUID, ids: Sequence[UUID]) -> None:
    """What was let go of and committed; where the process dies before, the clean-up does it."""
    if ids:
        async with doors.open_work(workspace_id) as work:
            await remove(work, file_store(settings), workspace_id, ids)


async def replace_file(
    work: Work, settings: Settings, workspace_id: UUID, id: UUID, part: Path, *, size: int, sha256: bytes
) -> None:
    """What is read from now on; `part` is from `FileStore.begin_part`. Again is harmless. Raises UploadGone."""
    await replace(work, file_store(settings), workspace_id, id, part, size=size, sha256=sha256)


async def drop_unused_files(system: Work, *, settings: Settings, limit: int) -> int:
    """Deletes up to `limit` uploads that nothing has used in time, with their bytes; how many it were."""
    return await drop_unused(system, file_store(settings), ttl_s=settings.upload_ttl_s, limit=limit)


async def drop_old_parts(settings: Settings) -> int:
    """Deletes what is left of uploads whose process died; how many it were."""
    store = file_store(settings)
    return await asyncio.to_thread(store.remove_old_parts, older_than_s=settings.upload_ttl_s)


__all__ = [
    "Expired",
    "FileStore",
    "FileTokens",
    "UploadGone",
    "add_received_file",
    "drop_old_parts",
    "drop_unused_files",
    "file_store",
    "file_url",
    "find_stored",
    "let_go",
    "read_upload",
    "receive_upload",
    "remove_files",
    "replace_file",
    "take_upload",
    "take_uploads",
    "upload_sizes",
]
