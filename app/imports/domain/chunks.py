"""Some rows of a file on their way in: read, mapped, and doubles among them settled. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.imports.domain.dialect import RawRow
from app.imports.domain.outcomes import RowCode, RowOutcome, RowProblem, RowResult
from app.imports.domain.rows import Rejected
from app.leads.domain.identity import Identity
from app.leads.domain.staged import StagedLead, WrittenLead

MAX_BYTES = 8 * 1024 * 1024
"""Of a chunk's rows in the file: what is in memory at once is bounded however wide they are."""
NOT_WRITTEN = {
    RowCode.SUPPRESSED.value: RowOutcome.SUPPRESSED,
    RowCode.ERASED.value: RowOutcome.SUPPRESSED,
    RowOutcome.SKIPPED_EXISTING.value: RowOutcome.SKIPPED_EXISTING,
}


@dataclass(frozen=True, slots=True)
class Position:
    """Between two rows: the next one's number, and the byte where it begins."""

    row: int
    offset: int


@dataclass(frozen=True, slots=True)
class Refused:
    row: int
    problem: RowProblem
    cells: Sequence[str]
    named: frozenset[Identity]
    """Whom it names, as far as it can be read."""


@dataclass(slots=True)
class Chunk:
    start: Position
    end: Position
    staged: list[StagedLead] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    doubles: list[tuple[int, int]] = field(default_factory=list)
    """Each with the row that it is a double of."""
    doubtful: list[tuple[StagedLead, int]] = field(default_factory=list)
    """Those that share some identities with an earlier row: `decide` tells whether they are its doubles."""

    @property
    def size(self) -> int:
        return self.end.row - self.start.row


def read_chunk(
    rows: Iterable[RawRow],
    start: Position,
    limit: int,
    *,
    read: Callable[[int, RawRow], StagedLead],
    named_in: Callable[[Sequence[str]], set[Identity]],
) -> Chunk:
    """Up to `limit` rows from `start` on; `read` raises Rejected."""
    chunk = Chunk(start, start)
    seen: dict[Identity, StagedLead] = {}
    for row in rows:
        try:
            _settle(chunk, read(row.n, row), seen)
        except Rejected as rejected:
            named = frozenset(named_in(row.cells))
            chunk.refused.append(Refused(row.n, rejected.problem, row.cells, named))
        chunk.end = Position(row.n + 1, row.end)
        if chunk.size >= limit or row.end - start.offset > MAX_BYTES:
            break
    return chunk


def _settle(chunk: Chunk, lead: StagedLead, seen: dict[Identity, StagedLead]) -> None:
    """A row that shares an identity with an earlier one that is to be written is its double; what a double alone knows
    is not remembered, so a later chunk finds no more by it than this one does."""
    double_of = next((seen[one] for one in lead.identities if one in seen), None)
    if double_of is None:
        chunk.staged.append(lead)
        for one in lead.identities:
            seen[one] = lead
    elif lead.identities == double_of.identities:
        chunk.doubles.append((lead.n, double_of.n))
    else:
        chunk.doubtful.append((lead, double_of.n))


def decide(chunk: Chunk, held: Collection[Identity]) -> None:
    """A row that shares an identity with an earlier one is its double, unless the workspace knows it by one (`held`)
    that is as strong: colleagues with one number. It is then written with the others, as a later chunk would.

    Not where a later row of a new lead names what this one would take: of two, the first has it.
    """
    owners = {one: lead.n for lead in chunk.staged for one in lead.identities}
    for lead, of in chunk.doubtful:
        known = next((at for at, one in enumerate(lead.identities) if one in held), len(lead.identities))
        shared = next(at for at, one in enumerate(lead.identities) if one in owners)
        if known <= shared and all(owners.get(one, 0) < lead.n for one in lead.identities):
            chunk.staged.append(lead)
        else:
            chunk.doubles.append((lead.n, of))
    if chunk.doubtful:
        chunk.staged.sort(key=lambda lead: lead.n)
        chunk.doubtful.clear()


def settle_doubles(chunk: Chunk, written: Sequence[WrittenLead]) -> list[RowResult]:
    """A double of somebody who is not in the workspace after this, nor before, is left out for the same reason: as it
    would be if a later chunk came to it."""
    if not chunk.doubles:
        return []
    left_out = {one.n: one.outcome for one in written if one.lead_id is None and one.outcome in NOT_WRITTEN}
    results = []
    for row, of in chunk.doubles:
        outcome = left_out.get(of)
        if outcome is None:
            results.append(RowResult(row, RowOutcome.DUPLICATE_IN_FILE))
        else:
            why = RowProblem(RowCode(outcome), None) if outcome in RowCode.__members__ else None
            results.append(RowResult(row, NOT_WRITTEN[outcome], problem=why))
    return results


def outcome_of(written: WrittenLead) -> RowOutcome:
    return NOT_WRITTEN.get(written.outcome) or RowOutcome(written.outcome)


def counted(
    before: Mapping[str, int], written: Iterable[WrittenLead], others: Iterable[RowResult]
) -> dict[str, int]:
    """Rows by outcome, all of them named."""
    counts = {outcome.value: before.get(outcome.value, 0) for outcome in RowOutcome}
    for lead in written:
        counts[outcome_of(lead).value] += 1
    for other in others:
        counts[other.outcome.value] += 1
    return counts
