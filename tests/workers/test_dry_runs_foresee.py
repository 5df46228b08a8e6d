"""What a dry run says of a rule is what the rule has done, over the same history."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.common.database import Statement
from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.board import moved, stage_ids
from tests.factories.conversations import make_lead
from tests.factories.dry_runs import condition, dry_run, enabled, pass_time, tag
from tests.factories.leads import new_tag
from tests.fixtures.processes import Worker, eventually

BEHIND = Statement(
    text(
        """
        SELECT coalesce((
            SELECT max(e.seq) FROM feed_event e WHERE e.workspace_id = cast(:workspace_id as uuid)
                AND e.kind IN ('lead.created', 'lead.updated')
        ), 0) > coalesce((
            SELECT c.seq FROM feed_consumer c
            WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.consumer = 'automations'
        ), 0) OR EXISTS (
            SELECT FROM automation_run r
            WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.status IN ('WAITING', 'RUNNING')
        ) AS is_behind
        """
    )
)
ACTED = Statement(
    text(
        """
        SELECT count(*) AS runs FROM automation_run
        WHERE workspace_id = cast(:workspace_id as uuid) AND automation_id = cast(:id as uuid) AND status = 'SUCCEEDED'
        """
    )
)
HOUR = 3600
HISTORY = "add 0, move 1, add 1, remove 0, move 0, add 0, move 1, remove 1, move 0, add 1"
"""To one lead: tags put on and taken off, stages moved to."""


async def test_it_says_what_rules_have_done(ana: Person, doors: Doors, worker: Worker) -> None:
    stages = (await stage_ids(ana))[:2]
    tags = [await new_tag(ana, name) for name in ("Cliente", "Feira")]
    in_first, with_first = condition("STAGE_ID", "EQ", stages[0]), condition("TAG_ID", "EQ", tags[0])
    rules: list[tuple[int, dict[str, Any]]] = [
        (3, {"trigger": "TAG_ADDED", "conditions": in_first}),
        (3, {"trigger": "STAGE_CHANGED", "conditions": with_first}),
        (2, {"trigger": "TAG_ADDED", "conditions": with_first}),
        (1, {"trigger": "TAG_ADDED", "oncePerLead": True}),
        (1, {"trigger": "LEAD_CREATED", "conditions": in_first}),
    ]
    made = [(times, given, await enabled(ana, **given)) for times, given in rules]
    lead_id = await make_lead(ana)
    for operation in ("made 0", *HISTORY.split(", ")):
        what, which = operation.split()
        if what == "move":
            await moved(ana, str(lead_id), stages[int(which)])
        elif what != "made":
            await tag(ana, [lead_id], **{f"{what}TagIds": [tags[int(which)]]})
        await _caught_up(ana, doors)
        await pass_time(ana, doors, HOUR)
    for times, given, rule_id in made:
        assert await _acted(ana, doors, rule_id) == times, given
        assert (await dry_run(ana, **given))["wouldFire"] == times, given


async def test_what_rules_did_at_once_hides_nothing(ana: Person, doors: Doors, worker: Worker) -> None:
    (first, second), new = (await stage_ids(ana))[:2], await new_tag(ana, "Novo")
    rules: list[dict[str, Any]] = [
        {
            "trigger": "STAGE_CHANGED",
            "conditions": condition("STAGE_ID", "EQ", second),
            "actions": [{"moveStage": first}],
        },
        {
            "trigger": "LEAD_CREATED",
            "conditions": condition("TAG_ID", "NOT_EXISTS"),
            "actions": [{"addTag": new}],
        },
    ]
    made = [(given, await enabled(ana, **given)) for given in rules]
    await moved(ana, str(await make_lead(ana)), second)
    await _caught_up(ana, doors)
    for given, rule_id in made:
        assert await _acted(ana, doors, rule_id) == 1, given
        assert (await dry_run(ana, **given))["wouldFire"] == 1, given


async def _acted(person: Person, doors: Doors, rule_id: UUID) -> int:
    async with doors.open_reads(person.workspace_id) as reads:
        row = await reads.fetch_one(ACTED, workspace_id=person.workspace_id, id=rule_id)
    assert row is not None
    return int(row["runs"])


async def _caught_up(person: Person, doors: Doors) -> None:
    async def is_caught_up() -> bool:
        async with doors.open_reads(person.workspace_id) as reads:
            row = await reads.fetch_one(BEHIND, workspace_id=person.workspace_id)
            return row is not None and not row["is_behind"]

    await eventually(is_caught_up, what="the reaction, and the end of its runs")
