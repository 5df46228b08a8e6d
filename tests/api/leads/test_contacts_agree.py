"""Whichever way a lead is written, its e-mail, phone and handles are what its identities say."""

import asyncio

from app.common.work import Doors
from app.leads.wiring import reach_or_create
from tests.factories.accounts import Person
from tests.factories.imports import finished, import_leads, imported, profile
from tests.factories.leads import new_lead, stray_contacts
from tests.fixtures.processes import Worker

DELETE = "mutation ($ids: [ID!]!) { deleteLeads(input: {ids: $ids}) { errors { code path } } }"
RESTORE = "mutation ($ids: [ID!]!) { restoreLeads(input: {ids: $ids}) { errors { code path } } }"
UPDATE = (
    "mutation ($input: UpdateLeadInput!) { updateLead(input: $input) { lead { version } errors { code } } }"
)
ADD = """mutation ($input: AddIdentityInput!) {
  addIdentity(input: $input) { lead { version identities { id value } } errors { code } } }"""
REMOVE = "mutation ($id: ID!) { removeIdentity(input: {id: $id}) { errors { code } } }"


async def test_every_way_of_writing_keeps_them_together(ana: Person, doors: Doors, worker: Worker) -> None:
    lead = await new_lead(
        ana, email="a@example.com", phone="+5511987654321", linkedin="z", instagram="bia", facebook="y"
    )
    assert await stray_contacts(doors, ana) == []
    for policy in ("UPSERT", "FILL_EMPTY"):
        rows = [
            profile("bia", email=f"{policy.lower()}@example.com", phone="+5511987654322"),
            profile(f"new-{policy.lower()}".replace("-", "."), email=f"new-{policy.lower()}@example.com"),
        ]
        assert (await imported(ana, rows, policy=policy))["status"] == "COMPLETED"
        assert await stray_contacts(doors, ana) == []
    async with doors.open_work(ana.workspace_id) as work:
        await reach_or_create(work, ana.workspace_id, email="wrote@example.com", name=None)
    assert await stray_contacts(doors, ana) == []
    given = {"leadId": lead["id"], "kind": "EMAIL", "value": "added@example.com", "isPrimary": True}
    added = (await ana.run(ADD, {"input": given}))["addIdentity"]["lead"]
    assert await stray_contacts(doors, ana) == []
    change = {"id": lead["id"], "version": added["version"], "email": "b@example.com", "phone": None}
    assert (await ana.run(UPDATE, {"input": change}))["updateLead"]["errors"] == []
    assert await stray_contacts(doors, ana) == []
    first = next(one["id"] for one in added["identities"] if one["value"] == "a@example.com")
    assert (await ana.run(REMOVE, {"id": first}))["removeIdentity"]["errors"] == []
    assert await stray_contacts(doors, ana) == []
    for document in (DELETE, RESTORE):
        await ana.run(document, {"ids": [lead["id"]]})
        assert await stray_contacts(doors, ana) == []


async def test_an_import_never_gives_a_deleted_lead_addresses(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    """Deleted while imports that know it run: they make the person anew, or came first."""
    for n in range(4):
        lead = await new_lead(ana, instagram=f"bia.{n}")
        started = [
            await import_leads(ana, [profile(f"bia.{n}", email=f"{n}-{k}@example.com")]) for k in range(3)
        ]
        gone, *ended = await asyncio.gather(
            ana.run(DELETE, {"ids": [lead["id"]]}), *(finished(ana, id) for id in started)
        )
        assert gone["deleteLeads"]["errors"] == []
        assert [one["status"] for one in ended] == ["COMPLETED"] * 3
    assert await stray_contacts(doors, ana) == []
