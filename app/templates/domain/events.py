"""What happened to templates and snippets."""

from dataclasses import dataclass
from typing import ClassVar

from app.common.domain import Event


@dataclass(frozen=True, kw_only=True)
class TemplateChanged(Event):
    """`changed` says what: created, name, subject, body or deleted; `snippet` beside it where it was a snippet."""

    name: ClassVar[str] = "template.changed"
