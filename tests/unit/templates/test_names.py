"""Names in parts, and what a rendered subject may be."""

import pytest

from app.templates.domain.template import MAX_SUBJECT, one_line, rendered_text
from app.templates.domain.variables import first_name, last_name, value


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Ana Clara Souza", "Ana", "Souza"),
        ("Ana", "Ana", None),
        ("  Ana\xa0Souza ", "Ana", "Souza"),
        ("Ana\tSouza\n", "Ana", "Souza"),
        ("José d'Ávila", "José", "d'Ávila"),
        ("李小龍", "李小龍", None),
        ("👩‍🚀 Ana", "👩‍🚀", "Ana"),
        ("\u200b Ana \u200b", "Ana", None),
        ("ana.souza@example.com", None, None),
        ("Ana <ana@example.com>", None, None),
        ("", None, None),
        (None, None, None),
        ("\u200b \u2060", None, None),
        ("{{ lead.email }}", "{{", "}}"),
    ],
)
def test_a_name_in_parts(name: str | None, first: str | None, last: str | None) -> None:
    assert (first_name(name), last_name(name)) == (first, last)


def test_a_value_keeps_what_joins_an_emoji() -> None:
    assert value(" 👩‍🚀 ❤️ ") == "👩‍🚀 ❤️"


@pytest.mark.parametrize(
    "control", ["\r\n", "\n", "\r", "\x00", "\x0b", "\x85", "\u2028", "\u2029", "\x1b", "\t"]
)
def test_a_value_ends_no_line_of_a_subject(control: str) -> None:
    text = rendered_text(
        "Oi {{ lead.name }}!", "{{ lead.name }}", {"lead.name": f"Ana{control}Bcc: eve@example.com"}
    )
    assert text.subject == "Oi Ana Bcc: eve@example.com!"
    assert text.body == f"Ana{control}Bcc: eve@example.com"


def test_a_long_subject_is_cut() -> None:
    assert one_line("x" * MAX_SUBJECT) == "x" * MAX_SUBJECT
    assert one_line("x" * 500) == "x" * (MAX_SUBJECT - 1) + "…"
