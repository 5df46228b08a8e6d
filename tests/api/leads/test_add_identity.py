"""addIdentity and removeIdentity through HTTP."""

import asyncio
from typing import Any

import pytest

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.leads import (
    FIELDS,
    entries,
    lead_events,
    new_lead,
    refusals,
    stray_contacts,
    the_lead,
)

ADD = f"""mutation ($input: AddIdentityInput!) {{
  addIdentity(input: $input) {{ lead {{ {FIELDS} }} errors {{ code message path }} }} }}"""
REMOVE = f"""mutation ($id: ID!) {{
  removeIdentity(input: {{id: $id}}) {{ lead {{ {FIELDS} }} errors {{ code message path }} }} }}"""


async def add(person: Person, lead: dict[str, Any], kind: str, value: str, **input: Any) -> dict[str, Any]:
    given = {"leadId": lead["id"], "kind": kind, "value": value, **input}
    return (await person.run(ADD, {"input": given}))["addIdentity"]  # type: ignore[no-any-return]


async def remove(person: Person, id: str) -> dict[str, Any]:
    return (await person.run(REMOVE, {"id": id}))["removeIdentity"]  # type: ignore[no-any-return]


def identities(lead: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return [(one["kind"], one["value"], one["isPrimary"]) for one in lead["identities"]]


async def test_a_lead_has_several_of_a_kind_and_one_is_primary(ana: Person, doors: Doors) -> None:
    lead = await new_lead(ana, email="a@example.com")
    for kind, value, is_primary in [
        ("EMAIL", "B@Example.com ", False),
        ("EMAIL", "c@example.com", True),
        ("PHONE", "(11) 98765-4321", False),
        ("WHATSAPP", "11 98765-4321", False),
        ("LINKEDIN", "https://br.linkedin.com/in/Bia/", False),
        ("INSTAGRAM", "@Bia", True),
        ("FACEBOOK", "https://m.facebook.com/profile.php?id=10001", False),
    ]:
        payload = await add(ana, lead, kind, value, isPrimary=is_primary)
        assert payload["errors"] == []
    assert identities(payload["lead"]) == [
        ("EMAIL", "c@example.com", True),
        ("EMAIL", "a@example.com", False),
        ("EMAIL", "b@example.com", False),
        ("FACEBOOK", "10001", True),
        ("INSTAGRAM", "bia", True),
        ("LINKEDIN", "bia", True),
        ("PHONE", "+5511987654321", True),
        ("WHATSAPP", "+5511987654321", True),
    ]
    assert (payload["lead"]["email"], payload["lead"]["phone"]) == ("c@example.com", "+5511987654321")
    assert payload["lead"]["version"] == lead["version"] + 7
    assert {tuple(one["changed"]) for one in (await lead_events(doors, ana))[1:]} == {("identities",)}
    assert (await entries(doors, ana, lead["id"]))[-1] == ("UPDATED", "identities", "HUMAN", ana.user_id)
    assert await stray_contacts(doors, ana) == []


async def test_one_that_it_has_already_is_no_change_but_may_become_primary(ana: Person, doors: Doors) -> None:
    lead = await new_lead(ana, email="a@example.com")
    assert (await add(ana, lead, "EMAIL", "a@example.com"))["lead"] == lead
    assert (await add(ana, lead, "EMAIL", "a@example.com", isPrimary=True))["lead"] == lead
    lead = (await add(ana, lead, "EMAIL", "b@example.com"))["lead"]
    assert (await add(ana, lead, "EMAIL", "b@example.com"))["lead"] == lead
    assert (await add(ana, lead, "EMAIL", "b@example.com", isPrimary=True))["lead"][
        "email"
    ] == "b@example.com"
    assert len(await lead_events(doors, ana)) == 3


async def test_a_taken_one_shows_the_lead_that_has_it(ana: Person) -> None:
    holder, lead = await new_lead(ana, instagram="bia"), await new_lead(ana)
    payload = await add(ana, lead, "INSTAGRAM", "https://instagram.com/BIA")
    assert refusals(payload) == [("CONFLICT", ["value"])]
    assert payload["lead"] == holder
    assert await the_lead(ana, lead["id"]) == lead


async def test_of_many_who_want_one_address_one_lead_gets_it(ana: Person, doors: Doors) -> None:
    leads = [await new_lead(ana, name=f"Bia {n}") for n in range(6)]
    payloads = await asyncio.gather(*(add(ana, lead, "EMAIL", "a@example.com") for lead in leads))
    (won,) = [payload["lead"]["id"] for payload in payloads if not payload["errors"]]
    assert {payload["lead"]["id"] for payload in payloads} == {won}
    assert await stray_contacts(doors, ana) == []


async def test_many_added_to_one_lead_at_once_are_all_there(ana: Person, doors: Doors) -> None:
    lead = await new_lead(ana)
    payloads = await asyncio.gather(
        *(add(ana, lead, "EMAIL", f"{n}@example.com", isPrimary=True) for n in range(8))
    )
    assert [payload["errors"] for payload in payloads] == [[]] * 8
    found = await the_lead(ana, lead["id"])
    assert found
    assert len(found["identities"]) == 8
    assert found["version"] == lead["version"] + 8
    assert await stray_contacts(doors, ana) == []


async def test_a_lead_has_20_at_most(ana: Person) -> None:
    lead = await new_lead(ana)
    payloads = await asyncio.gather(*(add(ana, lead, "EMAIL", f"{n}@example.com") for n in range(24)))
    found = [refusals(payload) for payload in payloads]
    assert sorted(found) == [[]] * 20 + [[("LIMIT_REACHED", ["value"])]] * 4


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("EMAIL", ""),
        ("EMAIL", "x"),
        ("EMAIL", "a" * 3000),
        ("PHONE", "12"),
        ("WHATSAPP", "not a number"),
        ("LINKEDIN", "https://example.com/in/x"),
        ("INSTAGRAM", "a\x00b"),
        ("FACEBOOK", "javascript:alert(1)"),
    ],
)
async def test_bad_values_are_refused(ana: Person, kind: str, value: str) -> None:
    lead = await new_lead(ana)
    assert refusals(await add(ana, lead, kind, value)) == [("INVALID", ["value"])]


async def test_what_is_removed_is_free_and_the_oldest_other_takes_its_place(
    ana: Person, doors: Doors
) -> None:
    lead = await new_lead(ana, email="z@example.com", phone="+5511987654321")
    for value in ("b@example.com", "a@example.com"):
        lead = (await add(ana, lead, "EMAIL", value))["lead"]
    ids = {one["value"]: one["id"] for one in lead["identities"]}
    payload = await remove(ana, ids["z@example.com"])
    assert payload["errors"] == []
    assert payload["lead"]["email"] == "b@example.com"
    assert payload["lead"]["version"] == lead["version"] + 1
    assert refusals(await remove(ana, ids["z@example.com"])) == [("NOT_FOUND", ["id"])]
    assert (await remove(ana, ids["+5511987654321"]))["lead"]["phone"] is None
    other = await new_lead(ana, email="z@example.com", phone="+5511987654321")
    assert other["id"] != lead["id"]
    assert await stray_contacts(doors, ana) == []


async def test_of_many_who_remove_one_at_once_one_does(ana: Person, doors: Doors) -> None:
    lead = await new_lead(ana, email="a@example.com")
    payloads = await asyncio.gather(*(remove(ana, lead["identities"][0]["id"]) for _ in range(5)))
    found = [refusals(payload) for payload in payloads]
    assert sorted(found) == [[]] + [[("NOT_FOUND", ["id"])]] * 4
    assert len(await lead_events(doors, ana)) == 2


async def test_what_is_not_there_is_not_found(ana: Person, eve: Person) -> None:
    foreign, gone = await new_lead(eve, email="a@example.com"), await new_lead(ana, email="a@example.com")
    await ana.run(
        "mutation ($id: ID!) { deleteLeads(input: {ids: [$id]}) { deletedIds } }", {"id": gone["id"]}
    )
    for lead in (foreign, gone, {"id": "nonsense"}):
        assert refusals(await add(ana, lead, "EMAIL", "b@example.com")) == [("NOT_FOUND", ["leadId"])]
    for id in (foreign["identities"][0]["id"], gone["identities"][0]["id"], "nonsense"):
        assert refusals(await remove(ana, id)) == [("NOT_FOUND", ["id"])]
    assert await the_lead(eve, foreign["id"]) == foreign
