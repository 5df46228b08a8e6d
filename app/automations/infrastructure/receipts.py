"""The receipts of actions, and where their runs go from there: one statement, fenced by the runs' tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ARRAY, BindParameter, Text, Uuid, bindparam, text

from app.automations.domain.rule import ActionKind, Rule
from app.automations.domain.run import CALL_DUE, DUE, RunReason, RunStatus, StepResult
from app.common.database import Statement
from app.common.leases import Claim, LostLease
from app.common.work import Work

# An attempt is at one action: what goes on to the next is tried for the first time there, what only begins is not.
# No index has to know of a run that stays in these hands: `run_at` and the lease are left as they are. By the ids
# alone, joined with nothing: whatever the planner thinks of the table, each is found by its key.
MOVED = """
    UPDATE automation_run SET status = cast(:status as text), reason = cast(:reason as text),
        condition = cast(:condition as int), position = cast(:position as int) + cast(:steps as int),
        is_call = coalesce(cast(:is_call as boolean), is_call),
        run_at = CASE WHEN cast(:status as text) = 'WAITING' THEN coalesce(
            cast(:until as timestamptz), now() + coalesce(cast(:wait_s as float), 0) * interval '1 second'
        ) ELSE run_at END,
        started_at = CASE WHEN cast(:is_begun as boolean) THEN coalesce(started_at, now()) ELSE started_at END,
        finished_at = CASE WHEN cast(:status as text) NOT IN ('WAITING', 'RUNNING') THEN now() END,
        token = CASE WHEN cast(:status as text) = 'RUNNING' THEN token END,
        lease_until = CASE WHEN cast(:status as text) = 'RUNNING' THEN lease_until END,
        attempt = CASE
            WHEN cast(:status as text) = 'RUNNING' THEN CASE WHEN cast(:steps as int) = 0 THEN attempt ELSE 1 END
            ELSE cast(:attempts as int)
        END,
        error = NULL
    WHERE workspace_id = cast(:workspace_id as uuid) AND id = ANY (:ids) AND token = ANY (:tokens)
        AND status = 'RUNNING' AND position = cast(:position as int)
    RETURNING id
"""
BOUND: list[BindParameter[Any]] = [bindparam(name, type_=ARRAY(Uuid)) for name in ("ids", "tokens")]
MOVE = Statement(text(MOVED).bindparams(*BOUND))
# There is one already where a merge ended a run in the middle of a call, and was undone.
RECEIPT = Statement(
    text(
        f"""
        WITH moved AS ({MOVED}), receipts AS (
            INSERT INTO automation_step (workspace_id, run_id, position, action, result, detail)
            SELECT cast(:workspace_id as uuid), t.run_id, cast(:position as int), cast(:action as text), t.result,
                cast(t.detail as jsonb)
            FROM unnest(:ids, :results, :details) AS t(run_id, result, detail)
            ON CONFLICT DO NOTHING
        )
        SELECT id FROM moved
        """  # noqa: S608 - constants of ours
    ).bindparams(*BOUND, *(bindparam(name, type_=ARRAY(Text)) for name in ("results", "details")))
)
GIVE_UP = Statement(
    text(
        f"""
        UPDATE automation_run SET status = '{RunStatus.FAILED}', reason = '{RunReason.INTERNAL_ERROR}',
            error = cast(:error as text), finished_at = now(), token = NULL, lease_until = NULL
        WHERE workspace_id = cast(:workspace_id as uuid) AND id = cast(:id as uuid)
            AND token = cast(:token as uuid) AND status = '{RunStatus.RUNNING}'
        RETURNING id
        """  # noqa: S608 - constants of ours
    )
)

LATE = Statement(
    text(
        """
        INSERT INTO automation_step (workspace_id, run_id, position, action, result, detail)
        SELECT r.workspace_id, r.id, r.position, cast(:action as text), cast(:result as text), cast(:detail as jsonb)
        FROM automation_run r
        WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.id = cast(:id as uuid)
            AND r.position = cast(:position as int) AND r.status NOT IN ('WAITING', 'RUNNING')
        ON CONFLICT DO NOTHING
        """
    )
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one action of one run came to. `reason`: of FAILED alone, and then the run has failed by it."""

    claim: Claim
    result: StepResult
    detail: Mapping[str, object] = field(default_factory=dict)
    reason: RunReason | None = None


async def write_receipts(
    work: Work,
    workspace_id: UUID,
    rule: Rule,
    position: int,
    receipts: Sequence[Receipt],
    *,
    is_kept: bool,
) -> bool:
    """Of the action at `position`, in the transaction of its effects; the runs go on, wait, or end. Whether they are
    still in these hands: `is_kept` asks for that, and it is so where another action of the same kind of turn is next.

    Raises LostLease where one of them is in other hands, or elsewhere: then nothing may be committed.
    """
    status, is_call = after(rule, position, is_kept=is_kept)
    action = rule.actions[position]
    for reason in {one.reason for one in receipts}:
        some = [one for one in receipts if one.reason is reason]
        written = await work.fetch(
            RECEIPT,
            **_values(workspace_id, [one.claim for one in some]),
            status=(RunStatus.FAILED if reason else status).value,
            reason=reason and reason.value,
            condition=None,
            position=position,
            steps=1,
            is_call=is_call,
            until=None,
            wait_s=action.seconds if action.kind is ActionKind.WAIT else None,
            is_begun=True,
            attempts=0,
            action=action.kind.value,
            results=[one.result.value for one in some],
            details=[orjson.dumps(one.detail).decode() for one in some],
        )
        if len(written) != len(some):
            raise LostLease
    if status is RunStatus.WAITING and action.kind is not ActionKind.WAIT:
        work.wake(CALL_DUE if is_call else DUE, workspace_id)
    return status is RunStatus.RUNNING


async def write_late_receipt(work: Work, rule: Rule, position: int, receipt: Receipt) -> None:
    """Of what was under way outside when its run was ended: it is ended all the same, and says what was done. Of a run
    that goes on in other hands, nothing."""
    await work.fetch(
        LATE,
        workspace_id=receipt.claim.workspace_id,
        id=receipt.claim.id,
        position=position,
        action=rule.actions[position].kind.value,
        result=receipt.result.value,
        detail=orjson.dumps(receipt.detail).decode(),
    )


def after(rule: Rule, position: int, *, is_kept: bool) -> tuple[RunStatus, bool]:
    """Where a run goes once the action at `position` is done, and whether its next one is a call."""
    is_wait = rule.actions[position].kind is ActionKind.WAIT
    if position + 1 == len(rule.actions):
        return (RunStatus.WAITING if is_wait else RunStatus.SUCCEEDED), False
    is_call = is_call_at(rule, position + 1)
    is_same = is_call == is_call_at(rule, position)
    return (RunStatus.RUNNING if is_kept and is_same and not is_wait else RunStatus.WAITING), is_call


def is_call_at(rule: Rule, position: int) -> bool:
    return position < len(rule.actions) and rule.actions[position].kind is ActionKind.CALL_WEBHOOK


async def end_runs(
    work: Work,
    workspace_id: UUID,
    position: int,
    claims: Sequence[Claim],
    status: RunStatus,
    reason: RunReason | None = None,
    *,
    condition: int | None = None,
) -> None:
    """Without another receipt. Raises LostLease."""
    await _move(work, workspace_id, position, claims, status=status, reason=reason, condition=condition)


async def begin_runs(work: Work, workspace_id: UUID, position: int, claims: Sequence[Claim]) -> None:
    """They have begun, and stay in these hands. Raises LostLease."""
    await _move(work, workspace_id, position, claims, status=RunStatus.RUNNING, is_begun=True)


async def give_up_run(work: Work, claim: Claim, error: str) -> None:
    """One that failed for no reason of its own, wherever it stands; `error` is for the log. Raises LostLease."""
    given_up = await work.fetch(
        GIVE_UP, workspace_id=claim.workspace_id, id=claim.id, token=claim.token, error=error
    )
    if not given_up:
        raise LostLease


async def put_off(
    work: Work,
    workspace_id: UUID,
    position: int,
    claims: Sequence[Claim],
    *,
    until: datetime | None = None,
    is_call: bool | None = None,
    is_begun: bool = False,
    attempts: int = 0,
) -> None:
    """Their next action comes then (None: at once), among the calls or not; so many `attempts` were made at it.
    Raises LostLease."""
    await _move(
        work,
        workspace_id,
        position,
        claims,
        status=RunStatus.WAITING,
        until=until,
        is_call=is_call,
        is_begun=is_begun,
        attempts=attempts,
    )
    if until is None:
        work.wake(CALL_DUE if is_call else DUE, workspace_id)


async def _move(
    work: Work,
    workspace_id: UUID,
    position: int,
    claims: Sequence[Claim],
    *,
    status: RunStatus,
    reason: RunReason | None = None,
    condition: int | None = None,
    until: datetime | None = None,
    is_call: bool | None = None,
    is_begun: bool = False,
    attempts: int = 0,
) -> None:
    moved = await work.fetch(
        MOVE,
        **_values(workspace_id, claims),
        status=status.value,
        reason=reason and reason.value,
        condition=condition,
        position=position,
        steps=0,
        is_call=is_call,
        until=until,
        wait_s=None,
        is_begun=is_begun,
        attempts=attempts,
    )
    if len(moved) != len(claims):
        raise LostLease


def _values(workspace_id: UUID, claims: Sequence[Claim]) -> dict[str, object]:
    return {
        "workspace_id": workspace_id,
        "ids": [one.id for one in claims],
        "tokens": [one.token for one in claims],
    }
