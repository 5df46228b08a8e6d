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
    """`changed` names the fields; merged, restored, tagged, moved and assigned leads are told so too."""

    name: ClassVar[str] = "lead.updated"


@dataclass(frozen=True, kw_only=True)
class LeadDeleted(Event):
    """Deleted, merged away or erased: they are in no list any more."""

    name: ClassVar[str] = "lead.deleted"


@dataclass(frozen=True, kw_only=True)
class StageChanged(Event):
    """`changed` says what: created, name, position or deleted."""

    name: ClassVar[str] = "stage.changed"


@dataclass(frozen=True, kw_only=True)
class BulkChangeProgressed(Event):
    """`after` has `status`, `done` and `total`."""

    name: ClassVar[str] = "bulk_change.progressed"
