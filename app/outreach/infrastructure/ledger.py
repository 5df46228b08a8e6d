"""Implements the port `SendLedger`: one bulk send in a worker's hands, fenced by its claim."""

from collections.abc import Sequence
from uuid import UUID

import orjson
from sqlalchemy import text

from app.common.database import Statement
from app.common.leases import Claim, LostLease
from app.common.work import Work
from app.conversations.domain.audience import Added, Tally
from app.conversations.domain.batch import BatchStatus
from app.conversations.domain.delivery import Reason
from app.conversations.wiring import (
    account_refusal,
    add_recipients,
    cancel_rest,
    end_pace,
    start_pace,
    switch_batch,
    tallies,
)
from app.leads.wiring import leads_after
from app.outreach.domain.bulk_send import BulkSendStatus, progressed
from app.outreach.domain.pausing import PauseReason, why
from app.outreach.domain.ports import Watched
from app.outreach.infrastructure.tables import IDLE, bulk_sends

BLANK = UUID(int=0)
MINE = (
    "workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)"
)
READ = Statement(
    text(
        """
        SELECT state, account_id, send_batch_id, filter::text AS filter, launched_at, after_id,
            expanded_at IS NOT NULL OR filter IS NULL AS is_expanded,
            coalesce(extract(epoch FROM start_at - now())::float, 0) AS start_in_s,
            extract(epoch FROM now() - updated_at)::float AS quiet_s,
            exclusions::text AS exclusions, told::text AS told, judged_from::text AS judged_from
        FROM bulk_send WHERE <mine>
        """.replace("<mine>", MINE)
    )
)
RECORD = Statement(
    text(
        """
        UPDATE bulk_send SET state = cast(:state as text),
            pause_reason = coalesce(cast(:pause_reason as text), pause_reason),
            started_at = coalesce(started_at, CASE WHEN cast(:state as text) = 'RUNNING' THEN now() END),
            finished_at = CASE WHEN cast(:is_over as boolean) THEN now() ELSE finished_at END,
            after_id = cast(:after_id as uuid),
            expanded_at = CASE WHEN cast(:is_expanded as boolean) THEN coalesce(expanded_at, now()) END,
            filter = CASE WHEN cast(:is_expanded as boolean) THEN NULL ELSE filter END,
            exclusions = cast(:exclusions as jsonb), told = cast(:told as jsonb),
            updated_at = CASE WHEN cast(:has_news as boolean) THEN now() ELSE updated_at END, attempt = 0
        WHERE <mine>
        RETURNING id
        """.replace("<mine>", MINE)
    )
)
GIVE_UP = Statement(
    text(
        """
        UPDATE bulk_send SET state = CASE WHEN state IN ('SCHEDULED', 'RUNNING') THEN 'PAUSED' ELSE state END,
            pause_reason = CASE WHEN state IN ('SCHEDULED', 'RUNNING') THEN cast(:reason as text) ELSE pause_reason END,
            updated_at = now()
        WHERE <mine>
        RETURNING state, send_batch_id
        """.replace("<mine>", MINE)
    )
)


class BulkSendLedger:
    """In one transaction."""

    def __init__(self, work: Work, claim: Claim, *, lease_s: float) -> None:
        self._work, self._claim, self._lease_s = work, claim, lease_s
        self._workspace_id = claim.workspace_id
        self._of = {"workspace_id": claim.workspace_id, "id": claim.id, "token": claim.token}

    async def hold(self) -> Watched | None:
        await bulk_sends.renew(self._work, self._claim, lease_s=self._lease_s)
        row = await self._work.fetch_one(READ, **self._of)
        if row is None:
            raise LostLease
        if row["send_batch_id"] is None:
            return None
        return Watched(
            id=self._claim.id,
            status=BulkSendStatus(row["state"]),
            account_id=row["account_id"],
            send_batch_id=row["send_batch_id"],
            filter=orjson.loads(row["filter"]) if row["filter"] else None,
            launched_at=row["launched_at"],
            after_id=row["after_id"] or BLANK,
            is_expanded=row["is_expanded"],
            start_in_s=row["start_in_s"],
            quiet_s=row["quiet_s"],
            exclusions=orjson.loads(row["exclusions"]),
            told=orjson.loads(row["told"]),
            judged_from=orjson.loads(row["judged_from"]),
        )

    async def next(self, watched: Watched, limit: int) -> Sequence[UUID]:
        assert watched.filter is not None, "it is forgotten only once all are taken in"
        return await leads_after(
            self._work,
            self._workspace_id,
            watched.filter,
            after_id=watched.after_id,
            made_until=watched.launched_at,
            limit=limit,
        )

    async def add_recipients(self, watched: Watched, ids: Sequence[UUID]) -> Added:
        added = await add_recipients(
            self._work, self._workspace_id, watched.send_batch_id, ids, origin_id=watched.id
        )
        if added.count and watched.status is BulkSendStatus.RUNNING:
            await start_pace(self._work, self._workspace_id, watched.send_batch_id)
        return added

    async def tally(self, watched: Watched) -> Tally:
        return (await tallies(self._work, self._workspace_id, [watched.send_batch_id]))[watched.send_batch_id]

    async def close(self, watched: Watched) -> bool:
        """Asked once more after the pace is ended: nothing that a batch's claim could take is left then."""
        await end_pace(self._work, self._workspace_id, watched.send_batch_id)
        if not (await self.tally(watched)).queued:
            return True
        await start_pace(self._work, self._workspace_id, watched.send_batch_id)
        return False

    async def account_refusal(self, watched: Watched) -> Reason | None:
        return await account_refusal(self._work, self._workspace_id, watched.account_id)

    async def switch(self, watched: Watched, status: BatchStatus) -> None:
        await switch_batch(self._work, self._workspace_id, watched.send_batch_id, status)
        if status is BatchStatus.RUNNING:
            await start_pace(self._work, self._workspace_id, watched.send_batch_id)

    async def cancel_rest(self, watched: Watched, limit: int) -> int:
        return await cancel_rest(self._work, self._workspace_id, watched.send_batch_id, limit=limit)

    async def record(self, watched: Watched) -> None:
        recorded = await self._work.fetch(
            RECORD,
            **self._of,
            state=watched.status.value,
            pause_reason=watched.pause_reason,
            is_over=watched.is_over,
            after_id=watched.after_id,
            is_expanded=watched.is_expanded,
            exclusions=orjson.dumps(watched.exclusions).decode(),
            told=orjson.dumps(watched.told).decode(),
            has_news=watched.has_news,
        )
        if not recorded:
            raise LostLease

    async def rest(self, wait_s: float | None) -> None:
        if wait_s is None:
            await bulk_sends.finish(self._work, self._claim, status=IDLE)
        else:
            await bulk_sends.retry_later(self._work, self._claim, error="", wait_s=wait_s)

    async def give_up(self, error: str) -> None:
        """Stands still until somebody resumes or cancels it (again)."""
        reason = why(PauseReason.INTERNAL_ERROR, error)
        row = await self._work.fetch_one(GIVE_UP, **self._of, reason=reason)
        if row is None:
            raise LostLease
        await bulk_sends.finish(self._work, self._claim, status=IDLE, error=error)
        status = BulkSendStatus(row["state"])
        if status is BulkSendStatus.PAUSED:
            await switch_batch(self._work, self._workspace_id, row["send_batch_id"], BatchStatus.PAUSED)
        self._work.announce(progressed(self._claim.id, status))
