"""What the use cases of people need stored."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from app.people.domain.merge import AskedMerge, Merge


class Merges(Protocol):
    """Merges over all modules, in one transaction."""

    async def hold_live(self, workspace_id: UUID, lead_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """The names of those that are live; all of them are locked until the commit."""

    async def merge(
        self, workspace_id: UUID, merge_id: UUID, asked: AskedMerge, *, user_id: UUID
    ) -> Sequence[str]:
        """Moves all that the merged leads have, and journals it; which fields of the kept lead were filled."""

    async def record(
        self, workspace_id: UUID, merge_id: UUID, kept_id: UUID, names: Sequence[str], *, user_id: UUID
    ) -> None:
        """On the kept lead's timeline: the names of the leads that were merged into it."""

    async def hold_merge(
        self, workspace_id: UUID, merge_id: UUID
    ) -> tuple[Merge, Mapping[UUID, bool]] | None:
        """With its leads, whether each is live; all are locked until the commit."""

    async def undo(self, workspace_id: UUID, merge: Merge) -> None:
        """Goes back through the journal."""
