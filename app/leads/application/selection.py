"""What is done with up to 100 leads at once, picked by their ids: all of it or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Announcer
from app.leads.application.timeline import TimelineUseCases
from app.leads.domain.errors import LeadNotFound, NotRestored, not_restorable
from app.leads.domain.lead import deleted, restored, tagged
from app.leads.domain.record import check_ids, check_tags
from app.leads.domain.selection import PickedLead, Selections
from app.leads.domain.timeline import updated_entry


@dataclass(frozen=True)
class SelectionUseCases:
    """`user_id` is the member who acts."""

    workspace_id: UUID
    user_id: UUID
    selections: Selections
    timeline: TimelineUseCases
    feed: Announcer

    async def delete_leads(self, ids: Sequence[UUID]) -> None:
        """Others may have their identities at once. Those deleted already stay so, and are not told again. Raises
        Invalid, LeadNotFound at the first that there is not."""
        picked = await self._pick(ids)
        live = [one.id for one in picked if not one.is_deleted]
        if live:
            await self.selections.delete(self.workspace_id, live)
            await self._note_deletion(live)
            self.feed.announce(deleted(live))

    async def restore_leads(self, ids: Sequence[UUID]) -> None:
        """With their identities; live ones stay as they are. Raises Invalid, LeadNotFound, NotRestored."""
        picked = await self._pick(ids)
        merged = {one.id: one.merged_into_id for one in picked if one.merged_into_id}
        if merged:
            self._refuse(ids, merged, is_merged=True)
        gone = [one.id for one in picked if one.is_deleted]
        if gone:
            if taken := await self.selections.restore(self.workspace_id, gone):
                self._refuse(ids, taken, is_merged=False)
            await self._note_deletion(gone)
            self.feed.announce(restored(gone))

    async def tag_leads(self, ids: Sequence[UUID], *, add: Sequence[UUID], remove: Sequence[UUID]) -> None:
        """Those that have them so already are left alone. Raises Invalid, LeadNotFound, TagsNotFound."""
        check_tags(add, remove)
        gone = {one.id for one in await self._pick(ids, path="leadIds") if one.is_deleted}
        for position, id in enumerate(ids):
            if id in gone:
                raise LeadNotFound("leadIds", str(position))
        await self.selections.hold_tags(self.workspace_id, add=add, remove=remove)
        changed = await self.selections.tag(
            self.workspace_id, ids, add=add, remove=remove, user_id=self.user_id
        )
        for one in changed:
            self.feed.announce(tagged(one.lead_ids, add=one.added, remove=one.removed))

    async def _pick(self, ids: Sequence[UUID], *, path: str = "ids") -> list[PickedLead]:
        """Each once, in the order given, locked."""
        wanted = dict.fromkeys(check_ids(ids, path))
        found = await self.selections.pick(self.workspace_id, list(wanted))
        for position, id in enumerate(ids):
            if id not in found:
                raise LeadNotFound(path, str(position))
        return [found[id] for id in wanted]

    def _refuse(self, ids: Sequence[UUID], taken: dict[UUID, UUID], *, is_merged: bool) -> None:
        """`taken`: who is refused, and who has what they had. Raises NotRestored."""
        refusals = [
            not_restorable(position, is_merged=is_merged) for position, id in enumerate(ids) if id in taken
        ]
        raise NotRestored(refusals, list(dict.fromkeys(taken[id] for id in ids if id in taken)))

    async def _note_deletion(self, lead_ids: Sequence[UUID]) -> None:
        await self.timeline.record([updated_entry(id, ["deletedAt"], self.user_id) for id in lead_ids])
