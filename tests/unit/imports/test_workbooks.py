"""The first sheet of a workbook as text; its reader's limits end the reader alone."""

import zipfile
from datetime import date, datetime, time
from pathlib import Path
from threading import Event, Timer

import openpyxl
import pytest

from app.imports.domain.dialect import FileProblem, UnreadableFile
from app.imports.infrastructure import workbook_child
from app.imports.infrastructure.table_files import analyse, read_rows
from app.imports.infrastructure.workbook import NobodyWaits, rewrite_workbook


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    rewritten = path.with_suffix(".csv")
    analysis, is_rewritten = analyse(path, is_workbook=True, rewritten=rewritten)
    assert is_rewritten
    again = path.with_name("again")  # who looks after a worker that was killed before it said what it found
    assert analyse(rewritten, is_workbook=False, rewritten=again) == (analysis, False)
    rows = read_rows(
        rewritten, analysis.dialect, len(analysis.columns), offset=analysis.dialect.data_offset, n=1
    )
    found = list(rows)
    assert {row.problem for row in found} == {None}
    assert analysis.total_rows == len(found)
    return list(analysis.columns), [list(row.cells) for row in found]


def save(path: Path, rows: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.create_sheet("Outra").append(["nada", "disso"])
    book.save(path)
    return path


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SHEET = f'<worksheet xmlns="{MAIN}"><sheetData>{{}}</sheetData></worksheet>'


def with_texts(path: Path, n: int, *, size: int = 10_000, rows: int = 0) -> Path:
    """The workbook with so many shared texts, which its reader has to hold; the first in each of so many rows."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    swollen = path.with_name("swollen")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(swollen, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "[Content_Types].xml":
                content = content.replace(b"</Types>", override.encode())
            if rows and name == "xl/worksheets/sheet1.xml":
                content = SHEET.format('<row><c t="s"><v>0</v></c></row>' * rows).encode()
            if name != "xl/sharedStrings.xml":
                new.writestr(name, content)
        with new.open("xl/sharedStrings.xml", "w") as texts:
            texts.write(f'<sst xmlns="{MAIN}">'.encode())
            for at in range(n):
                texts.write(f"<si><t>{at}{'x' * size}</t></si>".encode())
            texts.write(b"</sst>")
    return swollen


def test_cells_are_texts(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["Relatório"],
        [],
        ["Nome", "Telefone", "Desde", "Hora", "Ativo", "Valor", None, None],
        ["Ana, \"A\"\nPrado", 5511987650101.0, datetime.fromisoformat("2026-03-12"), time(9, 30), True, 1234.5],
        ["Bia", 12, datetime.fromisoformat("2026-03-12T09:30:15"), None, False, "#N/A"],
        [None, None, date(2026, 1, 2)],
        [],
        ["_x000D_fim", None, None, None, None, "=1+1"],
    ]  # fmt: skip
    columns, found = read(save(tmp_path / "upload", rows))
    assert columns == ["Nome", "Telefone", "Desde", "Hora", "Ativo", "Valor"]
    assert found == [
        ['Ana, "A"\nPrado', "5511987650101", "2026-03-12", "09:30:00", "TRUE", "1234.5"],
        ["Bia", "12", "2026-03-12T09:30:15", "", "FALSE", ""],
        ["", "", "2026-01-02", "", "", ""],
        ["\rfim", "", "", "", "", ""],
    ]


BAD_FONT = '<color rgb="blue"/><family val="99"/>'
RUNS = f'<r><rPr>{BAD_FONT}</rPr><t>No</t></r><r><t>me</t></r><rPh sb="0"><t>x</t></rPh>'
TEXTS = f'<sst xmlns="{MAIN}"><si>{RUNS}</si></sst>'
LOOKS = ('<fonts count="1">', f'<fonts count="1"><font>{BAD_FONT}</font>'), ("<patternFill />", "")
USUAL, PURL = "http://schemas.openxmlformats.org/", "http://purl.oclc.org/ooxml/"
STRICT = (
    (f"{USUAL}spreadsheetml/2006/main", f"{PURL}spreadsheetml/main"),
    (f"{USUAL}officeDocument/2006/relationships", f"{PURL}officeDocument/relationships"),
)


@pytest.mark.parametrize(
    ("texts", "part", "replaced"),
    [
        ("sharedStrings", "", ()),
        ("SharedStrings", "", ()),
        ("sharedStrings", "xl/styles.xml", LOOKS),
        ("sharedStrings", "docProps/core.xml", (("20", "AD 20"),)),
        ("sharedStrings", "xl/", STRICT),
    ],
    ids=["rich text", "name", "looks", "properties", "strict"],
)
def test_what_no_cell_depends_on_refuses_no_workbook(
    tmp_path: Path, texts: str, part: str, replaced: tuple[tuple[str, str], ...]
) -> None:
    plain = save(tmp_path / "plain.xlsx", [["Nome", "Desde"], ["_x005F_x0041_", date(2026, 1, 2)]])
    named = with_texts(plain, 0)
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(named) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            text = TEXTS if "shared" in name else old.read(name).decode()
            text = text.replace('t="inlineStr"><is><t>Nome</t></is>', 't="s"><v>0</v>')
            for what, by in replaced if name.startswith(part) else ():
                text = text.replace(what, by)
            new.writestr(name.replace("sharedStrings", texts), text)
    assert read(path) == (["Nome", "Desde"], [["_x0041_", "2026-01-02"]])


def test_one_column_may_hold_commas(tmp_path: Path) -> None:
    assert read(save(tmp_path / "upload", [["Nome"], ["Silva, Ana"]])) == (["Nome"], [["Silva, Ana"]])


def test_semicolons_in_every_cell_are_no_delimiter(tmp_path: Path) -> None:
    rows = [["Nome", "a; b; c; d"], ["Ana", "1; 2; 3; 4"], ["Bia", "5; 6; 7; 8"]]
    columns, found = read(save(tmp_path / "upload", [list(row) for row in rows]))
    assert [columns, *found] == rows


def test_an_empty_sheet(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile) as refused:
        read(save(tmp_path / "upload", []))
    assert refused.value.problem is FileProblem.EMPTY


def limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *limits: tuple[str, str]) -> None:
    """The same program with less: what a monster of a workbook would take is beyond any limit."""
    source = Path(workbook_child.__file__).read_text()
    for told, less in limits:
        assert told in source
        source = source.replace(told, less)
    small = tmp_path / "small.py"
    small.write_text(source)
    monkeypatch.setattr(workbook_child, "__file__", str(small))


def test_too_many_texts_end_the_reader_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    less = (
        ("MAX_MEMORY = 2**30", "MAX_MEMORY = 96 * 2**20"),
        ("64 * 2**20, 100", "64 * 2**20, 10_000"),
    )
    limit(monkeypatch, tmp_path, *less)
    path = with_texts(save(tmp_path / "upload", [["Nome"], ["Ana"]]), 12_000)
    with pytest.raises(UnreadableFile) as refused:
        read(path)
    assert refused.value.problem is FileProblem.TOO_LARGE_UNPACKED
    assert list(tmp_path.glob("*.csv*")) == []


def test_where_the_reader_of_xml_is_out_of_memory_the_workbook_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of the two meets the limit is a matter of bytes."""
    limit(
        monkeypatch,
        tmp_path,
        ("        check_size(source)", "        raise ParseError"),
        ('"""A program', 'class ParseError(SyntaxError):\n    code = 1\n\n"""A program'),
    )
    with pytest.raises(UnreadableFile) as refused:
        read(save(tmp_path / "upload", [["Nome"]]))
    assert refused.value.problem is FileProblem.TOO_LARGE_UNPACKED


def test_one_text_in_every_row_is_not_written_beyond_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workbook has it once: what its archive says of itself is small."""
    limit(monkeypatch, tmp_path, ("MAX_UNPACKED = 2 * 2**30", "MAX_UNPACKED = 2**20"))
    path = with_texts(save(tmp_path / "upload", [["Nome"]]), 1, size=30_000, rows=500)
    with pytest.raises(UnreadableFile) as refused:
        read(path)
    assert refused.value.problem is FileProblem.TOO_LARGE_UNPACKED
    assert list(tmp_path.glob("*.csv*")) == []


def test_a_reader_that_nobody_waits_for_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of an import that was canceled: else this would never end."""
    endless = "        check_size(source)\n        while True: threading.Event().wait(1)"
    limit(monkeypatch, tmp_path, ("        check_size(source)", endless))
    is_nobodys = Event()
    path = save(tmp_path / "upload", [["Nome"], ["Ana"]])
    Timer(0.5, is_nobodys.set).start()
    with pytest.raises(NobodyWaits):
        rewrite_workbook(path, tmp_path / "a.csv", is_nobodys)
    assert list(tmp_path.glob("*.csv*")) == []
