"""restoreLeads through HTTP."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.leads import (
    CREATE,
    FIELDS,
    entries,
    lead_events,
    new_lead,
    new_tag,
    refusals,
    stray_contacts,
    the_lead,
)

DELETE = "mutation ($ids: [ID!]!) { deleteLeads(input: {ids: $ids}) { errors { code path } } }"
RESTORE = f"""mutation ($ids: [ID!]!) {{
  restoreLeads(input: {{ids: $ids}}) {{ leads {{ {FIELDS} }} errors {{ code message path }} }} }}"""
MERGED = text(
    "UPDATE lead SET merged_into_id = :kept_id WHERE workspace_id = :workspace_id AND id = :id RETURNING id"
)


async def delete(person: Person, *ids: str) -> None:
    assert (await person.run(DELETE, {"ids": ids}))["deleteLeads"]["errors"] == []


async def restore(person: Person, *ids: str) -> dict[str, Any]:
    return (await person.run(RESTORE, {"ids": ids}))["restoreLeads"]  # type: ignore[no-any-return]


async def test_what_is_restored_is_as_it_was(ana: Person, doors: Doors) -> None:
    tag = await new_tag(ana, "VIP")
    first = await new_lead(ana, email="a@example.com", phone="+5511987654321", tagIds=[tag])
    second, live = await new_lead(ana, instagram="bia"), await new_lead(ana, email="c@example.com")
    await delete(ana, first["id"], second["id"])
    payload = await restore(ana, second["id"], live["id"], first["id"])
    assert payload["errors"] == []
    back = [{**lead, "version": lead["version"] + 2} for lead in (second, first)]
    assert payload["leads"] == [back[0], live, back[1]]
    assert await the_lead(ana, first["id"]) == back[1]
    event = (await lead_events(doors, ana))[-1]
    assert (event["kind"], event["changed"]) == ("lead.updated", ["deletedAt"])
    assert event["entity_ids"] == [UUID(second["id"]), UUID(first["id"])]
    assert len(await entries(doors, ana, first["id"])) == 2
    assert await stray_contacts(doors, ana) == []
    taken = (await ana.run(CREATE, {"input": {"name": "New", "email": "a@example.com"}}))["createLead"]
    assert refusals(taken) == [("CONFLICT", ["email"])]


async def test_a_taken_address_shows_who_has_it_and_nothing_is_restored(ana: Person, doors: Doors) -> None:
    free = await new_lead(ana, email="free@example.com")
    first = await new_lead(ana, email="a@example.com", phone="+5511987654321", instagram="bia")
    second = await new_lead(ana, email="b@example.com")
    await delete(ana, free["id"], first["id"], second["id"])
    holder = await new_lead(ana, name="Holder", email="b@example.com", instagram="bia")
    payload = await restore(ana, free["id"], first["id"], second["id"])
    assert refusals(payload) == [("CONFLICT", ["ids", "1"]), ("CONFLICT", ["ids", "2"])]
    assert payload["leads"] == [holder]
    for lead in (free, first, second):
        assert await the_lead(ana, lead["id"]) is None
    assert await stray_contacts(doors, ana) == [], "nothing of what they had is lost"
    assert (await restore(ana, free["id"]))["errors"] == []
    await delete(ana, holder["id"])
    payload = await restore(ana, first["id"], second["id"])
    assert [lead["identities"] for lead in payload["leads"]] == [first["identities"], second["identities"]]


async def test_of_two_deleted_leads_with_one_address_one_comes_back(ana: Person, doors: Doors) -> None:
    first = await new_lead(ana, email="a@example.com")
    await delete(ana, first["id"])
    second = await new_lead(ana, email="a@example.com")
    await delete(ana, second["id"])
    both = await restore(ana, first["id"], second["id"])
    assert [error["code"] for error in both["errors"]] == ["CONFLICT"]
    payloads = await asyncio.gather(*(restore(ana, lead["id"]) for lead in (first, second) for _ in range(3)))
    assert sorted(refusals(payload) for payload in payloads) == [[]] * 3 + [[("CONFLICT", ["ids", "0"])]] * 3
    assert len({payload["leads"][0]["id"] for payload in payloads}) == 1
    assert await stray_contacts(doors, ana) == []


async def test_a_restored_lead_or_a_new_one_has_the_address(ana: Person, doors: Doors) -> None:
    for n in range(6):
        lead = await new_lead(ana, email=f"{n}@example.com", phone=f"+551198765432{n}")
        await delete(ana, lead["id"])
        given = {"name": "New", "email": f"{n}@example.com", "phone": f"+551198765432{n}"}
        restored, made = await asyncio.gather(
            restore(ana, lead["id"]),
            ana.run(CREATE, {"input": given}),
        )
        made = made["createLead"]
        outcome = (refusals(restored), refusals(made))
        assert outcome in (([], [("CONFLICT", ["email"])]), ([("CONFLICT", ["ids", "0"])], []))
        assert restored["leads"][0]["id"] == made["lead"]["id"]
    assert await stray_contacts(doors, ana) == []


async def test_a_lead_that_was_merged_away_is_not_restored(ana: Person, doors: Doors) -> None:
    lead, kept = await new_lead(ana, email="a@example.com"), await new_lead(ana)
    await delete(ana, lead["id"])
    async with doors.open_work(ana.workspace_id) as work:
        merged = {"workspace_id": ana.workspace_id, "id": UUID(lead["id"]), "kept_id": UUID(kept["id"])}
        assert (await work.execute(MERGED, merged)).rowcount == 1
    payload = await restore(ana, kept["id"], lead["id"])
    assert refusals(payload) == [("CONFLICT", ["ids", "1"])]
    assert "undo the merge" in payload["errors"][0]["message"]
    assert payload["leads"] == [kept]


async def test_what_is_not_there_is_not_found_and_nothing_is_restored(ana: Person, eve: Person) -> None:
    lead, foreign = await new_lead(ana), await new_lead(eve)
    await delete(ana, lead["id"])
    await delete(eve, foreign["id"])
    for id in (foreign["id"], str(uuid4()), "nonsense"):
        assert refusals(await restore(ana, lead["id"], id)) == [("NOT_FOUND", ["ids", "1"])]
    assert await the_lead(ana, lead["id"]) is None
    assert await the_lead(eve, foreign["id"]) is None
    many = [lead["id"], *(str(uuid4()) for _ in range(100))]
    assert refusals(await restore(ana, *many)) == [("INVALID", ["ids"])]
