"""What accounts and sending domains may send, and have sent today. Implements the port Limits."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, bindparam, text

from app.channels.domain.sending_domain import SendingDomain
from app.common.database import Statement
from app.common.work import Reads, Work

TODAY = "CASE WHEN p.day >= (now() AT TIME ZONE known_zone(w.time_zone))::date THEN p.day_count ELSE 0 END"
SENT_TODAY = Statement(
    text(
        """
        SELECT p.key, {today} AS sent
        FROM send_pace p JOIN workspace w ON w.id = p.workspace_id
        WHERE p.workspace_id = cast(:workspace_id as uuid) AND p.kind = 'ACCOUNT' AND p.key = ANY (:ids)
        """.replace("{today}", TODAY)
    ).bindparams(bindparam("ids", type_=ARRAY(Text)))
)
DOMAINS = Statement(
    text(
        """
        SELECT a.domain, s.daily_limit, coalesce({today}, 0) AS sent_today
        FROM (
            SELECT DISTINCT workspace_id, sending_domain AS domain FROM channel_account
            WHERE workspace_id = cast(:workspace_id as uuid) AND sending_domain IS NOT NULL
        ) a
            JOIN workspace w ON w.id = a.workspace_id
            LEFT JOIN sending_domain s ON s.workspace_id = a.workspace_id AND s.domain = a.domain
            LEFT JOIN send_pace p ON p.workspace_id = a.workspace_id AND p.kind = 'DOMAIN' AND p.key = a.domain
        ORDER BY a.domain COLLATE "C"
        """.replace("{today}", TODAY)
    )
)
HOLD_DOMAIN = Statement(
    text(
        """
        INSERT INTO sending_domain (workspace_id, domain)
        SELECT workspace_id, sending_domain FROM channel_account
        WHERE workspace_id = cast(:workspace_id as uuid) AND sending_domain = cast(:domain as text) LIMIT 1
        ON CONFLICT (workspace_id, domain) DO UPDATE SET domain = excluded.domain
        RETURNING domain, daily_limit
        """
    )
)
SAVE_DOMAIN = Statement(
    text(
        """
        UPDATE sending_domain SET daily_limit = cast(:daily_limit as int), updated_at = now()
        WHERE workspace_id = cast(:workspace_id as uuid) AND domain = cast(:domain as text)
        """
    )
)
ACCOUNTS_OF = Statement(
    text(
        """
        SELECT id FROM channel_account
        WHERE workspace_id = cast(:workspace_id as uuid) AND sending_domain = cast(:domain as text) ORDER BY id
        """
    )
)
LOOK_AGAIN = Statement(
    text(
        """
        WITH held AS MATERIALIZED (
            SELECT workspace_id, kind, key FROM send_pace
            WHERE workspace_id = cast(:workspace_id as uuid) AND kind = 'BATCH' AND look_at IS NOT NULL
            ORDER BY key FOR UPDATE
        )
        UPDATE send_pace p SET look_at = CASE WHEN p.look_at IS NOT NULL THEN least(p.look_at, now()) END
        FROM held h WHERE p.workspace_id = h.workspace_id AND p.kind = h.kind AND p.key = h.key
        """
    )
)
"""Those that are due as well: a claim that is looking at one by the old limits is about to put it off."""


async def sent_today(reads: Reads, workspace_id: UUID, account_ids: Sequence[str]) -> dict[str, int]:
    """By the ids that are known to have sent."""
    rows = await reads.fetch(SENT_TODAY, workspace_id=workspace_id, ids=list(account_ids))
    return {row["key"]: row["sent"] for row in rows}


async def list_sending_domains(reads: Reads, workspace_id: UUID) -> list[asyncpg.Record]:
    """Those of all accounts, the disconnected ones' too: at most as many as accounts."""
    return await reads.fetch(DOMAINS, workspace_id=workspace_id)


async def look_again(work: Work, workspace_id: UUID) -> None:
    """What waits for a limit is looked at now: another one is in force. The last thing in its transaction."""
    await work.fetch(LOOK_AGAIN, workspace_id=workspace_id)


class LimitsRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def hold(self, workspace_id: UUID, domain: str) -> SendingDomain | None:
        """Locked until the commit; None where no account sends from it."""
        row = await self._work.fetch_one(HOLD_DOMAIN, workspace_id=workspace_id, domain=domain)
        return SendingDomain(row["domain"], row["daily_limit"]) if row else None

    async def save(self, workspace_id: UUID, changed: SendingDomain) -> list[UUID]:
        """The accounts that it concerns."""
        await self._work.fetch(
            SAVE_DOMAIN,
            workspace_id=workspace_id,
            domain=changed.domain,
            daily_limit=changed.daily_limit,
        )
        rows = await self._work.fetch(ACCOUNTS_OF, workspace_id=workspace_id, domain=changed.domain)
        await look_again(self._work, workspace_id)
        return [row["id"] for row in rows]
