"""How a file is read, and what its first look told: what every later chunk reads by."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import NamedTuple

from app.imports.domain.outcomes import RowProblem

MAX_COLUMNS = 500
MAX_CELL = 65_536
"""Characters of a cell; a longer one is its row's error."""
MAX_LINE = 5 * 2**18
"""Bytes of one line; a quote may stay open for about twice as many."""
MAX_HEADER = 200
"""Characters of a header."""
PREVIEW_ROWS = 20
MAX_PREVIEW_CELL = 500
"""Characters of a cell that a preview shows."""
ONE_COLUMN = ""
"""The delimiter of a file that has none."""
REPORT_COLUMNS = ("row", "code", "message")
"""What our errors.csv has after the original columns."""


def unnamed_column(n: int) -> str:
    """What the n-th column is called, from 1, where the file has no name for it."""
    return f"Column {n}"


class FileProblem(StrEnum):
    """Why a file cannot be imported at all: nothing of it is written."""

    EMPTY = "EMPTY"
    HEADER_ONLY = "HEADER_ONLY"
    NOT_A_TABLE = "NOT_A_TABLE"
    TOO_MANY_COLUMNS = "TOO_MANY_COLUMNS"
    LINE_TOO_LONG = "LINE_TOO_LONG"
    OPEN_QUOTE = "OPEN_QUOTE"
    TOO_LARGE_UNPACKED = "TOO_LARGE_UNPACKED"
    BROKEN_WORKBOOK = "BROKEN_WORKBOOK"
    FILE_GONE = "FILE_GONE"
    DISK_FULL = "DISK_FULL"


FILE_MESSAGES = {
    "en": {
        FileProblem.EMPTY: "The file has nothing in it: save it again with a header and rows, and upload that.",
        FileProblem.HEADER_ONLY: "The file has a header and no rows: add rows below it and upload it again.",
        FileProblem.NOT_A_TABLE: "This is no table: save it as CSV or XLSX in your spreadsheet and upload that.",
        FileProblem.TOO_MANY_COLUMNS: f"The file has more than {MAX_COLUMNS} columns: remove those you do not need.",
        FileProblem.LINE_TOO_LONG: (
            f"A line is longer than {MAX_LINE // 2**20} MB: check that rows end with a line break."
        ),
        FileProblem.OPEN_QUOTE: "A quotation mark is opened and never closed: close it, or write it twice.",
        FileProblem.TOO_LARGE_UNPACKED: "The workbook is too large: save its first sheet as CSV and upload that.",
        FileProblem.BROKEN_WORKBOOK: (
            "The workbook cannot be opened: open it in your spreadsheet, save it as XLSX or CSV and upload that."
        ),
        FileProblem.FILE_GONE: "The uploaded file is no longer there: upload it again.",
        FileProblem.DISK_FULL: "The server has no room for the file: ask whoever runs it to free some.",
    },
    "pt-BR": {
        FileProblem.EMPTY: "O arquivo está vazio: salve-o de novo com cabeçalho e linhas e envie.",
        FileProblem.HEADER_ONLY: "O arquivo só tem cabeçalho: acrescente linhas abaixo dele e envie de novo.",
        FileProblem.NOT_A_TABLE: "Isto não é uma tabela: salve como CSV ou XLSX na sua planilha e envie.",
        FileProblem.TOO_MANY_COLUMNS: f"O arquivo tem mais de {MAX_COLUMNS} colunas: tire as que não precisa.",
        FileProblem.LINE_TOO_LONG: (
            f"Uma linha tem mais de {MAX_LINE // 2**20} MB: veja se as linhas terminam com quebra de linha."
        ),
        FileProblem.OPEN_QUOTE: "Há aspas que abrem e nunca fecham: feche-as ou escreva-as em dobro.",
        FileProblem.TOO_LARGE_UNPACKED: "A planilha é grande demais: salve a primeira aba como CSV e envie.",
        FileProblem.BROKEN_WORKBOOK: (
            "Não foi possível abrir a planilha: abra-a no seu programa, salve como XLSX ou CSV e envie."
        ),
        FileProblem.FILE_GONE: "O arquivo enviado não está mais aqui: envie-o de novo.",
        FileProblem.DISK_FULL: "O servidor está sem espaço para o arquivo: peça a quem o administra que libere algum.",
    },
}
"""By locale; where it begins, `UnreadableFile.row` says."""


class UnreadableFile(Exception):
    """`row`: the data row (from 1) where it begins, where that is known."""

    def __init__(self, problem: FileProblem, row: int | None = None) -> None:
        super().__init__(problem)
        self.problem, self.row = problem, row


@dataclass(frozen=True, slots=True)
class Dialect:
    """A text file's; UTF-16 and XLSX are rewritten as UTF-8 CSV before anything else reads them."""

    encoding: str
    """utf-8, mac_roman, or cp1252 (the few bytes that mean nothing there are Latin-1's): a line feed is one byte."""
    delimiter: str
    """ONE_COLUMN where there is none."""
    data_offset: int
    """The byte at which the first data row begins."""
    is_error_report: bool = False
    """Our own errors.csv come back: its three last columns are ours, and cells may wear a guarding apostrophe."""

    def as_json(self) -> Mapping[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What reading the whole file once told."""

    dialect: Dialect
    columns: Sequence[str]
    """The headers as people see them: none empty, no two equal."""
    preview: Sequence[Sequence[str]]
    """The first `PREVIEW_ROWS` rows as read, cut and filled to the columns."""
    total_rows: int


class RawRow(NamedTuple):
    """One record of the file. Its cells hold nothing that PostgreSQL cannot store, whatever its problem is."""

    n: int
    """1 is the first data row; lines with nothing at all, or with delimiters alone, are no rows."""
    cells: Sequence[str]
    problem: RowProblem | None
    """RAGGED_ROW, TOO_LONG, INVALID_TEXT: it is rejected for that, whatever its cells say."""
    end: int
    """The byte after it: where the next one begins."""
