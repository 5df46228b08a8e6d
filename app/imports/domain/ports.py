"""What the use cases of imports need from outside."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from app.imports.domain.chunks import Chunk, Position, Refused
from app.imports.domain.imports import ImportRequest, ImportStatus, Progress, RunningImport, TableFile
from app.imports.domain.outcomes import RowResult
from app.leads.domain.identity import Identity
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
        self, results: Sequence[RowResult], progress: Progress, *, has_staged: bool, is_progress_told: bool
    ) -> None:
        """The rows' outcomes and the import's counts; ends the import when every row has one."""


class FileLedger(Protocol):
    """The same of a file, whose rows are in it and not in the ledger before."""

    async def hold(self) -> RunningImport: ...

    async def first_stage(self) -> UUID: ...

    async def upsert(
        self, staged: Sequence[StagedLead], policy: ImportPolicy, defaults: LeadDefaults
    ) -> Sequence[WrittenLead]: ...

    async def forecast(
        self, staged: Sequence[StagedLead], policy: ImportPolicy, defaults: LeadDefaults
    ) -> Sequence[WrittenLead]:
        """What `upsert` would come to, had the chunks before been written; remembers who is in this one."""

    async def held(self, identities: Collection[Identity]) -> set[Identity]:
        """Those by which the workspace knows somebody."""

    async def refuse(self, refused: Sequence[Refused]) -> list[RowResult]:
        """REJECTED; those that name somebody who was erased are left out for that, and nothing is kept of them."""

    async def add_rows(
        self, file: TableFile, others: Sequence[RowResult], chunk: Chunk, *, only_problems: bool
    ) -> int:
        """Those that were staged, by what became of them, and the others; how many were written."""

    async def advance(
        self, counts: Mapping[str, int], to: Position | None, *, is_progress_told: bool
    ) -> None: ...

    async def end(self, status: ImportStatus, error: str | None = None) -> tuple[int, UUID | None]:
        """As it stands: the rows that have an outcome, and the file, now let go of."""

    async def advance_dry_run(
        self, counts: Mapping[str, int], to: Position, *, is_progress_told: bool
    ) -> None: ...

    async def forget_seen(self, *, limit: int) -> int:
        """Some of those whom a dry run saw; how many."""

    async def end_dry_run(self) -> None:
        """It waits for its start, at its first row."""
