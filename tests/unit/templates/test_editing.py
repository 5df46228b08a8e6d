"""Templates and snippets as members make and change them."""

import unicodedata
from uuid import UUID

import pytest

from app.common.domain import Invalid, Refusals
from app.templates.domain.editing import Snippet, Template
from app.templates.domain.preview import preview

ID = UUID(int=1)


def template(**given: str | None) -> Template:
    fields = {"name": "Welcome", "channel": None, "subject": None, "body": "Hi", **given}
    return Template.create(ID, **fields)[0]  # type: ignore[arg-type]


def refused(**given: str | None) -> list[tuple[str, ...]]:
    with pytest.raises((Invalid, Refusals)) as caught:
        template(**given)
    several = caught.value.refusals if isinstance(caught.value, Refusals) else [caught.value]
    return [one.path for one in several]


def test_a_template_knows_the_variables_of_both_its_texts() -> None:
    made = template(
        subject="{{ lead.company }}",
        body='{{ lead.name }} {{ lead.company | fallback: "x" }} {{ owner.name }}',
    )
    assert made.texts.variables == ("lead.company", "lead.name", "owner.name")
    assert made.texts.required == ("lead.company", "lead.name", "owner.name")


def test_every_field_that_is_wrong_is_told() -> None:
    assert refused(name=" ", subject="{{ x }}", body="{{ y }} {{ z }}") == [
        ("name",),
        ("subject",),
        ("body",),
        ("body",),
    ]
    assert refused(name="n" * 101) == [("name",)]
    assert refused(body="") == [("body",)]
    assert refused(body="x" * 1_000_000) == [("body",)]
    assert refused(body="a\x00b", subject="a\x00b") == [("subject",), ("body",)]
    assert refused(subject="s" * 501) == [("subject",)]


@pytest.mark.parametrize(
    "text", ['{{ lead.company | fallback: "" }}', ' {{ lead.company | fallback: "\u200b" }} ']
)
def test_what_may_come_out_empty_is_refused(text: str) -> None:
    assert refused(subject=text, body=text) == [("subject",), ("body",)]


def test_a_line_break_in_a_subject_is_a_space() -> None:
    assert template(subject="Oi\r\nBcc: x").texts.subject == "Oi  Bcc: x"
    assert template(subject="  \n ").texts.subject is None


def test_places_are_those_of_the_text_as_it_was_given() -> None:
    """Though it is stored without the white space around it, and composed."""
    (problem,) = preview(None, "\n\n " + unicodedata.normalize("NFD", "ção") + " {{ x }}").problems
    assert (problem.line, problem.column) == (3, 11)


def test_a_change_makes_a_version_and_no_change_none() -> None:
    made = template(subject="S", body="B")
    same, event = made.update({"name": "Welcome ", "body": "B"})
    assert (same, event) == (made, None)
    changed, event = made.update({"subject": None, "body": "C"})
    assert (changed.version, changed.texts.subject, changed.texts.body) == (2, None, "C")
    assert event is not None
    assert event.changed == ["subject", "body"]
    with pytest.raises(Invalid):
        made.update({"body": None})
    with pytest.raises(Invalid):
        made.update({"name": None})


@pytest.mark.parametrize(
    ("given", "shortcut"),
    [("/Oi", "oi"), ("preço", "preço"), (" follow-up_2 ", "follow-up_2"), ("ÀÇÃO", "àção")],
)
def test_a_shortcut_is_cleaned(given: str, shortcut: str) -> None:
    assert Snippet.create(ID, shortcut=given, body="Hi")[0].shortcut == shortcut


@pytest.mark.parametrize("given", ["", "/", "a b", "a/b", "x" * 31, "//a", "a\x00", "{{x}}", "😀"])
def test_a_bad_shortcut_is_refused(given: str) -> None:
    with pytest.raises(Invalid) as caught:
        Snippet.create(ID, shortcut=given, body="Hi")
    assert caught.value.path == ("shortcut",)


def test_a_snippets_variables_are_checked() -> None:
    with pytest.raises(Invalid) as caught:
        Snippet.create(ID, shortcut="oi", body="Oi {{ lead.nome }}")
    assert caught.value.path == ("body",)
