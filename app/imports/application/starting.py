"""Imports of files: started, told their columns, and steered by members while and after they run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.common.domain import Once
from app.files.domain.uploads import StoredFile
from app.imports.application.accepting import FeedAndBell
from app.imports.domain.errors import ImportNotFound, UploadImported
from app.imports.domain.imports import DUE, ImportStatus, Phase, progressed, shown_status
from app.imports.domain.mapping import ColumnMapping
from app.imports.domain.starting import FileRequest, HeldImport, check_importable


class Uploads(Protocol):
    """The files of one person, at `uploadToken`."""

    def read(self, token: str) -> UUID:
        """The file of a token, used or not. Raises UploadNotFound."""

    async def take(self, token: str) -> StoredFile:
        """Used from now on. Raises UploadNotFound, UploadExpired, UploadUsed."""

    async def let_go(self, id: UUID) -> None: ...


class Moves(Protocol):
    """The row of an import, for who starts and steers it."""

    async def check_owner(self, workspace_id: UUID, owner_id: UUID | None) -> None:
        """Raises OwnerNotFound."""

    async def check_tags(self, workspace_id: UUID, tag_ids: Sequence[UUID]) -> None:
        """Raises TagsNotFound."""

    async def add(
        self, workspace_id: UUID, id: UUID, request: FileRequest, file: StoredFile, *, created_by: UUID
    ) -> None: ...

    async def hold(self, workspace_id: UUID, id: UUID) -> HeldImport | None:
        """Locked until the commit: a chunk that is being written is waited for."""

    async def hold_of_file(self, workspace_id: UUID, file_id: UUID) -> HeldImport | None: ...

    async def go_on(
        self, workspace_id: UUID, id: UUID, request: FileRequest, mapping: Sequence[ColumnMapping]
    ) -> None: ...

    async def remember(
        self, workspace_id: UUID, columns: Sequence[str], mapping: Sequence[ColumnMapping]
    ) -> None:
        """For the next file with these headers."""

    async def pause(self, workspace_id: UUID, id: UUID) -> None: ...

    async def resume(self, workspace_id: UUID, id: UUID) -> None: ...

    async def cancel(self, workspace_id: UUID, id: UUID) -> None: ...

    async def undo(self, workspace_id: UUID, id: UUID) -> None: ...


@dataclass(frozen=True)
class FileImportUseCases:
    workspace_id: UUID
    user_id: UUID
    moves: Moves
    uploads: Uploads
    once: Once
    work: FeedAndBell
    new_id: Callable[[], UUID]

    async def start_csv_import(self, request: FileRequest, *, idempotency_key: str) -> UUID:
        """The import's id; the same one for the same key. An import that waits for its mapping goes on with it.

        Raises Conflict, Invalid, Refusals, OwnerNotFound, TagsNotFound, UploadNotFound, UploadExpired, UploadUsed,
        UploadImported, NotImportable, MappingNeeded.
        """
        if earlier := await self.once.seen(idempotency_key, request.fingerprint):
            return earlier
        request = request.checked()
        held = await self.moves.hold_of_file(self.workspace_id, self.uploads.read(request.upload_token))
        import_id = await self._begin(request) if held is None else await self._go_on(held, request)
        await self.once.remember(idempotency_key, import_id)
        return import_id

    async def _begin(self, request: FileRequest) -> UUID:
        """Two at once: the second finds the upload used."""
        file = await self.uploads.take(request.upload_token)
        check_importable(file.media_type, file.name)
        await self._check(request)
        import_id = self.new_id()
        await self.moves.add(self.workspace_id, import_id, request, file, created_by=self.user_id)
        self._tell(import_id, shown_status(ImportStatus.QUEUED, Phase.ANALYZE), 0)
        return import_id

    async def _go_on(self, held: HeldImport, request: FileRequest) -> UUID:
        """Two at once: the second finds it gone on."""
        if held.status is not ImportStatus.NEEDS_MAPPING:
            raise UploadImported(held.status)
        mapping = held.mapping_for(request.mapping)
        await self._check(request)
        await self.moves.go_on(self.workspace_id, held.id, request, mapping)
        if request.mapping is not None:
            await self.moves.remember(self.workspace_id, held.columns, mapping)
        phase = Phase.DRY_RUN if request.is_dry_run else Phase.RUN
        self._tell(held.id, shown_status(ImportStatus.QUEUED, phase), 0)
        return held.id

    async def pause_import(self, id: UUID) -> None:
        """In force when its transaction has committed. Raises ImportNotFound, WrongState."""
        held = await self._hold(id)
        if held.is_pausing():
            await self.moves.pause(self.workspace_id, id)
            self._tell(id, ImportStatus.PAUSED, held.processed)

    async def resume_import(self, id: UUID) -> None:
        """Raises ImportNotFound, WrongState."""
        held = await self._hold(id)
        if held.is_resuming():
            await self.moves.resume(self.workspace_id, id)
            self._tell(id, ImportStatus.QUEUED, held.processed)

    async def cancel_import(self, id: UUID) -> UUID | None:
        """What is in stays. The file that was let go of: its bytes can be removed once this is committed.

        Raises ImportNotFound, WrongState.
        """
        held = await self._hold(id)
        if not held.is_canceling():
            return None
        await self.moves.cancel(self.workspace_id, id)
        if held.file_id is not None:
            await self.uploads.let_go(held.file_id)
        self._tell(id, ImportStatus.CANCELED, held.processed)
        return held.file_id

    async def undo_import(self, id: UUID) -> None:
        """Raises ImportNotFound, WrongState, NothingToUndo, TooLateToUndo."""
        held = await self._hold(id)
        if held.is_undoing():
            await self.moves.undo(self.workspace_id, id)
            self._tell(id, ImportStatus.UNDOING, held.processed)

    async def _check(self, request: FileRequest) -> None:
        await self.moves.check_owner(self.workspace_id, request.owner_id)
        await self.moves.check_tags(self.workspace_id, request.tag_ids)

    async def _hold(self, id: UUID) -> HeldImport:
        held = await self.moves.hold(self.workspace_id, id)
        if held is None:
            raise ImportNotFound
        return held

    def _tell(self, id: UUID, status: ImportStatus, processed: int) -> None:
        self.work.announce(progressed(id, status, processed))
        self.work.wake(DUE, id)
