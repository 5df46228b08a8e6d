"""How things stand for messages of people: what `canSend` shows, and `sendMessage` and `resendMessage` go by."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, Uuid, bindparam, text

from app.common.database import Statement
from app.common.work import Reads
from app.conversations.domain.delivery import Reason
from app.conversations.domain.policy import ANSWERED_WITHIN, Standing
from app.conversations.infrastructure.pacing import used_up_by_account
from app.conversations.infrastructure.policy import ACCOUNT_REFUSAL, REFUSAL
from app.leads.wiring import zone_of_phone

FOUND = Statement(
    text(
        """
        SELECT c.id, c.account_id, c.last_inbound_at, l.time_zone, l.phone, {refusal} AS refusal,
            w.quiet_weekdays IS NOT NULL AS has_quiet_hours,
            greatest(now(), cast(:leaves_at as timestamptz)) AS leaves_at
        FROM conversation c
            JOIN channel_account a ON (a.workspace_id, a.id) = (c.workspace_id, c.account_id)
            JOIN lead l ON (l.workspace_id, l.id) = (c.workspace_id, c.lead_id)
            JOIN workspace w ON w.id = c.workspace_id
        WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.id = ANY (:ids)
        """.replace("{refusal}", REFUSAL.format(c_address="c.contact_address"))
    ).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
)
OF_ACCOUNT = Statement(
    text(
        f"""
        SELECT {ACCOUNT_REFUSAL} AS refusal FROM channel_account a
        WHERE a.workspace_id = cast(:workspace_id as uuid) AND a.id = cast(:account_id as uuid)
        """  # noqa: S608 - a constant of ours
    )
)
QUIET = Statement(
    text(
        """
        SELECT q.id, quiet_until(
            cast(:leaves_at as timestamptz), coalesce(q.zone, w.time_zone), w.quiet_from, w.quiet_to, w.quiet_weekdays
        ) AS until
        FROM workspace w, unnest(:ids, :zones) AS q(id, zone)
        WHERE w.id = cast(:workspace_id as uuid)
        """
    ).bindparams(bindparam("ids", type_=ARRAY(Uuid)), bindparam("zones", type_=ARRAY(Text)))
)


async def standings(
    reads: Reads, workspace_id: UUID, ids: Sequence[UUID], *, leaves_at: datetime | None = None
) -> dict[UUID, Standing]:
    """Of conversations, for messages that would leave then (None: now); as many statements for a hundred as for one."""
    rows = await reads.fetch(FOUND, workspace_id=workspace_id, ids=list(ids), leaves_at=leaves_at)
    return await standings_of(reads, workspace_id, rows)


async def standings_of(
    reads: Reads, workspace_id: UUID, rows: Sequence[asyncpg.Record]
) -> dict[UUID, Standing]:
    """By `id`, of rows that have what `FOUND` selects; all of them would leave at once."""
    zones = {row["id"]: row["time_zone"] or zone_of_phone(row["phone"]) for row in rows}
    bound = [row for row in rows if row["has_quiet_hours"] and not _is_answered(row)]
    quiet: dict[UUID, datetime | None] = {}
    if bound:
        found = await reads.fetch(
            QUIET,
            workspace_id=workspace_id,
            leaves_at=bound[0]["leaves_at"],
            ids=[row["id"] for row in bound],
            zones=[zones[row["id"]] for row in bound],
        )
        quiet = {row["id"]: row["until"] for row in found}
    used_up = await used_up_by_account(reads, workspace_id, {row["account_id"] for row in rows})
    return {
        row["id"]: Standing(
            refusal=Reason(row["refusal"]) if row["refusal"] else None,
            time_zone=zones[row["id"]],
            quiet_until=quiet.get(row["id"]),
            used_up_until=_later(used_up.get(row["account_id"]), row["leaves_at"]),
        )
        for row in rows
    }


async def account_refusal(reads: Reads, workspace_id: UUID, account_id: UUID) -> Reason | None:
    """Why nothing may be sent over the account, whoever it is for."""
    row = await reads.fetch_one(OF_ACCOUNT, workspace_id=workspace_id, account_id=account_id)
    return Reason(row["refusal"]) if row and row["refusal"] else None


def _is_answered(row: asyncpg.Record) -> bool:
    heard = row["last_inbound_at"]
    return heard is not None and row["leaves_at"] - heard < ANSWERED_WITHIN


def _later(until: datetime | None, leaves_at: datetime) -> datetime | None:
    return until if until is not None and until > leaves_at else None
