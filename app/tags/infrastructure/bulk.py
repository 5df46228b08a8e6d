"""Tags by their names, many at once: those that there are, and those that are made for them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from uuid_utils.compat import uuid7

from app.common.database import Statement
from app.common.domain import folded
from app.common.work import Work
from app.tags.domain import MAX_TAGS, Tag

ATTEMPTS = 5

FIND = Statement(
    text(
        """
        SELECT id, name_key FROM tag
        WHERE workspace_id = cast(:workspace_id as uuid) AND name_key = ANY (cast(:keys as text[]))
        """
    )
)
HOLD_NAMED = Statement(
    text(
        """
        SELECT id, name_key FROM tag
        WHERE workspace_id = cast(:workspace_id as uuid) AND name_key = ANY (cast(:keys as text[]))
        ORDER BY name_key FOR KEY SHARE
        """
    )
)
COUNT = Statement(text("SELECT count(*) AS n FROM tag WHERE workspace_id = cast(:workspace_id as uuid)"))
MAKE = Statement(
    text(
        """
        INSERT INTO tag (workspace_id, id, name, name_key, color)
        SELECT cast(:workspace_id as uuid), t.id, t.name, t.name_key, t.color
        FROM unnest(cast(:ids as uuid[]), cast(:names as text[]), cast(:keys as text[]), cast(:colors as text[]))
            AS t(id, name, name_key, color)
        ORDER BY t.name_key
        ON CONFLICT DO NOTHING RETURNING id, name_key
        """
    )
)


@dataclass(frozen=True, slots=True)
class NamedTags:
    by_key: Mapping[str, UUID]
    """By folded name; without those for which the workspace has no room."""
    made: Sequence[UUID]


async def make_tags(work: Work, workspace_id: UUID, names: Iterable[str]) -> NamedTags:
    """The tags of these (clean) names, made where the workspace has none, in the order of their folded names: none can
    be deleted before the commit. The caller announces those that were made."""
    wanted = _by_key(names)
    found: dict[str, UUID] = {}
    made: list[UUID] = []
    for _ in range(ATTEMPTS):
        missing = [key for key in wanted if key not in found]
        rows = await work.fetch(HOLD_NAMED, workspace_id=workspace_id, keys=missing)
        found |= {row["name_key"]: row["id"] for row in rows}
        missing = [key for key in missing if key not in found]
        tags = [
            Tag.create(uuid7(), name=wanted[key], color=None)[0]
            for key in missing[: await _room(work, workspace_id) if missing else 0]
        ]
        if not tags:
            break
        added = await work.fetch(
            MAKE,
            workspace_id=workspace_id,
            ids=[tag.id for tag in tags],
            names=[tag.name for tag in tags],
            keys=[tag.name_key for tag in tags],
            colors=[tag.color for tag in tags],
        )
        made.extend(row["id"] for row in added)
        found |= {row["name_key"]: row["id"] for row in added}
        if len(added) == len(tags):
            break
    return NamedTags(found, made)


async def plan_tags(work: Work, workspace_id: UUID, names: Iterable[str]) -> NamedTags:
    """As `make_tags`, holding and writing nothing: those that would be made have ids that nothing else has."""
    wanted = _by_key(names)
    rows = await work.fetch(FIND, workspace_id=workspace_id, keys=list(wanted))
    found: dict[str, UUID] = {row["name_key"]: row["id"] for row in rows}
    missing = [key for key in wanted if key not in found]
    room = await _room(work, workspace_id) if missing else 0
    return NamedTags(found | {key: uuid7() for key in missing[:room]}, ())


def _by_key(names: Iterable[str]) -> dict[str, str]:
    """The first spelling of each."""
    wanted: dict[str, str] = {}
    for name in names:
        wanted.setdefault(folded(name), name)
    return wanted


async def _room(work: Work, workspace_id: UUID) -> int:
    row = await work.fetch_one(COUNT, workspace_id=workspace_id)
    assert row is not None
    return max(0, MAX_TAGS - int(row["n"]))
