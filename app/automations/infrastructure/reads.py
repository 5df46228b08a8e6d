"""What screens read of automations and their runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Integer, Uuid, bindparam, text

from app.automations.domain.run import RunReason, RunStatus
from app.automations.infrastructure.tables import LIVE
from app.common.database import Statement
from app.common.paging import Page
from app.common.work import Reads

SHOWN = """
    SELECT cast(a.id as text) AS id, a.name, a.enabled, a.version, a.webhook_secret, a.created_at, a.updated_at,
        a.deleted_at, v.rule::text AS rule
    FROM automation a
        JOIN automation_version v ON (v.workspace_id, v.automation_id, v.number) = (a.workspace_id, a.id, a.version)
    WHERE a.workspace_id = cast(:workspace_id as uuid) AND {condition}
    ORDER BY lower(a.name), a.id
"""
LIST = Statement(text(SHOWN.format(condition="a.deleted_at IS NULL")))
BY_ID = Statement(
    text(SHOWN.format(condition="a.id = ANY (:ids)")).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
)
# What was switched off acts no more, though its rows are told so a moment later: they are shown as they will be.
STOPPED = f"r.{LIVE} AND (NOT a.enabled OR coalesce(a.stopped_at > r.created_at, false))"
RUNS = Statement(
    text(
        f"""
        WITH wanted AS MATERIALIZED (
            SELECT w.n, w.automation_id, w.size,
                coalesce(w.after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff') AS after_id
            FROM unnest(:automation_ids, :sizes, :after_ids) WITH ORDINALITY AS w(automation_id, size, after_id, n)
        )
        SELECT w.n, cast(r.id as text) AS id, r.id AS key, r.lead_id, r.condition, r.created_at, r.started_at,
            CASE WHEN {STOPPED} THEN '{RunStatus.CANCELED}' ELSE r.status END AS status,
            CASE WHEN {STOPPED} THEN '{RunReason.DISABLED}' ELSE r.reason END AS reason,
            CASE WHEN {STOPPED} THEN a.stopped_at ELSE r.finished_at END AS finished_at,
            CASE WHEN r.status = '{RunStatus.WAITING}' AND NOT ({STOPPED}) THEN r.run_at END AS waits_until,
            cast(v.rule -> 'conditions' -> r.condition as text) AS failed_on
        FROM wanted w
            JOIN automation a ON a.workspace_id = cast(:workspace_id as uuid) AND a.id = w.automation_id
            CROSS JOIN LATERAL (
                SELECT * FROM automation_run r
                WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.automation_id = w.automation_id
                    AND r.id < w.after_id
                ORDER BY r.id DESC LIMIT w.size
            ) r
            JOIN automation_version v ON v.workspace_id = cast(:workspace_id as uuid) AND v.id = r.version_id
        ORDER BY w.n, r.id DESC
        """  # noqa: S608 - constants of ours
    ).bindparams(
        bindparam("automation_ids", type_=ARRAY(Uuid)),
        bindparam("sizes", type_=ARRAY(Integer)),
        bindparam("after_ids", type_=ARRAY(Uuid)),
    )
)
STEPS = Statement(
    text(
        """
        SELECT run_id, position, action, result, detail, at FROM automation_step
        WHERE workspace_id = cast(:workspace_id as uuid) AND run_id = ANY (:run_ids)
        ORDER BY run_id, position, visit
        """
    ).bindparams(bindparam("run_ids", type_=ARRAY(Uuid)))
)


@dataclass(frozen=True, slots=True)
class WantedRuns:
    """A page of an automation's runs; `after` is the last one before it."""

    automation_id: UUID
    first: int
    after: UUID | None


async def list_automations(reads: Reads, workspace_id: UUID) -> list[asyncpg.Record]:
    """By name: at most `MAX_AUTOMATIONS`."""
    return await reads.fetch(LIST, workspace_id=workspace_id)


async def automations_by_id(
    reads: Reads, workspace_id: UUID, ids: Sequence[UUID]
) -> dict[str, asyncpg.Record]:
    """Deleted ones too."""
    return {row["id"]: row for row in await reads.fetch(BY_ID, workspace_id=workspace_id, ids=list(ids))}


async def runs_of_automations(
    reads: Reads, workspace_id: UUID, wanted: Sequence[WantedRuns]
) -> list[Page[asyncpg.Record]]:
    """The newest first, in the order of `wanted`."""
    rows = await reads.fetch(
        RUNS,
        workspace_id=workspace_id,
        automation_ids=[one.automation_id for one in wanted],
        sizes=[one.first + 1 for one in wanted],
        after_ids=[one.after for one in wanted],
    )
    found: list[list[asyncpg.Record]] = [[] for _ in wanted]
    for row in rows:
        found[row["n"] - 1].append(row)
    return [Page.of(page, one.first) for page, one in zip(found, wanted, strict=True)]


async def steps_of_runs(
    reads: Reads, workspace_id: UUID, run_ids: Sequence[UUID]
) -> dict[UUID, list[asyncpg.Record]]:
    """In their order; a rule has at most `MAX_ACTIONS`."""
    found: dict[UUID, list[asyncpg.Record]] = {id: [] for id in run_ids}
    for row in await reads.fetch(STEPS, workspace_id=workspace_id, run_ids=list(run_ids)):
        found[row["run_id"]].append(row)
    return found
