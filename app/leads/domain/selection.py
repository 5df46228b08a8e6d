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
    ) -> list[UUID]:
        """The leads that were different before; each is told so on its timeline."""
