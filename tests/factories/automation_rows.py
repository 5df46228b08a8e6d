"""Rules and runs as rows, behind the API and its reactions: as they may stand at a moment that no test waits for."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from app.automations.domain.rule import Action, ActionKind, Condition, Match, Rule, Trigger
from app.common.work import Doors
from tests.factories.accounts import Person

RULE = text(
    """
    WITH made AS (
        INSERT INTO automation (workspace_id, name, enabled, enabled_at)
        VALUES (:workspace_id, :name, true, now()) RETURNING id
    ), said AS (
        INSERT INTO automation_version (workspace_id, automation_id, number, rule)
        SELECT :workspace_id, id, 1, cast(:rule as jsonb) FROM made
    )
    SELECT id FROM made
    """
)
RUN = text(
    """
    INSERT INTO automation_run (workspace_id, automation_id, version_id, lead_id, trigger_seq, status, reason, run_at,
        position, is_call, conversation_id, token, lease_until, started_at, finished_at)
    SELECT :workspace_id, a.id, v.id, :lead_id, :seq, :status, :reason, now() + interval '3 days', :position, :is_call,
        cast(:conversation_id as uuid),
        CASE WHEN :status = 'RUNNING' THEN gen_random_uuid() END,
        CASE WHEN :status = 'RUNNING' THEN now() + interval '1 hour' END,
        CASE WHEN :is_begun THEN now() - :ended_days * interval '1 day' END,
        CASE WHEN :status NOT IN ('WAITING', 'RUNNING') THEN now() - :ended_days * interval '1 day' END
    FROM automation a JOIN automation_version v ON (v.workspace_id, v.automation_id, v.number)
        = (a.workspace_id, a.id, a.version)
    WHERE a.workspace_id = :workspace_id AND a.id = :rule_id
    RETURNING id
    """
)
STEP = text(
    "INSERT INTO automation_step (workspace_id, run_id, position, action, result) "
    "SELECT :workspace_id, :run_id, n, 'ADD_NOTE', 'DONE' FROM generate_series(0, :position - 1) AS n"
)
NOTES = (Action(ActionKind.ADD_NOTE, text="Um"), Action(ActionKind.ADD_NOTE, text="Dois"))


def rule(
    *actions: Action,
    trigger: Trigger = Trigger.LEAD_CREATED,
    conditions: Sequence[Condition] = (),
    once: bool = False,
) -> Rule:
    return Rule(
        trigger=trigger,
        no_reply_after_s=3600 if trigger is Trigger.NO_REPLY else None,
        once_per_lead=once,
        match=Match.ALL,
        conditions=conditions,
        actions=actions or NOTES,
    )


async def add_rule(person: Person, doors: Doors, rule: Rule, *, name: str = "Regra") -> UUID:
    """An enabled one; its id."""
    given = {"workspace_id": person.workspace_id, "name": name, "rule": orjson.dumps(rule.stored).decode()}
    async with doors.open_work(person.workspace_id) as work:
        id: UUID = (await work.execute(RULE, given)).scalar_one()
    return id


async def add_run(
    person: Person,
    doors: Doors,
    rule_id: UUID,
    lead_id: UUID,
    *,
    seq: int = 1,
    status: str = "WAITING",
    reason: str | None = None,
    position: int = 0,
    conversation_id: UUID | None = None,
    is_call: bool = False,
    is_begun: bool | None = None,
    ended_days: int = 0,
) -> UUID:
    """As many receipts as `position` says; a waiting one waits three days more. Its id."""
    given: dict[str, Any] = {
        "workspace_id": person.workspace_id,
        "rule_id": rule_id,
        "lead_id": lead_id,
        "seq": seq,
        "status": status,
        "reason": reason,
        "position": position,
        "conversation_id": conversation_id,
        "is_call": is_call,
        "is_begun": position > 0 if is_begun is None else is_begun,
        "ended_days": ended_days,
    }
    async with doors.open_work(person.workspace_id) as work:
        id: UUID = (await work.execute(RUN, given)).scalar_one()
        await work.execute(STEP, {"workspace_id": person.workspace_id, "run_id": id, "position": position})
    return id


async def sealed_secret(person: Person, doors: Doors, id: str) -> bytes | None:
    """As it is stored."""
    secret = text("SELECT webhook_secret FROM automation WHERE workspace_id = :workspace_id AND id = :id")
    async with doors.open_work(person.workspace_id) as work:
        found = await work.execute(secret, {"workspace_id": person.workspace_id, "id": id})
        return found.scalar_one()  # type: ignore[no-any-return]
