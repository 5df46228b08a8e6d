"""The texts of a template as people give them: cleaned, read, and with every problem told at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from app.common.domain import Invalid, Refusals, SalesPadError, TextProblem, clean_text, text_problem
from app.templates.domain.language import BODY, MAX_OUTPUT, SUBJECT, Parsed, parse, render
from app.templates.domain.template import is_control
from app.templates.domain.variables import visible

MAX_SUBJECT_SOURCE = 500
"""Characters of a subject as it is written, with its variables."""
Cleaned = TypeVar("Cleaned")


@dataclass(frozen=True, slots=True)
class Texts:
    """Of a template, clean and read."""

    subject: str | None
    body: str
    variables: Sequence[str]
    required: Sequence[str]


class Problems:
    """Collects what is wrong with the fields of an input."""

    def __init__(self) -> None:
        self.refusals: list[SalesPadError] = []

    def take(self, rule: Callable[[], Cleaned], default: Cleaned) -> Cleaned:
        try:
            return rule()
        except Refusals as several:
            self.refusals.extend(several.refusals)
        except SalesPadError as refusal:
            self.refusals.append(refusal)
        return default

    def tell(self) -> None:
        """Raises what there is."""
        if self.refusals:
            raise self.refusals[0] if len(self.refusals) == 1 else Refusals(self.refusals)


def clean_texts(subject: str | None, body: str, problems: Problems) -> Texts:
    """What is wrong goes into `problems`; the texts are then of no use."""
    head = problems.take(lambda: clean_subject(subject), None)
    main = problems.take(lambda: clean_body(body), None)
    if main is None:
        return Texts(None, "", (), ())
    parsed = [head[1], main[1]] if head else [main[1]]
    return Texts(
        head[0] if head else None,
        main[0],
        _distinct([one.variables for one in parsed]),
        _distinct([one.required for one in parsed]),
    )


def clean_subject(subject: str | None) -> tuple[str, Parsed] | None:
    """None: there is none. A line break becomes a space. Raises TemplateProblem, Invalid, Refusals."""
    line = "".join(" " if is_control(one) and one != "\x00" else one for one in subject or "")
    if not line.strip():
        return None
    return _clean(line, SUBJECT, max_length=MAX_SUBJECT_SOURCE)


def clean_body(body: str) -> tuple[str, Parsed]:
    """Raises TemplateProblem, Invalid, Refusals."""
    return _clean(body, BODY, max_length=MAX_OUTPUT)


def _clean(text: str, field: str, *, max_length: int) -> tuple[str, Parsed]:
    """Read as it was given, so that lines and columns are its own, and again as it is stored, where that differs."""
    if text_problem(text, max_length=max_length) is TextProblem.TOO_LONG:
        raise Invalid(
            f"Use at most {max_length:,} characters: this has {len(text.strip()):,}.", path=(field,)
        )
    clean = clean_text(text, field, max_length=max_length)
    given = parse(text, field)
    stored = given if clean == text else parse(clean, field)
    if not visible(render(stored, {}).text):
        raise Invalid(
            "For a lead without these values nothing would be left: write some text, or a fallback that is not empty.",
            path=(field,),
        )
    return clean, stored


def _distinct(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in lists for name in names))
