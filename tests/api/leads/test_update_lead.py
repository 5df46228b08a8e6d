"""updateLead through HTTP."""

import asyncio
from typing import Any

import pytest

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.leads import (
    FIELDS,
    entries,
    lead_events,
    new_lead,
    refusals,
    stray_contacts,
    the_lead,
)

UPDATE = f"""mutation ($input: UpdateLeadInput!) {{
  updateLead(input: $input) {{ lead {{ {FIELDS} }} errors {{ code message path }} }} }}"""


async def update(person: Person, lead: dict[str, Any], **input: Any) -> dict[str, Any]:
    given = {"id": lead["id"], "version": lead["version"], **input}
    return (await person.run(UPDATE, {"input": given}))["updateLead"]  # type: ignore[no-any-return]


async def updated(person: Person, lead: dict[str, Any], **input: Any) -> dict[str, Any]:
    payload = await update(person, lead, **input)
    assert payload["errors"] == []
    return payload["lead"]  # type: ignore[no-any-return]


def values(lead: dict[str, Any], kind: str) -> list[tuple[str, bool]]:
    return [(one["value"], one["isPrimary"]) for one in lead["identities"] if one["kind"] == kind]


async def test_what_is_left_out_stays_and_null_clears(ana: Person, doors: Doors) -> None:
    lead = await new_lead(
        ana, company="Acme", title="CEO", email="bia@example.com", instagram="bia", metadata={"a": 1}
    )
    changed = await updated(ana, lead, name=" Bia Souza ", title=None, metadata={"b": [2]})
    assert changed == {
        **lead,
        "name": "Bia Souza",
        "title": None,
        "metadata": {"b": [2]},
        "version": lead["version"] + 1,
    }
    assert (await updated(ana, changed, metadata=None, company=None))["metadata"] == {}
    told = [(one["changed"], one["before"], one["after"]) for one in await lead_events(doors, ana)][1:]
    assert told == [(["name", "title", "metadata"], "{}", "{}"), (["company", "metadata"], "{}", "{}")]
    assert await entries(doors, ana, lead["id"]) == [
        ("UPDATED", "name, title, metadata", "HUMAN", ana.user_id),
        ("UPDATED", "company, metadata", "HUMAN", ana.user_id),
    ]


async def test_what_changes_nothing_is_not_told(ana: Person, doors: Doors) -> None:
    lead = await new_lead(ana, company="Acme", email="bia@example.com", metadata={"a": 1})
    same = await updated(
        ana,
        lead,
        name="Bia",
        company=" Acme ",
        email="BIA@example.com",
        phone=None,
        ownerId=str(ana.user_id),
        metadata={"a": 1},
    )
    assert same == lead
    assert len(await lead_events(doors, ana)) == 1
    assert await entries(doors, ana, lead["id"]) == []


async def test_a_new_address_takes_the_primary_ones_place(ana: Person, doors: Doors) -> None:
    lead = await new_lead(ana, email="a@example.com", phone="+5511987654321", facebook="bia")
    lead = await updated(ana, lead, email="B@example.com", phone=None, linkedin="@X", instagram="bia")
    assert (lead["email"], lead["phone"]) == ("b@example.com", None)
    assert values(lead, "EMAIL") == [("b@example.com", True)]
    assert values(lead, "LINKEDIN") == [("x", True)]
    assert await new_lead(ana, name="Other", email="a@example.com", phone="+5511987654321")
    assert await stray_contacts(doors, ana) == []


async def test_of_several_addresses_one_is_preferred_or_promoted(ana: Person, doors: Doors) -> None:
    lead = await new_lead(ana, email="a@example.com")
    for address in ("b@example.com", "c@example.com"):
        added = await ana.run(
            f"""mutation ($id: ID!, $value: String!) {{
              addIdentity(input: {{leadId: $id, kind: EMAIL, value: $value}}) {{ lead {{ {FIELDS} }} }} }}""",
            {"id": lead["id"], "value": address},
        )
        lead = added["addIdentity"]["lead"]
    lead = await updated(ana, lead, email="c@example.com")
    assert values(lead, "EMAIL") == [
        ("c@example.com", True),
        ("a@example.com", False),
        ("b@example.com", False),
    ]
    lead = await updated(ana, lead, email=None)
    assert lead["email"] == "a@example.com"
    assert values(lead, "EMAIL") == [("a@example.com", True), ("b@example.com", False)]
    assert await stray_contacts(doors, ana) == []


async def test_a_taken_identity_shows_the_lead_that_has_it(ana: Person) -> None:
    holder, lead = await new_lead(ana, phone="+5511987654321"), await new_lead(ana)
    payload = await update(ana, lead, company="Acme", email="new@example.com", phone="(11) 98765-4321")
    assert refusals(payload) == [("CONFLICT", ["phone"])]
    assert payload["lead"] == holder
    assert await the_lead(ana, lead["id"]) == lead, "nothing of it was written"


async def test_a_stale_version_shows_the_lead_as_it_is(ana: Person) -> None:
    lead = await new_lead(ana)
    fresh = await updated(ana, lead, company="Acme")
    payload = await update(ana, lead, company="Other")
    assert refusals(payload) == [("CONFLICT", ["version"])]
    assert payload["lead"] == fresh


async def test_of_many_who_change_one_version_one_does(ana: Person) -> None:
    lead = await new_lead(ana)
    payloads = await asyncio.gather(*(update(ana, lead, company=f"Acme {n}") for n in range(6)))
    (won,) = [payload["lead"] for payload in payloads if not payload["errors"]]
    lost = [payload for payload in payloads if payload["errors"]]
    assert [refusals(payload) for payload in lost] == [[("CONFLICT", ["version"])]] * 5
    assert [payload["lead"] for payload in lost] == [won] * 5


async def test_the_owner_is_a_member_or_nobody(ana: Person, eve: Person, doors: Doors) -> None:
    lead, colleague = await new_lead(ana), await add_member(doors, ana, role=Role.MEMBER, name="Caio")
    assert lead["owner"] == {"email": ana.email}
    lead = await updated(ana, lead, ownerId=str(colleague.user_id))
    assert lead["owner"] == {"email": colleague.email}
    lead = await updated(ana, lead, ownerId=None)
    assert lead["owner"] is None
    for stranger in (str(eve.user_id), "nonsense"):
        assert refusals(await update(ana, lead, ownerId=stranger)) == [("NOT_FOUND", ["ownerId"])]
    told = [(one["changed"], one["before"], one["after"]) for one in await lead_events(doors, ana)][1:]
    assert told == [
        (["owner"], f'{{"ownerId": "{ana.user_id}"}}', f'{{"ownerId": "{colleague.user_id}"}}'),
        (["owner"], f'{{"ownerId": "{colleague.user_id}"}}', '{"ownerId": null}'),
    ]
    assert await entries(doors, ana, lead["id"]) == [
        ("ASSIGNED", "Caio", "HUMAN", ana.user_id),
        ("ASSIGNED", "", "HUMAN", ana.user_id),
    ]


async def test_a_21st_address_is_too_many(ana: Person) -> None:
    lead = await new_lead(ana, email="0@example.com")
    for n in range(1, 20):
        await ana.run(
            """mutation ($id: ID!, $value: String!) {
              addIdentity(input: {leadId: $id, kind: EMAIL, value: $value}) { lead { version } } }""",
            {"id": lead["id"], "value": f"{n}@example.com"},
        )
    lead = await the_lead(ana, lead["id"]) or {}
    assert refusals(await update(ana, lead, phone="+5511987654321")) == [("LIMIT_REACHED", ["phone"])]
    assert (await updated(ana, lead, email="new@example.com"))["email"] == "new@example.com", (
        "it replaces one"
    )


@pytest.mark.parametrize(
    ("input", "path"),
    [
        ({"name": None}, ["name"]),
        ({"name": " "}, ["name"]),
        ({"name": "n" * 201}, ["name"]),
        ({"company": "c" * 201}, ["company"]),
        ({"title": "a\x00b"}, ["title"]),
        ({"email": "x"}, ["email"]),
        ({"phone": "12"}, ["phone"]),
        ({"linkedin": "https://example.com/in/x"}, ["linkedin"]),
        ({"instagram": "in valid"}, ["instagram"]),
        ({"facebook": "javascript:alert(1)"}, ["facebook"]),
    ],
)
async def test_bad_input_is_refused_at_its_field(ana: Person, input: dict[str, Any], path: list[str]) -> None:
    lead = await new_lead(ana, email="a@example.com", company="Acme")
    assert refusals(await update(ana, lead, **input)) == [("INVALID", path)]
    assert await the_lead(ana, lead["id"]) == lead


async def test_metadata_that_is_too_large_is_refused(ana: Person) -> None:
    lead = await new_lead(ana)
    given = {"id": lead["id"], "version": 1, "metadata": {"a": "x" * 16 * 1024}}
    assert await ana.refused(UPDATE, {"input": given}) == "BAD_USER_INPUT"


async def test_what_is_not_there_is_not_found(ana: Person, eve: Person) -> None:
    lead, foreign = await new_lead(ana), await new_lead(eve)
    await ana.run(
        "mutation ($id: ID!) { deleteLeads(input: {ids: [$id]}) { deletedIds } }", {"id": lead["id"]}
    )
    for id in (lead["id"], foreign["id"], "nonsense"):
        payload = await update(ana, {"id": id, "version": 1}, name="Eve's")
        assert (refusals(payload), payload["lead"]) == ([("NOT_FOUND", ["id"])], None)
    assert await the_lead(eve, foreign["id"]) == foreign
