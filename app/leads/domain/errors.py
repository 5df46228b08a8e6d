"""The refusals a user may meet about leads."""

from uuid import UUID

from app.common.domain import Conflict, NotFound


class LeadNotFound(NotFound):
    def __init__(self, *path: str) -> None:
        super().__init__("No such lead in this workspace.", path=path or ("leadId",))


class IdentityTaken(Conflict):
    """An identity belongs to a lead already: `lead_id`."""

    def __init__(self, lead_id: UUID, *path: str) -> None:
        super().__init__("A lead with this identity exists already: open it instead.", path=path)
        self.lead_id = lead_id


class StageNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such stage: pick one of this workspace's stages.", path=("stageId",))


class OwnerNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such member: the owner must be a member of this workspace.", path=("ownerId",))


class TagsNotFound(NotFound):
    def __init__(self, position: int) -> None:
        super().__init__("No such tag: pick one of this workspace's tags.", path=("tagIds", str(position)))


class MentionNotFound(NotFound):
    def __init__(self, position: int) -> None:
        super().__init__(
            "No such member: mention members of this workspace only.",
            path=("mentionUserIds", str(position)),
        )
