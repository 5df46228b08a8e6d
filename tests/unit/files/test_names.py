"""A file's name out of a Content-Disposition, and into one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.files.domain.names import MAX_BYTES, clean_name, content_disposition, file_name


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("", "file"),
        ("attachment", "file"),
        ("attachment; filename=plain.txt", "plain.txt"),
        ('attachment; filename="two words.txt"', "two words.txt"),
        ('inline; FILENAME="CASE.txt"', "CASE.txt"),
        ('attachment; filename="a \\"quoted\\" name.txt"', 'a "quoted" name.txt'),
        ('attachment; filename="semi;colon.txt"; size=3', "semi;colon.txt"),
        ("attachment; filename*=UTF-8''na%C3%AFve%20file.txt", "naïve file.txt"),
        ("attachment; filename*=iso-8859-1'en'%A3%20rates.txt", "£ rates.txt"),
        ("attachment; filename=\"plain.txt\"; filename*=UTF-8''pr%C3%A9.txt", "pré.txt"),
        ("attachment; filename*=UTF-8''pr%C3%A9.txt; filename=plain.txt", "pré.txt"),
        ("attachment; filename=\"fallback.txt\"; filename*=UTF-16''x", "fallback.txt"),
        ("attachment; filename=\"fallback.txt\"; filename*=UTF-8''%FF%FE", "fallback.txt"),
        ("filename=bare.txt", "bare.txt"),
        ("attachment; filename=" + "ação.csv".encode().decode("latin-1"), "ação.csv"),
        ("attachment; filename=ação.csv", "ação.csv"),
    ],
)
def test_a_name_in_either_form(header: str, name: str) -> None:
    assert file_name(header) == name


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system32\\cmd.exe", "cmd.exe"),
        ("C:\\Users\\ana\\list.csv", "list.csv"),
        ("/", "file"),
        ("..", "file"),
        (". .", "file"),
        ("a\x00b\r\nc\t.txt", "abc.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("  spaced   out .txt ", "spaced out .txt"),
        ("trailing dots...", "trailing dots"),
        ("\ud800half.txt", "half.txt"),
        ("e\u0301te\u0301.txt", "été.txt"),
        ("\u2028\u200b", "file"),
    ],
)
def test_hostile_names_are_cleaned(given_name: str, name: str) -> None:
    assert clean_name(given_name) == name


def test_a_long_name_keeps_its_extension() -> None:
    assert clean_name("a" * 5000 + ".xlsx") == "a" * 180 + ".xlsx"
    assert clean_name("ção" * 2000 + ".csv").endswith(".csv")
    assert len(clean_name("." + "x" * 5000)) <= 200


@given(st.text(max_size=400))
def test_any_name_is_safe_and_clean_already(text: str) -> None:
    name = clean_name(text)
    assert name
    assert not set(name) & set("/\\")
    assert name not in (".", "..")
    assert len(name.encode()) <= MAX_BYTES
    assert name.isprintable()
    assert clean_name(name) == name
    header = content_disposition("attachment", name)
    assert header.isascii()
    assert file_name(header) == name


@given(st.text(st.characters(max_codepoint=255), max_size=300))
def test_any_header_is_read(header: str) -> None:
    assert file_name(header)
