"""Merging leads: one is kept, the others' past becomes its own; and undoing that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.common.domain import Conflict, Event, Invalid, NotFound
from app.leads.domain.events import LeadDeleted, LeadUpdated

MAX_MERGED = 20


class MergedLeadNotFound(NotFound):
    def __init__(self, *path: str) -> None:
        super().__init__(
            "No such lead in this workspace: it may be merged or deleted already. Load the leads again.",
            path=path,
        )


class MergeNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such merge in this workspace: load the lead again.", path=("mergeId",))


class MergeUndone(Conflict):
    def __init__(self) -> None:
        super().__init__("This merge is undone already: load the leads again.", path=("mergeId",))


class MergedFurther(Conflict):
    """Merges are undone in reverse order: `merge_id` comes first."""

    def __init__(self, merge_id: UUID) -> None:
        super().__init__(
            f"Another merge came after this one: undo the merge {merge_id} first, then this one.",
            path=("mergeId",),
        )
        self.merge_id = merge_id


class KeptLeadDeleted(Conflict):
    def __init__(self) -> None:
        super().__init__(
            "The lead they were merged into is deleted: restore it first, then undo the merge.",
            path=("mergeId",),
        )


class LeadsGone(Conflict):
    def __init__(self) -> None:
        super().__init__("A lead of this merge was erased: it cannot be undone any more.", path=("mergeId",))


@dataclass(frozen=True, slots=True)
class AskedMerge:
    """Which lead is kept, and which become part of it: the first fills first what the kept one lacks."""

    keep_id: UUID
    merge_ids: Sequence[UUID]

    @property
    def lead_ids(self) -> list[UUID]:
        return [self.keep_id, *self.merge_ids]

    def check(self, live: Mapping[UUID, object]) -> None:
        """`live` are the leads that are there. Raises MergedLeadNotFound at the first that is not."""
        if self.keep_id not in live:
            raise MergedLeadNotFound("keepId")
        for position, id in enumerate(self.merge_ids):
            if id not in live:
                raise MergedLeadNotFound("mergeIds", str(position))


def asked_merge(keep_id: UUID, merge_ids: Sequence[UUID]) -> AskedMerge:
    """Raises Invalid: none, too many, the kept one itself, or one twice."""
    if not merge_ids:
        raise Invalid("Give at least one lead to merge into the one that is kept.", path=("mergeIds",))
    if len(merge_ids) > MAX_MERGED:
        raise Invalid(f"Merge at most {MAX_MERGED} leads at once.", path=("mergeIds",))
    for position, id in enumerate(merge_ids):
        if id == keep_id:
            raise Invalid(
                "A lead cannot be merged into itself: leave it out.", path=("mergeIds", str(position))
            )
        if id in merge_ids[:position]:
            raise Invalid("This lead is given twice: leave it out once.", path=("mergeIds", str(position)))
    return AskedMerge(keep_id, tuple(merge_ids))


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge that was made, as undoing it finds it."""

    id: UUID
    kept_id: UUID
    merged_ids: Sequence[UUID]
    is_undone: bool
    next_id: UUID | None
    """The newest merge after this one, of the kept lead or into another, that is not undone."""

    def check_undo(self, leads: Mapping[UUID, bool]) -> None:
        """`leads` are those there are, and whether they are live. Raises what stands in the way."""
        if self.is_undone:
            raise MergeUndone
        if self.next_id is not None:
            raise MergedFurther(self.next_id)
        if any(id not in leads for id in (self.kept_id, *self.merged_ids)):
            raise LeadsGone
        if not leads[self.kept_id]:
            raise KeptLeadDeleted


def cause_of(merge_id: UUID) -> str:
    """What the timeline names as the cause of its entries about a merge."""
    return f"merge:{merge_id}"


def merged(asked: AskedMerge, filled: Sequence[str]) -> list[Event]:
    """`filled`: which fields of the kept lead came from the others."""
    return [
        LeadUpdated(entity_ids=[asked.keep_id], changed=["merged", *filled]),
        LeadDeleted(entity_ids=asked.merge_ids, after={"mergedIntoId": str(asked.keep_id)}),
    ]


def unmerged(merge: Merge) -> list[Event]:
    return [
        LeadUpdated(entity_ids=merge.merged_ids, changed=["restored"]),
        LeadUpdated(entity_ids=[merge.kept_id], changed=["unmerged"]),
    ]
