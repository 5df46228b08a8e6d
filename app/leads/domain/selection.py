"""Leads picked by their ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PickedLead:
    """As it is, locked."""

    id: UUID
    is_deleted: bool
    merged_into_id: UUID | None


@dataclass(frozen=True, slots=True)
class Retagged:
    """Leads that were given the same tags, and that the same were taken from: not what they had so already."""

    lead_ids: Sequence[UUID]
    added: Sequence[UUID]
    removed: Sequence[UUID]


class Selections(Protocol):
    """Leads picked by their ids."""

    async def pick(self, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, PickedLead]:
        """Those there are, deleted ones too, locked in the order of their ids."""

    async def delete(self, workspace_id: UUID, ids: Sequence[UUID]) -> None:
        """Marks live ones, and frees their identities."""

    async def restore(self, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, UUID]:
        """Unmarks deleted ones and takes their identities back; those that cannot, with who has an identity of theirs
        by now: if there are any, roll back."""

    async def hold_tags(self, workspace_id: UUID, *, add: Sequence[UUID], remove: Sequence[UUID]) -> None:
        """Until the commit. Raises TagsNotFound."""

    async def tag(
        self,
        workspace_id: UUID,
        ids: Sequence[UUID],
        *,
        add: Sequence[UUID],
        remove: Sequence[UUID],
        user_id: UUID,
    ) -> list[Retagged]:
        """The leads that were different before, by what became different; each is told so on its timeline."""
