"""What a tag is, and what may be refused."""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol
from uuid import UUID

from app.common.domain import Conflict, Event, Invalid, LimitReached, NotFound, clean_text, folded

MAX_TAGS = 1000
MAX_TAG_NAME = 50
PALETTE = ("#2563eb", "#16a34a", "#d97706", "#dc2626", "#7c3aed", "#0891b2", "#db2777", "#4b5563")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class TagChanged(Event):
    """`changed` says what: created, name, color or deleted."""

    name: ClassVar[str] = "tag.changed"


class TagNotFound(NotFound):
    def __init__(self, *path: str) -> None:
        super().__init__("No such tag: pick one of this workspace's tags.", path=path or ("id",))


class TagNameTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("A tag of this name exists already (case and accents do not count).", path=("name",))


class TooManyTags(LimitReached):
    def __init__(self) -> None:
        super().__init__(f"A workspace has at most {MAX_TAGS:,} tags: delete some you no longer use.")


@dataclass(frozen=True, slots=True)
class Tag:
    id: UUID
    name: str
    color: str

    @classmethod
    def create(cls, id: UUID, *, name: str, color: str | None) -> "tuple[Tag, TagChanged]":
        """Raises Invalid."""
        name = clean_text(name, "name", max_length=MAX_TAG_NAME)
        tag = cls(id, name, clean_color(color) if color is not None else default_color(name))
        return tag, TagChanged(entity_ids=[id], changed=["created"])

    def update(self, changes: Mapping[str, str | None]) -> "tuple[Tag, TagChanged | None]":
        """`changes` holds what was given: `name`, `color` (None: back to the default). Raises Invalid."""
        changed = self
        if "name" in changes:
            changed = replace(
                changed, name=clean_text(changes["name"] or "", "name", max_length=MAX_TAG_NAME)
            )
        if "color" in changes:
            color = changes["color"]
            changed = replace(changed, color=clean_color(color) if color else default_color(changed.name))
        differences = [
            field for field in ("name", "color") if getattr(self, field) != getattr(changed, field)
        ]
        return changed, TagChanged(entity_ids=[self.id], changed=differences) if differences else None

    def delete(self) -> TagChanged:
        return TagChanged(entity_ids=[self.id], changed=["deleted"])

    @property
    def name_key(self) -> str:
        return folded(self.name)


def made(ids: Sequence[UUID]) -> TagChanged:
    """Several at once, as they come with an import."""
    return TagChanged(entity_ids=ids, changed=["created"])


def clean_color(color: str) -> str:
    if not _COLOR.fullmatch(color):
        raise Invalid("Write the color as #rrggbb, such as #2563eb.", path=("color",))
    return color.lower()


def default_color(name: str) -> str:
    """The same name gets the same color everywhere."""
    return PALETTE[zlib.crc32(folded(name).encode()) % len(PALETTE)]


class Tags(Protocol):
    """The port to the stored tags."""

    async def add(self, workspace_id: UUID, tag: Tag) -> None:
        """Raises TagNameTaken, TooManyTags."""

    async def get(self, workspace_id: UUID, id: UUID) -> Tag:
        """Locks it until the commit. Raises TagNotFound."""

    async def save(self, workspace_id: UUID, tag: Tag) -> None:
        """Raises TagNameTaken, TagNotFound."""

    async def remove(self, workspace_id: UUID, id: UUID) -> None: ...
