"""Implements the ports of the requests: `BulkSends`, and what they look up in templates, channels and the ledger."""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import text

from app.channels.wiring import accounts_by_id
from app.common.database import Statement
from app.common.domain import Channel
from app.common.work import Work
from app.conversations.domain.audience import Audience
from app.conversations.domain.batch import BatchStatus
from app.conversations.domain.delivery import Reason
from app.conversations.wiring import (
    account_refusal,
    create_batch,
    plan_audience,
    start_pace,
    switch_batch,
    tallies,
)
from app.leads.wiring import conditions_of
from app.outreach.domain.bulk_send import BulkSend, BulkSendStatus, Draft
from app.outreach.domain.errors import BulkSendNotFound
from app.outreach.domain.ports import PinnedTemplate
from app.templates.wiring import current_version

OF = "workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)"
NOW = Statement(text("SELECT now() AS now"))
ADD = Statement(
    text(
        """
        INSERT INTO bulk_send (workspace_id, id, name, template_id, account_id, filter, start_at, rate_per_minute,
            burst, created_by, status)
        VALUES (cast(:workspace_id as uuid), cast(:id as uuid), cast(:name as text), cast(:template_id as uuid),
            cast(:account_id as uuid), cast(:filter as jsonb), cast(:start_at as timestamptz),
            cast(:rate_per_minute as integer), cast(:burst as integer), cast(:created_by as uuid), 'idle')
        """
    )
)
HOLD = Statement(
    text(
        """
        SELECT state, name, template_id, account_id, filter::text AS filter, start_at, rate_per_minute, burst,
            send_batch_id, started_at, finished_at
        FROM bulk_send WHERE <of> FOR NO KEY UPDATE
        """.replace("<of>", OF)
    )
)
CHANGE = Statement(
    text(
        """
        UPDATE bulk_send SET name = cast(:name as text), template_id = cast(:template_id as uuid),
            account_id = cast(:account_id as uuid), filter = cast(:filter as jsonb),
            start_at = cast(:start_at as timestamptz), rate_per_minute = cast(:rate_per_minute as integer),
            burst = cast(:burst as integer), updated_at = now()
        WHERE <of>
        """.replace("<of>", OF)
    )
)
# A worker that has it in hand looks again in its next step: it keeps its lease.
WAKE = "status = CASE WHEN status = 'claimed' THEN status ELSE 'queued' END, run_at = now(), attempt = 0"
LAUNCH = Statement(
    text(
        """
        UPDATE bulk_send SET state = cast(:state as text), send_batch_id = cast(:send_batch_id as uuid),
            launched_at = now(), started_at = CASE WHEN cast(:state as text) = 'RUNNING' THEN now() END,
            updated_at = now(), <wake>
        WHERE <of>
        """.replace("<of>", OF).replace("<wake>", WAKE)
    )
)
# Once it goes on, it is judged by what comes from then on. A canceled one needs its filter no more,
# and says as before why it is.
MOVE = Statement(
    text(
        """
        UPDATE bulk_send SET state = cast(:state as text),
            pause_reason = CASE WHEN state = 'CANCELED' THEN pause_reason ELSE cast(:reason as text) END,
            started_at = coalesce(started_at, CASE WHEN cast(:state as text) = 'RUNNING' THEN now() END),
            judged_from = coalesce(cast(:judged_from as jsonb), judged_from),
            filter = CASE WHEN cast(:state as text) = 'CANCELED' THEN NULL ELSE filter END,
            updated_at = now(), <wake>
        WHERE <of>
        """.replace("<of>", OF).replace("<wake>", WAKE)
    )
)
DROP = Statement(
    text(
        """
        UPDATE bulk_send SET state = 'CANCELED', filter = NULL, finished_at = now(), updated_at = now()
        WHERE <of>
        """.replace("<of>", OF)
    )
)


class BulkSendRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def now(self) -> datetime:
        row = await self._work.fetch_one(NOW)
        assert row is not None
        now: datetime = row["now"]
        return now

    async def add(self, workspace_id: UUID, id: UUID, draft: Draft, *, created_by: UUID) -> None:
        await self._work.fetch(ADD, workspace_id=workspace_id, id=id, created_by=created_by, **_values(draft))

    async def hold(self, workspace_id: UUID, id: UUID) -> BulkSend:
        row = await self._work.fetch_one(HOLD, workspace_id=workspace_id, id=id)
        if row is None:
            raise BulkSendNotFound
        return _bulk_send(id, row)

    async def change(self, workspace_id: UUID, id: UUID, draft: Draft) -> None:
        await self._work.fetch(CHANGE, workspace_id=workspace_id, id=id, **_values(draft))

    async def launch(self, workspace_id: UUID, id: UUID, to: BulkSendStatus, *, send_batch_id: UUID) -> None:
        await self._work.fetch(
            LAUNCH, workspace_id=workspace_id, id=id, state=to.value, send_batch_id=send_batch_id
        )

    async def move(
        self, workspace_id: UUID, found: BulkSend, to: BulkSendStatus, *, reason: str | None = None
    ) -> None:
        batch_id, counts = found.send_batch_id, None
        if to is BulkSendStatus.RUNNING and batch_id is not None:
            counts = asdict((await tallies(self._work, workspace_id, [batch_id]))[batch_id])
        await self._work.fetch(
            MOVE,
            workspace_id=workspace_id,
            id=found.id,
            state=to.value,
            reason=reason,
            judged_from=orjson.dumps(counts).decode() if counts else None,
        )

    async def drop(self, workspace_id: UUID, id: UUID) -> None:
        await self._work.fetch(DROP, workspace_id=workspace_id, id=id)


def _values(draft: Draft) -> dict[str, object]:
    return {
        "name": draft.name,
        "template_id": draft.template_id,
        "account_id": draft.account_id,
        "filter": orjson.dumps(draft.filter).decode(),
        "start_at": draft.start_at,
        "rate_per_minute": draft.rate_per_minute,
        "burst": draft.burst,
    }


def _bulk_send(id: UUID, row: asyncpg.Record) -> BulkSend:
    draft = None
    if row["filter"] is not None:
        names = ("name", "template_id", "account_id", "start_at", "rate_per_minute", "burst")
        draft = Draft(filter=orjson.loads(row["filter"]), **{name: row[name] for name in names})
    return BulkSend(
        id=id,
        status=BulkSendStatus(row["state"]),
        draft=draft,
        account_id=row["account_id"],
        send_batch_id=row["send_batch_id"],
        start_at=row["start_at"],
        is_started=row["started_at"] is not None,
        has_ended=row["finished_at"] is not None,
    )


class Pinned:
    """Implements the port Templates."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def current(self, workspace_id: UUID, template_id: UUID) -> PinnedTemplate | None:
        version = await current_version(self._work, workspace_id, template_id)
        if version is None:
            return None
        return PinnedTemplate(
            version.id,
            version.channel,
            version.variables,
            version.required,
            has_subject=bool(version.subject),
        )


class AccountLookup:
    """Implements the port Accounts."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def find(self, workspace_id: UUID, account_id: UUID) -> tuple[Channel, Reason | None] | None:
        row = (await accounts_by_id(self._work, workspace_id, [account_id])).get(str(account_id))
        refusal = await account_refusal(self._work, workspace_id, account_id)
        return (Channel(row["channel"]), refusal) if row else None


class LedgerBatches:
    """Implements the port Batches."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def create(
        self, workspace_id: UUID, id: UUID, draft: Draft, status: BatchStatus, *, version_id: UUID, by: UUID
    ) -> None:
        await create_batch(
            self._work,
            workspace_id,
            id,
            account_id=draft.account_id,
            template_version_id=version_id,
            author_id=by,
            rate_per_minute=draft.rate_per_minute,
            burst=draft.burst,
            status=status,
        )
        if status is BatchStatus.RUNNING:
            await start_pace(self._work, workspace_id, id)

    async def switch(self, workspace_id: UUID, id: UUID, status: BatchStatus) -> None:
        await switch_batch(self._work, workspace_id, id, status)
        if status is BatchStatus.RUNNING:
            await start_pace(self._work, workspace_id, id)

    async def audience(self, workspace_id: UUID, draft: Draft, template: PinnedTemplate) -> Audience:
        return await plan_audience(
            self._work,
            workspace_id,
            conditions_of(draft.filter),
            account_id=draft.account_id,
            required=template.required,
            variables=template.variables,
        )
