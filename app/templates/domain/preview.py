"""A text that nobody has saved: every problem with its place, or what is in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.common.domain import SalesPadError
from app.templates.domain.language import BODY, TemplateProblem
from app.templates.domain.texts import Problems, Texts, clean_texts


@dataclass(frozen=True, slots=True)
class Preview:
    """`texts` is None where there are problems."""

    texts: Texts | None
    problems: Sequence[TemplateProblem]


def preview(subject: str | None, body: str) -> Preview:
    problems = Problems()
    texts = clean_texts(subject, body, problems)
    found = [_placed(refusal) for refusal in problems.refusals]
    return Preview(None if found else texts, found)


def _placed(refusal: SalesPadError) -> TemplateProblem:
    """What is wrong with a text as a whole stands at its beginning."""
    if isinstance(refusal, TemplateProblem):
        return refusal
    field = refusal.path[0] if refusal.path else BODY
    return TemplateProblem(refusal.message, field=field, line=1, column=1)
