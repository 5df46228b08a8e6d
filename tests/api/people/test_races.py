"""Merges and erases beside all else that is done to the same leads at once, through HTTP: no error (a deadlock
would be one), nothing lost, nothing left."""

import asyncio
import secrets
from typing import Any
from uuid import UUID

import pytest

from app.common.work import Doors
from tests.api.people.test_erase_lead import erase
from tests.api.people.test_merge_races import orphans
from tests.factories.accounts import Person
from tests.factories.board import board, move, stage_ids
from tests.factories.bulk_changes import change_ended, change_leads
from tests.factories.conversations import make_lead, open_conversation
from tests.factories.imports import finished, import_leads, profile
from tests.factories.merging import asked_to_merge, asked_to_unmerge, lead_of, merged, run_sql
from tests.factories.people import Known, created, noted, talked
from tests.factories.sending import SEND, Outlet, codes, send
from tests.fixtures.processes import Worker
from tests.fixtures.traces import rows_with

UPDATE = "mutation ($input: UpdateLeadInput!) { updateLead(input: $input) { errors { code path } } }"
LEFT = """
SELECT t.name, count(*) FROM (
    SELECT 'lead' AS name FROM lead WHERE workspace_id = :workspace_id AND id = ANY (:ids)
    UNION ALL SELECT 'identity' FROM lead_identity WHERE workspace_id = :workspace_id AND lead_id = ANY (:ids)
    UNION ALL SELECT 'conversation' FROM conversation WHERE workspace_id = :workspace_id AND lead_id = ANY (:ids)
    UNION ALL SELECT 'delivery' FROM delivery WHERE workspace_id = :workspace_id AND lead_id = ANY (:ids)
    UNION ALL SELECT 'entry' FROM interaction WHERE workspace_id = :workspace_id AND lead_id = ANY (:ids)
    UNION ALL SELECT 'merge' FROM merge WHERE workspace_id = :workspace_id AND kept_id = ANY (:ids)
) t GROUP BY t.name
"""


async def left(person: Person, doors: Doors, *ids: object) -> list[Any]:
    found = await run_sql(person, doors, LEFT, ids=[UUID(str(id)) for id in ids])
    return [tuple(row) for row in found]


async def updated(person: Person, id: object, **fields: Any) -> bool:
    """At the version it has, however often that changes; False: it is not there any more."""
    while (lead := await lead_of(person, id)) is not None:
        given = {"id": str(id), "version": lead["version"], **fields}
        refused = codes((await person.run(UPDATE, {"input": given}))["updateLead"])
        if not refused:
            return True
        assert refused[0][0] in ("CONFLICT", "NOT_FOUND")
    return False


async def test_a_merge_and_updates_of_both(ana: Person, doors: Doors) -> None:
    for turn in range(4):
        a, b = await make_lead(ana), await make_lead(ana)
        payload, *done = await asyncio.gather(
            asked_to_merge(ana, a, b),
            *(updated(ana, a, title=f"a{turn}") for _ in range(3)),
            *(updated(ana, b, title=f"b{turn}", company=f"b{turn}") for _ in range(3)),
        )
        assert payload["errors"] == []
        assert all(done[:3])
        lead = await lead_of(ana, a)
        assert lead["title"] == f"a{turn}"
        assert lead["company"] == (f"b{turn}" if any(done[3:]) else None)
    assert await orphans(ana, doors) == []


async def test_a_merge_and_moves_of_both(ana: Person, doors: Doors) -> None:
    _, second, third, *_ = await stage_ids(ana)
    for _ in range(4):
        a, b = await make_lead(ana), await make_lead(ana)
        payload, *moves = await asyncio.gather(
            asked_to_merge(ana, a, b),
            move(ana, str(a), second),
            move(ana, str(b), third),
            move(ana, str(b), second, after=str(a)),
            move(ana, str(a), third),
        )
        assert payload["errors"] == []
        for one in moves:
            assert {error["code"] for error in one["errors"]} <= {"NOT_FOUND", "INVALID", "CONFLICT"}
        columns = await board(ana)
        places = [id for ids in columns.values() for id in ids]
        assert places.count(str(a)) == 1
        assert str(b) not in places
    assert await orphans(ana, doors) == []


async def test_a_merge_and_messages_to_both(outlet: Outlet) -> None:
    person, doors = outlet.person, outlet.doors
    for _ in range(3):
        a, b = await make_lead(person), await make_lead(person)
        talks = [
            await open_conversation(person, doors, lead_id=id, account_id=outlet.account_id) for id in (a, b)
        ]
        payload, *sent = await asyncio.gather(
            asked_to_merge(person, a, b), *(send(person, talk.id) for talk in talks for _ in range(4))
        )
        assert payload["errors"] == []
        assert [codes(one) for one in sent] == [[]] * 8, "no message is refused for a merge"
        rows = await run_sql(
            person,
            doors,
            "SELECT count(*), count(DISTINCT lead_id) AS leads FROM delivery WHERE lead_id = :id",
            id=a,
        )
        assert tuple(rows[0]) == (8, 1)
        entries = "SELECT count(*) FROM interaction WHERE lead_id = :id AND type = 'MESSAGE'"
        assert (await run_sql(person, doors, entries, id=a))[0][0] == 8
    assert await orphans(person, doors) == []


@pytest.mark.parametrize("erased", [0, 1], ids=["the kept one", "the merged one"])
async def test_a_merge_and_an_erase(ana: Person, doors: Doors, erased: int) -> None:
    for turn in range(5):
        people = [Known.somebody(), Known.somebody()]
        ids = [await created(ana, known) for known in people]
        payload, answer, unmerge = await asyncio.gather(
            asked_to_merge(ana, *ids),
            erase(ana, ids[erased], people[erased].name),
            asked_to_unmerge(ana, await merged(ana, await make_lead(ana), await make_lead(ana))),
        )
        assert unmerge["errors"] == []
        assert answer["errors"] == [], turn
        went = answer["deletedIds"]
        if payload["errors"]:
            assert {error["code"] for error in payload["errors"]} == {"NOT_FOUND"}
            assert went == [str(ids[erased])]
            assert await lead_of(ana, ids[1 - erased]) is not None
        else:
            assert set(went) == {str(id) for id in ids}, "they are one person"
        traces = [
            trace for id, known in zip(ids, people, strict=True) if str(id) in went for trace in known.traces
        ]
        assert await rows_with(doors, traces) == {}
        assert await left(ana, doors, *went) == []


async def test_an_erase_and_the_unmerge_of_the_person(ana: Person, doors: Doors) -> None:
    for _ in range(4):
        people = [Known.somebody(), Known.somebody()]
        ids = [await created(ana, known) for known in people]
        merge_id = await merged(ana, *ids)
        unmerge, answer = await asyncio.gather(
            asked_to_unmerge(ana, merge_id), erase(ana, ids[0], people[0].name)
        )
        assert answer["errors"] == []
        went = answer["deletedIds"]
        if unmerge["errors"]:
            assert {error["code"] for error in unmerge["errors"]} == {"NOT_FOUND"}
            assert len(went) == 2
        else:
            assert went == [str(ids[0])]
            assert (await lead_of(ana, ids[1]))["email"] == people[1].email
        assert await left(ana, doors, *went) == []
        assert await rows_with(doors, people[0].traces) == {}


async def test_changes_of_many_and_merges(ana: Person, doors: Doors, worker: Worker) -> None:
    _, second, *_ = await stage_ids(ana)
    tag = await ana.run('mutation { createTag(input: {name: "VIP"}) { tag { id } errors { code } } }')
    tag_id = tag["createTag"]["tag"]["id"]
    for _ in range(3):
        ids = [await make_lead(ana) for _ in range(6)]
        started = await asyncio.gather(
            change_leads(ana, {"addTagId": tag_id}),
            change_leads(ana, {"stageId": second}),
            asked_to_merge(ana, ids[5], ids[0]),
            asked_to_merge(ana, ids[1], ids[4]),
            asked_to_merge(ana, ids[3], ids[2]),
        )
        assert [one["errors"] for one in started[2:]] == [[]] * 3
        for id in started[:2]:
            assert (await change_ended(ana, id))["status"] == "COMPLETED"
        for id in (ids[5], ids[1], ids[3]):
            assert [one["name"] for one in (await lead_of(ana, id))["tags"]] == ["VIP"]
            assert str(id) in (await board(ana))[second]
    assert await orphans(ana, doors) == []


async def test_a_change_of_many_that_looks_for_the_person_and_their_erase(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    for _ in range(4):
        known, other = Known.somebody(), Known.somebody()
        lead_id, other_id = await created(ana, known), await created(ana, other)
        theirs, all_of_them, answer = await asyncio.gather(
            change_leads(ana, {"delete": True}, {"search": known.word}),
            change_leads(ana, {"ownerId": str(ana.user_id)}),
            erase(ana, lead_id, known.name),
        )
        assert answer["errors"] == []
        assert (await change_ended(ana, theirs))["status"] in ("COMPLETED", "FAILED")
        assert (await change_ended(ana, all_of_them))["status"] == "COMPLETED"
        assert await left(ana, doors, lead_id) == []
        assert await lead_of(ana, other_id) is not None
        assert await rows_with(doors, known.traces) == {}


async def test_an_erase_and_imports_of_the_persons_page(ana: Person, doors: Doors, worker: Worker) -> None:
    for turn in range(3):
        known = Known.somebody()
        lead_id = await created(ana, known)
        page = f"https://www.instagram.com/{known.handle}/"
        rows = [profile(f"some{turn}.{n}") for n in range(60)]
        rows += [
            profile("x" * 40, email=known.email),
            profile(known.handle),
            profile("y" * 40, email=known.email),
        ]
        *imports, answer = await asyncio.gather(
            *(import_leads(ana, rows, pageUrl=page) for _ in range(3)), erase(ana, lead_id, known.name)
        )
        assert answer["errors"] == []
        for id in imports:
            await finished(ana, id)
        found = await rows_with(doors, known.traces)
        assert set(found) <= {"import_job.page_url"}, "the address of a page that was given after the erase"
        assert await left(ana, doors, lead_id) == []


async def sent_or_gone(person: Person, conversation_id: object, body: str) -> dict[str, Any]:
    """The payload; of a message that was erased before its conversation was read, what the answer says instead."""
    given = {"conversationId": str(conversation_id), "body": body, "idempotencyKey": secrets.token_hex(8)}
    answer = (await person.post(SEND, {"input": given})).json()
    if "errors" not in answer:
        return dict(answer["data"]["sendMessage"])
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAVAILABLE"], answer
    return {"errors": []}


async def test_an_erase_and_whoever_reads_writes_and_notes(outlet: Outlet) -> None:
    person, doors = outlet.person, outlet.doors
    ops = {
        "read": "mutation ($id: ID!) { markConversationRead(input: {id: $id}) { errors { code } } }",
        "close": "mutation ($id: ID!) { closeConversation(input: {id: $id}) { errors { code } } }",
    }
    note = "mutation ($input: AddNoteInput!) { addNote(input: $input) { errors { code } } }"
    for _ in range(2):
        known = Known.somebody()
        lead_id = await created(person, known)
        await noted(person, known, lead_id)
        talk = await talked(outlet, known)
        given = {"leadId": str(lead_id), "conversationId": str(talk), "body": known.word}
        answer, *others = await asyncio.gather(
            erase(person, lead_id, known.name),
            *(sent_or_gone(person, talk, known.word) for _ in range(3)),
            *(person.run(op, {"id": str(talk)}) for op in ops.values() for _ in range(3)),
            *(person.run(note, {"input": given}) for _ in range(3)),
        )
        assert answer["errors"] == []
        for one in others:
            payload = one if "errors" in one else next(iter(one.values()))
            assert {error["code"] for error in payload["errors"]} <= {"NOT_FOUND"}
        assert await left(person, doors, lead_id) == []
        assert await rows_with(doors, known.traces) == {}
