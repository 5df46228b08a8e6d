"""Workspaces whose quiet hours, or their zone, changed: what waits for the old ones' end is to be looked at again.

Twice: at once, and once more when every transaction is over that may have read the old ones and put something off by
them after the first look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Work

LATE_S = 90
"""No transaction is so long: a statement ends after 30 s, one that idles after 60 s."""
CHANGED = Statement(
    text(
        """
        SELECT id, quiet_look_at AS look_at, now() AS began FROM workspace WHERE quiet_look_at <= now()
        ORDER BY quiet_look_at LIMIT cast(:limit as bigint)
        """
    )
)
LOOKED = Statement(
    text(
        """
        UPDATE workspace SET quiet_look_at = CASE
            WHEN quiet_changed_at + cast(:late_s as float) * interval '1 second' > cast(:began as timestamptz)
                THEN quiet_changed_at + cast(:late_s as float) * interval '1 second'
        END
        WHERE id = cast(:id as uuid) AND quiet_look_at = cast(:look_at as timestamptz)
        """
    )
)


@dataclass(frozen=True, slots=True)
class QuietChange:
    workspace_id: UUID
    look_at: datetime
    began: datetime


async def quiet_changes(system: Work, *, limit: int) -> Sequence[QuietChange]:
    """Those that are due, by the system door."""
    rows = await system.fetch(CHANGED, limit=limit)
    return [QuietChange(row["id"], row["look_at"], row["began"]) for row in rows]


async def quiet_change_seen(system: Work, change: QuietChange) -> None:
    """All that waited there was looked at; nothing is done where they changed again meanwhile."""
    await system.fetch(
        LOOKED, id=change.workspace_id, look_at=change.look_at, began=change.began, late_s=LATE_S
    )
