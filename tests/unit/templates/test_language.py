"""The language of templates: what is read, what is refused and where, and that nothing is ever evaluated."""

import contextlib
import signal
from collections.abc import Iterator

import pytest

from app.common.domain import Invalid, Refusals
from app.templates.domain.language import MAX_OUTPUT, MAX_PROBLEMS, MAX_VALUE, TemplateProblem, parse, render
from app.templates.domain.variables import VARIABLES

ANA = {"lead.name": "Ana Clara Souza", "lead.first_name": "Ana", "lead.company": None}


def shown(text: str, values: dict[str, str | None] = ANA) -> tuple[str, list[str]]:
    rendered = render(parse(text, "body"), values)
    return rendered.text, list(rendered.missing)


def problems(text: str, field: str = "body") -> list[tuple[int, int, str]]:
    """Each problem's line, column and the first words of its message."""
    with pytest.raises((Invalid, Refusals)) as caught:
        parse(text, field)
    refused = caught.value.refusals if isinstance(caught.value, Refusals) else [caught.value]
    assert all(isinstance(one, TemplateProblem) and one.path == (field,) for one in refused), refused
    assert all(one.message.startswith(f"Line {one.line}, column {one.column}: ") for one in refused)
    return [(one.line, one.column, one.text) for one in refused]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Olá!", "Olá!"),
        ("", ""),
        ("Olá {{ lead.first_name }}!", "Olá Ana!"),
        ("{{lead.first_name}}{{lead.first_name}}", "AnaAna"),
        ('{{ lead.company | fallback: "vocês" }}', "vocês"),
        ("{{ lead.company | fallback: 'de \"vocês\"' }}", 'de "vocês"'),
        ('{{ lead.company | fallback: "" }}.', "."),
        ('{{ lead.first_name | fallback: "tudo bem" }}', "Ana"),
        ('{{ lead.company | fallback: "vocês" | upcase }}', "VOCÊS"),
        ("{{ lead.name | upcase }}", "ANA CLARA SOUZA"),
        ("{{ lead.name | downcase }}", "ana clara souza"),
        ("{{ lead.name | upcase | capitalize }}", "Ana Clara Souza"),
        ('{{ lead.company | fallback: "ANA-MARIA d\'ávila" | capitalize }}', "Ana-Maria D'ávila"),
        ('{{\n lead.first_name\n | fallback : "x" }}', "Ana"),
        ("50% {off} {{ lead.first_name }} {x.y} { } %} # {#", "50% {off} Ana {x.y} { } %} # {#"),
        ("a } b { c", "a } b { c"),
    ],
)
def test_a_text_is_rendered(text: str, expected: str) -> None:
    assert shown(text) == (expected, [])


def test_a_missing_variable_is_named_once_and_stands_as_it_was_written() -> None:
    text = "{{ lead.company }}, {{ lead.company | upcase }} and {{ owner.name }}"
    assert shown(text) == (text, ["lead.company", "owner.name"])
    assert parse(text, "body").required == ["lead.company", "owner.name"]


def test_a_variable_with_a_fallback_everywhere_is_not_required() -> None:
    parsed = parse('{{ lead.title | fallback: "" }} {{ lead.name }} {{ lead.title|fallback:"x" }}', "body")
    assert parsed.variables == ["lead.title", "lead.name"]
    assert parsed.required == ["lead.name"]
    assert parse('{{ lead.title | fallback: "" }}{{ lead.title }}', "body").required == ["lead.title"]


@pytest.mark.parametrize("hostile", ["{{ lead.email }}", "{% raw %}", "{{", "}}", "$1 \\1 \\g<0>", "%s {0}"])
def test_a_value_is_text_and_is_never_read_again(hostile: str) -> None:
    values = {"lead.name": hostile, "lead.email": "secret@example.com"}
    assert shown("<{{ lead.name }}>", values) == (f"<{hostile}>", [])


@pytest.mark.parametrize(
    "nothing", [None, "", "  ", "\xa0", "\u200b", "\u2800\u3000", "\t\r\n", "\x01\x02", "\ufe0f"]
)
def test_what_nobody_can_see_is_no_value(nothing: str | None) -> None:
    assert shown('{{ lead.company | fallback: "-" }}', {"lead.company": nothing}) == ("-", [])


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        ("{{ 7*7 }}", 1, 4, "'7' cannot stand here"),
        ("{{lead.__class__}}", 1, 3, "There is no variable lead.__class__"),
        ("{{ lead.__class__.__mro__[1] }}", 1, 26, "'[' cannot stand here"),
        ("{% raw %}", 1, 1, "There are no tags"),
        ("{%- for x in y -%}", 1, 1, "There are no tags"),
        ("Oi {lead.first_name}", 1, 4, "A variable stands in two braces"),
        ("Oi { lead . name }", 1, 4, "A variable stands in two braces"),
        ("Oi {{ lead.first_name", 1, 4, "This {{ is not closed"),
        ("Oi\n\n  {{ lead.first_name }", 3, 3, "This {{ is not closed"),
        ("Oi lead.first_name }}", 1, 20, "There is no {{ before"),
        ("{{{ lead.name }}}", 1, 3, "A variable stands in two braces"),
        ("{{ lead.nome }}", 1, 4, "There is no variable lead.nome. Did you mean lead.name?"),
        ("{{ Lead.Name }}", 1, 4, "There is no variable Lead.Name. Did you mean lead.name?"),
        ("{{ lead.name.upper }}", 1, 4, "There is no variable lead.name.upper"),
        ("{{ lead.name.upper() }}", 1, 19, "'(' cannot stand here"),
        ("{{ lead['name'] }}", 1, 8, "'[' cannot stand here"),
        ("{{ self }}", 1, 4, "There is no variable self"),
        ("{{ }}", 1, 4, "Name a variable"),
        ("{{}}", 1, 3, "Name a variable"),
        ("{{ 'x' }}", 1, 4, "A variable stands first"),
        ("{{ | upcase }}", 1, 4, "A variable stands first"),
        ("{{ lead.name upcase }}", 1, 14, "After a variable comes"),
        ("{{ lead.name | }}", 1, 16, "Name a filter"),
        ("{{ lead.name | | upcase }}", 1, 16, "Name a filter"),
        ("{{ lead.name | eval }}", 1, 16, "There is no filter eval"),
        ("{{ lead.name | upcse }}", 1, 16, "There is no filter upcse. Did you mean upcase?"),
        ("{{ lead.name | upcase: 'x' }}", 1, 22, "The filter upcase takes nothing"),
        ("{{ lead.name | fallback }}", 1, 25, "Give the fallback a text"),
        ("{{ lead.name | fallback: }}", 1, 26, "Give the fallback a text"),
        ("{{ lead.name | fallback: lead.email }}", 1, 26, "Give the fallback a text"),
        ('{{ lead.name | fallback: "x }}', 1, 26, "This quote is not closed"),
        ("{{ lead.name | fallback: “x” }}", 1, 26, "Use straight quotes"),
        ('{{ lead.name | fallback: "x" "y" }}', 1, 30, "After a variable comes"),
        (f'{{{{ lead.name | fallback: "{"x" * (MAX_VALUE + 1)}" }}}}', 1, 26, "A fallback has at most"),
        ("ção 🎉 {{ x }}\r\n", 1, 10, "There is no variable x"),
        ("a\r\nb\rc\n{{ x }}", 4, 4, "There is no variable x"),
        ("{{ lead.námé }}", 1, 10, "'á' cannot stand here"),
        ("{{ lead.name }\u200b}", 1, 1, "This {{ is not closed"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused_where_it_stands(text: str, line: int, column: int, hint: str) -> None:
    (problem,) = problems(text)
    assert problem[:2] == (line, column), problem
    assert problem[2].startswith(hint), problem


def test_all_problems_are_told_at_once_in_their_order() -> None:
    text = "{{ lead.nome }}\n{{ lead.name }} {% if x %}\n\n {{ {{ lead.name | shout }}\n}} {{ lead.name"
    assert [one[:2] for one in problems(text, "subject")] == [
        (1, 4),
        (2, 17),
        (4, 2),
        (4, 20),
        (5, 1),
        (5, 4),
    ]


def test_of_very_many_problems_the_first_are_told() -> None:
    assert len(problems("{{ x }}" * 2000)) == MAX_PROBLEMS


def test_every_variable_can_be_named() -> None:
    text = "".join(f"{{{{ {name} }}}}," for name in VARIABLES)
    assert shown(text, dict.fromkeys(VARIABLES, "x")) == ("x," * len(VARIABLES), [])


def test_a_text_has_a_limit_and_so_has_what_it_can_grow_to() -> None:
    assert shown("x" * MAX_OUTPUT)[0] == "x" * MAX_OUTPUT
    for too_long in ("x" * (MAX_OUTPUT + 1), "x" * 1_000_000):
        with pytest.raises(Invalid, match=f"at most 20,000 characters: this has {len(too_long):,}") as caught:
            parse(too_long, "body")
        assert caught.value.path == ("body",)
    most = MAX_OUTPUT // MAX_VALUE
    full = parse("{{lead.name}}" * most, "body")
    with pytest.raises(Invalid, match="could grow to"):
        parse("{{lead.name}}" * (most + 1), "body")
    # "ŉ" doubles and "ΐ" triples as a capital: what a value grows to by a filter is cut as well.
    for value in ("v" * 5000, "ŉ" * 5000, "ΐ" * 5000):
        assert len(render(full, {"lead.name": value}).text) <= MAX_OUTPUT
        assert (
            len(render(parse("{{lead.name|upcase}}" * most, "body"), {"lead.name": value}).text) <= MAX_OUTPUT
        )


HOSTILE = {
    "opened": "{{",
    "closed": "}}",
    "opened-apart": "{{ ",
    "tags": "{%",
    "single": "{ lead",
    "single-apart": "{" + " " * 50,
    "quotes": '{{ lead.name | fallback: "',
    "dots": "{{ a.a.a.a.a.a",
    "spaces": " " * 100,
    "braces": "{",
    "path": "lead.",
    "pipes": "{{ lead.name |",
    "lines": "\r\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_texts_take_time_in_proportion_to_their_length(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 kB, with no limit in the way. What takes the square of it takes minutes, and meets the deadline."""
    monkeypatch.setattr("app.templates.domain.language.MAX_OUTPUT", 10_000_000)
    monkeypatch.setattr("app.templates.domain.language.MAX_PROBLEMS", 10_000_000)
    text = HOSTILE[kind] * (200_000 // len(HOSTILE[kind]))
    with cpu_limit(20), contextlib.suppress(Invalid, Refusals):
        parse(text, "body")


@contextlib.contextmanager
def cpu_limit(seconds: int) -> Iterator[None]:
    def too_slow(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, too_slow)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
