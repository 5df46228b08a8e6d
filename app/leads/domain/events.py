"""What happened to leads."""

from dataclasses import dataclass
from typing import ClassVar

from app.common.domain import Event


@dataclass(frozen=True, kw_only=True)
class LeadCreated(Event):
    """`after.source` says where from."""

    name: ClassVar[str] = "lead.created"


@dataclass(frozen=True, kw_only=True)
class LeadUpdated(Event):
    """`changed` names the fields."""

    name: ClassVar[str] = "lead.updated"
