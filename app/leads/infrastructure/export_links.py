"""Signed links to an export of leads (`app/common/links.py`): the filter rides inside, compressed."""

from dataclasses import dataclass

from app.common.domain import Actor
from app.common.links import ActorLinks
from app.leads.infrastructure.reads import LeadConditions
from app.leads.infrastructure.stored_filters import conditions_of, stored_filter
from app.settings import Settings

PURPOSE = "salespad.leads-export"


@dataclass(frozen=True, slots=True)
class ExportLink:
    actor: Actor
    """Who asked for it, as they were then."""
    conditions: LeadConditions


class ExportLinks:
    def __init__(self, settings: Settings) -> None:
        self._links = ActorLinks(settings, PURPOSE)

    def make(self, actor: Actor, conditions: LeadConditions) -> str:
        return self._links.make(actor, stored_filter(conditions))

    def read(self, text: str) -> ExportLink | None:
        """None: not of our making. Raises LinkExpired."""
        found = self._links.read(text)
        return ExportLink(found[0], conditions_of(found[1])) if found else None
