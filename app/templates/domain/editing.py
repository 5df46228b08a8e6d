"""Templates and snippets as members make and change them, and the ports to where they are stored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from app.common.domain import Channel, Invalid, clean_text
from app.templates.domain.events import TemplateChanged
from app.templates.domain.texts import Problems, Texts, clean_body, clean_texts

MAX_TEMPLATE_NAME = 100
MAX_SHORTCUT = 30
_SHORTCUT = re.compile(rf"[\w-]{{1,{MAX_SHORTCUT}}}")


@dataclass(frozen=True, slots=True)
class Template:
    """Every change makes a version: `version` is the newest one's number."""

    id: UUID
    name: str
    channel: Channel | None
    version: int
    texts: Texts

    @classmethod
    def create(
        cls, id: UUID, *, name: str, channel: Channel | None, subject: str | None, body: str
    ) -> "tuple[Template, TemplateChanged]":
        """Raises Invalid, or all that is wrong as Refusals."""
        problems = Problems()
        name = problems.take(lambda: clean_text(name, "name", max_length=MAX_TEMPLATE_NAME), "")
        texts = clean_texts(subject, body, problems)
        problems.tell()
        return cls(id, name, channel, 1, texts), TemplateChanged(entity_ids=[id], changed=["created"])

    def update(self, given: Mapping[str, str | None]) -> "tuple[Template, TemplateChanged | None]":
        """`given` holds what was sent of name, subject and body. Nothing different: no version is made. Raises
        Invalid, Refusals."""
        problems = Problems()
        name = self.name
        if "name" in given:
            wanted = given["name"] or ""
            name = problems.take(lambda: clean_text(wanted, "name", max_length=MAX_TEMPLATE_NAME), "")
        texts = clean_texts(
            given.get("subject", self.texts.subject), given.get("body", self.texts.body) or "", problems
        )
        problems.tell()
        changed = [
            *(["name"] if name != self.name else []),
            *(["subject"] if texts.subject != self.texts.subject else []),
            *(["body"] if texts.body != self.texts.body else []),
        ]
        if not changed:
            return self, None
        updated = replace(self, name=name, texts=texts, version=self.version + 1)
        return updated, TemplateChanged(entity_ids=[self.id], changed=changed)

    def delete(self) -> TemplateChanged:
        return TemplateChanged(entity_ids=[self.id], changed=["deleted"])


@dataclass(frozen=True, slots=True)
class Snippet:
    id: UUID
    shortcut: str
    body: str
    version: int

    @classmethod
    def create(cls, id: UUID, *, shortcut: str, body: str) -> "tuple[Snippet, TemplateChanged]":
        """Raises Invalid, Refusals."""
        problems = Problems()
        shortcut = problems.take(lambda: clean_shortcut(shortcut), "")
        body = problems.take(lambda: clean_body(body)[0], "")
        problems.tell()
        return cls(id, shortcut, body, 1), TemplateChanged(entity_ids=[id], changed=["snippet", "created"])

    def update(self, given: Mapping[str, str | None]) -> "tuple[Snippet, TemplateChanged | None]":
        """`given` holds what was sent of shortcut and body. Raises Invalid, Refusals."""
        problems = Problems()
        shortcut, body = given.get("shortcut", self.shortcut) or "", given.get("body", self.body) or ""
        shortcut = problems.take(lambda: clean_shortcut(shortcut), "")
        body = problems.take(lambda: clean_body(body)[0], "")
        problems.tell()
        if (shortcut, body) == (self.shortcut, self.body):
            return self, None
        updated = replace(self, shortcut=shortcut, body=body, version=self.version + 1)
        return updated, TemplateChanged(entity_ids=[self.id], changed=["snippet", "body"])

    def delete(self) -> TemplateChanged:
        return TemplateChanged(entity_ids=[self.id], changed=["snippet", "deleted"])


def clean_shortcut(text: str) -> str:
    """Small letters; a leading slash, as it is typed in the composer, is left out. Raises Invalid."""
    shortcut = clean_text(text, "shortcut", max_length=MAX_SHORTCUT + 1).removeprefix("/").lower()
    if not _SHORTCUT.fullmatch(shortcut):
        raise Invalid(
            f"A shortcut is 1 to {MAX_SHORTCUT} letters, digits, - or _, such as greeting.",
            path=("shortcut",),
        )
    return shortcut


class Templates(Protocol):
    """The port to the stored templates."""

    async def add(self, workspace_id: UUID, template: Template, *, user_id: UUID | None) -> None:
        """Raises TemplateNameTaken, TooManyTemplates."""

    async def get(self, workspace_id: UUID, id: UUID) -> Template:
        """Locks it until the commit. Raises TemplateNotFound."""

    async def save(self, workspace_id: UUID, template: Template, *, user_id: UUID | None) -> None:
        """With one more version. Raises TemplateNameTaken."""

    async def remove(self, workspace_id: UUID, id: UUID) -> None:
        """It stays for what was launched with it; its name is free."""


class Snippets(Protocol):
    """The port to the stored snippets."""

    async def add(self, workspace_id: UUID, snippet: Snippet) -> None:
        """Raises ShortcutTaken, TooManySnippets."""

    async def get(self, workspace_id: UUID, id: UUID) -> Snippet:
        """Locks it until the commit. Raises SnippetNotFound."""

    async def save(self, workspace_id: UUID, snippet: Snippet) -> None:
        """Raises ShortcutTaken."""

    async def remove(self, workspace_id: UUID, id: UUID) -> None: ...
