"""The use cases of templates and snippets: load, decide, store, announce."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Announcer, Channel
from app.templates.domain.editing import Snippet, Snippets, Template, Templates
from app.templates.domain.errors import SnippetStale, TemplateStale


@dataclass(frozen=True)
class TemplateUseCases:
    """`user_id` is the member who acts."""

    workspace_id: UUID
    user_id: UUID
    templates: Templates
    feed: Announcer
    new_id: Callable[[], UUID]

    async def create_template(
        self, *, name: str, channel: Channel | None, subject: str | None, body: str
    ) -> UUID:
        """Raises Invalid or Refusals (every problem of the texts, with line and column), TemplateNameTaken,
        TooManyTemplates."""
        template, created = Template.create(
            self.new_id(), name=name, channel=channel, subject=subject, body=body
        )
        await self.templates.add(self.workspace_id, template, user_id=self.user_id)
        self.feed.announce(created)
        return template.id

    async def update_template(self, id: UUID, given: Mapping[str, str | None], *, version: int) -> None:
        """One more version; nothing different: none. Raises TemplateNotFound, TemplateStale, TemplateNameTaken, and
        as `create_template`."""
        held = await self.templates.get(self.workspace_id, id)
        if held.version != version:
            raise TemplateStale(id)
        template, changed = held.update(given)
        if changed:
            await self.templates.save(self.workspace_id, template, user_id=self.user_id)
            self.feed.announce(changed)

    async def delete_template(self, id: UUID) -> UUID:
        """What was launched with it goes on. Raises TemplateNotFound."""
        template = await self.templates.get(self.workspace_id, id)
        await self.templates.remove(self.workspace_id, id)
        self.feed.announce(template.delete())
        return id


@dataclass(frozen=True)
class SnippetUseCases:
    workspace_id: UUID
    snippets: Snippets
    feed: Announcer
    new_id: Callable[[], UUID]

    async def create_snippet(self, *, shortcut: str, body: str) -> UUID:
        """Raises Invalid, Refusals, ShortcutTaken, TooManySnippets."""
        snippet, created = Snippet.create(self.new_id(), shortcut=shortcut, body=body)
        await self.snippets.add(self.workspace_id, snippet)
        self.feed.announce(created)
        return snippet.id

    async def update_snippet(self, id: UUID, given: Mapping[str, str | None], *, version: int) -> None:
        """Raises SnippetNotFound, SnippetStale, Invalid, Refusals, ShortcutTaken."""
        held = await self.snippets.get(self.workspace_id, id)
        if held.version != version:
            raise SnippetStale(id)
        snippet, changed = held.update(given)
        if changed:
            await self.snippets.save(self.workspace_id, snippet)
            self.feed.announce(changed)

    async def delete_snippet(self, id: UUID) -> UUID:
        """Raises SnippetNotFound."""
        snippet = await self.snippets.get(self.workspace_id, id)
        await self.snippets.remove(self.workspace_id, id)
        self.feed.announce(snippet.delete())
        return id
