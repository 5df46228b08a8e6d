"""Why an import failed, as people read it."""

import pytest

from app.imports.domain.dialect import FileProblem
from app.imports.domain.failing import TEXTS, Failure, told, why
from app.imports.domain.outcomes import ROW_MESSAGES, RowCode, row_message


def test_every_reason_is_said_in_every_language() -> None:
    for texts in TEXTS.values():
        assert set(texts) == {*FileProblem, *Failure}
        assert len(set(texts.values())) == len(texts)
    for messages in ROW_MESSAGES.values():
        assert set(messages) == set(RowCode)


@pytest.mark.parametrize(
    ("locale", "place"), [("en", "Row 12: "), ("pt-BR", "Linha 12: "), ("xx", "Row 12: ")]
)
def test_a_file_tells_the_row_at_which_it_ends(locale: str, place: str) -> None:
    assert told(why(FileProblem.OPEN_QUOTE, 12), locale).startswith(f"OPEN_QUOTE: {place}")
    assert "12" not in told(why(FileProblem.OPEN_QUOTE, None), locale)


def test_a_wrong_mapping_names_the_column() -> None:
    stored = why(Failure.WRONG_MAPPING, "Total | {soma}")
    assert "“Total | {soma}”" in told(stored, "pt-BR")
    assert told(stored, "pt-BR") != told(stored, "en")


def test_what_ended_it_from_without_is_said_with_its_id() -> None:
    shown = told("Unexpected error ab12: KeyError", "pt-BR")
    assert shown.startswith("INTERNAL_ERROR: Unexpected error ab12: KeyError. ")


def test_a_language_that_is_not_there_is_english() -> None:
    assert row_message(RowCode.NO_IDENTITY, "fr") == ROW_MESSAGES["en"][RowCode.NO_IDENTITY]
    assert told(why(FileProblem.EMPTY), "fr") == told(why(FileProblem.EMPTY), "en")
