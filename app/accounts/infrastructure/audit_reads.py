"""The audit log as a list, newest first."""

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.common.database import Statement
from app.common.paging import Keyset, Page
from app.common.work import Reads

AFTER_ALL = UUID(int=2**128 - 1)
NEWEST = Statement(
    text(
        """
        SELECT a.id AS key, a.id::text AS id, a.at, a.action, a.object_id::text AS object_id, a.client,
            a.actor_id::text AS actor_id, a.session_id::text AS session_id, a.ip_prefix, a.before, a.after,
            u.id::text AS user_id, u.name AS user_name, u.email, u.locale AS user_locale
        FROM audit_event a LEFT JOIN app_user u ON u.id = a.actor_id
        WHERE a.workspace_id = cast(:workspace_id as uuid) AND a.id < cast(:after_id as uuid)
            AND (cast(:actor_id as uuid) IS NULL OR a.actor_id = cast(:actor_id as uuid))
            AND (cast(:action as text) IS NULL OR a.action = cast(:action as text))
            AND (cast(:since as timestamptz) IS NULL OR a.at >= cast(:since as timestamptz))
            AND (cast(:until as timestamptz) IS NULL OR a.at < cast(:until as timestamptz))
        ORDER BY a.id DESC LIMIT cast(:limit as int)
        """
    )
)
"""By id, which is as old as its row: the primary key gives the order."""


@dataclass(frozen=True, kw_only=True)
class AuditConditions:
    """None: not filtered by."""

    actor_id: UUID | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def list_audit_events(
    reads: Reads, workspace_id: UUID, conditions: AuditConditions, *, first: int, after: Keyset | None
) -> Page[asyncpg.Record]:
    rows = await reads.fetch(
        NEWEST,
        workspace_id=workspace_id,
        after_id=after.id if after else AFTER_ALL,
        limit=first + 1,
        **asdict(conditions),
    )
    return Page.of(rows, first)
