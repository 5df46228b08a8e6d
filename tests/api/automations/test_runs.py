"""`Automation.runs`: what each run did, and why another did nothing."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.automations.domain.rule import Condition, ConditionField, ConditionOp, Trigger
from app.automations.domain.run import RunReason
from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.automation_rows import add_rule, add_run, rule
from tests.factories.automations import RUNS, automation, runs
from tests.factories.board import stage_ids
from tests.factories.leads import new_lead, new_tag

# Of a trigger that nothing here pulls: the runs are those that a test adds.
WAITS = Trigger.STAGE_CHANGED
FAR = 10_000_000
"""Seqs that no event of these workspaces has."""
SWITCH = text(
    "UPDATE automation SET enabled = :enabled, stopped_at = coalesce(stopped_at, clock_timestamp()) "
    "WHERE workspace_id = :ws AND id = :id"
)
STATUS = text("SELECT status FROM automation_run WHERE workspace_id = :ws AND id = :id")


async def rows(person: Person, doors: Doors, count: int, **fields: Any) -> tuple[str, list[str]]:
    """A rule, and runs of it at one lead each, oldest first."""
    rule_id = await add_rule(person, doors, rule(trigger=WAITS))
    lead = UUID((await new_lead(person))["id"])
    ids = [
        str(await add_run(person, doors, rule_id, lead, **{"seq": FAR + n, "status": "SUCCEEDED", **fields}))
        for n in range(count)
    ]
    return str(rule_id), ids


def nodes(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge["node"] for edge in page["edges"]]


async def test_runs_are_paged_newest_first(ana: Person, doors: Doors) -> None:
    id, made = await rows(ana, doors, 5)
    seen: list[str] = []
    after = None
    while True:
        page = await runs(ana, id, first=2, after=after)
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        seen += [node["id"] for node in nodes(page)]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == made[::-1]


async def test_a_run_tells_what_it_did(ana: Person, doors: Doors) -> None:
    id, (made,) = await rows(ana, doors, 1, position=2)
    (run,) = nodes(await runs(ana, id))
    assert (run["id"], run["status"], run["reason"], run["waitsUntil"]) == (made, "SUCCEEDED", None, None)
    assert run["lead"]["name"] == "Bia"
    assert [(one["position"], one["action"], one["result"], one["detail"]) for one in run["steps"]] == [
        (0, "ADD_NOTE", "DONE", {}),
        (1, "ADD_NOTE", "DONE", {}),
    ]
    assert datetime.fromisoformat(run["startedAt"]) <= datetime.fromisoformat(run["finishedAt"])


async def test_one_that_waits_says_until_when(ana: Person, doors: Doors) -> None:
    id, _ = await rows(ana, doors, 1, status="WAITING", position=1)
    (run,) = nodes(await runs(ana, id))
    assert (run["status"], run["finishedAt"], len(run["steps"])) == ("WAITING", None, 1)
    assert datetime.fromisoformat(run["waitsUntil"]) > datetime.fromisoformat(run["startedAt"])


@pytest.mark.parametrize("reason", RunReason)
async def test_a_reason_is_a_code_and_a_sentence_in_the_readers_language(
    ana: Person, doors: Doors, reason: RunReason
) -> None:
    id, _ = await rows(ana, doors, 1, status="SKIPPED", reason=reason.value)
    (run,) = nodes(await runs(ana, id))
    code, _, portuguese = run["reason"].partition(": ")
    await ana.run('mutation { updateProfile(input: {locale: "en"}) { errors { code } } }')
    (run,) = nodes(await runs(ana, id))
    assert (code, code) == (reason.value, run["reason"].partition(": ")[0])
    assert portuguese.endswith(".")
    assert run["reason"].partition(": ")[2] not in ("", portuguese)
    assert run["startedAt"] is not None, "when it was set off, as it never began"


async def test_what_was_skipped_names_the_condition_that_failed(ana: Person, doors: Doors) -> None:
    stages = await stage_ids(ana)
    conditions = [
        Condition(ConditionField.STAGE_ID, ConditionOp.EQ, stages[1]),
        Condition(ConditionField.SCORE, ConditionOp.GT, "50"),
        Condition(ConditionField.COMPANY, ConditionOp.EXISTS, None),
    ]
    rule_id = await add_rule(ana, doors, rule(trigger=WAITS, conditions=conditions))
    lead = UUID((await new_lead(ana))["id"])
    for seq, at in enumerate((0, 1, 2, None), FAR):
        run_id = await add_run(
            ana, doors, rule_id, lead, seq=seq, status="SKIPPED", reason=RunReason.CONDITION
        )
        async with doors.open_work(ana.workspace_id) as work:
            await work.execute(
                text("UPDATE automation_run SET condition = :at WHERE workspace_id = :ws AND id = :id"),
                {"at": at, "ws": ana.workspace_id, "id": run_id},
            )
    found = [node["reason"] for node in nodes(await runs(ana, str(rule_id)))][::-1]
    assert found == [
        "CONDITION: A condição 1 não foi atendida: etapa é “Contatado”.",
        "CONDITION: A condição 2 não foi atendida: pontuação acima de “50”.",
        "CONDITION: A condição 3 não foi atendida: empresa existe.",
        "CONDITION: Nenhuma das condições foi atendida.",
    ]


async def test_what_waits_reads_as_canceled_from_the_moment_its_rule_is_off(
    ana: Person, doors: Doors
) -> None:
    """Before anybody has told its row so, and also after the rule is on again."""
    id, (waits,) = await rows(ana, doors, 1, status="WAITING", position=1)
    for enabled in (False, True):
        async with doors.open_work(ana.workspace_id) as work:
            await work.execute(SWITCH, {"ws": ana.workspace_id, "id": id, "enabled": enabled})
        (run,) = nodes(await runs(ana, id))
        assert (run["id"], run["status"], run["waitsUntil"]) == (waits, "CANCELED", None)
        assert run["reason"].startswith("DISABLED: ")
        assert run["finishedAt"] is not None
    async with doors.open_work(ana.workspace_id) as work:
        stored = await work.execute(STATUS, {"ws": ana.workspace_id, "id": waits})
        assert stored.scalar_one() == "WAITING"


async def test_an_automation_without_runs_has_an_empty_page(ana: Person) -> None:
    page = await runs(ana, (await automation(ana))["id"])
    assert page == {
        "edges": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "endCursor": None},
    }


async def test_a_page_is_of_its_own_automation(ana: Person, doors: Doors) -> None:
    id, _ = await rows(ana, doors, 2)
    other, _ = await rows(ana, doors, 1)
    cursor = (await runs(ana, id, first=1))["pageInfo"]["endCursor"]
    for odd in (cursor, "nonsense", ""):
        assert await ana.refused(RUNS, {"id": other, "after": odd}) == "BAD_USER_INPUT"
    for first in (0, -1, 101):
        assert await ana.refused(RUNS, {"id": id, "first": first}) == "BAD_USER_INPUT"


async def test_runs_of_all_automations_come_at_once(ana: Person, doors: Doors) -> None:
    wanted = {}
    for count in (2, 0, 3):
        id, made = await rows(ana, doors, count)
        wanted[id] = made[::-1]
    found = (await ana.run("{ automations { id runs(first: 10) { edges { node { id } } } } }"))["automations"]
    assert {one["id"]: [edge["node"]["id"] for edge in one["runs"]["edges"]] for one in found} == wanted


async def test_a_list_of_rules_and_their_runs_is_a_few_statements(ana: Person, doors: Doors) -> None:
    tag = await new_tag(ana, "VIP")
    for _ in range(5):
        await automation(ana, actions=[{"addTag": tag}, {"moveStage": (await stage_ids(ana))[0]}])
        await rows(ana, doors, 4, position=1, status="FAILED", reason=RunReason.TAG_GONE)

    async def statements() -> float:
        told = (await ana.http.get("/metrics")).text
        line = next(line for line in told.splitlines() if line.startswith("salespad_sql_statements_total"))
        return float(line.split()[1])

    query = (
        "{ automations { warnings actions { ... on AddTagAction { tag { name } } "
        "... on MoveStageAction { stage { name } } } "
        "runs(first: 4) { edges { node { reason lead { name } steps { action } } } } } }"
    )
    spent, readings = [], []
    for _ in range(5):
        before = await statements()
        readings.append(await statements() - before)
        before = await statements()
        found = (await ana.run(query))["automations"]
        spent.append(await statements() - before)
    assert sorted(len(one["runs"]["edges"]) for one in found) == [0] * 5 + [4] * 5
    # Rules, what they warn of, tags, stages, runs, their leads and tags, steps, the reader's language; the readings of
    # the metric cost some too, and now and then the API's own poll.
    assert min(spent) - min(readings) <= 10, (spent, readings)
