"""One change to all leads of a filter: what may be changed, how far it has come, what each lead's timeline tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.common.domain import Event, Invalid, NotFound
from app.leads.domain.events import BulkChangeProgressed, LeadUpdated
from app.leads.domain.lead import deleted, tagged

DUE = "bulk_change"
BLANK = UUID(int=0)


class TaskStatus(StrEnum):
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class ChangeKind(StrEnum):
    """By the field of the input that asks for it."""

    ADD_TAG = "addTagId"
    REMOVE_TAG = "removeTagId"
    STAGE = "stageId"
    OWNER = "ownerId"
    DELETE = "delete"


THINGS = {
    ChangeKind.ADD_TAG: "tag",
    ChangeKind.REMOVE_TAG: "tag",
    ChangeKind.STAGE: "stage",
    ChangeKind.OWNER: "member",
}


class TargetNotFound(NotFound):
    def __init__(self, kind: ChangeKind) -> None:
        super().__init__(
            f"No such {THINGS[kind]}: pick one of this workspace's {THINGS[kind]}s.", path=("change", kind)
        )


class TargetGone(Exception):
    """Between the request and the chunk; its text is the failure people read."""

    def __init__(self, kind: ChangeKind) -> None:
        gone = "left the workspace" if kind is ChangeKind.OWNER else "was deleted"
        super().__init__(f"The {THINGS[kind]} {gone} meanwhile. What was done until then stays.")


@dataclass(frozen=True, slots=True)
class LeadChange:
    kind: ChangeKind
    target_id: UUID = BLANK
    """The tag, the stage or the member."""

    @classmethod
    def of(cls, stored: Mapping[str, str]) -> "LeadChange":
        ((kind, target_id),) = stored.items()
        return cls(ChangeKind(kind), UUID(target_id))

    @property
    def stored(self) -> dict[str, str]:
        return {self.kind.value: str(self.target_id)}

    def told(self, ids: Sequence[UUID]) -> Event:
        """What the feed is told of leads that were changed so."""
        target_id = str(self.target_id)
        match self.kind:
            case ChangeKind.ADD_TAG:
                return tagged(ids, add=[self.target_id], remove=[])
            case ChangeKind.REMOVE_TAG:
                return tagged(ids, add=[], remove=[self.target_id])
            case ChangeKind.STAGE:
                return LeadUpdated(entity_ids=ids, changed=["stage"], after={"stageId": target_id})
            case ChangeKind.OWNER:
                return LeadUpdated(entity_ids=ids, changed=["owner"], after={"ownerId": target_id})
            case ChangeKind.DELETE:
                return deleted(ids)


def refuse_deleted(is_about_deleted: bool) -> None:
    """Raises Invalid: who is deleted is changed by nobody."""
    if is_about_deleted:
        raise Invalid("Deleted leads are not changed: restore them first.", path=("filter", "deleted"))


@dataclass(frozen=True, slots=True)
class RunningChange:
    """A bulk change in a worker's hands: what its next chunk needs to know."""

    id: UUID
    change: LeadChange
    filter: Mapping[str, object]
    created_at: datetime
    """Leads made later are left out."""
    created_by: UUID | None
    total: int
    done: int
    after_id: UUID
    is_progress_due: bool

    @property
    def cause(self) -> str:
        return f"bulk_change:{self.id}"

    def after(self, ids: Sequence[UUID], *, chunk: int) -> "Progress":
        """`ids`: the chunk's leads; fewer than `chunk` are the last ones."""
        done, is_last = self.done + len(ids), len(ids) < chunk
        return Progress(
            status=TaskStatus.COMPLETED if is_last else TaskStatus.RUNNING,
            # Leads come into the filter and leave it while it runs.
            total=done if is_last else max(self.total, done),
            done=done,
            after_id=max(ids, default=self.after_id),
        )


@dataclass(frozen=True, slots=True)
class Progress:
    status: TaskStatus
    total: int
    done: int
    after_id: UUID = BLANK

    @property
    def has_ended(self) -> bool:
        return self.status is not TaskStatus.RUNNING

    def told(self, id: UUID) -> BulkChangeProgressed:
        facts = {"status": self.status.value, "done": self.done, "total": self.total}
        return BulkChangeProgressed(entity_ids=[id], after=facts)
