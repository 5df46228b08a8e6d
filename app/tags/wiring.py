"""The door to tags for other modules: how their use cases are built."""

from uuid import UUID

from uuid_utils.compat import uuid7

from app.common.work import Work
from app.tags.application import TagUseCases
from app.tags.infrastructure.bulk import NamedTags, make_tags, plan_tags
from app.tags.infrastructure.reads import held_tag_name, hold_tags, list_tags
from app.tags.infrastructure.repository import TagRepository


def tag_use_cases(work: Work, workspace_id: UUID) -> TagUseCases:
    return TagUseCases(workspace_id, TagRepository(work), work, uuid7)


__all__ = [
    "NamedTags",
    "held_tag_name",
    "hold_tags",
    "list_tags",
    "make_tags",
    "plan_tags",
    "tag_use_cases",
]
