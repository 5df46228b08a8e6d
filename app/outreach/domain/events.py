"""What happened to bulk sends."""

from dataclasses import dataclass
from typing import ClassVar

from app.common.domain import Event


@dataclass(frozen=True, kw_only=True)
class BulkSendProgressed(Event):
    """Made, launched, paused, gone on or ended: at most one a second of each, but for what people do. `after` has
    `status` and, where they are at hand, the counts."""

    name: ClassVar[str] = "bulk_send.progressed"
