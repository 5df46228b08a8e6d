"""The language of templates: text, and `{{ variable | filter: "text" | … }}`. Nothing is evaluated, nothing loops.

One production, read by a scanner that looks at each character once. A value is put in as text and never read again.
What a template can grow to is known when it is saved: no rendering is ever too long.
"""

import difflib
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from app.common.domain import Invalid, Refusals
from app.templates.domain.variables import VARIABLES, value

MAX_OUTPUT = 20_000
"""Characters of a rendered text, with the longest values; of the text as it is written as well."""
MAX_VALUE = 320
"""Characters put in for one variable; an address has at most 254, a name 200."""
MAX_PROBLEMS = 20
SUBJECT, BODY = "subject", "body"

_NAMES = "|".join(sorted({path.partition(".")[0] for path in VARIABLES}))
_MARK = re.compile(r"\{\{|\}\}|\{%|(?<!\{)\{[ \t]*(?=(?:" + _NAMES + r")[ \t]*\.[ \t]*[A-Za-z_])")
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\xa0]+)|(?P<path>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)"""
    r"""|(?P<pipe>\|)|(?P<colon>:)|"(?P<double>[^"\r\n]*)"|'(?P<single>[^'\r\n]*)'"""
)
_WORD = re.compile(r"[^\s-]+")


class TemplateProblem(Invalid):
    """What cannot be read of a template, and where; lines and columns count from 1."""

    def __init__(self, text: str, *, field: str, line: int, column: int) -> None:
        super().__init__(f"Line {line}, column {column}: {text}", path=(field,))
        self.field, self.line, self.column, self.text = field, line, column, text


def _capitalize(text: str) -> str:
    """Each word begins with a capital, also behind a hyphen; the rest is small."""
    return _WORD.sub(lambda word: word[0][:1].upper() + word[0][1:].lower(), text)


FALLBACK = "fallback"
FILTERS: Mapping[str, Callable[[str], str]] = {
    "upcase": str.upper,
    "downcase": str.lower,
    "capitalize": _capitalize,
}
"""All there are, beside `fallback: "…"`."""


@dataclass(frozen=True, slots=True)
class Filter:
    name: str
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class Insertion:
    """Where a value goes; `source` is what stands there in the template."""

    variable: str
    filters: Sequence[Filter]
    source: str

    @property
    def is_required(self) -> bool:
        return all(one.name != FALLBACK for one in self.filters)

    def of(self, values: Mapping[str, str | None]) -> str | None:
        """None: the value is missing, and there is no fallback."""
        text = value(values.get(self.variable))
        for one in self.filters:
            if one.name == FALLBACK:
                text = text if text is not None else one.argument
            elif text is not None:
                text = FILTERS[one.name](text)
        return text[:MAX_VALUE] if text is not None else None


@dataclass(frozen=True, slots=True)
class Parsed:
    parts: Sequence[str | Insertion]

    @property
    def insertions(self) -> list[Insertion]:
        return [part for part in self.parts if isinstance(part, Insertion)]

    @property
    def variables(self) -> list[str]:
        """In the order in which they first stand there."""
        return list(dict.fromkeys(one.variable for one in self.insertions))

    @property
    def required(self) -> list[str]:
        """Those that stand somewhere without a fallback."""
        return list(dict.fromkeys(one.variable for one in self.insertions if one.is_required))


@dataclass(frozen=True, slots=True)
class Rendered:
    """Where a value is missing the text has the variable as it is written, for people to see: it must not be sent."""

    text: str
    missing: Sequence[str]


def parse(text: str, field: str) -> Parsed:
    """Raises TemplateProblem, several at once as Refusals; `field` is where the input has the text."""
    if len(text) > MAX_OUTPUT:
        raise Invalid(f"Use at most {MAX_OUTPUT:,} characters: this has {len(text):,}.", path=(field,))
    scanner = _Scanner(text, field)
    scanner.scan()
    if scanner.problems:
        raise scanner.problems[0] if len(scanner.problems) == 1 else Refusals(scanner.problems)
    parsed = Parsed(scanner.parts)
    longest = sum(MAX_VALUE if isinstance(part, Insertion) else len(part) for part in parsed.parts)
    if longest > MAX_OUTPUT:
        raise Invalid(
            f"With long values this could grow to {longest:,} characters, {MAX_VALUE} for each variable; "
            f"a message from a template has at most {MAX_OUTPUT:,}. Shorten it, or use fewer variables.",
            path=(field,),
        )
    return parsed


@lru_cache(maxsize=256)
def parsed(text: str, field: str) -> Parsed:
    """As `parse`, remembered: a bulk send renders one text for everybody."""
    return parse(text, field)


def render(parsed: Parsed, values: Mapping[str, str | None]) -> Rendered:
    """`values` by variable; one that is not there is missing. Never refuses."""
    texts: list[str] = []
    missing: dict[str, None] = {}
    for part in parsed.parts:
        text = part if isinstance(part, str) else part.of(values)
        if text is None and isinstance(part, Insertion):
            missing[part.variable] = None
            text = part.source
        texts.append(text or "")
    return Rendered("".join(texts), tuple(missing))


class _Scanner:
    """From marks to parts, on and on after a problem, so that all of them are told at once."""

    def __init__(self, text: str, field: str) -> None:
        self.text, self.field = text, field
        self.parts: list[str | Insertion] = []
        self.problems: list[TemplateProblem] = []
        self._lines = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]

    def scan(self) -> None:
        opened: int | None = None
        done = 0
        for mark in _MARK.finditer(self.text):
            if len(self.problems) >= MAX_PROBLEMS:
                return
            kind, at = mark[0], mark.start()
            if kind == "{{":
                if opened is not None:
                    self._refuse(opened, "This {{ is not closed: write }} before the next {{.")
                else:
                    self.parts.append(self.text[done:at])
                opened = at
            elif kind == "}}" and opened is not None:
                self._insert(opened, mark.end())
                opened, done = None, mark.end()
            elif opened is None:
                self._refuse(at, _misplaced(kind))
        if opened is not None:
            self._refuse(opened, "This {{ is not closed: write }} after the variable.")
        self.parts.append(self.text[done:])

    def _refuse(self, at: int, text: str) -> None:
        line = bisect_right(self._lines, at)
        column = at - self._lines[line - 1] + 1
        self.problems.append(TemplateProblem(text, field=self.field, line=line, column=column))

    def _insert(self, start: int, end: int) -> None:
        """What stands between the braces: a variable, then filters. The first problem of it is told."""
        try:
            tokens = self._tokens(start + 2, end - 2)
            variable = _variable(tokens, end - 2)
            filters = _filters(tokens, end - 2)
        except _Unread as unread:
            self._refuse(unread.at, unread.text)
        else:
            self.parts.append(Insertion(variable, filters, self.text[start:end]))

    def _tokens(self, at: int, end: int) -> "list[_Token]":
        """In reverse, to be popped. Raises _Unread."""
        tokens: list[_Token] = []
        while at < end:
            found = _TOKEN.match(self.text, at, end)
            if found is None:
                raise _Unread(at, _unknown(self.text[at]))
            kind = found.lastgroup or ""
            if kind != "space":
                tokens.append(_Token("text" if kind in ("double", "single") else kind, found[kind], at))
            at = found.end()
        return tokens[::-1]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Unread(Exception):
    def __init__(self, at: int, text: str) -> None:
        super().__init__(text)
        self.at, self.text = at, text


def _variable(tokens: list[_Token], end: int) -> str:
    if not tokens:
        raise _Unread(end, f"Name a variable between {{{{ and }}}}, such as lead.first_name. {_LIST}")
    token = tokens.pop()
    if token.kind != "path":
        raise _Unread(token.at, f"A variable stands first, such as lead.first_name. {_LIST}")
    if token.text not in VARIABLES:
        raise _Unread(
            token.at, f"There is no variable {token.text[:50]}. {_meant(token.text, VARIABLES) or _LIST}"
        )
    return token.text


def _filters(tokens: list[_Token], end: int) -> tuple[Filter, ...]:
    filters: list[Filter] = []
    while tokens:
        pipe = tokens.pop()
        if pipe.kind != "pipe":
            raise _Unread(pipe.at, "After a variable comes }} or | and a filter; nothing is calculated.")
        if not tokens or tokens[-1].kind != "path":
            raise _Unread(tokens[-1].at if tokens else end, f"Name a filter after |. {_FILTER_LIST}")
        filters.append(_filter(tokens.pop(), tokens, end))
    return tuple(filters)


def _filter(name: _Token, tokens: list[_Token], end: int) -> Filter:
    if name.text not in FILTERS and name.text != FALLBACK:
        hint = _meant(name.text, [*FILTERS, FALLBACK]) or _FILTER_LIST
        raise _Unread(name.at, f"There is no filter {name.text[:50]}. {hint}")
    has_argument = bool(tokens) and tokens[-1].kind == "colon"
    if name.text != FALLBACK:
        if has_argument:
            raise _Unread(tokens[-1].at, f"The filter {name.text} takes nothing after it.")
        return Filter(name.text)
    if has_argument:
        tokens.pop()
    if not has_argument or not tokens or tokens[-1].kind != "text":
        at = tokens[-1].at if tokens else end
        raise _Unread(at, 'Give the fallback a text in quotes, such as fallback: "there"; it may be empty.')
    return Filter(FALLBACK, _fallback(tokens.pop()))


def _fallback(token: _Token) -> str:
    if len(token.text) > MAX_VALUE:
        raise _Unread(token.at, f"A fallback has at most {MAX_VALUE} characters.")
    return token.text


def _misplaced(kind: str) -> str:
    if kind == "}}":
        return "There is no {{ before this }}."
    if kind == "{%":
        return "There are no tags such as {% … %} here: a template has text and {{ variables }} only."
    return "A variable stands in two braces, such as {{ lead.first_name }}."


def _unknown(character: str) -> str:
    if character in "\"'":
        return "This quote is not closed: a text stands between two equal quotes, on one line."
    if character in "“”‘’«»":
        return 'Use straight quotes: "…".'
    if character in "{}":
        return (
            "A variable stands in two braces, such as {{ lead.first_name }}, without further braces in them."
        )
    return f"{character!r} cannot stand here: a variable does, and filters after it. Nothing is calculated."


def _meant(text: str, known: Sequence[str] | Mapping[str, str]) -> str:
    found = difflib.get_close_matches(text[:50].lower(), list(known), n=1)
    return f"Did you mean {found[0]}?" if found else ""


_LIST = f"There are: {', '.join(VARIABLES)}."
_FILTER_LIST = f"There are: {FALLBACK}, {', '.join(FILTERS)}."
