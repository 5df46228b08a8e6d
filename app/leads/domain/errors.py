"""The refusals a user may meet about leads."""

from collections.abc import Sequence
from uuid import UUID

from app.common.domain import Conflict, NotFound, Refusals


class LeadNotFound(NotFound):
    def __init__(self, *path: str) -> None:
        super().__init__(
            "No such lead in this workspace: it may be deleted or merged by now. Load the leads again.",
            path=path or ("leadId",),
        )


class IdentityTaken(Conflict):
    """An identity belongs to a lead already: `lead_id`."""

    def __init__(self, lead_id: UUID, *path: str) -> None:
        super().__init__("A lead with this identity exists already: open it instead.", path=path)
        self.lead_id = lead_id


class LeadStale(Conflict):
    """The payload shows the lead as it is now."""

    def __init__(self, lead_id: UUID) -> None:
        super().__init__(
            "Somebody changed this lead meanwhile: look at it as it is now, then try again.",
            path=("version",),
        )
        self.lead_id = lead_id


class IdentityNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__(
            "No such address, number or profile of a lead in this workspace: load the lead again.",
            path=("id",),
        )


class NotRestored(Refusals):
    """What others have by now, or a merge took away; `lead_ids` have it. Nothing was restored."""

    def __init__(self, refusals: Sequence[Conflict], lead_ids: Sequence[UUID]) -> None:
        super().__init__(refusals)
        self.lead_ids = lead_ids


def not_restorable(position: int, *, is_merged: bool) -> Conflict:
    text = (
        "This lead was merged into another: undo the merge instead."
        if is_merged
        else "Another lead has an address, number or profile of this one by now: take it from that one first."
    )
    return Conflict(text, path=("ids", str(position)))


class StageNotFound(NotFound):
    def __init__(self, *path: str) -> None:
        super().__init__("No such stage: pick one of this workspace's stages.", path=path or ("stageId",))


class OwnerNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such member: the owner must be a member of this workspace.", path=("ownerId",))


class TagsNotFound(NotFound):
    def __init__(self, position: int, path: str = "tagIds") -> None:
        super().__init__("No such tag: pick one of this workspace's tags.", path=(path, str(position)))


class MentionNotFound(NotFound):
    def __init__(self, position: int) -> None:
        super().__init__(
            "No such member: mention members of this workspace only.",
            path=("mentionUserIds", str(position)),
        )
