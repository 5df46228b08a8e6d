"""Whatever csv writes comes back as written, also in pieces; what people really export is understood."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.imports.domain.dialect import Analysis, RawRow
from app.imports.domain.mapping import ERROR_COLUMNS
from app.imports.domain.outcomes import RowCode, RowProblem
from app.imports.domain.reports import report_headings
from app.imports.infrastructure.dialects import looks_like_data
from app.imports.infrastructure.table_files import analyse, read_rows

SAMPLES = Path(__file__).parents[2] / "fixtures" / "imports"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")


def read(path: Path, *, is_workbook: bool = False) -> tuple[Analysis, list[RawRow], Path]:
    rewritten = path.with_name(f"{path.name}.utf-8")
    analysis, is_rewritten = analyse(path, is_workbook=is_workbook, rewritten=rewritten)
    source = rewritten if is_rewritten else path
    again = source.with_name("again")  # who looks after a worker that was killed before it said what it found
    assert analyse(source, is_workbook=False, rewritten=again) == (analysis, False)
    return analysis, rows_from(source, analysis, offset=analysis.dialect.data_offset, n=1), source


def rows_from(path: Path, analysis: Analysis, *, offset: int, n: int) -> list[RawRow]:
    return list(read_rows(path, analysis.dialect, len(analysis.columns), offset=offset, n=n))


def cells_of(tmp_path: Path, content: bytes) -> tuple[Analysis, list[list[str]]]:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    analysis, rows, _ = read(path)
    return analysis, [list(row.cells) for row in rows]


# ── whatever csv writes ───────────────────────────────────────────────────────────────────────────────────────────────
LETTERS = "aZ09 .,;|\t\"'\n@=+-ãéÇ€“"


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], str, str, int, str]:
    """Rows, delimiter, line end, quoting, encoding."""
    width = draw(st.integers(2, 6))
    encoding = draw(st.sampled_from(ENCODINGS))
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE]))
    letters = LETTERS + ("" if encoding == "cp1252" else "ł漢🌻\u2028\x85")
    if quoting == csv.QUOTE_NONE:  # it has no way to write these
        letters = "".join(letter for letter in letters if letter not in ',;|\t"\n')
    elif quoting != csv.QUOTE_MINIMAL:
        letters += "\r"  # left bare by QUOTE_MINIMAL, where it ends a line
    cell = st.text(letters, max_size=12)
    row = st.lists(cell, min_size=width, max_size=width).filter(any)
    return (
        draw(st.lists(row, min_size=1, max_size=30)),
        draw(st.sampled_from([",", ";", "\t", "|"])),
        line_end,
        quoting,
        encoding,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(tables())
def test_what_csv_writes_comes_back(
    tmp_path: Path, table: tuple[list[list[str]], str, str, int, str]
) -> None:
    rows, delimiter, line_end, quoting, encoding = table
    if quoting == csv.QUOTE_MINIMAL and line_end == "\r":
        rows = [[cell.replace("\n", "\r") for cell in row] for row in rows]
    header = [f"Coluna número {n}" for n in range(len(rows[0]))]
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([header, *rows])
    path = tmp_path / "table.csv"
    path.write_bytes((f"sep={delimiter}{line_end}" + written.getvalue()).encode(encoding))
    analysis, found, source = read(path)
    assert analysis.dialect.delimiter == delimiter
    assert list(analysis.columns) == header
    assert [list(row.cells) for row in found] == rows
    assert analysis.total_rows == len(rows)
    assert [list(row) for row in analysis.preview] == rows[:20]
    assert [(row.n, row.problem) for row in found] == [(n, None) for n in range(1, len(rows) + 1)]
    for at, row in enumerate(found):
        assert rows_from(source, analysis, offset=row.end, n=row.n + 1) == found[at + 1 :]


WORDS = st.text("abcdefghijãéç ", min_size=1, max_size=10).map(lambda word: f"x{word.strip()}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(WORDS, WORDS, st.decimals(1, 999, places=2)), min_size=3, max_size=20),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(ENCODINGS),
)
def test_the_delimiter_is_found_beside_decimal_commas(
    tmp_path: Path, rows: Sequence[tuple[str, str, object]], delimiter: str, encoding: str
) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter)
    table = [[name, company, str(price).replace(".", ",")] for name, company, price in rows]
    writer.writerows([["Nome", "Empresa", "Preço"], *table])
    analysis, cells = cells_of(tmp_path, written.getvalue().encode(encoding))
    assert (analysis.dialect.delimiter, cells) == (delimiter, table)


# ── what people export ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("name", "columns", "first", "rows"),
    [
        ("linkedin_connections.csv", 7, "Ana", 5),
        ("linkedin_lead_form.csv", 14, "06/03/2026 14:02:11", 2),
        ("google_contacts.csv", 27, "Elisa", 4),
        ("hubspot_contacts.csv", 14, "70110000101", 3),
        ("meta_lead_form.csv", 19, "l:901000000000001", 3),
        ("planilha_pt.csv", 8, "Paula Quintão", 3),
    ],
)
def test_samples_are_read(tmp_path: Path, name: str, columns: int, first: str, rows: int) -> None:
    path = tmp_path / name
    path.write_bytes((SAMPLES / name).read_bytes())
    analysis, found, source = read(path)
    assert (len(analysis.columns), analysis.total_rows, len(found)) == (columns, rows, rows)
    assert found[0].cells[0] == first
    assert {row.problem for row in found} == {None}
    assert found[-1].end == source.stat().st_size


@pytest.mark.parametrize(
    ("content", "columns", "rows"),
    [
        (b"sep=;\r\nNome;Valor\r\nAna;1,5\r\n", ["Nome", "Valor"], [["Ana", "1,5"]]),
        (b"Titulo;;\n;;\nNome;E-mail;Tel\nAna;a;1\n;;\n", ["Nome", "E-mail", "Tel"], [["Ana", "a", "1"]]),
        (b"Nome;Nome;;E-mail\na;b;c;d\n", ["Nome", "Nome (2)", "Column 3", "E-mail"], [["a", "b", "c", "d"]]),
        (b"Nome\nSilva, Ana\nSouza, Bia\n", ["Nome"], [["Silva, Ana"], ["Souza, Bia"]]),
        (b"ana@example.com\nbia@example.com\n", ["Column 1"], [["ana@example.com"], ["bia@example.com"]]),
        (b"Ana;a@b.co\nBia;b@b.co\n", ["Column 1", "Column 2"], [["Ana", "a@b.co"], ["Bia", "b@b.co"]]),
        (b"Nome,E-mail\r\rAna,a@b.co\r\r\rBia,b@b.co", ["Nome", "E-mail"], [["Ana", "a@b.co"], ["Bia", "b@b.co"]]),
        ("Nome;E-mail\nJoão\x81“x”;y\n".replace("\x81", "").encode("cp1252"), ["Nome", "E-mail"], [["João“x”", "y"]]),
        (b"Nome;E-mail\nJo\xe3o\x81;y\n", ["Nome", "E-mail"], [["João\x81", "y"]]),
        ("Nome;Obs\rJosé – São “é”;y\r".encode("mac_roman"), ["Nome", "Obs"], [["José – São “é”", "y"]]),
        ("Nome;Obs\nO’Neil – “Zé”;É 50 ‰\n".encode("cp1252"), ["Nome", "Obs"], [["O’Neil – “Zé”", "É 50 ‰"]]),
        (b"Nome;Obs\nAna;a;\nBia;b;\n", ["Nome", "Obs", "Column 3"], [["Ana", "a", ""], ["Bia", "b", ""]]),
    ],
    ids=[
        *("sep", "title", "headers", "one column", "addresses", "people", "cr", "cp1252", "latin-1", "mac", "quotes"),
        "ends",
    ],
)  # fmt: skip
def test_how_tables_begin(tmp_path: Path, content: bytes, columns: list[str], rows: list[list[str]]) -> None:
    analysis, cells = cells_of(tmp_path, content)
    assert (list(analysis.columns), cells) == (columns, rows)


def test_our_own_report_is_known(tmp_path: Path) -> None:
    analysis, _ = cells_of(
        tmp_path, b"\xef\xbb\xbfNome;row;row;code;message\nAna;x;2;NO_IDENTITY;Give one.\n"
    )
    assert analysis.dialect.is_error_report
    assert list(analysis.columns) == ["Nome", "row", "row (2)", "code", "message"]
    assert not cells_of(tmp_path, b"row;code;message\n1;2;3\n")[0].dialect.is_error_report


def test_the_columns_of_a_report_have_their_files_names(tmp_path: Path) -> None:
    columns = ["@handle", "E-mail", "'+ nota", "Tel;=x"]
    content = io.StringIO()
    csv.writer(content).writerows(
        [report_headings(columns), ["'@ana", "", "", "", 2, "NO_IDENTITY", "Give one."]]
    )
    analysis, _ = cells_of(tmp_path, content.getvalue().encode())
    assert analysis.dialect.is_error_report
    assert list(analysis.columns) == [*columns, *ERROR_COLUMNS]
    assert cells_of(tmp_path, b"'@handle,E-mail\nana,a@b.co\n")[0].columns == ["'@handle", "E-mail"]


@pytest.mark.parametrize(
    "cell", ["a@b.co", "https://x.co/a", "www.x.co", "+55 (11) 98765-0101", "11987650101"]
)
def test_a_persons_data_is_no_header(cell: str) -> None:
    assert looks_like_data(["Ana", cell])
    assert looks_like_data(["Ana", f" {cell}\n"])
    assert not looks_like_data(["E-mail", "Telefone 1", "2026", "@", "site www"])


@pytest.mark.parametrize(
    "cell", [" " * 8, "--------", "(...) - ...", "2023-2024", "2023 - 2024 ", "1.234.567"]
)
def test_a_header_without_a_word_is_a_header_still(tmp_path: Path, cell: str) -> None:
    analysis, rows = cells_of(tmp_path, f"Nome;E-mail;{cell}\nAna;a@b.co;x\n".encode())
    assert list(analysis.columns[:2]) == ["Nome", "E-mail"]
    assert rows == [["Ana", "a@b.co", "x"]]


# ── rows with a problem ───────────────────────────────────────────────────────────────────────────────────────────────
RAGGED, BROKEN, LONG = RowCode.RAGGED_ROW, RowCode.INVALID_TEXT, RowCode.TOO_LONG


@pytest.mark.parametrize(
    ("row", "code", "first"),
    [
        (b"a,b,c", RAGGED, "a"),
        (b"a", RAGGED, "a"),
        (b"a\0,b", BROKEN, "a\ufffd"),
        (b"a\xff,b", BROKEN, "a\ufffd"),
        (b"\xed\xa0\x80,b", BROKEN, "\ufffd\ufffd\ufffd"),
        (b"x" * 65_537 + b",b", LONG, "x" * 65_536),
        (b"x" * 2**20 + b",b", LONG, "x" * 65_536),
        (b'"' + b"x\n" * 2**19 + b'",b', LONG, "x\n" * 32_768),
        (b"," * 100_000 + b"x", RAGGED, ""),
    ],
    ids=["wide", "narrow", "nul", "undecodable", "surrogate", "long", "1 MB", "1 MB quoted", "commas"],
)
def test_a_bad_row_is_its_own_error(tmp_path: Path, row: bytes, code: RowCode, first: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("Nome,E-mail\nÂnã Çô,ñü@b.co\n".encode() + row + b"\nBia,b@b.co\n")
    analysis, rows, _ = read(path)
    assert [found.problem for found in rows] == [None, RowProblem(code, None), None]
    assert (rows[1].cells[0], rows[2].cells) == (first, ["Bia", "b@b.co"])
    assert len(rows[1].cells) <= 501
    "".join(rows[1].cells).encode()
    assert all(len(cell) <= 500 for shown in analysis.preview for cell in shown)
    assert {len(shown) for shown in analysis.preview} == {2}


def test_rows_that_are_mostly_ragged_do_not_hide_the_header(tmp_path: Path) -> None:
    analysis, rows = cells_of(tmp_path, b"Nome,Email\nA,a@b.co,z\nB\nC,c@b.co\n")
    assert analysis.columns == ["Nome", "Email"]
    assert rows[-1] == ["C", "c@b.co"]


def test_half_a_pair_of_utf_16_is_its_rows_error(tmp_path: Path) -> None:
    content = "Nome,E-mail\nAna\ud800,a@b.co\nBia,b@b.co\n".encode("utf-16-le", "surrogatepass")
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xff\xfe" + content)
    _, rows, _ = read(path)
    assert [row.problem for row in rows] == [RowProblem(BROKEN, None), None]
