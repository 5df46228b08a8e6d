"""What a message is found by, and what a search asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.common.domain import Invalid
from app.conversations.domain.search import MAX_SEARCH_TEXT, search_terms, search_text


def test_case_accents_and_signs_do_not_count() -> None:
    assert search_text(subject="Orçamento", body="AÇÃO, já!") == "orcamento acao ja"
    assert search_terms(" Ação & (já | não) ") == ["acao", "ja", "nao"]


def test_addresses_and_file_names_are_found_by_their_parts() -> None:
    text = search_text(body="x", contact_address="ana.silva@example.com", file_names=["Proposta_final.pdf"])
    assert text.split() == ["ana", "silva", "example", "com", "proposta", "final", "pdf", "x"]


def test_a_very_long_message_is_found_by_its_beginning() -> None:
    assert len(search_text(body="ab " * MAX_SEARCH_TEXT)) <= MAX_SEARCH_TEXT
    assert len(search_text(body="ﷺ" * MAX_SEARCH_TEXT)) <= MAX_SEARCH_TEXT  # one sign that unfolds into 18


@pytest.mark.parametrize("search", ["", " ", "a", "a" * 101, "a\x00b"])
def test_what_is_too_short_or_too_long_to_search_is_refused(search: str) -> None:
    with pytest.raises(Invalid):
        search_terms(search)


@given(st.text(min_size=2, max_size=100).filter(lambda s: len(s.strip()) >= 2 and "\x00" not in s))
def test_terms_hold_no_operator(search: str) -> None:
    for term in search_terms(search):
        assert not set(term) & set("&|!():*<>'\"\\%_ ")
