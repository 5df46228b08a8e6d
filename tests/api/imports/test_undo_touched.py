"""What people touched since an import stays at its undo, and is counted: once for each lead."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.common.leases import Claim, LostLease
from app.common.work import Doors
from app.imports.application.undoing import UndoImport
from app.imports.infrastructure.undoing import UndoLedger
from tests.factories.accounts import Person
from tests.factories.board import move, stages
from tests.factories.conversations import inbound, open_account, open_conversation
from tests.factories.leads import lead_events, new_lead, new_tag, stray_contacts, the_lead
from tests.factories.merging import merged, unmerged
from tests.factories.undoing import imported, lead_ids, leads_of, staged, undo_chunk, undone

UPDATE = "mutation ($input: UpdateLeadInput!) { updateLead(input: $input) { errors { code path } } }"
NOTE = "mutation ($input: AddNoteInput!) { addNote(input: $input) { errors { code } } }"
TAG = "mutation ($input: TagLeadsInput!) { tagLeads(input: $input) { errors { code } } }"
DELETE = "mutation ($ids: [ID!]!) { deleteLeads(input: {ids: $ids}) { errors { code } } }"
RESTORE = "mutation ($ids: [ID!]!) { restoreLeads(input: {ids: $ids}) { errors { code } } }"
SUPPRESS = "mutation ($input: SuppressInput!) { suppress(input: $input) { errors { code } } }"
ADD = "mutation ($input: AddIdentityInput!) { addIdentity(input: $input) { errors { code } } }"
ROWS = text(
    "SELECT row, cast(undo as text) AS undo FROM import_row "
    "WHERE workspace_id = :workspace_id AND import_id = :id ORDER BY row"
)


async def ask(person: Person, document: str, **input: Any) -> None:
    (payload,) = (await person.run(document, {"input": input})).values()
    assert payload["errors"] == [], payload


async def edit(person: Person, id: UUID, **fields: Any) -> None:
    lead = await the_lead(person, str(id))
    assert lead is not None
    await ask(person, UPDATE, id=str(id), version=lead["version"], **fields)


async def talk(person: Person, doors: Doors, id: UUID) -> None:
    account = await open_account(person, doors)
    talk = await open_conversation(person, doors, lead_id=id, account_id=account)
    await inbound(person, doors, talk.id)


async def put_into_stage(person: Person, doors: Doors, id: UUID) -> None:
    await move(person, str(id), (await stages(person))[1]["id"])


async def merge_into(person: Person, doors: Doors, id: UUID) -> None:
    await merged(person, id, (await new_lead(person))["id"])


async def tag(person: Person, doors: Doors, id: UUID) -> None:
    await ask(person, TAG, leadIds=[str(id)], addTagIds=[await new_tag(person, "Quente")])


async def update_by_import(person: Person, doors: Doors, id: UUID) -> None:
    await imported(doors, person, [staged(1, "Outro", email="p1@example.com")])


TOUCHES: dict[str, Callable[[Person, Doors, UUID], Awaitable[None]]] = {
    "edited": lambda person, doors, one: edit(person, one, company="Nova"),
    "noted": lambda person, doors, one: ask(person, NOTE, leadId=str(one), body="Ligar."),
    "tagged": tag,
    "moved": put_into_stage,
    "given an address": lambda person, doors, one: ask(
        person, ADD, leadId=str(one), kind="EMAIL", value="x@example.com", isPrimary=False
    ),
    "suppressed": lambda person, doors, one: ask(person, SUPPRESS, leadId=str(one)),
    "talked with": talk,
    "merged": merge_into,
    "imported again": update_by_import,
}


@pytest.mark.parametrize("how", list(TOUCHES))
async def test_a_lead_it_made_and_somebody_touched_stays(doors: Doors, ana: Person, how: str) -> None:
    rows = [staged(n, "Bia", email=f"p{n}@example.com", note="Oi", tags=("Feira",)) for n in (1, 2)]
    claim = await imported(doors, ana, rows)
    touched = (await lead_ids(doors, claim))[1]
    await TOUCHES[how](ana, doors, touched)
    before = await leads_of(doors, ana)

    assert await undone(doors, claim) == 1

    assert await leads_of(doors, ana) == {id: lead for id, lead in before.items() if id == touched}


async def test_what_it_made_goes_as_deleted_leads_do_and_comes_back(ana: Person, doors: Doors) -> None:
    claim = await imported(
        doors, ana, [staged(1, "Bia", email="bia@example.com"), staged(2, email="c@example.com")]
    )
    (bia, caio), before = (await lead_ids(doors, claim)).values(), await leads_of(doors, ana)
    assert await undone(doors, claim) == 0
    assert await leads_of(doors, ana) == {}
    told = [one for one in await lead_events(doors, ana) if one["kind"] == "lead.deleted"]
    assert [set(one["entity_ids"]) for one in told] == [{bia, caio}]
    assert await stray_contacts(doors, ana) == []
    again = await new_lead(ana, email="bia@example.com")  # the address is free
    await ana.run(DELETE, {"ids": [again["id"]]})
    payload = await ana.run(RESTORE, {"ids": [str(bia), str(caio)]})
    assert payload["restoreLeads"]["errors"] == []
    assert await leads_of(doors, ana) == before


async def test_who_is_in_the_bin_stays_there(ana: Person, doors: Doors) -> None:
    """And is nobody the undo kept, if it had made them."""
    known = await new_lead(ana, email="known@example.com", company="Velha")
    rows = [staged(1, "Bia", email="bia@example.com"), staged(2, email="known@example.com", company="Nova")]
    claim = await imported(doors, ana, rows)
    bia = (await lead_ids(doors, claim))[1]
    await ana.run(DELETE, {"ids": [known["id"], str(bia)]})
    assert await undone(doors, claim) == 1
    await ana.run(RESTORE, {"ids": [known["id"]]})
    lead = await the_lead(ana, known["id"])
    assert lead is not None
    assert lead["company"] == "Nova"


async def test_each_field_comes_back_by_itself(ana: Person, doors: Doors) -> None:
    metadata = {"a": "1", "b": "1", "c": "1"}
    known = await new_lead(ana, email="bia@example.com", company="Velha", title="Dev", metadata=metadata)
    id = UUID(known["id"])
    row = staged(
        1,
        "Bia Nova",
        email="bia@example.com",
        instagram="bia",
        company="Nova",
        title="CEO",
        metadata={"a": "2", "b": "2", "d": "2"},
        tags=("Feira", "Site"),
        note="Da feira",
    )
    claim = await imported(doors, ana, [row])
    await edit(ana, id, company="De gente", metadata={"a": "2", "b": "3", "c": "1", "d": "2"})

    assert await undone(doors, claim) == 1

    lead = await the_lead(ana, known["id"])
    assert lead is not None
    assert (lead["name"], lead["company"], lead["title"]) == ("Bia", "De gente", "Dev")
    assert lead["metadata"] == {"a": "1", "b": "3", "c": "1"}
    assert lead["tags"] == []
    assert [one["value"] for one in lead["identities"]] == ["bia@example.com"]
    assert await stray_contacts(doors, ana) == []
    (told,) = [one for one in await lead_events(doors, ana) if one["changed"] == ["undone"]]
    assert told["entity_ids"] == [id]
    assert (await undo_of(doors, claim)) == {1: None}


async def undo_of(doors: Doors, claim: Claim) -> dict[int, str | None]:
    async with doors.open_work(claim.workspace_id) as work:
        found = await work.execute(ROWS, {"workspace_id": claim.workspace_id, "id": claim.id})
        return {row.row: row.undo for row in found}


async def test_identities_and_tags_that_are_somebodys_by_now_stay(ana: Person, doors: Doors) -> None:
    """Made the primary one; written to; taken off and put on again."""
    names = ("promoted", "written", "again")
    known = {
        name: await new_lead(ana, name=name, email=f"{name}@example.com", instagram=name) for name in names
    }
    feira = await new_tag(ana, "Feira")
    rows = [
        staged(n, None, instagram=name, email=f"{name}@new.example", tags=("Feira",))
        for n, name in enumerate(names, 1)
    ]
    claim = await imported(doors, ana, rows)
    new = {"kind": "EMAIL", "value": "promoted@new.example", "isPrimary": True}
    await ask(ana, ADD, leadId=known["promoted"]["id"], **new)
    account = await open_account(ana, doors)
    id = UUID(known["written"]["id"])
    await open_conversation(ana, doors, lead_id=id, account_id=account, address="written@new.example")
    await ask(ana, TAG, leadIds=[known["again"]["id"]], removeTagIds=[feira])
    await ask(ana, TAG, leadIds=[known["again"]["id"]], addTagIds=[feira])

    assert await undone(doors, claim) == 3

    found = {name: await the_lead(ana, known[name]["id"]) for name in names}
    emails = {
        name: {one["value"] for one in lead["identities"] if one["kind"] == "EMAIL"}
        for name, lead in found.items()
        if lead
    }
    assert emails == {
        "promoted": {"promoted@example.com", "promoted@new.example"},
        "written": {"written@example.com", "written@new.example"},
        "again": {"again@example.com"},
    }
    assert [bool(lead and lead["tags"]) for lead in found.values()] == [False, False, True]
    assert await stray_contacts(doors, ana) == []


async def test_what_another_import_wrote_stays(ana: Person, doors: Doors) -> None:
    known = await new_lead(ana, email="bia@example.com", company="0", title="0")
    first = await imported(doors, ana, [staged(1, email="bia@example.com", company="1", title="1")])
    second = await imported(doors, ana, [staged(1, email="bia@example.com", company="2", instagram="bia")])
    assert await undone(doors, first) == 1
    lead = await the_lead(ana, known["id"])
    assert lead is not None
    assert (lead["company"], lead["title"]) == ("2", "0")
    assert len(lead["identities"]) == 2
    assert await undone(doors, second) == 0
    lead = await the_lead(ana, known["id"])
    assert lead is not None
    assert len(lead["identities"]) == 1


async def test_two_imports_undone_the_newest_first_leave_nothing(ana: Person, doors: Doors) -> None:
    """That the second one was taken back is nobody's touch."""
    first = await imported(doors, ana, [staged(1, "Bia", email="bia@example.com")])
    second = await imported(
        doors,
        ana,
        [staged(1, email="bia@example.com", company="2", note="Oi"), staged(2, email="c@example.com")],
    )
    assert await undone(doors, second) == 0
    assert await undone(doors, first) == 0
    assert await leads_of(doors, ana) == {}


async def test_a_lead_that_others_were_merged_into_stays_and_counts_once(ana: Person, doors: Doors) -> None:
    known = [await new_lead(ana, email=f"{n}@example.com", company="0") for n in (1, 2)]
    rows = [staged(n, email=f"{n}@example.com", company="1", title=f"{n}") for n in (1, 2)]
    claim = await imported(doors, ana, rows)
    await merged(ana, known[0]["id"], known[1]["id"])
    before = await leads_of(doors, ana)
    assert await undone(doors, claim, chunk_rows=1) == 1
    assert await leads_of(doors, ana) == before


async def test_what_was_parted_again_comes_back(ana: Person, doors: Doors) -> None:
    known = [await new_lead(ana, email=f"{n}@example.com", company="0") for n in (1, 2)]
    before = await leads_of(doors, ana)
    claim = await imported(doors, ana, [staged(n, email=f"{n}@example.com", company="1") for n in (1, 2)])
    await unmerged(ana, await merged(ana, known[0]["id"], known[1]["id"]))
    assert await undone(doors, claim) == 0
    assert await leads_of(doors, ana) == before


async def test_an_undo_that_is_killed_goes_on_where_it_was(ana: Person, doors: Doors) -> None:
    known = [await new_lead(ana, email=f"{n}@example.com", company="0") for n in range(6)]
    before = await leads_of(doors, ana)
    rows = [staged(n, email=f"{n}@example.com", company="1") for n in range(1, 10)]
    claim = await imported(doors, ana, rows)
    await edit(ana, UUID(known[2]["id"]), company="2")
    assert not await undo_chunk(doors, claim, chunk_rows=4)
    thief = Claim(claim.workspace_id, claim.id, uuid4(), 0)
    with pytest.raises(LostLease):
        await undo_chunk(doors, thief, chunk_rows=4)
    with pytest.raises(Killed):
        await killed(doors, claim)
    assert await undone(doors, claim) == 1
    left = await leads_of(doors, ana)
    touched = UUID(known[2]["id"])
    assert {id: one for id, one in left.items() if id != touched} == {
        id: one for id, one in before.items() if id != touched
    }
    with pytest.raises(LostLease):  # it has ended: nobody holds it
        await undo_chunk(doors, claim, chunk_rows=4)


class Killed(Exception):
    pass


async def killed(doors: Doors, claim: Claim) -> None:
    """All of a chunk, but for its commit."""
    async with doors.open_work(claim.workspace_id) as work:
        await UndoImport(UndoLedger(work, claim, lease_s=60), work, 4).run_chunk()
        raise Killed


async def test_at_once_with_edits(ana: Person, doors: Doors) -> None:
    """Each edit either came first, and is kept, or found what was before."""
    known = [await new_lead(ana, email=f"{n}@example.com", company="0", title="0") for n in range(12)]
    rows = [staged(n, email=f"{n}@example.com", company="1", title="1") for n in range(1, 20)]
    claim = await imported(doors, ana, rows)
    versions = [(await the_lead(ana, one["id"]) or {})["version"] for one in known]

    async def edit_one(n: int) -> bool:
        given = {"id": known[n]["id"], "version": versions[n], "company": "2"}
        return not (await ana.run(UPDATE, {"input": given}))["updateLead"]["errors"]

    kept, *edited = await asyncio.gather(
        undone(doors, claim, chunk_rows=3), *(edit_one(n) for n in range(12))
    )
    assert kept == sum(edited[1:])  # the first of the known ones is no row of it
    for was, is_edited, n in zip(known, edited, range(12), strict=True):
        lead = await the_lead(ana, was["id"])
        assert lead is not None
        assert (lead["company"], lead["title"]) == ("2" if is_edited else "0", "0"), n
    assert len(await leads_of(doors, ana)) == 12
