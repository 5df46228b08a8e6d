"""Chunks of a file: where they end, and what becomes of doubles within one."""

from collections.abc import Sequence
from uuid import uuid4

from app.imports.domain.chunks import MAX_BYTES, Chunk, Position, counted, decide, read_chunk, settle_doubles
from app.imports.domain.dialect import RawRow
from app.imports.domain.lead_field import LeadField
from app.imports.domain.mapping import ColumnMapping
from app.imports.domain.outcomes import RowCode, RowOutcome
from app.imports.domain.row_reader import RowReader
from app.leads.domain.identity import email_identity
from app.leads.domain.staged import WrittenLead

READER = RowReader([ColumnMapping("E-mail", LeadField.EMAIL, 1.0)], "BR")


def chunk_of(*cells: str, limit: int = 100, width: int = 10) -> Chunk:
    rows = [RawRow(n, [cell], None, n * width) for n, cell in enumerate(cells, start=1)]
    return read_chunk(rows, Position(1, 0), limit, read=READER.read_raw, named_in=READER.named_in)


def written(chunk: Chunk, outcomes: Sequence[str]) -> list[WrittenLead]:
    return [
        WrittenLead(lead.n, uuid4() if outcome in ("CREATED", "UPDATED") else None, outcome, None)
        for lead, outcome in zip(chunk.staged, outcomes, strict=True)
    ]


def test_a_chunk_ends_at_its_limit_of_rows_and_of_bytes() -> None:
    addresses = [f"p{n}@example.com" for n in range(9)]
    assert chunk_of(*addresses, limit=4).end == Position(5, 40)
    assert chunk_of(*addresses, width=MAX_BYTES // 2 + 1).end == Position(3, 2 * (MAX_BYTES // 2 + 1))
    assert chunk_of(*addresses).size == 9


def test_rows_are_staged_refused_or_doubles_and_add_up() -> None:
    chunk = chunk_of("a@example.com", "", "A@example.com", "b@example.com", "none")
    assert ([one.n for one in chunk.staged], chunk.doubles) == ([1, 4], [(3, 1)])
    assert [(one.row, one.problem.code) for one in chunk.refused] == [
        (2, RowCode.NO_IDENTITY),
        (5, RowCode.INVALID_EMAIL),
    ]
    assert chunk.size == len(chunk.staged) + len(chunk.refused) + len(chunk.doubles)


def test_a_double_of_somebody_left_out_is_left_out_for_the_same_reason() -> None:
    chunk = chunk_of(*[f"{name}@example.com" for name in "abcdabcd"])
    results = settle_doubles(chunk, written(chunk, ["CREATED", "SUPPRESSED", "ERASED", "SKIPPED_EXISTING"]))
    assert [(one.row, one.outcome, one.problem.code if one.problem else None) for one in results] == [
        (5, RowOutcome.DUPLICATE_IN_FILE, None),
        (6, RowOutcome.SUPPRESSED, RowCode.SUPPRESSED),
        (7, RowOutcome.SUPPRESSED, RowCode.ERASED),
        (8, RowOutcome.SKIPPED_EXISTING, None),
    ]


def test_counts_go_on_from_those_before() -> None:
    chunk = chunk_of("a@example.com", "b@example.com", "a@example.com")
    leads = written(chunk, ["CREATED", "ERASED"])
    counts = counted({"CREATED": 2}, leads, settle_doubles(chunk, leads))
    assert {name: n for name, n in counts.items() if n} == {
        "CREATED": 3,
        "SUPPRESSED": 1,
        "DUPLICATE_IN_FILE": 1,
    }
    assert set(counts) == set(RowOutcome)


def test_who_is_known_by_something_as_strong_is_no_double() -> None:
    def decided(*held: str) -> tuple[list[int], list[tuple[int, int]]]:
        cells = ["a@example.com;x@example.com", "b@example.com;x@example.com;c@example.com", "c@example.com"]
        chunk = chunk_of(*cells, "a@example.com;x@example.com")
        assert ([lead.n for lead, _ in chunk.doubtful], chunk.doubles) == ([2], [(4, 1)])
        decide(chunk, {email_identity(one) for one in held})
        assert chunk.doubtful == []
        return [lead.n for lead in chunk.staged], sorted(chunk.doubles)

    assert decided() == ([1, 3], [(2, 1), (4, 1)])
    # The third row comes after it, and would make a lead by what this one would take.
    assert decided("b@example.com") == ([1, 3], [(2, 1), (4, 1)])


def test_a_known_colleague_is_written_in_the_order_of_the_rows() -> None:
    chunk = chunk_of("a@example.com;x@example.com", "b@example.com;x@example.com", "d@example.com")
    decide(chunk, {email_identity("b@example.com")})
    assert ([one.n for one in chunk.staged], chunk.doubles) == ([1, 2, 3], [])
    chunk = chunk_of("a@example.com;x@example.com", "x@example.com;q@example.com")
    decide(chunk, {email_identity("q@example.com")})
    assert ([one.n for one in chunk.staged], chunk.doubles) == ([1], [(2, 1)])
