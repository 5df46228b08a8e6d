"""Where a lead lives: as given, else as its phone number tells."""

from typing import Any

import pytest

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.merging import exports, merged, unmerged

FIELDS = "lead { id version timeZone phone } errors { code message path }"
CREATE = f"mutation ($input: CreateLeadInput!) {{ createLead(input: $input) {{ {FIELDS} }} }}"
UPDATE = f"mutation ($input: UpdateLeadInput!) {{ updateLead(input: $input) {{ {FIELDS} }} }}"
READ = "query ($id: ID!) { lead(id: $id) { timeZone timeline { edges { node { type content } } } } }"
MANAUS = "+5592987654321"


async def create(person: Person, **fields: Any) -> Any:
    return (await person.run(CREATE, {"input": {"name": "Bia", **fields}}))["createLead"]


async def update(person: Person, lead: Any, **fields: Any) -> Any:
    given = {"id": lead["id"], "version": lead["version"], **fields}
    return (await person.run(UPDATE, {"input": given}))["updateLead"]


async def zone(person: Person, lead: Any) -> Any:
    return (await person.run(READ, {"id": lead["id"]}))["lead"]["timeZone"]


async def test_what_was_given_counts_before_what_the_number_tells(ana: Person) -> None:
    lead = (await create(ana, phone=MANAUS))["lead"]
    assert lead["timeZone"] == "America/Manaus"
    lead = (await update(ana, lead, timeZone="Europe/Lisbon"))["lead"]
    assert lead["timeZone"] == "Europe/Lisbon"
    lead = (await update(ana, lead, phone=None))["lead"]
    assert lead["timeZone"] == "Europe/Lisbon", "what is left out stays"
    lead = (await update(ana, lead, timeZone=None))["lead"]
    assert (lead["timeZone"], lead["phone"]) == (None, None)


async def test_it_is_given_as_the_lead_is_made(ana: Person) -> None:
    lead = (await create(ana, phone=MANAUS, timeZone=" America/Sao_Paulo "))["lead"]
    assert lead["timeZone"] == await zone(ana, lead) == "America/Sao_Paulo"


async def test_a_change_of_it_is_told_and_none_is_not(ana: Person) -> None:
    lead = (await create(ana, timeZone="UTC"))["lead"]
    same = (await update(ana, lead, timeZone="UTC"))["lead"]
    assert same["version"] == lead["version"]
    await update(ana, lead, timeZone="Asia/Tokyo")
    entries = (await ana.run(READ, {"id": lead["id"]}))["lead"]["timeline"]["edges"]
    assert [one["node"]["content"] for one in entries if one["node"]["type"] == "UPDATED"] == ["timeZone"]


@pytest.mark.parametrize(
    "text",
    ["America/sao_paulo", "Nowhere/Else", "-03:00", "../etc/passwd", "localtime", "UTC'", "x" * 300],
    ids=["case", "unknown", "offset", "path", "machine", "quote", "long"],
)
async def test_only_an_iana_name_will_do(ana: Person, text: str) -> None:
    made = await create(ana, timeZone=text)
    assert [(error["code"], error["path"]) for error in made["errors"]] == [("INVALID", ["timeZone"])]
    lead = (await create(ana))["lead"]
    changed = await update(ana, lead, timeZone=text)
    assert [(error["code"], error["path"]) for error in changed["errors"]] == [("INVALID", ["timeZone"])]


async def test_a_merge_fills_it_in_and_is_undone_to_the_byte(ana: Person, doors: Doors) -> None:
    keep, away = [(await create(ana, **given))["lead"] for given in ({}, {"timeZone": "Asia/Tokyo"})]
    before = await exports(ana, doors, keep["id"], away["id"])
    assert b"Asia/Tokyo" in b"".join(before), "an export tells it"
    merge_id = await merged(ana, keep["id"], away["id"])
    assert await zone(ana, keep) == "Asia/Tokyo"
    await unmerged(ana, merge_id)
    assert await exports(ana, doors, keep["id"], away["id"]) == before
    assert await zone(ana, keep) is None


async def test_a_zone_given_since_the_merge_stays(ana: Person) -> None:
    keep, away = [(await create(ana, **given))["lead"] for given in ({}, {"timeZone": "Asia/Tokyo"})]
    merge_id = await merged(ana, keep["id"], away["id"])
    version = (await ana.run("query ($id: ID!) { lead(id: $id) { id version } }", {"id": keep["id"]}))["lead"]
    await update(ana, version, timeZone="Europe/Lisbon")
    await unmerged(ana, merge_id)
    assert await zone(ana, keep) == "Europe/Lisbon"
