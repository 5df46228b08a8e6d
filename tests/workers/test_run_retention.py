"""How long what rules did is remembered."""

from uuid import UUID

from app.automations.domain.rule import Trigger
from app.automations.wiring import drop_old_runs
from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.automation_rows import add_rule, add_run, rule
from tests.factories.conversations import make_lead, open_conversation
from tests.factories.merging import run_sql

HEARD = (
    "UPDATE conversation SET last_inbound_at = now() - :days * interval '1 day' WHERE id = :id RETURNING id"
)


async def dropped(doors: Doors, limit: int = 1000) -> int:
    async with doors.open_system() as system:
        return await drop_old_runs(system, limit=limit)


async def left(person: Person, doors: Doors) -> set[UUID]:
    rows = await run_sql(person, doors, "SELECT id FROM automation_run WHERE workspace_id = :workspace_id")
    return {row.id for row in rows}


async def test_skipped_ones_go_after_a_month_and_others_after_three(ana: Person, doors: Doors) -> None:
    rule_id, lead_id = await add_rule(ana, doors, rule()), await make_lead(ana)
    seq, kept, gone = 0, set(), set()
    for status, young, old in (
        ("SKIPPED", 29, 31),
        ("SUCCEEDED", 89, 91),
        ("FAILED", 89, 91),
        ("CANCELED", 89, 91),
    ):
        for days, into in ((young, kept), (old, gone)):
            seq += 1
            run_id = await add_run(
                ana, doors, rule_id, lead_id, seq=seq, status=status, position=1, ended_days=days
            )
            into.add(run_id)
    kept.add(await add_run(ana, doors, rule_id, lead_id, seq=99, position=1, ended_days=400))
    assert await left(ana, doors) >= kept
    while await dropped(doors, limit=1):
        pass
    assert await left(ana, doors) == kept
    steps = await run_sql(
        ana, doors, "SELECT DISTINCT run_id FROM automation_step WHERE workspace_id = :workspace_id"
    )
    assert {row.run_id for row in steps} == kept


async def test_once_per_lead_is_remembered_as_long_as_the_rule_says_so(ana: Person, doors: Doors) -> None:
    rule_id, lead_id = await add_rule(ana, doors, rule(once=True)), await make_lead(ana)
    acted = await add_run(ana, doors, rule_id, lead_id, seq=1, status="SUCCEEDED", position=2, ended_days=400)
    await add_run(ana, doors, rule_id, lead_id, seq=2, status="CANCELED", is_begun=False, ended_days=400)
    await add_run(ana, doors, rule_id, lead_id, seq=3, status="SKIPPED", ended_days=400)
    await dropped(doors)
    assert await left(ana, doors) == {acted}
    await run_sql(
        ana, doors, "UPDATE automation SET deleted_at = now() WHERE id = :id RETURNING id", id=rule_id
    )
    await dropped(doors)
    assert await left(ana, doors) == set()


async def test_no_reply_is_remembered_until_the_lead_answers(ana: Person, doors: Doors) -> None:
    rule_id = await add_rule(ana, doors, rule(trigger=Trigger.NO_REPLY))
    silent, heard_before, answered = [await open_conversation(ana, doors) for _ in range(3)]
    await run_sql(ana, doors, HEARD, id=heard_before.id, days=120)
    await run_sql(ana, doors, HEARD, id=answered.id, days=95)
    of = {
        talk.id: await add_run(
            ana,
            doors,
            rule_id,
            talk.lead_id,
            status="SUCCEEDED",
            position=2,
            conversation_id=talk.id,
            ended_days=100,
        )
        for talk in (silent, heard_before, answered)
    }
    await dropped(doors)
    assert await left(ana, doors) == {of[silent.id], of[heard_before.id]}
