"""Accepting a batch: stored whole in the request's transaction, run by a worker afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.common.domain import Announcer, Once, Waker
from app.imports.domain.imports import DUE, ImportRequest, ImportStatus, progressed
from app.imports.domain.ports import Imports


class FeedAndBell(Announcer, Waker, Protocol):
    """What an accepted batch is told to."""


@dataclass(frozen=True)
class ImportUseCases:
    workspace_id: UUID
    imports: Imports
    once: Once
    work: FeedAndBell
    new_id: Callable[[], UUID]

    async def import_leads(self, request: ImportRequest, *, idempotency_key: str, created_by: UUID) -> UUID:
        """The import's id; the same one for the same key. Raises Conflict, OwnerNotFound, TagsNotFound."""
        if earlier := await self.once.seen(idempotency_key, request.fingerprint):
            return earlier
        await self.imports.check_owner(self.workspace_id, request.owner_id)
        await self.imports.check_tags(self.workspace_id, request.tag_ids)
        import_id = self.new_id()
        await self.imports.add(self.workspace_id, import_id, request, created_by=created_by)
        await self.once.remember(idempotency_key, import_id)
        self.work.announce(progressed(import_id, ImportStatus.QUEUED, 0))
        self.work.wake(DUE, import_id)
        return import_id
