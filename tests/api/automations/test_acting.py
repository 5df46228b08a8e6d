"""From what happens to a lead, through rules and the worker, to what everybody sees of it."""

from typing import Any
from uuid import uuid4

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.leads import entries, new_lead, new_tag, the_lead
from tests.fixtures.processes import Worker, eventually

CREATE = """mutation ($input: CreateAutomationInput!) {
  createAutomation(input: $input) { automation { id } errors { code message path } } }"""
RUNS = """query ($id: ID!) { automation(id: $id) {
  runs { edges { node { status reason lead { id } steps { position action result } } } } } }"""
DELETE_TAG = "mutation ($id: ID!) { deleteTag(input: {id: $id}) { errors { code } } }"


async def new_rule(person: Person, **input: Any) -> str:
    made = (await person.run(CREATE, {"input": {"name": "Regra", "enabled": True, **input}}))[
        "createAutomation"
    ]
    assert made["errors"] == []
    return str(made["automation"]["id"])


async def runs_of(person: Person, id: str) -> list[dict[str, Any]]:
    found = await person.run(RUNS, {"id": id})
    return [edge["node"] for edge in found["automation"]["runs"]["edges"]]


async def ended(person: Person, id: str) -> dict[str, Any]:
    """The rule's one run, once it is over."""

    async def over() -> list[dict[str, Any]]:
        return [one for one in await runs_of(person, id) if one["status"] not in ("WAITING", "RUNNING")]

    found = await eventually(over, what="a run that ended")
    assert isinstance(found, list)
    (run,) = found
    return dict(run)


async def test_what_one_rule_does_sets_off_another_and_the_timeline_tells_of_both(
    ana: Person, worker: Worker, doors: Doors
) -> None:
    tag_id = await new_tag(ana, "quente")
    first = await new_rule(
        ana,
        name="Marcar",
        trigger="LEAD_CREATED",
        conditions=[{"field": "COMPANY", "op": "CONTAINS", "value": "acme"}],
        actions=[{"addTag": tag_id}, {"addNote": "Veio pelo site"}],
    )
    second = await new_rule(
        ana,
        name="Avisar",
        trigger="TAG_ADDED",
        conditions=[{"field": "TAG_ID", "op": "EQ", "value": tag_id}],
        actions=[{"addNote": "Ligar hoje"}],
    )
    lead = await new_lead(ana, company="Acme Ltda")

    run = await ended(ana, first)
    assert (run["status"], run["reason"], run["lead"]) == ("SUCCEEDED", None, {"id": lead["id"]})
    assert run["steps"] == [
        {"position": 0, "action": "ADD_TAG", "result": "DONE"},
        {"position": 1, "action": "ADD_NOTE", "result": "DONE"},
    ]
    assert (await ended(ana, second))["status"] == "SUCCEEDED"
    shown = await the_lead(ana, lead["id"])
    assert shown is not None
    assert shown["tags"] == [{"name": "quente"}]
    told = [
        (type, content)
        for type, content, kind, _ in await entries(doors, ana, lead["id"])
        if kind == "AUTOMATION"
    ]
    of_first = [("AUTOMATION", "Marcar"), ("TAGGED", "+quente"), ("NOTE", "Veio pelo site")]
    assert [one for one in told if one in of_first] == of_first
    assert [one for one in told if one not in of_first] == [("AUTOMATION", "Avisar"), ("NOTE", "Ligar hoje")]


async def test_who_does_not_meet_the_condition_is_left_alone(
    ana: Person, worker: Worker, doors: Doors
) -> None:
    tag_id = await new_tag(ana, "quente")
    id = await new_rule(
        ana,
        trigger="LEAD_CREATED",
        conditions=[{"field": "COMPANY", "op": "CONTAINS", "value": "acme"}],
        actions=[{"addTag": tag_id}],
    )
    lead = await new_lead(ana, company="Outra")
    run = await ended(ana, id)
    assert (run["status"], run["steps"]) == ("SKIPPED", [])
    assert run["reason"].startswith("CONDITION: ")
    assert await entries(doors, ana, lead["id"]) == []


async def test_an_action_on_a_tag_that_was_deleted_since_fails_and_says_so(
    ana: Person, worker: Worker
) -> None:
    tag_id = await new_tag(ana, "quente")
    id = await new_rule(ana, trigger="LEAD_CREATED", actions=[{"addTag": tag_id}, {"addNote": "Feito"}])
    assert (await ana.run(DELETE_TAG, {"id": tag_id}))["deleteTag"]["errors"] == []
    await new_lead(ana, name=f"Bia {uuid4()}")
    run = await ended(ana, id)
    assert (run["status"], run["reason"].split(":")[0]) == ("FAILED", "TAG_GONE")
    assert run["steps"] == [{"position": 0, "action": "ADD_TAG", "result": "FAILED"}]
