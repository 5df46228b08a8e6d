"""Texts in composed form, whatever is stacked on a letter."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from app.common.domain import MAX_STACKED, composed, folded


@given(st.text(max_size=60))
def test_ordinary_texts_are_in_nfc(text: str) -> None:
    if not any(unicodedata.combining(character) for character in unicodedata.normalize("NFD", text)):
        assert composed(text) == unicodedata.normalize("NFC", text)


def test_accents_are_composed() -> None:
    assert composed("Joa\u0303o") == "João"


def test_what_goes_beyond_thirty_marks_on_a_letter_is_cut() -> None:
    stacked = "a" + "\u0301\u0323" * 50_000 + "b"
    kept = composed(stacked)
    assert kept.endswith("b")
    assert sum(1 for c in unicodedata.normalize("NFD", kept) if unicodedata.combining(c)) == MAX_STACKED
    assert folded(stacked) == "ab"


def test_a_long_text_of_another_script_is_untouched() -> None:
    text = "日本語のテキスト" * 1000
    assert composed(text) == text
