"""Taking back what an import wrote, lead by lead: what comes in, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """A row of an import that made a lead or changed one."""

    n: int
    lead_id: UUID
    is_created: bool
    at: datetime
    """When: the beginning of the transaction that wrote it."""
    undo: str | None
    """JSON: `version` after it, `fields` {name: [before, after]}, `identities` [[kind, value]] and `tags` [id] that it
    added, `note` (the id of its entry). None: it made the lead, or nobody knows any more."""


@dataclass(frozen=True, slots=True)
class Undone:
    deleted: Sequence[UUID]
    restored: Sequence[UUID]
    """Leads of which something came back, be it not all."""
    kept: Sequence[int]
    """Rows of which something stays, since others touched it."""
    bumped: Sequence[int]
    """Rows of which nothing stays, and whose lead's version went up for it as it had when they were written."""
