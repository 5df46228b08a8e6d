"""What is left of an upload when something dies in the middle of it, and how that is cleaned up."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.common.domain import Actor, ClientKind, Role
from app.common.work import Doors, Unavailable
from app.files.infrastructure.repository import FileRepository
from app.files.wiring import (
    FileStore,
    drop_old_parts,
    drop_unused_files,
    file_store,
    receive_upload,
    take_uploads,
)
from app.settings import Settings
from tests.factories.accounts import Person, sign_up
from tests.factories.files import upload, uploaded
from tests.fixtures.processes import Api, Worker, eventually

CHUNK = b"a line of a file that is on its way\n" * 2000


@asynccontextmanager
async def own_api() -> AsyncIterator[tuple[Api, Person]]:
    async with (
        Api.started() as api,
        httpx.AsyncClient(base_url=api.url, timeout=30, trust_env=False) as http,
    ):
        yield api, await sign_up(http)


class Half:
    """A body that stops half-way: `sent` when so much is out, ends (or not) when told."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(20):
            yield CHUNK
        await self.go_on.wait()
        yield CHUNK


async def rows_of(doors: Doors, workspace_id: UUID) -> list[Any]:
    async with doors.open_system() as system:
        query = text("SELECT * FROM file WHERE workspace_id = :id ORDER BY id")
        return list((await system.execute(query, {"id": workspace_id})).all())


async def age(doors: Doors, workspace_id: UUID, settings: Settings, *, parts: list[Path]) -> None:
    """As if it were older than an unused upload gets."""
    async with doors.open_system() as system:
        change = text(
            "UPDATE file SET created_at = now() - :s * interval '1 second' WHERE workspace_id = :id"
        )
        await system.execute(change, {"id": workspace_id, "s": settings.upload_ttl_s + 60})
    for part in parts:
        before = part.stat().st_mtime - settings.upload_ttl_s - 60
        os.utime(part, (before, before))


def folder_of(settings: Settings, workspace_id: UUID) -> list[Path]:
    folder = settings.files_folder / str(workspace_id)
    return list(folder.iterdir()) if folder.exists() else []


def parts_of(settings: Settings, id: UUID) -> list[Path]:
    return list((settings.files_folder / "parts").glob(f"{id}.*"))


async def half_way(doors: Doors, settings: Settings, workspace_id: UUID) -> tuple[UUID, list[Path]]:
    """Until a part of the upload is on the disk: its row's id, and the part."""

    async def written() -> bool:
        rows = await rows_of(doors, workspace_id)
        return bool(rows) and any(part.stat().st_size for part in parts_of(settings, rows[-1].id))

    await eventually(written, what="half an upload")
    row = (await rows_of(doors, workspace_id))[-1]
    assert row.stored_at is None
    return row.id, parts_of(settings, row.id)


async def test_a_killed_api_leaves_what_the_worker_cleans_up(doors: Doors, settings: Settings) -> None:
    async with own_api() as (api, ana):
        kept, half_body = await uploaded(ana), Half()
        sending = asyncio.create_task(upload(ana, half_body, media_type="text/csv"))
        try:
            await half_way(doors, settings, ana.workspace_id)
        finally:
            await api.kill()
            half_body.go_on.set()
        with pytest.raises(httpx.HTTPError):
            await sending
    (done, half) = await rows_of(doors, ana.workspace_id)
    assert done.stored_at is not None
    assert half.stored_at is None
    assert [path.name for path in folder_of(settings, ana.workspace_id)] == [str(done.id)]
    async with doors.open_work(ana.workspace_id) as work:
        await take_uploads(work, ana.workspace_id, ana.user_id, [kept["uploadToken"]], settings)
    assert parts_of(settings, half.id)
    await age(doors, ana.workspace_id, settings, parts=parts_of(settings, half.id))
    async with Worker.started(), Worker.started():
        await eventually(lambda: rows_of_count(doors, ana.workspace_id, 1), what="the clean-up")
        await eventually(lambda: not parts_of(settings, half.id), what="the clean-up of parts")
    # What was used is never cleaned up, however old.
    assert [row.id for row in await rows_of(doors, ana.workspace_id)] == [done.id]
    assert len(folder_of(settings, ana.workspace_id)) == 1


async def rows_of_count(doors: Doors, workspace_id: UUID, count: int) -> bool:
    return len(await rows_of(doors, workspace_id)) == count


async def test_a_client_that_leaves_leaves_nothing(ana: Person, doors: Doors, settings: Settings) -> None:
    sending = asyncio.create_task(upload(ana, Half(), media_type="text/csv"))
    id, parts = await half_way(doors, settings, ana.workspace_id)
    assert parts
    sending.cancel()
    await eventually(lambda: rows_of_count(doors, ana.workspace_id, 0), what="the end of the row")
    assert parts_of(settings, id) == []
    assert folder_of(settings, ana.workspace_id) == []


async def test_a_full_disk_is_told_and_nothing_is_left(doors: Doors, settings: Settings) -> None:
    async with own_api() as (api, ana):
        before = resource.prlimit(api.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(api.pid, resource.RLIMIT_FSIZE, (1_000_000, before[1]))

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield CHUNK

        response = await upload(ana, chunks(), media_type="text/csv")
        assert (response.status_code, response.json()["code"]) == (507, "INSUFFICIENT_STORAGE")
        assert await rows_of(doors, ana.workspace_id) == []
        assert folder_of(settings, ana.workspace_id) == []
        await uploaded(ana, CHUNK, media_type="text/csv")
        resource.prlimit(api.pid, resource.RLIMIT_FSIZE, before)
        await uploaded(ana, chunks(), media_type="text/csv")


async def test_an_upload_that_was_given_up_meanwhile_stores_nothing(
    ana: Person, doors: Doors, settings: Settings
) -> None:
    """It took longer than a day, and the clean-up came before its end."""
    half = Half()
    sending = asyncio.create_task(upload(ana, half, media_type="text/csv"))
    id, _ = await half_way(doors, settings, ana.workspace_id)
    await age(doors, ana.workspace_id, settings, parts=[])
    async with doors.open_system() as system:
        await drop_unused_files(system, settings=settings, limit=1000)
    half.go_on.set()
    response = await sending
    assert (response.status_code, response.json()["code"]) == (408, "REQUEST_TIMEOUT")
    assert parts_of(settings, id) == []
    assert folder_of(settings, ana.workspace_id) == []


async def test_what_dies_between_bytes_and_commit_is_mended(
    ana: Person, doors: Doors, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are at their place, the row says they never came, and the tidying up did not come about either."""
    actor = Actor(ana.workspace_id, ana.user_id, Role.OWNER, ClientKind.WEB, ana.user_id, expires_at=0)
    publish = FileStore.publish

    def publish_and_die(*arguments: Any) -> None:
        publish(*arguments)
        raise ConnectionResetError

    async def never(*arguments: Any) -> None:
        pass

    monkeypatch.setattr(FileStore, "publish", publish_and_die)
    monkeypatch.setattr(FileRepository, "drop", never)

    async def chunks() -> AsyncIterator[bytes]:
        yield CHUNK

    with pytest.raises(Unavailable):
        await receive_upload(doors, settings, actor, name="a.txt", claimed="text/plain", chunks=chunks())
    (row,) = await rows_of(doors, ana.workspace_id)
    assert row.stored_at is None
    assert len(folder_of(settings, ana.workspace_id)) == 1
    await age(doors, ana.workspace_id, settings, parts=[])
    for _ in range(2):
        async with doors.open_system() as system:
            await drop_unused_files(system, settings=settings, limit=1000)
    assert await rows_of(doors, ana.workspace_id) == []
    assert folder_of(settings, ana.workspace_id) == []


async def test_young_and_used_ones_stay(ana: Person, doors: Doors, settings: Settings) -> None:
    await uploaded(ana)
    part = file_store(settings).begin_part(ana.user_id)
    part.write_bytes(b"on its way")
    async with doors.open_system() as system:
        await drop_unused_files(system, settings=settings, limit=1000)
    await drop_old_parts(settings)
    assert part.exists()
    assert len(await rows_of(doors, ana.workspace_id)) == 1
    assert len(folder_of(settings, ana.workspace_id)) == 1
    part.unlink()


async def test_what_is_being_taken_is_not_cleaned_up(ana: Person, doors: Doors, settings: Settings) -> None:
    token = (await uploaded(ana))["uploadToken"]
    await age(doors, ana.workspace_id, settings, parts=[])
    async with doors.open_work(ana.workspace_id) as work:
        await take_uploads(work, ana.workspace_id, ana.user_id, [token], settings)
        async with doors.open_system() as system:
            await drop_unused_files(system, settings=settings, limit=1000)
    assert len(await rows_of(doors, ana.workspace_id)) == 1
    assert len(folder_of(settings, ana.workspace_id)) == 1
