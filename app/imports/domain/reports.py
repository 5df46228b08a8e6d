"""The rejected rows of an import as lines of a spreadsheet: the columns they had, then row, code and message. Pure.

Corrected and uploaded, such a report is read by `Dialect.is_error_report`: its own three columns are left out, and the
apostrophes it has put before what a spreadsheet would run are taken away again (`guards.unguarded`).
"""

from collections.abc import Mapping, Sequence

import orjson

from app.imports.domain.guards import guarded, unguarded
from app.imports.domain.mapping import ERROR_COLUMNS
from app.imports.domain.outcomes import RowCode, row_message
from app.imports.domain.rows import LENGTHS

BATCH_COLUMNS = (*LENGTHS, "metadata")
"""Of rows that came with a request."""
LIST_SEPARATORS = {"pt-BR": ";"}
"""By locale, where it is no comma: what a spreadsheet in that language parts a CSV by."""
WORKBOOK_ENDINGS = (".xlsx", ".xlsm")


def report_delimiter(own: str, file_name: str, locale: str) -> str:
    """The file's own. A workbook, a batch and a file of one column have none: it opens in columns for its reader."""
    if own and not file_name.lower().endswith(WORKBOOK_ENDINGS):
        return own
    return LIST_SEPARATORS.get(locale, ",")


def own_cells(cells: Sequence[str], columns: int) -> list[str]:
    """Of a line of a report that was sent in again: the cells of the file that it is about. A line with more or fewer
    cells than headings does not tell which those are."""
    own = cells[: -len(ERROR_COLUMNS)] if len(cells) == columns else cells
    return [unguarded(cell) for cell in own]


def report_headings(columns: Sequence[str]) -> list[str]:
    return [*map(guarded, columns), *ERROR_COLUMNS]


def report_line(
    columns: int,
    payload: Mapping[str, object] | None,
    *,
    row: int,
    code: RowCode,
    field: str | None,
    locale: str,
    delimiter: str,
) -> list[str]:
    """`payload`: as `import_row` keeps it; nothing is left of a row whose person was erased."""
    given = (payload or {}).get("cells")
    if isinstance(given, list):
        cells = [str(cell) for cell in given]
    else:
        cells = [_text((payload or {}).get(name)) for name in BATCH_COLUMNS[:columns]]
    message = row_message(code, locale)
    told = f"{field}: {message}" if field else message
    return [*map(guarded, _fitted(cells, columns, delimiter)), str(row), code.value, guarded(told)]


def _fitted(cells: Sequence[str], columns: int, delimiter: str) -> list[str]:
    """Of a row with more cells than columns, the last one holds what is over: nothing is lost, and row, code and
    message stand below their headings."""
    if len(cells) > columns:
        return [*cells[: columns - 1], delimiter.join(cells[columns - 1 :])]
    return [*cells, *[""] * (columns - len(cells))]


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
