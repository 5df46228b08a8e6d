"""Implements the ports `BulkChanges` (the request) and `ChangeLedger` (the worker's chunk)."""

from collections.abc import Mapping, Sequence
from functools import cache
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import (
    ARRAY,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    select,
    text,
)

from app.accounts.wiring import held_member_name
from app.common.database import Statement
from app.common.domain import ActorKind
from app.common.leases import Claim, LostLease
from app.common.work import Reads, Work
from app.leads.domain.bulk_change import (
    BLANK,
    ChangeKind,
    LeadChange,
    Progress,
    RunningChange,
    TargetGone,
    TargetNotFound,
    TaskStatus,
)
from app.leads.infrastructure.changing import CHANGES
from app.leads.infrastructure.reads import where
from app.leads.infrastructure.stored_filters import conditions_of, leads_after
from app.leads.infrastructure.tables import bulk_change, bulk_changes, lead, stage
from app.tags.wiring import held_tag_name

HOLD_STAGE = Statement(
    select(stage.c.name)
    .where(stage.c.workspace_id == bindparam("workspace_id"), stage.c.id == bindparam("id"))
    .with_for_update(key_share=True, read=True)
)
ADD = Statement(
    text(
        """
        INSERT INTO bulk_change (workspace_id, id, status, filter, change, created_by, total, progress_at)
        VALUES (cast(:workspace_id as uuid), cast(:id as uuid), 'QUEUED', cast(:filter as jsonb),
            cast(:change as jsonb), cast(:created_by as uuid), cast(:total as int), now())
        """
    )
)
JOB = Statement(
    select(
        cast(bulk_change.c.filter, Text).label("filter"),
        cast(bulk_change.c.change, Text).label("change"),
        *(bulk_change.c[name] for name in ("created_at", "created_by", "total", "done", "after_id")),
        text("progress_at < now() - interval '1 second' AS is_progress_due"),
    ).where(bulk_change.c.workspace_id == bindparam("workspace_id"), bulk_change.c.id == bindparam("id"))
)
PROGRESS = Statement(
    text(
        """
        UPDATE bulk_change SET total = cast(:total as int), done = cast(:done as int),
            changed = changed + cast(:changed as int), after_id = cast(:after_id as uuid), attempt = 0,
            progress_at = CASE WHEN cast(:is_told as boolean) THEN now() ELSE progress_at END
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING id
        """
    )
)
END = Statement(
    text(
        """
        UPDATE bulk_change SET finished_at = now(), filter = NULL
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid) AND token = cast(:token as uuid)
        RETURNING total, done
        """
    )
)
BY_IDS = Statement(
    select(
        cast(bulk_change.c.id, Text).label("id"),
        *(bulk_change.c[name] for name in ("status", "total", "done", "changed", "error", "created_at")),
        bulk_change.c.finished_at,
    ).where(
        bulk_change.c.workspace_id == bindparam("workspace_id"),
        bulk_change.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))),
    )
)


@cache
def _count_statement(used: frozenset[str]) -> Statement:
    return Statement(
        select(func.count().label("count"))
        .select_from(lead)
        .where(lead.c.workspace_id == bindparam("workspace_id"), *where(used))
    )


class BulkChangeRepository:
    def __init__(self, work: Work) -> None:
        self._work = work

    async def check_target(self, workspace_id: UUID, change: LeadChange) -> None:
        try:
            await hold_target(self._work, workspace_id, change)
        except TargetGone:
            raise TargetNotFound(change.kind) from None

    async def add(
        self,
        workspace_id: UUID,
        id: UUID,
        filter: Mapping[str, object],
        change: LeadChange,
        *,
        created_by: UUID,
    ) -> int:
        conditions = conditions_of(filter)
        counted = await self._work.fetch_one(
            _count_statement(conditions.used), workspace_id=workspace_id, **conditions.values
        )
        assert counted is not None
        await self._work.fetch(
            ADD,
            workspace_id=workspace_id,
            id=id,
            filter=orjson.dumps(filter).decode(),
            change=orjson.dumps(change.stored).decode(),
            created_by=created_by,
            total=counted["count"],
        )
        return int(counted["count"])


async def hold_target(work: Work, workspace_id: UUID, change: LeadChange) -> str:
    """What it is called, which is what timelines tell; held until the commit. Raises TargetGone."""
    if change.kind is ChangeKind.DELETE:
        return ""
    if change.kind is ChangeKind.OWNER:
        name = await held_member_name(work, workspace_id, change.target_id)
    elif change.kind is ChangeKind.STAGE:
        row = await work.fetch_one(HOLD_STAGE, workspace_id=workspace_id, id=change.target_id)
        name = row["name"] if row else None
    else:
        name = await held_tag_name(work, workspace_id, change.target_id)
    if name is None:
        raise TargetGone(change.kind)
    return name


class BulkChangeLedger:
    """One bulk change under one claim."""

    def __init__(self, work: Work, claim: Claim, *, lease_s: float) -> None:
        self._work, self._claim, self._lease_s = work, claim, lease_s
        self._of = {"workspace_id": claim.workspace_id, "id": claim.id, "token": claim.token}
        self._name = ""

    async def hold(self) -> RunningChange:
        await bulk_changes.renew(self._work, self._claim, lease_s=self._lease_s)
        row = await self._work.fetch_one(JOB, **self._of)
        assert row is not None
        return RunningChange(
            id=self._claim.id,
            change=LeadChange.of(orjson.loads(row["change"])),
            filter=orjson.loads(row["filter"]),
            created_at=row["created_at"],
            created_by=row["created_by"],
            total=row["total"],
            done=row["done"],
            after_id=row["after_id"] or BLANK,
            is_progress_due=row["is_progress_due"],
        )

    async def hold_target(self, change: LeadChange) -> None:
        self._name = await hold_target(self._work, self._claim.workspace_id, change)

    async def next(self, job: RunningChange, limit: int) -> Sequence[UUID]:
        return await leads_after(
            self._work,
            self._claim.workspace_id,
            job.filter,
            after_id=job.after_id,
            made_until=job.created_at,
            limit=limit,
            is_to_change=True,
        )

    async def apply(self, job: RunningChange, ids: Sequence[UUID]) -> Sequence[UUID]:
        rows = await self._work.fetch(
            CHANGES[job.change.kind],
            workspace_id=self._claim.workspace_id,
            ids=list(ids),
            target_id=job.change.target_id,
            name=self._name,
            actor_id=job.created_by,
            actor_kind=(ActorKind.HUMAN if job.created_by else ActorKind.SYSTEM).value,
            cause=job.cause,
        )
        return sorted(row["id"] for row in rows)

    async def record(self, progress: Progress, *, changed: int, is_told: bool) -> None:
        recorded = await self._work.fetch(
            PROGRESS,
            **self._of,
            total=progress.total,
            done=progress.done,
            changed=changed,
            after_id=progress.after_id,
            is_told=is_told,
        )
        if not recorded:
            raise LostLease
        if progress.has_ended:
            await self._end(progress.status, None)

    async def fail(self, error: str) -> Progress:
        row = await self._end(TaskStatus.FAILED, error)
        return Progress(TaskStatus.FAILED, row["total"], row["done"])

    async def _end(self, status: TaskStatus, error: str | None) -> asyncpg.Record:
        row = await self._work.fetch_one(END, **self._of)
        if row is None:
            raise LostLease
        await bulk_changes.finish(self._work, self._claim, status=status.value, error=error)
        return row


async def bulk_changes_by_id(
    reads: Reads, workspace_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, asyncpg.Record]:
    rows = await reads.fetch(BY_IDS, workspace_id=workspace_id, ids=list(ids))
    return {UUID(row["id"]): row for row in rows}
