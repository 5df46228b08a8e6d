"""Files that are no tables, or too much of one: told at once, and nothing is left of them."""

import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from app.imports.domain.dialect import FILE_MESSAGES, Dialect, FileProblem, UnreadableFile
from app.imports.infrastructure.table_files import analyse, read_rows

MB = 2**20
HEAD = b"Nome,E-mail\nAna,a@b.co\n"
GROWTH = """
import resource, sys
from pathlib import Path
from app.imports.domain.dialect import UnreadableFile
from app.imports.infrastructure.table_files import analyse
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    analyse(Path(sys.argv[1]), is_workbook=False, rewritten=Path(sys.argv[1] + ".new"))
except UnreadableFile as unreadable:
    print(unreadable.problem, unreadable.row, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def refusal(path: Path, *, is_workbook: bool = False) -> tuple[FileProblem, int | None]:
    rewritten = path.with_name("rewritten")
    with pytest.raises(UnreadableFile) as refused:
        analyse(path, is_workbook=is_workbook, rewritten=rewritten)
    assert list(path.parent.glob("rewritten*")) in ([], [rewritten])
    return refused.value.problem, refused.value.row


@pytest.mark.parametrize(
    ("content", "problem", "row"),
    [
        (b"", FileProblem.EMPTY, None),
        (b"\xef\xbb\xbf", FileProblem.EMPTY, None),
        (b"\xff\xfe", FileProblem.EMPTY, None),
        (b" \r\n\n;;;\r\n", FileProblem.EMPTY, None),
        (b"," * 5 * MB, FileProblem.EMPTY, None),
        (b"\n" * 5 * MB, FileProblem.EMPTY, None),
        (b"Nome,E-mail\n", FileProblem.HEADER_ONLY, None),
        (b"Nome,E-mail" + b"\r\n" * 5 * MB, FileProblem.HEADER_ONLY, None),
        (b"PK\x03\x04" + bytes(100), FileProblem.NOT_A_TABLE, None),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), FileProblem.NOT_A_TABLE, None),
        (b"%PDF-1.7\n1 0 obj", FileProblem.NOT_A_TABLE, None),
        (b"<!DOCTYPE html><table>", FileProblem.NOT_A_TABLE, None),
        (bytes(range(256)) * 100, FileProblem.NOT_A_TABLE, None),
        (bytes(5 * MB), FileProblem.NOT_A_TABLE, None),
        (",".join(f"c{n}" for n in range(10_000)).encode() + b"\n1\n", FileProblem.TOO_MANY_COLUMNS, None),
        (HEAD + b"x" * 5 * MB, FileProblem.LINE_TOO_LONG, 2),
        (HEAD + b'"Bia,b@b.co\nCarla,c@b.co\n', FileProblem.OPEN_QUOTE, 2),
        (HEAD + b'"\n",' * 2 * MB, FileProblem.OPEN_QUOTE, 2),
        (HEAD * 20 + b"Bia,b@b.co\n" + b'"' + HEAD * MB, FileProblem.OPEN_QUOTE, 41),
    ],
    ids=[
        "empty", "only a mark", "only a mark of utf-16", "blank", "commas", "line feeds", "header", "header and blanks",
        "zip", "png", "pdf", "page", "bytes", "nuls", "columns", "line", "quote", "quotes", "late quote",
    ],
)  # fmt: skip
def test_what_is_no_table_says_why(
    tmp_path: Path, content: bytes, problem: FileProblem, row: int | None
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    assert refusal(path) == (problem, row)


def test_an_open_quote_of_50_mb_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(HEAD + b'"Bia,b@b.co\n' + b"Carla,c@example.com\n" * (50 * MB // 20))
    program = [sys.executable, "-c", GROWTH, str(path)]
    told = subprocess.run(program, capture_output=True, text=True, check=True).stdout.split()
    assert told[:2] == ["OPEN_QUOTE", "2"]
    assert int(told[2]) < 50 * 1024


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone") == (FileProblem.FILE_GONE, None)
    assert refusal(tmp_path / "gone", is_workbook=True) == (FileProblem.FILE_GONE, None)
    with pytest.raises(UnreadableFile) as refused:
        next(read_rows(tmp_path / "gone", Dialect("utf-8", ",", 0), 1, offset=0, n=7))
    assert refused.value.problem is FileProblem.FILE_GONE


def test_what_finds_no_room_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(("Nome,E-mail\n" + "Ana,a@b.co\n" * 100_000).encode("utf-16"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        assert refusal(path) == (FileProblem.DISK_FULL, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ["upload"]
    analysis, is_rewritten = analyse(path, is_workbook=False, rewritten=tmp_path / "rewritten")
    assert (analysis.total_rows, is_rewritten) == (100_000, True)
    assert analyse(path, is_workbook=False, rewritten=tmp_path / "rewritten")[0] == analysis


@pytest.mark.parametrize("locale", ["en", "pt-BR"])
def test_every_problem_has_words(locale: str) -> None:
    assert set(FILE_MESSAGES[locale]) == set(FileProblem)
    assert len(set(FILE_MESSAGES[locale].values())) == len(FileProblem)


# ── workbooks ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            for _ in range(100):
                sheet.write(bytes(MB))
    assert path.stat().st_size < MB
    assert refusal(path, is_workbook=True) == (FileProblem.TOO_LARGE_UNPACKED, None)


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(100), b"Nome,E-mail\n", b""])
def test_a_broken_workbook(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    assert refusal(path, is_workbook=True) == (FileProblem.BROKEN_WORKBOOK, None)
