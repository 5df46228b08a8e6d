"""What starts an import of a file, and what members may do with an import later. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Invalid, clean_optional, text_message, text_problem
from app.files.domain.media import BINARY, CSV, XLSM, XLSX
from app.imports.domain.dialect import MAX_CELL, MAX_COLUMNS
from app.imports.domain.errors import MappingNeeded, NothingToUndo, NotImportable, TooLateToUndo, WrongState
from app.imports.domain.imports import ImportStatus
from app.imports.domain.mapping import ColumnMapping, LeadField, checked_mapping, is_sure, unsure_columns
from app.imports.domain.outcomes import RowOutcome
from app.leads.domain.staged import ImportPolicy

WROTE = (RowOutcome.CREATED, RowOutcome.UPDATED)
GOING = frozenset({ImportStatus.QUEUED, ImportStatus.RUNNING})
CANCELABLE = GOING | {ImportStatus.ANALYZING, ImportStatus.NEEDS_MAPPING, ImportStatus.PAUSED}
UNDOABLE = frozenset(
    {
        *(ImportStatus.COMPLETED, ImportStatus.COMPLETED_WITH_ERRORS),
        *(ImportStatus.CANCELED, ImportStatus.FAILED),
    }
)


@dataclass(frozen=True, kw_only=True)
class FileRequest:
    """What `startCsvImport` asks for, the first time and when it goes on."""

    upload_token: str
    mapping: Sequence[tuple[str, LeadField]] | None
    """None: the suggestion, where it is sure."""
    policy: ImportPolicy
    owner_id: UUID | None
    tag_ids: Sequence[UUID]
    basis: str | None
    is_dry_run: bool

    @property
    def fingerprint(self) -> object:
        """What must be equal for two calls to be the same request."""
        mapping = None if self.mapping is None else [list(one) for one in self.mapping]
        whole = [self.upload_token, mapping, self.policy, self.owner_id, list(self.tag_ids)]
        return [*whole, self.basis, self.is_dry_run]

    def checked(self) -> "FileRequest":
        """As far as it can be without the file. Raises Invalid, Refusals."""
        if self.mapping is not None:
            if len(self.mapping) > MAX_COLUMNS:
                raise Invalid(f"A file has at most {MAX_COLUMNS} columns.", path=("mapping",))
            for at, (column, _) in enumerate(self.mapping):
                if problem := text_problem(column, max_length=MAX_CELL):
                    raise Invalid(text_message(problem, MAX_CELL), path=("mapping", str(at), "column"))
            checked_mapping(list(dict.fromkeys(column for column, _ in self.mapping)), self.mapping)
        return FileRequest(**{**self.__dict__, "basis": clean_optional(self.basis, "basis")})


def check_importable(media_type: str, name: str) -> None:
    """Raises NotImportable. What is no text by its bytes, and a CSV by its name, may be one in UTF-16, or with a NUL in
    a cell: reading it tells."""
    if media_type not in (CSV, XLSX, XLSM) and not (media_type == BINARY and name.lower().endswith(".csv")):
        raise NotImportable(media_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldImport:
    """An import, its row locked: what it is now, until the commit."""

    id: UUID
    status: ImportStatus
    """As people see it."""
    file_id: UUID | None
    columns: Sequence[str]
    suggested: Sequence[ColumnMapping]
    mapping: Sequence[ColumnMapping]
    """What its dry run went by; none: there was no dry run."""
    processed: int
    counts: Mapping[str, int]
    is_fresh: bool
    """It ran within `UNDO_DAYS`."""

    def mapping_for(self, given: Sequence[tuple[str, LeadField]] | None) -> Sequence[ColumnMapping]:
        """What it goes on by. Raises MappingNeeded, Invalid, Refusals."""
        if given is not None:
            return checked_mapping(self.columns, given)
        if self.mapping:
            return self.mapping
        if not is_sure(self.suggested):
            raise MappingNeeded(unsure_columns(self.suggested))
        return self.suggested

    def is_pausing(self) -> bool:
        """False: it is paused already, as after a double click. Raises WrongState."""
        return self._moves(ImportStatus.PAUSED, GOING)

    def is_resuming(self) -> bool:
        """False: it goes on already. Raises WrongState."""
        return self.status not in GOING and self._moves(ImportStatus.QUEUED, frozenset({ImportStatus.PAUSED}))

    def is_canceling(self) -> bool:
        """False: it is canceled already. Raises WrongState."""
        return self._moves(ImportStatus.CANCELED, CANCELABLE)

    def is_undoing(self) -> bool:
        """False: it is undone already, or about to be. Raises WrongState, NothingToUndo, TooLateToUndo."""
        if self.status is ImportStatus.UNDONE or not self._moves(ImportStatus.UNDOING, UNDOABLE):
            return False
        if not any(self.counts.get(outcome) for outcome in WROTE):
            raise NothingToUndo
        if not self.is_fresh:
            raise TooLateToUndo
        return True

    def _moves(self, to: ImportStatus, allowed: frozenset[ImportStatus]) -> bool:
        if self.status is to:
            return False
        if self.status not in allowed:
            raise WrongState(self.status)
        return True
