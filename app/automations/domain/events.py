"""What happened to rules and by them."""

from dataclasses import dataclass
from typing import ClassVar

from app.common.domain import Event


@dataclass(frozen=True, kw_only=True)
class AutomationChanged(Event):
    """`entity_ids` is the automation; `changed` says what: created, rule, name, enabled or deleted."""

    name: ClassVar[str] = "automation.changed"


@dataclass(frozen=True, kw_only=True)
class AutomationTriggered(Event):
    """Runs start: `entity_ids` is the automation; `after` has `runs`, and `leadId` where it is one."""

    name: ClassVar[str] = "automation.triggered"
