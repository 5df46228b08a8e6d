"""Implements the port `Suppressions`, and lists them. Of a value and a channel there is one."""

from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.accounts.wiring import phone_region
from app.common.database import Statement
from app.common.paging import Keyset, Page
from app.common.work import Reads, Work
from app.leads.domain.suppression import NewSuppression
from app.leads.infrastructure.contacts import BOTH_REASONS, IS_NEW_REASON
from app.leads.infrastructure.erased import erased_for_good
from app.leads.infrastructure.timeline import TimelineRepository

# One that is there and no member's becomes one's: then the person's link does not take it back.
ADD = Statement(
    text(
        f"""
        INSERT INTO suppression AS s (workspace_id, value, lead_id, channel, reason, created_by)
        VALUES (cast(:workspace_id as uuid), :value, cast(:lead_id as uuid), cast(:channel as text), :reason,
            cast(:created_by as uuid))
        ON CONFLICT ON CONSTRAINT uq_suppression_workspace_id_value_channel
        DO UPDATE SET created_by = coalesce(s.created_by, excluded.created_by),
            reason = CASE WHEN s.created_by IS NULL AND {IS_NEW_REASON} THEN {BOTH_REASONS} ELSE s.reason END
        RETURNING id
        """  # noqa: S608 - constants of ours
    )
)
REMOVE = Statement(
    text(
        """
        DELETE FROM suppression WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) RETURNING id
        """
    )
)
COLUMNS = """
    SELECT s.id::text AS id, s.id AS key, s.created_at, s.channel, s.reason, s.lead_id,
        CASE WHEN s.lead_id IS NULL THEN s.value ELSE coalesce(l.email, l.name) END AS value
    FROM suppression s LEFT JOIN lead l ON (l.workspace_id, l.id) = (s.workspace_id, s.lead_id)
    WHERE s.workspace_id = cast(:workspace_id as uuid)
"""
LIST = Statement(
    text(
        COLUMNS
        + """
        AND (s.created_at, s.id) < (
            coalesce(cast(:after_at as timestamptz), 'infinity'),
            coalesce(cast(:after_id as uuid), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        )
        ORDER BY s.created_at DESC, s.id DESC LIMIT cast(:limit as bigint)
        """
    )
)
BY_ID = Statement(text(COLUMNS + " AND s.id = cast(:id as uuid)"))


class SuppressionRepository:
    def __init__(self, work: Work) -> None:
        self._work = work
        self.hold_lead = TimelineRepository(work).hold_lead

    async def phone_region(self, workspace_id: UUID) -> str:
        return await phone_region(self._work, workspace_id)

    async def is_erased(self, workspace_id: UUID, new: NewSuppression) -> bool:
        return new.identity is not None and await erased_for_good(self._work, workspace_id, new.identity)

    async def add(self, workspace_id: UUID, new: NewSuppression, *, created_by: UUID) -> UUID:
        row = await self._work.fetch_one(
            ADD,
            workspace_id=workspace_id,
            value=new.value,
            lead_id=new.lead_id,
            channel=new.channel,
            reason=new.reason,
            created_by=created_by,
        )
        assert row is not None
        id: UUID = row["id"]
        return id

    async def remove(self, workspace_id: UUID, id: UUID) -> bool:
        return bool(await self._work.fetch(REMOVE, workspace_id=workspace_id, id=id))


async def list_suppressions(
    reads: Reads, workspace_id: UUID, *, first: int, after: Keyset | None
) -> Page[asyncpg.Record]:
    """Newest first."""
    rows = await reads.fetch(
        LIST,
        workspace_id=workspace_id,
        after_at=after.at if after else None,
        after_id=after.id if after else None,
        limit=first + 1,
    )
    return Page.of(rows, first)


async def suppression_by_id(reads: Reads, workspace_id: UUID, id: UUID) -> asyncpg.Record | None:
    return await reads.fetch_one(BY_ID, workspace_id=workspace_id, id=id)
