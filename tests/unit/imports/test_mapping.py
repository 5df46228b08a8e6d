"""Which column is which field: by header, by values, as remembered; and what may be asked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.common.domain import Invalid, Refusals
from app.imports.domain.headers import field_of_header
from app.imports.domain.mapping import (
    ERROR_COLUMNS,
    SINGLE_FIELDS,
    ColumnMapping,
    LeadField,
    checked_mapping,
    headers_key,
    is_sure,
    suggest,
)


def fields(columns: list[str], *rows: list[str], **more: object) -> list[str]:
    remembered = more.pop("remembered", None)
    found = suggest(columns, rows, remembered=remembered, **more)  # type: ignore[arg-type]
    assert [one.column for one in found] == columns
    return [one.field.value for one in found]


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Nome", "NAME"),
        ("NOME COMPLETO", "NAME"),
        ("Qual é o seu nome completo?", "NAME"),
        ("Qual o nome da sua empresa?", "COMPANY"),
        ("Corporate Phone", "METADATA"),
        ("Primeiro nome", "FIRST_NAME"),
        ("Sobrenome", "LAST_NAME"),
        ("lastName", "LAST_NAME"),
        ("E-mail", "EMAIL"),
        ("e-mail_comercial 2", "EMAIL"),
        ("Endereço de e-mail", "EMAIL"),
        ("Telefone", "PHONE"),
        ("Celular (WhatsApp)", "PHONE"),
        ("WhatsApp", "PHONE"),
        ("Telefone 2", "PHONE"),
        ("número_de_telefone", "PHONE"),
        ("Empresa", "COMPANY"),
        ("Razão Social", "COMPANY"),
        ("companyName", "COMPANY"),
        ("Cargo", "TITLE"),
        ("Job Title", "TITLE"),
        ("LinkedIn", "LINKEDIN"),
        ("Perfil do LinkedIn", "LINKEDIN"),
        ("Instagram", "INSTAGRAM"),
        ("Facebook", "FACEBOOK"),
        ("Etiquetas", "TAGS"),
        ("Observações", "NOTE"),
        ("Owner e-mail", "METADATA"),
        ("E-mail do responsável", "METADATA"),
        ("Telefone da empresa", "METADATA"),
        ("LinkedIn Company Page", "METADATA"),
        ("CPF", "METADATA"),
        ("Website", "METADATA"),
    ],
)
def test_a_header_says_what_is_below(header: str, field: str) -> None:
    found = field_of_header(header)
    assert found is not None
    assert (found[0].value, found[1] >= 0.8) == (field, True)


def test_a_name_beside_a_last_name_is_the_first_one() -> None:
    assert fields(["Nome", "Sobrenome", "E-mail"]) == ["FIRST_NAME", "LAST_NAME", "EMAIL"]
    assert fields(["Nome completo", "Sobrenome", "E-mail"]) == ["NAME", "LAST_NAME", "EMAIL"]
    assert fields(["Name", "First Name", "Last Name"]) == ["NAME", "FIRST_NAME", "LAST_NAME"]
    said = {"Nome": LeadField.NAME, "Sobrenome": LeadField.LAST_NAME}
    assert fields(["Nome", "Sobrenome"], remembered=said) == ["NAME", "LAST_NAME"]


def test_an_unknown_header_is_told_by_its_values() -> None:
    columns = ["a", "b", "c", "d", "e", "f"]
    row = [
        *("ana@example.com", "(11) 98765-4321", "https://www.linkedin.com/in/ana", "instagram.com/ana"),
        *("https://www.facebook.com/ana", "A-3"),
    ]
    assert fields(columns, row) == ["EMAIL", "PHONE", "LINKEDIN", "INSTAGRAM", "FACEBOOK", "METADATA"]
    assert is_sure(suggest(columns, [row], remembered=None))


@pytest.mark.parametrize(
    "value",
    ["123.456.789-09", "12.345.678/0001-95", "2026-05-04 09:31", "1.234,56", "98765432", "ana@", "@ana"],
)
def test_what_only_looks_like_somebody_is_kept_as_it_is(value: str) -> None:
    assert fields(["Nome", "x", "E-mail"], ["Ana", value, "a@example.com"]) == ["NAME", "METADATA", "EMAIL"]


def test_bare_digits_are_phones_only_where_nothing_else_is_anybody_and_then_not_for_sure() -> None:
    rows = [["Ana", "11987654321"], ["Bia", "5511987654322"]]
    assert fields(["Nome", "x"], *rows) == ["NAME", "PHONE"]
    assert not is_sure(suggest(["Nome", "x"], rows, remembered=None))
    assert fields(["Nome", "CPF"], *rows) == ["NAME", "METADATA"]


def test_words_that_differ_are_names_only_where_nothing_else_is_and_then_not_for_sure() -> None:
    rows = [["Ana Prado", "a@example.com", "novo"], ["Bia", "b@example.com", "novo"]]
    columns = ["quem", "onde", "como"]
    assert fields(columns, *rows) == ["NAME", "EMAIL", "METADATA"]
    assert not is_sure(suggest(columns, rows, remembered=None))
    assert fields(["quem", "onde", "Nome"], *rows) == ["METADATA", "EMAIL", "NAME"]
    others = [[text[::-1], where, text] for text, where, _ in rows]
    assert fields(["Cidade", "onde", "CPF"], *others) == ["METADATA", "EMAIL", "METADATA"]
    same = [["novo", "a@example.com"], ["novo", "b@example.com"]]
    assert is_sure(suggest(["x", "onde"], same, remembered=None))


def test_a_header_that_its_values_contradict_is_asked_about() -> None:
    mapping = suggest(["Nome", "E-mail"], [["Ana", "yes"], ["Bia", "no"]], remembered=None)
    assert [one.field for one in mapping] == [LeadField.NAME, LeadField.EMAIL]
    assert not is_sure(mapping)


def test_the_surest_of_two_columns_is_the_only_one() -> None:
    columns = ["Contato", "Nome", "Full name", "E-mail", "E-mail 2", "Empresa"]
    row = ["x", "Ana", "Ana S.", "a@example.com", "b@example.com", "Acme"]
    assert fields(columns, row) == ["METADATA", "NAME", "METADATA", "EMAIL", "EMAIL", "COMPANY"]


def test_a_column_without_a_value_so_far_is_not_lost() -> None:
    assert fields(["E-mail", "Cor", "Telefone"], ["a@example.com", "", ""]) == ["EMAIL", "METADATA", "PHONE"]
    assert fields(["E-mail"]) == ["EMAIL"]


def test_what_is_remembered_goes_before_everything() -> None:
    remembered = {"Nome": LeadField.COMPANY, "E-mail": LeadField.IGNORE, "x": LeadField.PHONE}
    found = suggest(["Nome", "E-mail", "x"], [["Ana", "a@example.com", "1"]], remembered=remembered)
    assert {one.column: one.field for one in found} == remembered
    assert is_sure(found)


def test_the_columns_of_our_report_are_left_out() -> None:
    columns = ["E-mail", "Nome", *ERROR_COLUMNS]
    row = ["'@x", "Ana", "3", "INVALID_EMAIL", "a@example.com"]
    found = fields(columns, row, is_error_report=True, remembered={"E-mail": LeadField.EMAIL})
    assert found == ["EMAIL", "NAME", "IGNORE", "IGNORE", "IGNORE"]


@pytest.mark.parametrize(
    "mapping",
    [
        [],
        [("NAME", 1.0)],
        [("EMAIL", 0.79)],
        [("EMAIL", 1.0), ("NAME", 0.6)],
        [("METADATA", 1.0), ("IGNORE", 1.0)],
    ],
)
def test_it_is_not_sure(mapping: list[tuple[str, float]]) -> None:
    assert not is_sure([ColumnMapping(field, LeadField(field), sure) for field, sure in mapping])


@settings(deadline=None)
@given(columns=st.lists(st.text(max_size=12), max_size=8, unique=True), data=st.data())
def test_any_table_gets_one_field_a_column_and_no_single_one_twice(
    columns: list[str], data: st.DataObject
) -> None:
    cell = st.one_of(st.text(max_size=12), st.sampled_from(["a@example.com", "+5511987654321", "in/ana"]))
    rows = data.draw(st.lists(st.lists(cell, min_size=len(columns), max_size=len(columns)), max_size=3))
    found = suggest(columns, rows, remembered=None)
    assert [one.column for one in found] == columns
    single = [one.field for one in found if one.field in SINGLE_FIELDS]
    assert len(single) == len(set(single))
    assert all(0 <= one.confidence <= 1 for one in found)


def test_five_hundred_columns_of_anything() -> None:
    columns = [f"E-mail {n}" for n in range(250)] + [f"Coluna {n}" for n in range(250)]
    found = suggest(columns, [["a@example.com"] * 250 + ["x" * 60_000] * 250], remembered=None)
    assert [one.field for one in found] == [LeadField.EMAIL] * 250 + [LeadField.METADATA] * 250


def test_columns_not_named_are_ignored() -> None:
    found = checked_mapping(["a", "b", "c"], [("c", LeadField.EMAIL), ("a", LeadField.NAME)])
    assert found == [
        ColumnMapping("a", LeadField.NAME, 1.0),
        ColumnMapping("b", LeadField.IGNORE, 1.0),
        ColumnMapping("c", LeadField.EMAIL, 1.0),
    ]


def test_of_most_fields_there_may_be_several() -> None:
    many = ["EMAIL", "PHONE", "TAGS", "NOTE", "METADATA", "IGNORE", "LINKEDIN"]
    columns = [f"{field} {n}" for field in many for n in range(2)]
    given_ = [(column, LeadField(column.split()[0])) for column in columns]
    assert [(one.column, one.field) for one in checked_mapping(columns, given_)] == given_


@pytest.mark.parametrize(
    ("mapping", "paths"),
    [
        ([("x", "EMAIL")], [("mapping", "0", "column")]),
        ([("a", "EMAIL"), ("a", "NAME")], [("mapping", "1", "column")]),
        ([("a", "EMAIL"), ("b", "NAME"), ("c", "NAME")], [("mapping", "2", "field")]),
        ([("a", "NAME")], [("mapping",)]),
        ([], [("mapping",)]),
        (
            [("x", "EMAIL"), ("a", "NAME"), ("b", "NAME")],
            [("mapping", "0", "column"), ("mapping", "2", "field")],
        ),
    ],
)
def test_what_is_wrong_with_a_mapping_is_shown_where_it_is(
    mapping: list[tuple[str, str]], paths: list[tuple[str, ...]]
) -> None:
    with pytest.raises((Invalid, Refusals)) as refused:
        checked_mapping(["a", "b", "c"], [(column, LeadField(field)) for column, field in mapping])
    error = refused.value
    assert [one.path for one in (error.refusals if isinstance(error, Refusals) else [error])] == paths


def test_a_report_of_errors_has_its_files_key() -> None:
    key = headers_key(["E-mail", "Nome"])
    assert key == headers_key(["e-mail", "NOME "]) == headers_key(["E-mail", "Nome", *ERROR_COLUMNS])
    assert key != headers_key(["Nome", "E-mail"])
    assert key != headers_key(["E-mail", "Nome", "row"])
    assert headers_key(["a b"]) != headers_key(["a", "b"])
    assert headers_key(["?"]) != headers_key(["!"])
