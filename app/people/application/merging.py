"""The use cases of merging."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Announcer
from app.people.domain.merge import MergeNotFound, asked_merge, merged, unmerged
from app.people.domain.ports import Merges


@dataclass(frozen=True)
class MergingUseCases:
    """`user_id` is the member who acts."""

    workspace_id: UUID
    user_id: UUID
    merges: Merges
    feed: Announcer
    new_id: Callable[[], UUID]

    async def merge_leads(self, *, keep_id: UUID, merge_ids: Sequence[UUID]) -> UUID:
        """The merge's id. Of two that want the same leads the second finds them gone. Raises Invalid,
        MergedLeadNotFound."""
        asked = asked_merge(keep_id, merge_ids)
        names = await self.merges.hold_live(self.workspace_id, asked.lead_ids)
        asked.check(names)
        merge_id = self.new_id()  # under the locks: ids of one lead's merges stand in the order of the merges
        filled = await self.merges.merge(self.workspace_id, merge_id, asked, user_id=self.user_id)
        for event in merged(asked, filled):
            self.feed.announce(event)
        await self.merges.record(
            self.workspace_id,
            merge_id,
            asked.keep_id,
            [names[id] for id in asked.merge_ids],
            user_id=self.user_id,
        )
        return merge_id

    async def unmerge_leads(self, merge_id: UUID) -> Sequence[UUID]:
        """The kept lead's id and those that are back. Raises MergeNotFound, MergeUndone, MergedFurther,
        KeptLeadDeleted, LeadsGone."""
        found = await self.merges.hold_merge(self.workspace_id, merge_id)
        if found is None:
            raise MergeNotFound
        merge, leads = found
        merge.check_undo(leads)
        await self.merges.undo(self.workspace_id, merge)
        for event in unmerged(merge):
            self.feed.announce(event)
        return [merge.kept_id, *merge.merged_ids]
