"""An import and its rows: states, outcomes, limits, and the counting that must add up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from app.common.domain import Event, Invalid, clean_optional, text_problem
from app.imports.domain.chunks import Position
from app.imports.domain.dialect import Dialect
from app.imports.domain.mapping import ColumnMapping
from app.imports.domain.outcomes import RowCode, RowOutcome, RowProblem, RowResult
from app.leads.domain.identity import NotAnIdentity, web_address
from app.leads.domain.lead import LeadSource
from app.leads.domain.staged import ImportPolicy

MAX_LEADS = 1000
IMPORTING = frozenset({LeadSource.INSTAGRAM, LeadSource.FACEBOOK, LeadSource.LINKEDIN, LeadSource.API})
DUE = "import_job"


class ImportStatus(StrEnum):
    ANALYZING = "ANALYZING"
    NEEDS_MAPPING = "NEEDS_MAPPING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    UNDOING = "UNDOING"
    UNDONE = "UNDONE"

    @property
    def has_ended(self) -> bool:
        return self in ENDED


ENDED = frozenset(
    {
        ImportStatus.COMPLETED,
        ImportStatus.COMPLETED_WITH_ERRORS,
        ImportStatus.FAILED,
        ImportStatus.CANCELED,
        ImportStatus.UNDONE,
    }
)


class Phase(StrEnum):
    """What a worker does with an import that is due: the row itself is QUEUED and RUNNING in each of them."""

    ANALYZE = "ANALYZE"
    DRY_RUN = "DRY_RUN"
    RUN = "RUN"
    UNDO = "UNDO"


def shown_status(status: str, phase: str) -> ImportStatus:
    """What people see of a row's status: an analysis and a dry run write no lead, so neither is RUNNING."""
    if status in (ImportStatus.QUEUED, ImportStatus.RUNNING):
        if phase in (Phase.ANALYZE, Phase.DRY_RUN):
            return ImportStatus.ANALYZING
        if phase == Phase.UNDO:
            return ImportStatus.UNDOING
    return ImportStatus(status)


@dataclass(frozen=True, kw_only=True)
class ImportProgressed(Event):
    """`after` has `status` and `processed`."""

    name: ClassVar[str] = "import.progressed"


def progressed(import_id: UUID, status: ImportStatus, processed: int) -> ImportProgressed:
    return ImportProgressed(entity_ids=[import_id], after={"status": status.value, "processed": processed})


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """A batch as the extension sends it, checked as a whole. Its rows are judged one by one when it runs."""

    source: LeadSource
    page_url: str | None
    policy: ImportPolicy
    owner_id: UUID | None
    tag_ids: Sequence[UUID]
    basis: str | None
    """The lawful basis under which its people are kept."""
    rows: Sequence[Mapping[str, object]]
    unstorable: Mapping[int, RowProblem]
    """Rows (from 1) with characters PostgreSQL cannot hold: they are in `rows` without them, and rejected."""

    @property
    def fingerprint(self) -> object:
        """What must be equal for two calls to be the same request."""
        whole = [self.source, self.page_url, self.policy, self.owner_id, list(self.tag_ids), list(self.rows)]
        return [*whole, self.basis] if self.basis else whole


def import_request(
    *,
    source: LeadSource,
    page_url: str | None,
    policy: ImportPolicy,
    owner_id: UUID | None,
    tag_ids: Sequence[UUID],
    basis: str | None,
    rows: Sequence[Mapping[str, object]],
) -> ImportRequest:
    """Raises Invalid at the argument that is wrong."""
    if source not in IMPORTING:
        raise Invalid(
            "Give the platform of the page: INSTAGRAM, FACEBOOK, LINKEDIN or API.", path=("platform",)
        )
    if not 1 <= len(rows) <= MAX_LEADS:
        raise Invalid(f"Send 1 to {MAX_LEADS:,} leads in one call; split a larger batch.", path=("leads",))
    if page_url is not None:
        try:
            web_address(page_url)
        except NotAnIdentity as error:
            raise Invalid(str(error), path=("pageUrl",)) from None
    storable, unstorable = [], {}
    for number, row in enumerate(rows, start=1):
        broken = [key for key, value in row.items() if _is_unstorable(value)]
        if broken:
            unstorable[number] = RowProblem(RowCode.INVALID_TEXT, broken[0])
        storable.append({**row, **dict.fromkeys(broken)} if broken else row)
    return ImportRequest(
        source=source,
        page_url=page_url,
        policy=policy,
        owner_id=owner_id,
        tag_ids=tag_ids,
        basis=clean_optional(basis, "basis"),
        rows=storable,
        unstorable=unstorable,
    )


def _is_unstorable(value: object) -> bool:
    return isinstance(value, str) and text_problem(value, max_length=len(value), required=False) is not None


@dataclass(frozen=True, slots=True)
class TableFile:
    """What an import of a file knows of it."""

    id: UUID
    columns: Sequence[str]
    dialect: Dialect | None
    """None: not analysed yet."""
    mapping: Sequence[ColumnMapping]
    """Before the analysis what was asked for; none: nothing was."""
    position: Position
    is_dry_run: bool
    dry_counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunningImport:
    """An import in a worker's hands: what its next chunk needs to know."""

    id: UUID
    source: LeadSource
    policy: ImportPolicy
    owner_id: UUID | None
    tag_ids: Sequence[UUID]
    basis: str | None
    created_by: UUID | None
    total_rows: int
    """Of a file: 0 until it is analysed."""
    counts: Mapping[str, int]
    is_progress_due: bool
    phase: Phase = Phase.RUN
    file: TableFile | None = None
    """None: its rows came with the request."""

    @property
    def processed(self) -> int:
        return sum(self.counts.values())

    def after(self, results: Iterable[RowResult]) -> "Progress":
        counts = {outcome.value: self.counts.get(outcome.value, 0) for outcome in RowOutcome}
        for result in results:
            counts[result.outcome.value] += 1
        return Progress(counts, self.total_rows)


@dataclass(frozen=True, slots=True)
class Progress:
    counts: Mapping[str, int]
    total_rows: int

    @property
    def processed(self) -> int:
        return sum(self.counts.values())

    @property
    def status(self) -> ImportStatus:
        if self.processed < self.total_rows:
            return ImportStatus.RUNNING
        return ImportStatus.COMPLETED_WITH_ERRORS if self.counts["REJECTED"] else ImportStatus.COMPLETED
