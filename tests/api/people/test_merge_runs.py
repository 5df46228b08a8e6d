"""Runs of automations follow a lead that is merged, and go back; of two live ones of a rule one goes on."""

import asyncio
import json
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.automations.domain.rule import Action, ActionKind, Trigger
from app.automations.wiring import hold_runs
from app.common.reaction_log import hold_cursor, hold_events
from app.common.work import Doors, Work
from tests.factories.accounts import Person
from tests.factories.automation_rows import add_rule, add_run, rule
from tests.factories.conversations import make_lead, open_conversation
from tests.factories.merging import exports, merged, run_sql, unmerged
from tests.fixtures.processes import Worker, eventually
from tests.fixtures.reacted import until_reacted

RUNS = """
SELECT id, lead_id, status, reason, position, token IS NULL AS is_free, finished_at IS NULL AS goes_on,
    (SELECT count(*) FROM automation_step s WHERE s.workspace_id = r.workspace_id AND s.run_id = r.id) AS receipts
FROM automation_run r WHERE workspace_id = :workspace_id
"""
ERASE = """mutation ($input: EraseLeadInput!) { eraseLead(input: $input) { deletedIds errors { code } } }"""
LOCK = "SELECT id FROM {} WHERE workspace_id = :workspace_id AND id = :id FOR NO KEY UPDATE"
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE cast(:pid as int) = ANY (pg_blocking_pids(pid))"


async def runs(person: Person, doors: Doors) -> dict[UUID, Any]:
    return {row.id: row for row in await run_sql(person, doors, RUNS)}


def stands(row: Any) -> tuple[UUID, str, str | None]:
    return row.lead_id, row.status, row.reason


async def test_all_runs_follow_and_go_exactly_back(ana: Person, doors: Doors) -> None:
    keep, away = await make_lead(ana), await make_lead(ana)
    both, own, met = [await add_rule(ana, doors, rule(), name=name) for name in ("Both", "Own", "Met")]
    kept_live = await add_run(ana, doors, both, keep, seq=5)
    second_live = await add_run(ana, doors, both, away, seq=6, position=1)
    only_live = await add_run(ana, doors, own, away, seq=6, position=1)
    ended = await add_run(ana, doors, own, away, seq=4, status="SUCCEEDED", position=2)
    skipped = await add_run(ana, doors, both, away, seq=4, status="SKIPPED", reason="CONDITION")
    await add_run(ana, doors, met, keep, seq=6, status="SUCCEEDED", position=2)
    same_event = await add_run(ana, doors, met, away, seq=6)
    before = await exports(ana, doors, keep, away)

    merge_id = await merged(ana, keep, away)
    found = await runs(ana, doors)
    assert stands(found[kept_live]) == (keep, "WAITING", None)
    assert stands(found[second_live]) == (keep, "CANCELED", "LEAD_MERGED")
    assert stands(found[only_live]) == (keep, "WAITING", None)
    assert (found[only_live].position, found[only_live].receipts) == (1, 1)
    assert stands(found[ended]) == (keep, "SUCCEEDED", None)
    assert stands(found[skipped]) == (keep, "SKIPPED", "CONDITION")
    assert stands(found[same_event]) == (away, "CANCELED", "LEAD_MERGED")
    assert not found[same_event].goes_on

    await unmerged(ana, merge_id)
    assert await exports(ana, doors, keep, away) == before
    assert stands((await runs(ana, doors))[second_live]) == (away, "WAITING", None)


async def test_of_two_that_are_merged_the_firsts_goes_on(ana: Person, doors: Doors) -> None:
    keep, second, first = [await make_lead(ana) for _ in range(3)]
    rule_id = await add_rule(ana, doors, rule())
    of_second = await add_run(ana, doors, rule_id, second, seq=7)
    of_first = await add_run(ana, doors, rule_id, first, seq=8)
    before = await exports(ana, doors, keep, second, first)
    merge_id = await merged(ana, keep, first, second)
    found = await runs(ana, doors)
    assert stands(found[of_first]) == (keep, "WAITING", None)
    assert stands(found[of_second]) == (keep, "CANCELED", "LEAD_MERGED")
    await unmerged(ana, merge_id)
    assert await exports(ana, doors, keep, second, first) == before


async def test_who_has_it_in_its_hands_keeps_it(ana: Person, doors: Doors) -> None:
    keep, away = await make_lead(ana), await make_lead(ana)
    held = await add_run(ana, doors, await add_rule(ana, doors, rule()), away, status="RUNNING")
    merge_id = await merged(ana, keep, away)
    row = (await runs(ana, doors))[held]
    assert (stands(row), row.is_free) == ((keep, "RUNNING", None), False)
    await unmerged(ana, merge_id)
    row = (await runs(ana, doors))[held]
    assert (stands(row), row.is_free) == ((away, "RUNNING", None), False)


async def test_what_ended_meanwhile_stays_ended(ana: Person, doors: Doors) -> None:
    keep, away = await make_lead(ana), await make_lead(ana)
    rule_id = await add_rule(ana, doors, rule())
    run_id = await add_run(ana, doors, rule_id, away, position=1)
    merge_id = await merged(ana, keep, away)
    done = "UPDATE automation_run SET status = 'SUCCEEDED', finished_at = now() WHERE id = :id RETURNING id"
    await run_sql(ana, doors, done, id=run_id)
    await unmerged(ana, merge_id)
    assert stands((await runs(ana, doors))[run_id]) == (away, "SUCCEEDED", None)


async def test_what_a_conversation_started_since_goes_with_it(ana: Person, doors: Doors) -> None:
    """But where that lead's own run of the rule goes on, it is canceled: it would be about somebody else."""
    keep = await make_lead(ana)
    talk = await open_conversation(ana, doors)
    free, taken = [await add_rule(ana, doors, rule(trigger=Trigger.NO_REPLY)) for _ in range(2)]
    own = await add_run(ana, doors, taken, talk.lead_id, seq=3, conversation_id=talk.id)
    merge_id = await merged(ana, keep, talk.lead_id)
    ended = "UPDATE automation_run SET status = 'CANCELED', finished_at = now() WHERE id = :id RETURNING id"
    follows = await add_run(ana, doors, free, keep, seq=9, conversation_id=talk.id)
    unrelated = await add_run(ana, doors, await add_rule(ana, doors, rule()), keep, seq=9)
    await unmerged(ana, merge_id)
    found = await runs(ana, doors)
    assert stands(found[follows]) == (talk.lead_id, "WAITING", None)
    assert stands(found[unrelated]) == (keep, "WAITING", None)
    assert stands(found[own]) == (talk.lead_id, "WAITING", None)

    merge_id = await merged(ana, keep, talk.lead_id)
    # Else a worker that comes to it later ends what is put back to life below, at a lead that is merged.
    await until_reacted(doors, ana.workspace_id, "automations")
    for run_id in (own, follows):  # both at the kept lead now
        await run_sql(ana, doors, ended, id=run_id)
    left = await add_run(ana, doors, taken, keep, seq=12, conversation_id=talk.id)
    await run_sql(
        ana,
        doors,
        "UPDATE automation_run SET status = 'WAITING', lead_id = :lead_id, finished_at = NULL WHERE id = :id "
        "RETURNING id",
        id=own,
        lead_id=talk.lead_id,
    )
    await unmerged(ana, merge_id)
    found = await runs(ana, doors)
    assert stands(found[own]) == (talk.lead_id, "WAITING", None)
    assert stands(found[left]) == (keep, "CANCELED", "LEAD_MERGED")


async def test_an_export_tells_of_runs_and_what_they_did(ana: Person, doors: Doors) -> None:
    lead_id, other = await make_lead(ana), await make_lead(ana)
    rule_id = await add_rule(ana, doors, rule(), name="Boas-vindas")
    await add_run(ana, doors, rule_id, lead_id, seq=3, status="SKIPPED", reason="CONDITION")
    await add_run(ana, doors, rule_id, lead_id, seq=4, position=1)
    await add_run(ana, doors, rule_id, other, seq=4)
    told = json.loads((await exports(ana, doors, lead_id))[0])["automationRuns"]
    assert [(one["automation"], one["trigger"], one["status"], one["reason"]) for one in told] == [
        ("Boas-vindas", "LEAD_CREATED", "SKIPPED", "CONDITION"),
        ("Boas-vindas", "LEAD_CREATED", "WAITING", None),
    ]
    assert [[step["action"] for step in one["steps"]] for one in told] == [[], ["ADD_NOTE"]]
    assert {one["leadId"] for one in told} == {str(lead_id)}


async def test_an_erase_takes_runs_and_receipts(ana: Person, doors: Doors) -> None:
    lead_id, other = await make_lead(ana, name="Bia"), await make_lead(ana)
    rule_id = await add_rule(ana, doors, rule())
    await add_run(ana, doors, rule_id, lead_id, seq=3, status="SUCCEEDED", position=2)
    await add_run(ana, doors, rule_id, lead_id, seq=4, status="RUNNING", position=1)
    left = await add_run(ana, doors, rule_id, other, seq=4, position=1)
    erase = (
        """mutation ($input: EraseLeadInput!) { eraseLead(input: $input) { deletedIds errors { code } } }"""
    )
    answer = await ana.run(erase, {"input": {"id": str(lead_id), "confirmEmailOrName": "Bia"}})
    assert answer["eraseLead"] == {"deletedIds": [str(lead_id)], "errors": []}
    assert list(await runs(ana, doors)) == [left]
    (steps,) = await run_sql(
        ana, doors, "SELECT count(*) AS n FROM automation_step WHERE workspace_id = :workspace_id"
    )
    assert steps.n == 1


# ── who acts meanwhile ────────────────────────────────────────────────────────────────────────────────────────────────
async def blocked_by(doors: Doors, work: Work) -> int:
    """How many wait for what it holds."""
    pid = (await work.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    async with doors.open_system() as system:
        return int((await system.execute(text(WAITS), {"pid": pid})).scalar_one())


async def test_a_merge_waits_for_who_acts_and_holds_no_lead_meanwhile(ana: Person, doors: Doors) -> None:
    """Who acts has its runs first, and then the leads: nobody waits for the other."""
    keep, away = await make_lead(ana), await make_lead(ana)
    run_id = await add_run(ana, doors, await add_rule(ana, doors, rule()), away, status="RUNNING")
    async with doors.open_work(ana.workspace_id) as acting:
        of = {"workspace_id": ana.workspace_id}
        await acting.execute(text(LOCK.format("automation_run")), of | {"id": run_id})
        merging = asyncio.create_task(merged(ana, keep, away))
        await eventually(lambda: blocked_by(doors, acting), what="the merge that waits for the run")
        for lead_id in (keep, away):
            await acting.execute(text(LOCK.format("lead")), of | {"id": lead_id})
    await merging
    assert stands((await runs(ana, doors))[run_id]) == (keep, "RUNNING", None)


async def test_no_rule_reacts_meanwhile_and_a_merge_waits_for_one_that_does(
    ana: Person, doors: Doors
) -> None:
    """So no run is made at a lead that goes away, nor a second one at the kept one."""
    keep, away = await make_lead(ana), await make_lead(ana)
    of = (ana.workspace_id, "automations", ["lead.created"])
    async with doors.open_work(ana.workspace_id) as merging:
        await hold_runs(merging, ana.workspace_id, [keep, away])
        async with doors.open_work(ana.workspace_id) as reacting:
            assert await hold_events(reacting, *of, limit=1) is None
    async with doors.open_work(ana.workspace_id) as reacting:
        await hold_cursor(reacting, ana.workspace_id, "automations")
        task = asyncio.create_task(merged(ana, keep, away))
        await eventually(lambda: blocked_by(doors, reacting), what="the merge that waits for the reaction")
    await task


async def test_merges_and_erases_beside_rules_that_act(ana: Person, doors: Doors, worker: Worker) -> None:
    """Nobody meets an error, and every run comes to an end: with its lead, or because it went away."""
    notes = [Action(ActionKind.ADD_NOTE, text=f"{n}") for n in range(4)]
    for trigger in (Trigger.LEAD_CREATED, Trigger.LEAD_UPDATED):
        await add_rule(ana, doors, rule(*notes, trigger=trigger), name=trigger.value)

    async def lives_through_it(number: int) -> None:
        keep, away = await make_lead(ana, name=f"Bia {number}"), await make_lead(ana)
        merge_id = await merged(ana, keep, away)
        if number % 2:
            await unmerged(ana, merge_id)
        else:
            answer = await ana.run(ERASE, {"input": {"id": str(keep), "confirmEmailOrName": f"Bia {number}"}})
            assert answer["eraseLead"]["errors"] == []

    await asyncio.gather(*(lives_through_it(number) for number in range(8)))

    async def have_ended() -> list[Any] | None:
        rows = list((await runs(ana, doors)).values())
        return rows if len(rows) >= 8 and not any(row.goes_on for row in rows) else None

    rows = await eventually(have_ended, timeout_s=60, what="the end of all runs")
    assert isinstance(rows, list)
    assert {row.reason for row in rows if row.status == "CANCELED"} <= {"LEAD_MERGED", "LEAD_DELETED"}
    assert {row.status for row in rows} <= {"SUCCEEDED", "SKIPPED", "CANCELED"}
    done = [row for row in rows if row.status == "SUCCEEDED"]
    assert done
    assert {row.receipts for row in done} == {len(notes)}
