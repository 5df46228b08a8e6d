"""tagLeads through HTTP."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.leads import entries, lead_events, new_lead, new_tag, refusals, the_lead

TAG = """mutation ($input: TagLeadsInput!) {
  tagLeads(input: $input) { leads { id version tags { name } } errors { code message path } } }"""


async def tag(
    person: Person, ids: list[str], add: list[str] | None = None, remove: list[str] | None = None
) -> dict[str, Any]:
    given = {"leadIds": ids, "addTagIds": add, "removeTagIds": remove}
    return (await person.run(TAG, {"input": given}))["tagLeads"]  # type: ignore[no-any-return]


async def test_tags_are_put_on_and_taken_off(ana: Person, doors: Doors) -> None:
    hot, cold, vip = [await new_tag(ana, name) for name in ("Hot", "Cold", "VIP")]
    first = await new_lead(ana, tagIds=[cold])
    second = await new_lead(ana, tagIds=[hot, vip])
    third = await new_lead(ana, tagIds=[cold, hot])
    ids = [third["id"], first["id"], second["id"]]
    payload = await tag(ana, ids, [vip, hot], [cold])
    assert payload["errors"] == []
    assert [lead["id"] for lead in payload["leads"]] == ids
    assert [lead["tags"] for lead in payload["leads"]] == [[{"name": "Hot"}, {"name": "VIP"}]] * 3
    assert [lead["version"] for lead in payload["leads"]] == [2, 2, 1], "the second had them so already"
    told = (await lead_events(doors, ana))[3:]
    assert [(event["entity_ids"], event["changed"]) for event in told] == [
        ([UUID(lead["id"])], ["tags"]) for lead in (first, third)
    ]
    assert [event["after"] for event in told] == [
        f'{{"addTagIds": ["{hot}", "{vip}"], "removeTagIds": ["{cold}"]}}',
        f'{{"addTagIds": ["{vip}"], "removeTagIds": ["{cold}"]}}',
    ], "what they had so already was not put on"
    assert await entries(doors, ana, first["id"]) == [("TAGGED", "+Hot +VIP −Cold", "HUMAN", ana.user_id)]
    assert await entries(doors, ana, third["id"]) == [("TAGGED", "+VIP −Cold", "HUMAN", ana.user_id)]
    assert await entries(doors, ana, second["id"]) == []
    again = await tag(ana, ids, [vip, hot], [cold])
    assert (again["errors"], again["leads"]) == ([], payload["leads"])
    assert len(await lead_events(doors, ana)) == 5


async def test_many_who_tag_the_same_leads_at_once_do_it_once(ana: Person, doors: Doors) -> None:
    tags = [await new_tag(ana, name) for name in ("A", "B")]
    ids = [(await new_lead(ana))["id"] for _ in range(5)]
    payloads = await asyncio.gather(
        *(tag(ana, ids[::step], tags[::step]) for step in (1, -1) for _ in range(4))
    )
    assert [payload["errors"] for payload in payloads] == [[]] * 8
    assert len(await lead_events(doors, ana)) == 6
    for id in ids:
        assert len(await entries(doors, ana, id)) == 1


async def test_a_tag_deleted_while_leads_get_it_is_on_none(ana: Person, doors: Doors) -> None:
    lead = await new_lead(ana)
    for n in range(4):
        id = await new_tag(ana, f"T{n}")
        payload, _ = await asyncio.gather(
            tag(ana, [lead["id"]], [id]),
            ana.run("mutation ($id: ID!) { deleteTag(input: {id: $id}) { deletedIds } }", {"id": id}),
        )
        assert refusals(payload) in ([], [("NOT_FOUND", ["addTagIds", "0"])])
    found = await the_lead(ana, lead["id"])
    assert found
    assert found["tags"] == []


@pytest.mark.parametrize(
    ("leads", "add", "remove", "path"),
    [(101, 1, 1, ["leadIds"]), (1, 101, 1, ["addTagIds"]), (1, 1, 101, ["removeTagIds"])],
)
async def test_more_than_100_are_refused(
    ana: Person, leads: int, add: int, remove: int, path: list[str]
) -> None:
    ids = [str(uuid4()) for _ in range(101)]
    payload = await tag(ana, ids[:leads], ids[:add], ids[::-1][:remove])
    assert refusals(payload) == [("INVALID", path)]


async def test_a_tag_in_both_lists_is_refused(ana: Person) -> None:
    lead, first, second = await new_lead(ana), await new_tag(ana, "A"), await new_tag(ana, "B")
    payload = await tag(ana, [lead["id"]], [first], [second, first])
    assert refusals(payload) == [("INVALID", ["removeTagIds", "1"])]


async def test_what_is_not_there_is_not_found_and_nothing_is_done(ana: Person, eve: Person) -> None:
    lead, gone, foreign = await new_lead(ana), await new_lead(ana), await new_lead(eve)
    own, theirs = await new_tag(ana, "A"), await new_tag(eve, "B")
    await ana.run(
        "mutation ($id: ID!) { deleteLeads(input: {ids: [$id]}) { deletedIds } }", {"id": gone["id"]}
    )
    for id in (gone["id"], foreign["id"], "nonsense"):
        payload = await tag(ana, [lead["id"], lead["id"], id], [own])
        assert refusals(payload) == [("NOT_FOUND", ["leadIds", "2"])]
    assert refusals(await tag(ana, [lead["id"]], [own, theirs])) == [("NOT_FOUND", ["addTagIds", "1"])]
    assert refusals(await tag(ana, [lead["id"]], [own], [theirs])) == [("NOT_FOUND", ["removeTagIds", "0"])]
    assert await the_lead(ana, lead["id"]) == lead
