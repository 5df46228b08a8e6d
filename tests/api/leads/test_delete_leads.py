"""deleteLeads through HTTP, and what is left of a deleted lead."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.conversations import open_conversation
from tests.factories.leads import (
    entries,
    lead_events,
    new_lead,
    refusals,
    stray_contacts,
    the_lead,
)

DELETE = """mutation ($ids: [ID!]!) {
  deleteLeads(input: {ids: $ids}) { deletedIds errors { code message path } } }"""
UPDATE = """mutation ($input: UpdateLeadInput!) { updateLead(input: $input) { lead { id } errors { code path } } }"""
LISTED = """query ($deleted: Boolean) {
  leads(filter: {deleted: $deleted}) { edges { node { id deletedAt } } } }"""


async def delete(person: Person, ids: list[str]) -> dict[str, Any]:
    return (await person.run(DELETE, {"ids": ids}))["deleteLeads"]  # type: ignore[no-any-return]


async def listed(person: Person, *, deleted: bool | None = None) -> list[str]:
    page = (await person.run(LISTED, {"deleted": deleted}))["leads"]
    assert all((edge["node"]["deletedAt"] is None) is not deleted for edge in page["edges"])
    return [edge["node"]["id"] for edge in page["edges"]]


async def test_deleted_leads_leave_the_lists_and_free_their_addresses(ana: Person, doors: Doors) -> None:
    first = await new_lead(ana, email="a@example.com", phone="+5511987654321")
    second, kept = await new_lead(ana, email="b@example.com"), await new_lead(ana, email="c@example.com")
    payload = await delete(ana, [second["id"], first["id"], second["id"]])
    assert payload == {"deletedIds": [second["id"], first["id"]], "errors": []}
    assert await the_lead(ana, first["id"]) is None
    assert await listed(ana) == [kept["id"]]
    assert sorted(await listed(ana, deleted=True)) == sorted([first["id"], second["id"]])
    told = (await lead_events(doors, ana))[3:]
    assert [(one["kind"], one["entity_ids"]) for one in told] == [
        ("lead.deleted", [UUID(second["id"]), UUID(first["id"])])
    ]
    assert await entries(doors, ana, first["id"]) == [("UPDATED", "deletedAt", "HUMAN", ana.user_id)]
    assert await new_lead(ana, email="a@example.com", phone="+5511987654321")
    assert await stray_contacts(doors, ana) == []


async def test_what_is_deleted_already_is_not_told_again(ana: Person, doors: Doors) -> None:
    ids = [(await new_lead(ana))["id"] for _ in range(6)]
    payloads = await asyncio.gather(*(delete(ana, ids[n:] + ids[:n]) for n in range(6)))
    assert [payload["errors"] for payload in payloads] == [[]] * 6
    assert all(sorted(payload["deletedIds"]) == sorted(ids) for payload in payloads)
    (told,) = [one for one in await lead_events(doors, ana) if one["kind"] == "lead.deleted"]
    assert sorted(told["entity_ids"]) == sorted(UUID(id) for id in ids)
    for id in ids:
        assert len(await entries(doors, ana, id)) == 1


async def test_a_lead_is_deleted_or_changed_first(ana: Person, doors: Doors) -> None:
    for n in range(5):
        lead = await new_lead(ana, email=f"{n}@example.com")
        given = {"id": lead["id"], "version": 1, "email": f"new-{n}@example.com"}
        changed, gone = await asyncio.gather(
            ana.run(UPDATE, {"input": given}),
            delete(ana, [lead["id"]]),
        )
        assert gone["errors"] == []
        assert refusals(changed["updateLead"]) in ([], [("NOT_FOUND", ["id"])])
        assert await the_lead(ana, lead["id"]) is None
        for address in (f"{n}@example.com", f"new-{n}@example.com"):
            assert await new_lead(ana, email=address)
    assert await stray_contacts(doors, ana) == []


async def test_more_than_100_are_refused(ana: Person) -> None:
    lead = await new_lead(ana)
    ids = [lead["id"], *(str(uuid4()) for _ in range(100))]
    assert refusals(await delete(ana, ids)) == [("INVALID", ["ids"])]
    assert await the_lead(ana, lead["id"])


@pytest.mark.parametrize("where", [0, 2])
async def test_what_is_not_there_is_not_found_and_nothing_is_done(
    ana: Person, eve: Person, where: int
) -> None:
    own, foreign = [(await new_lead(ana))["id"] for _ in range(2)], await new_lead(eve)
    for id in (foreign["id"], str(uuid4()), "nonsense"):
        payload = await delete(ana, [*own[:where], id, *own[where:]])
        assert payload["deletedIds"] == []
        assert refusals(payload) == [("NOT_FOUND", ["ids", str(where)])]
    assert len(await listed(ana)) == 2
    assert await the_lead(eve, foreign["id"])


OUTBOX = {
    "sendMessage": (
        'mutation ($id: ID!, $key: ID!) { sendMessage(input: {conversationId: $id, subject: "S", body: "B", '
        "idempotencyKey: $key}) { errors { code path } } }",
        ["conversationId"],
    ),
    "saveDraft": (
        'mutation ($id: ID!) { saveDraft(input: {conversationId: $id, body: "B"}) { errors { code path } } }',
        ["conversationId"],
    ),
    "assignConversation": (
        "mutation ($id: ID!) { assignConversation(input: {id: $id}) { errors { code path } } }",
        ["id"],
    ),
    "snoozeConversation": (
        "mutation ($id: ID!, $at: DateTime!) "
        "{ snoozeConversation(input: {id: $id, until: $at}) { errors { code path } } }",
        ["id"],
    ),
    "closeConversation": (
        "mutation ($id: ID!) { closeConversation(input: {id: $id}) { errors { code path } } }",
        ["id"],
    ),
    "reopenConversation": (
        "mutation ($id: ID!) { reopenConversation(input: {id: $id}) { errors { code path } } }",
        ["id"],
    ),
    "markConversationRead": (
        "mutation ($id: ID!) { markConversationRead(input: {id: $id}) { errors { code path } } }",
        ["id"],
    ),
}


async def test_nothing_is_done_in_a_deleted_leads_conversation(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)

    async def answers() -> dict[str, list[tuple[str, list[str]]]]:
        found = {}
        for name, (document, _) in OUTBOX.items():
            values = {
                "id": str(opened.id),
                "key": secrets.token_hex(8),
                "at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
            }
            used = {key: value for key, value in values.items() if f"${key}:" in document}
            found[name] = refusals((await ana.run(document, used))[name])
        return found

    assert await answers() == {name: [] for name in OUTBOX}
    await delete(ana, [str(opened.lead_id)])
    assert await answers() == {name: [("NOT_FOUND", path)] for name, (_, path) in OUTBOX.items()}
