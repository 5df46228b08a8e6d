"""Whose turn it is: the claims of `automation_run`, fair between workspaces, and single events before bulk ones.

A run is made WAITING with `is_call` false, whatever its first action: it is begun here, and goes over to `calls` when a
call is next. A ring, whose key is the workspace, wakes a lane: whose turn it is, it does not say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Uuid, bindparam, text

from app.automations.infrastructure.tables import HELD, WAITING, automation_run
from app.common.database import Statement
from app.common.leases import Claim, DueTable
from app.common.work import Work

BLANK = UUID(int=0)
RUN_FIELDS = ("automation_id", "version_id", "position", "depth")
# The workspaces that have waiting runs, after the one that was served last, by hopping from one to the next in the
# index; of each, what is due: first what no bulk event started.
TURNS = """
    WITH RECURSIVE waiting AS (
        (
            SELECT workspace_id FROM automation_run
            WHERE <waiting> AND workspace_id > cast(:after as uuid) ORDER BY workspace_id LIMIT 1
        )
        UNION ALL
        SELECT (
            SELECT r.workspace_id FROM automation_run r
            WHERE <waiting> AND r.workspace_id > w.workspace_id ORDER BY r.workspace_id LIMIT 1
        ) FROM waiting w WHERE w.workspace_id IS NOT NULL
    ),
"""
# Of runs, which are many in one pair of hands, a claim counts the first attempt alone: `count_attempt` does the others.
CLAIM = """
    due AS MATERIALIZED (
        SELECT d.workspace_id, d.id, d.attempt FROM waiting w CROSS JOIN LATERAL (
            SELECT * FROM (<singles>) single UNION ALL SELECT * FROM (<bulks>) bulk
        ) d
        LIMIT cast(:limit as bigint)
    )
    UPDATE automation_run r SET status = 'RUNNING', attempt = <counted>, token = gen_random_uuid(),
        lease_until = now() + cast(:lease_s as float) * interval '1 second'
    FROM due WHERE r.workspace_id = due.workspace_id AND r.id = due.id
    RETURNING r.workspace_id, r.id, r.token, due.attempt + 1 AS attempt,
        r.automation_id, r.version_id, r.position, r.depth
"""
DUE_OF = """
                SELECT workspace_id, id, attempt FROM automation_run
                WHERE workspace_id = w.workspace_id AND <waiting> AND <bulk> AND run_at <= now()
                ORDER BY run_at, id LIMIT cast(:limit as bigint) FOR UPDATE SKIP LOCKED
"""
HOLD = """
    WITH mine AS MATERIALIZED (
        SELECT id, lead_id, trigger_seq, conversation_id, message_id, created_at, started_at
        FROM automation_run
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (:ids) AND token = ANY (:tokens)
            AND status = 'RUNNING'
        ORDER BY id FOR NO KEY UPDATE
    )<renewed>
    SELECT * FROM mine
"""
RENEWED = """, renewed AS (
        UPDATE automation_run r SET lease_until = now() + cast(:lease_s as float) * interval '1 second'
        FROM mine WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.id = mine.id
    )"""
HOLD_AS_THEY_ARE, HOLD_ANEW = (
    Statement(
        text(HOLD.replace("<renewed>", renewed)).bindparams(
            bindparam("ids", type_=ARRAY(Uuid)), bindparam("tokens", type_=ARRAY(Uuid))
        )
    )
    for renewed in ("", RENEWED)
)
COUNT = Statement(
    text(
        """
        UPDATE automation_run SET attempt = cast(:attempt as int)
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
            AND token = cast(:token as uuid) AND status = 'RUNNING'
        """
    )
)


@dataclass(frozen=True, slots=True)
class RunClaim(Claim):
    """As it stood when it was claimed. Runs of one version, position and depth act together. `attempt`: which one its
    turn will be."""

    automation_id: UUID
    version_id: UUID
    position: int
    depth: int


def _claim_statement(*, is_call: bool) -> Statement:
    among, counted = ("is_call", "r.attempt + 1") if is_call else ("NOT is_call", "greatest(r.attempt, 1)")
    due = {
        name: DUE_OF.replace("<bulk>", bulk)
        for name, bulk in (("single", "NOT is_bulk"), ("bulk", "is_bulk"))
    }
    whole = TURNS + CLAIM.replace("<singles>", due["single"]).replace("<bulks>", due["bulk"])
    whole = whole.replace("<waiting>", f"status = '{WAITING}' AND {among}").replace("<counted>", counted)
    return Statement(text(whole))


class RunTurns(DueTable):
    """A claim begins behind the workspace where this process's last one ended, and goes round."""

    def __init__(self, *, is_call: bool) -> None:
        among = automation_run.c.is_call if is_call else ~automation_run.c.is_call
        super().__init__(automation_run, waiting=WAITING, held=HELD, key="workspace_id", among=among)
        self._claim_next = _claim_statement(is_call=is_call)
        self._after = BLANK

    async def claim(
        self, work: Work, *, lease_s: float, limit: int = 1, key: UUID | None = None
    ) -> list[Claim]:
        """All of them are RunClaims."""
        return [] if key is not None else list(await self.claim_runs(work, lease_s=lease_s, limit=limit))

    async def claim_runs(self, work: Work, *, lease_s: float, limit: int) -> list[RunClaim]:
        rows = await work.fetch(self._claim_next, after=self._after, limit=limit, lease_s=lease_s)
        if not rows and self._after != BLANK:
            rows = await work.fetch(self._claim_next, after=BLANK, limit=limit, lease_s=lease_s)
        self._after = max((row["workspace_id"] for row in rows), default=BLANK)
        return [
            RunClaim(
                row["workspace_id"],
                row["id"],
                row["token"],
                row["attempt"],
                **{name: row[name] for name in RUN_FIELDS},
            )
            for row in rows
        ]


runs, calls = RunTurns(is_call=False), RunTurns(is_call=True)


async def count_attempt(work: Work, claim: RunClaim) -> None:
    """Past the first: as its turn has come, so that who only waits behind one that kills is not counted with it."""
    await work.fetch(
        COUNT, workspace_id=claim.workspace_id, id=claim.id, token=claim.token, attempt=claim.attempt
    )


async def hold_runs(
    work: Work, workspace_id: UUID, claims: Sequence[Claim], *, lease_s: float | None = None
) -> dict[UUID, asyncpg.Record]:
    """By their ids, those that are still in these hands, locked: the first statement of a turn, before the rule, what
    its action names, and the leads (decision 0026). Their leases begin anew where one is given: else they are as long
    as they were, and nobody reaps what is locked."""
    rows = await work.fetch(
        HOLD_AS_THEY_ARE if lease_s is None else HOLD_ANEW,
        workspace_id=workspace_id,
        ids=[one.id for one in claims],
        tokens=[one.token for one in claims],
        **({} if lease_s is None else {"lease_s": lease_s}),
    )
    return {row["id"]: row for row in rows}
