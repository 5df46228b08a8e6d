"""A template, its versions, and what may be refused of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Channel
from app.templates.domain.language import BODY, SUBJECT, parsed, render

MAX_SUBJECT = 200
"""Of a rendered one too: what is longer is cut there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVersion:
    """A text as it was at some time; it never changes."""

    id: UUID
    template_id: UUID
    number: int
    channel: Channel | None
    """None: it is for every channel."""
    subject: str | None
    body: str
    variables: Sequence[str]
    required: Sequence[str]


@dataclass(frozen=True, slots=True)
class RenderedText:
    """Where anything is missing it must not be sent: the text shows where."""

    subject: str | None
    body: str
    missing_in_subject: Sequence[str]
    missing_in_body: Sequence[str]

    @property
    def missing(self) -> Sequence[str]:
        return tuple(dict.fromkeys([*self.missing_in_subject, *self.missing_in_body]))


def rendered(version: TemplateVersion, values: Mapping[str, str | None]) -> RenderedText:
    """`values` by variable, of one lead (`values_of`). Never refuses."""
    return rendered_text(version.subject, version.body, values)


def rendered_text(subject: str | None, body: str, values: Mapping[str, str | None]) -> RenderedText:
    """Of texts that were parsed before."""
    texts = render(parsed(body, BODY), values)
    if subject is None:
        return RenderedText(None, texts.text, (), texts.missing)
    head = render(parsed(subject, SUBJECT), values)
    return RenderedText(one_line(head.text), texts.text, head.missing, texts.missing)


def one_line(text: str) -> str:
    """What a value brings of line breaks and control characters are spaces: no value begins a header of its own."""
    line = " ".join("".join(" " if is_control(one) else one for one in text).split())
    return line if len(line) <= MAX_SUBJECT else f"{line[: MAX_SUBJECT - 1].rstrip()}…"


def is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f" or character in "\u2028\u2029"
