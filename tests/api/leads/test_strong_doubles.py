"""Whichever way a lead is written, an address or profile is one live lead's; so is a number, by phone or on WhatsApp.

Each door is tried in the tests of its mutation as well; here all of them, and against each other.
"""

import asyncio
from typing import Any

import pytest

from app.common.work import Doors
from app.leads.wiring import reach_or_create
from tests.factories.accounts import Person
from tests.factories.imports import imported, profile
from tests.factories.leads import CREATE, FIELDS, new_lead, refusals, stray_contacts, the_lead
from tests.factories.merging import merged, run_sql, unmerged
from tests.fixtures.processes import Worker

ADD = f"""mutation ($input: AddIdentityInput!) {{
  addIdentity(input: $input) {{ lead {{ {FIELDS} }} errors {{ code path }} }} }}"""
UPDATE = f"""mutation ($input: UpdateLeadInput!) {{
  updateLead(input: $input) {{ lead {{ {FIELDS} }} errors {{ code path }} }} }}"""
DELETE = "mutation ($ids: [ID!]!) { deleteLeads(input: {ids: $ids}) { errors { code path } } }"
RESTORE = f"""mutation ($ids: [ID!]!) {{
  restoreLeads(input: {{ids: $ids}}) {{ leads {{ {FIELDS} }} errors {{ code path }} }} }}"""
NUMBER = "+5511987654321"
DOUBLES = """
    SELECT a.value FROM lead_identity a JOIN lead_identity b
        ON b.workspace_id = a.workspace_id AND b.value = a.value AND b.lead_id <> a.lead_id
    WHERE a.workspace_id = :workspace_id AND a.released_at IS NULL AND b.released_at IS NULL
        AND (a.kind = b.kind OR (a.kind = 'PHONE' AND b.kind = 'WHATSAPP'))
"""


async def add(person: Person, lead: dict[str, Any], kind: str, value: str = NUMBER) -> dict[str, Any]:
    given = {"leadId": lead["id"], "kind": kind, "value": value}
    return (await person.run(ADD, {"input": given}))["addIdentity"]  # type: ignore[no-any-return]


async def create(person: Person, **input: object) -> dict[str, Any]:
    return (await person.run(CREATE, {"input": {"name": "New", **input}}))["createLead"]  # type: ignore[no-any-return]


async def on_whatsapp(person: Person, value: str = NUMBER, **input: object) -> dict[str, Any]:
    payload = await add(person, await new_lead(person, **input), "WHATSAPP", value)
    assert payload["errors"] == []
    return payload["lead"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("field", "kind", "value"),
    [
        ("email", "EMAIL", "a@example.com"),
        ("phone", "PHONE", NUMBER),
        ("phone", "WHATSAPP", NUMBER),
        ("linkedin", "LINKEDIN", "bia"),
        ("instagram", "INSTAGRAM", "bia"),
        ("facebook", "FACEBOOK", "bia"),
    ],
)
async def test_a_taken_one_is_refused_at_every_mutation(
    ana: Person, doors: Doors, field: str, kind: str, value: str
) -> None:
    gone = await new_lead(ana, **{field: value})
    await ana.run(DELETE, {"ids": [gone["id"]]})
    holder = (await add(ana, await new_lead(ana), kind, value))["lead"]
    other = await new_lead(ana)
    change = {"id": other["id"], "version": other["version"], field: value}
    for payload, path in (
        (await create(ana, **{field: value}), [field]),
        ((await ana.run(UPDATE, {"input": change}))["updateLead"], [field]),
        (await add(ana, other, kind, value), ["value"]),
        (await add(ana, other, field.upper() if field == "phone" else kind, value), ["value"]),
    ):
        assert refusals(payload) == [("CONFLICT", path)]
        assert payload["lead"] == holder
    restored = (await ana.run(RESTORE, {"ids": [gone["id"]]}))["restoreLeads"]
    assert refusals(restored) == [("CONFLICT", ["ids", "0"])]
    assert restored["leads"] == [holder]
    assert await the_lead(ana, other["id"]) == other
    assert await stray_contacts(doors, ana) == []


async def test_a_number_that_a_phone_has_is_taken_on_whatsapp(ana: Person, doors: Doors) -> None:
    gone = await on_whatsapp(ana)
    await ana.run(DELETE, {"ids": [gone["id"]]})
    holder, other = await new_lead(ana, phone=NUMBER), await new_lead(ana)
    payload = await add(ana, other, "WHATSAPP")
    assert (refusals(payload), payload["lead"]) == ([("CONFLICT", ["value"])], holder)
    restored = (await ana.run(RESTORE, {"ids": [gone["id"]]}))["restoreLeads"]
    assert (refusals(restored), restored["leads"]) == ([("CONFLICT", ["ids", "0"])], [holder])
    await ana.run(DELETE, {"ids": [holder["id"]]})
    assert (await ana.run(RESTORE, {"ids": [gone["id"]]}))["restoreLeads"]["errors"] == []
    assert refusals(await create(ana, phone=NUMBER)) == [("CONFLICT", ["phone"])]
    assert [one["kind"] for one in (await the_lead(ana, gone["id"]) or {})["identities"]] == ["WHATSAPP"]
    assert await stray_contacts(doors, ana) == []


async def test_one_lead_has_a_number_as_both(ana: Person, doors: Doors) -> None:
    first = await on_whatsapp(ana, phone=NUMBER)
    second = (await add(ana, await on_whatsapp(ana, "+5511987654322"), "PHONE", "+5511987654322"))["lead"]
    for lead in (first, second):
        assert [one["kind"] for one in lead["identities"]] == ["PHONE", "WHATSAPP"]
        await ana.run(DELETE, {"ids": [lead["id"]]})
    back = (await ana.run(RESTORE, {"ids": [first["id"], second["id"]]}))["restoreLeads"]
    assert [lead["identities"] for lead in back["leads"]] == [first["identities"], second["identities"]]
    assert await stray_contacts(doors, ana) == []


async def test_of_many_who_write_one_number_one_lead_gets_it(ana: Person, doors: Doors) -> None:
    for n in range(6):
        value = f"+551198765430{n}"
        gone = await on_whatsapp(ana, value)
        await ana.run(DELETE, {"ids": [gone["id"]]})
        leads = [await new_lead(ana) for _ in range(4)]
        payloads = await asyncio.gather(
            *(
                add(ana, lead, kind, value)
                for lead, kind in zip(leads, ["PHONE", "WHATSAPP"] * 2, strict=True)
            ),
            create(ana, phone=value),
            ana.run(RESTORE, {"ids": [gone["id"]]}),
        )
        errors = [refusals(one.get("restoreLeads", one)) for one in payloads]
        assert errors.count([]) == 1
    assert await run_sql(ana, doors, DOUBLES) == []
    assert await stray_contacts(doors, ana) == []


async def test_an_import_knows_a_number_on_whatsapp(ana: Person, doors: Doors, worker: Worker) -> None:
    holder, mailed = await on_whatsapp(ana), await new_lead(ana, email="a@example.com")
    rows = [profile("new.one", phone=NUMBER), profile("other", email="a@example.com", phone=NUMBER)]
    for row in rows:
        assert (await imported(ana, [row]))["status"] == "COMPLETED"
    lead = await the_lead(ana, holder["id"])
    assert lead
    assert {(one["kind"], one["value"]) for one in lead["identities"]} == {
        ("INSTAGRAM", "new.one"),
        ("PHONE", NUMBER),
        ("WHATSAPP", NUMBER),
    }
    lead = await the_lead(ana, mailed["id"])
    assert lead
    assert (lead["phone"], lead["email"]) == (None, "a@example.com")
    assert await run_sql(ana, doors, DOUBLES) == []
    assert await stray_contacts(doors, ana) == []


async def test_imports_against_whatsapp_numbers(ana: Person, doors: Doors, worker: Worker) -> None:
    leads = [await new_lead(ana) for _ in range(8)]
    values = [f"+551198765430{n}" for n in range(8)]
    rows = [profile(f"bia.{n}", phone=value) for n, value in enumerate(values)]
    ended, *payloads = await asyncio.gather(
        imported(ana, rows),
        *(add(ana, lead, "WHATSAPP", value) for lead, value in zip(leads, values, strict=True)),
    )
    assert ended["status"] == "COMPLETED"
    assert all(refusals(payload) in ([], [("CONFLICT", ["value"])]) for payload in payloads)
    assert await run_sql(ana, doors, DOUBLES) == []
    assert await stray_contacts(doors, ana) == []


async def test_a_mail_comes_to_the_lead_that_has_the_address(ana: Person, doors: Doors) -> None:
    holder = await new_lead(ana, email="a@example.com")
    async with doors.open_work(ana.workspace_id) as work:
        lead_id, is_new = await reach_or_create(work, ana.workspace_id, email="a@example.com", name=None)
    assert (str(lead_id), is_new) == (holder["id"], False)


async def test_what_an_unmerge_gives_back_is_nobody_elses(ana: Person, doors: Doors) -> None:
    kept, away = await new_lead(ana), await new_lead(ana, phone=NUMBER)
    merge = await merged(ana, kept["id"], away["id"])
    assert (await add(ana, kept, "WHATSAPP"))["errors"] == []
    assert refusals(await create(ana, phone=NUMBER)) == [("CONFLICT", ["phone"])]
    await unmerged(ana, merge)
    lead = await the_lead(ana, away["id"])
    assert lead
    assert [one["kind"] for one in lead["identities"]] == ["PHONE", "WHATSAPP"]
    assert await run_sql(ana, doors, DOUBLES) == []
    assert await stray_contacts(doors, ana) == []
