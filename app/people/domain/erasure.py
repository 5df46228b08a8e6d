"""Erasing a person: what stands in the way."""

from uuid import UUID

from app.common.domain import Conflict


class LiveElsewhere(Conflict):
    """The lead in the trash is the same person as a live one: `lead_id`."""

    def __init__(self, lead_id: UUID) -> None:
        super().__init__(
            f"This person is a lead again, the lead {lead_id}: erase that one, and this one goes with it.",
            path=("id",),
        )
        self.lead_id = lead_id
