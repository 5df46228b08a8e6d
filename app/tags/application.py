"""The use cases of tags: load, decide, store, announce."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Announcer
from app.tags.domain import Tag, Tags


@dataclass(frozen=True)
class TagUseCases:
    workspace_id: UUID
    tags: Tags
    feed: Announcer
    new_id: Callable[[], UUID]

    async def create_tag(self, *, name: str, color: str | None) -> UUID:
        """Raises Invalid, TagNameTaken, TooManyTags."""
        tag, created = Tag.create(self.new_id(), name=name, color=color)
        await self.tags.add(self.workspace_id, tag)
        self.feed.announce(created)
        return tag.id

    async def update_tag(self, id: UUID, changes: Mapping[str, str | None]) -> UUID:
        """Raises Invalid, TagNotFound, TagNameTaken."""
        tag, changed = (await self.tags.get(self.workspace_id, id)).update(changes)
        if changed:
            await self.tags.save(self.workspace_id, tag)
            self.feed.announce(changed)
        return tag.id

    async def delete_tag(self, id: UUID) -> UUID:
        """Takes it off every lead as well. Raises TagNotFound."""
        tag = await self.tags.get(self.workspace_id, id)
        await self.tags.remove(self.workspace_id, id)
        self.feed.announce(tag.delete())
        return tag.id
