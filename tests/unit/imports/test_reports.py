"""The lines of errors.csv."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imports.domain.guards import guarded, unguarded
from app.imports.domain.mapping import ERROR_COLUMNS
from app.imports.domain.outcomes import RowCode
from app.imports.domain.reports import (
    BATCH_COLUMNS,
    own_cells,
    report_delimiter,
    report_headings,
    report_line,
)


def line(payload: dict[str, object] | None, columns: int = 2, field: str | None = "E-mail") -> list[str]:
    return report_line(
        columns, payload, row=7, code=RowCode.INVALID_EMAIL, field=field, locale="pt-BR", delimiter=";"
    )


def test_a_row_has_its_cells_then_row_code_and_message() -> None:
    assert line({"cells": ["Bia", "bia@"]}) == [
        *("Bia", "bia@", "7", "INVALID_EMAIL"),
        "E-mail: Dê um endereço de e-mail, como ana@example.com.",
    ]
    assert (
        line({"cells": ["Bia", "bia@"]}, field=None)[-1] == "Dê um endereço de e-mail, como ana@example.com."
    )


@pytest.mark.parametrize(
    ("own", "name", "locale", "written"),
    [
        (",", "leads.csv", "pt-BR", ","),
        ("\t", "leads.csv", "en", "\t"),
        (",", "Leads.XLSX", "pt-BR", ";"),
        (",", "leads.xlsx", "en", ","),
        ("", "", "pt-BR", ";"),
        ("", "", "en", ","),
    ],
)
def test_what_has_no_delimiter_of_its_own_opens_in_its_readers_columns(
    own: str, name: str, locale: str, written: str
) -> None:
    assert report_delimiter(own, name, locale) == written


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        (["Bia"], ["Bia", ""]),
        (["Bia", "Acme", " Ltda", "SP"], ["Bia", "Acme; Ltda;SP"]),
        ([], ["", ""]),
    ],
)
def test_a_ragged_row_stands_below_the_headings_and_loses_nothing(
    cells: list[str], written: list[str]
) -> None:
    found = line({"cells": cells})
    assert found[:2] == written
    assert len(found) == 2 + len(ERROR_COLUMNS)


def test_nothing_is_left_of_who_was_erased() -> None:
    assert line(None)[:3] == ["", "", "7"]


def test_a_row_of_a_batch_has_the_fields_of_the_api() -> None:
    payload = {"profileUrl": "https://x", "metadata": {"followers": 12}, "name": "Bia"}
    cells = dict(zip(BATCH_COLUMNS, line(payload, len(BATCH_COLUMNS)), strict=False))
    assert {name: cell for name, cell in cells.items() if cell} == {
        "profileUrl": "https://x",
        "metadata": '{"followers":12}',
        "name": "Bia",
    }


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n=", "\uff1d", "\uff0b", " \uff20"])
def test_no_cell_no_heading_and_no_message_is_run_as_a_formula(start: str) -> None:
    text = f"{start}HYPERLINK(1)"
    assert line({"cells": [text, ""]}, field=text)[0].startswith("'")
    assert line({"cells": ["", ""]}, field=text)[-1].startswith("'")
    assert report_headings([text])[0].startswith("'")


@pytest.mark.parametrize("between", [";", "\t", "\n", '; "', ";'"])
def test_nor_what_begins_a_cell_where_another_separator_is_the_custom(between: str) -> None:
    assert guarded(f"Ana{between}=HYPERLINK(1)") == f"Ana{between}'=HYPERLINK(1)"


def test_a_report_that_is_reported_again_has_what_its_file_had() -> None:
    first = line({"cells": ["=Bia", "bia@;+1"]})
    assert line({"cells": own_cells(first, len(first))}) == first
    assert own_cells(["Bia", "'=x"], 5) == ["Bia", "=x"]


@given(st.text(alphabet="'=+-@\t\r\n;\"\uff1da ", max_size=8))
def test_what_is_guarded_comes_back_as_it_was(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell
