"""What the use cases of imports need from outside."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from app.imports.domain.imports import ImportRequest, Progress, RowResult, RunningImport
from app.leads.domain.lead import LeadSource
from app.leads.domain.staged import ImportPolicy, LeadDefaults, StagedLead, WrittenLead


class Imports(Protocol):
    """The ledger, for the request that fills it."""

    async def add(
        self, workspace_id: UUID, import_id: UUID, request: ImportRequest, *, created_by: UUID
    ) -> None: ...

    async def check_owner(self, workspace_id: UUID, owner_id: UUID | None) -> None:
        """Raises OwnerNotFound."""

    async def check_tags(self, workspace_id: UUID, tag_ids: Sequence[UUID]) -> None:
        """Raises TagsNotFound."""


class Ledger(Protocol):
    """One import in this worker's hands. Every method fails with LostLease once another worker has it."""

    async def hold(self) -> RunningImport:
        """Renews the lease and locks the import until the commit: the chunk's first statement."""

    async def pending(self, limit: int) -> Sequence[tuple[int, Mapping[str, object]]]:
        """The next rows without an outcome: (row from 1, what was sent)."""

    async def phone_region(self) -> str: ...

    async def first_stage(self) -> UUID: ...

    async def upsert(
        self, staged: Sequence[StagedLead], policy: ImportPolicy, defaults: LeadDefaults
    ) -> Sequence[WrittenLead]:
        """Writes the chunk's leads. A lead this import touched in an earlier chunk is DUPLICATE_IN_FILE."""

    async def without_erased(
        self,
        rows: Sequence[tuple[int, Mapping[str, object]]],
        results: Sequence[RowResult],
        source: LeadSource,
        region: str,
    ) -> list[RowResult]:
        """A rejected row is kept as it was sent, for people to mend it: not one that names somebody who was erased,
        which is refused for that instead."""

    async def record(
        self, results: Sequence[RowResult], progress: Progress, *, is_progress_told: bool
    ) -> None:
        """The rows' outcomes and the import's counts; ends the import when every row has one."""
