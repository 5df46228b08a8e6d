"""Merges beside all else that is done to the same leads at once: nobody's rows are lost, nobody meets an error."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.conversations import inbound, make_lead, open_conversation
from tests.factories.imports import finished, import_leads, profile
from tests.factories.inbound import letter, post_mail, worked_on
from tests.factories.mail import add_mailbox
from tests.factories.merging import (
    asked_to_merge,
    asked_to_unmerge,
    exports,
    lead_of,
    merged,
    refusals,
    run_sql,
    unmerged,
)
from tests.fixtures.processes import Worker

NOTE = "mutation ($input: AddNoteInput!) { addNote(input: $input) { errors { code path } } }"
ORPHANS = """
SELECT t.name, count(*) FROM (
    SELECT 'identity' AS name, lead_id FROM lead_identity WHERE workspace_id = :workspace_id
    UNION ALL SELECT 'tag', lead_id FROM lead_tag WHERE workspace_id = :workspace_id
    UNION ALL SELECT 'entry', lead_id FROM interaction WHERE workspace_id = :workspace_id
    UNION ALL SELECT 'conversation', lead_id FROM conversation WHERE workspace_id = :workspace_id
    UNION ALL SELECT 'delivery', lead_id FROM delivery WHERE workspace_id = :workspace_id
    UNION ALL SELECT 'import', lead_id FROM import_row WHERE workspace_id = :workspace_id
) t JOIN lead l ON l.workspace_id = :workspace_id AND l.id = t.lead_id AND l.merged_into_id IS NOT NULL
GROUP BY t.name
"""


async def orphans(person: Person, doors: Doors) -> list[Any]:
    """What stayed with leads that were merged away."""
    return [tuple(row) for row in await run_sql(person, doors, ORPHANS)]


async def test_a_into_b_and_b_into_a(ana: Person, doors: Doors) -> None:
    for _ in range(5):
        a, b = await make_lead(ana), await make_lead(ana)
        payloads = await asyncio.gather(asked_to_merge(ana, a, b), asked_to_merge(ana, b, a))
        assert sorted(len(payload["errors"]) for payload in payloads) == [0, 1]
        (refused,) = [payload for payload in payloads if payload["errors"]]
        assert refusals(refused)[0][0] == "NOT_FOUND"
        assert [await lead_of(ana, id) is None for id in (a, b)].count(True) == 1
    assert await orphans(ana, doors) == []


async def test_the_same_twice_and_undone_twice(ana: Person, doors: Doors) -> None:
    a, b, c = [await make_lead(ana) for _ in range(3)]
    before = await exports(ana, doors, a, b, c)
    payloads = await asyncio.gather(*(asked_to_merge(ana, a, b, c) for _ in range(6)))
    assert sorted(tuple(refusals(payload)) for payload in payloads) == [
        (),
        *[(("NOT_FOUND", ["mergeIds", "0"]),)] * 5,
    ]
    (merge_id,) = [payload["merge"]["id"] for payload in payloads if payload["merge"]]
    payloads = await asyncio.gather(*(asked_to_unmerge(ana, merge_id) for _ in range(6)))
    assert sorted(tuple(refusals(payload)) for payload in payloads) == [
        (),
        *[(("CONFLICT", ["mergeId"]),)] * 5,
    ]
    assert await exports(ana, doors, a, b, c) == before


async def test_a_circle_of_merges(ana: Person, doors: Doors) -> None:
    ids = [await make_lead(ana) for _ in range(6)]
    pairs = [(one, other) for one in ids for other in ids if one != other]
    payloads = await asyncio.gather(*(asked_to_merge(ana, *pair) for pair in pairs))
    assert sum(payload["errors"] == [] for payload in payloads) == 5
    live = [id for id in ids if await lead_of(ana, id) is not None]
    assert len(live) == 1
    assert len((await lead_of(ana, live[0]))["identities"]) == 6
    assert await orphans(ana, doors) == []


async def test_notes_are_on_the_lead_that_there_is_or_refused(ana: Person, doors: Doors) -> None:
    a, b = await make_lead(ana), await make_lead(ana)

    async def note(lead_id: UUID, n: int) -> bool:
        given = {"leadId": str(lead_id), "body": f"{n}"}
        return (await ana.run(NOTE, {"input": given}))["addNote"]["errors"] == []  # type: ignore[no-any-return]

    *noted, _ = await asyncio.gather(*(note(b, n) for n in range(20)), merged(ana, a, b))
    assert await orphans(ana, doors) == []
    rows = await run_sql(
        ana, doors, "SELECT count(*) FROM interaction WHERE type = 'NOTE' AND lead_id = :id", id=a
    )
    assert rows[0][0] == sum(bool(one) for one in noted)


async def test_an_import_that_knows_the_merged_lead(ana: Person, doors: Doors, worker: Worker) -> None:
    for turn in range(4):
        a = await make_lead(ana, email=f"a{turn}@example.org")
        b = await make_lead(ana, email=f"b{turn}@example.org")
        rows = [profile(f"other{turn}.{n}") for n in range(50)]
        rows.append(profile(f"b{turn}", email=f"b{turn}@example.org", company=f"Acme {turn}"))
        import_id = await import_leads(ana, rows)
        merge_id = await merged(ana, a, b)
        state = await finished(ana, import_id)
        assert state["counts"] == {"CREATED": 50, "UPDATED": 1}
        assert await orphans(ana, doors) == []
        lead = await lead_of(ana, a)
        assert lead["company"] == f"Acme {turn}"
        assert f"b{turn}" in [one["value"] for one in lead["identities"]]
        await unmerged(ana, merge_id)
        assert (await lead_of(ana, b))["email"] == f"b{turn}@example.org"


@pytest.mark.parametrize("known", [True, False], ids=["in a conversation", "in a new one"])
async def test_mail_of_the_merged_person_comes_in(
    ana: Person, doors: Doors, worker: Worker, known: bool
) -> None:
    mailbox = await add_mailbox(doors, ana)
    for turn in range(4):
        address = f"b{turn}@example.org"
        a, b = await make_lead(ana), await make_lead(ana, email=address)
        if known:
            talk = await open_conversation(ana, doors, lead_id=b, account_id=mailbox.id, address=address)
            await inbound(ana, doors, talk.id)
        mails = [letter(mailbox.address, sender=address, body=f"{n}") for n in range(5)]
        await asyncio.gather(
            *(post_mail(ana.http, mailbox, mail) for mail in mails), asked_to_merge(ana, a, b)
        )
        events = await worked_on(doors, ana.workspace_id)
        assert {(event.status, event.attempt) for event in events} == {("done", 1)}, "nobody met an error"
        assert await orphans(ana, doors) == []
        (conversation,) = await run_sql(
            ana, doors, "SELECT message_count FROM conversation WHERE lead_id = :id", id=a
        )
        assert conversation.message_count == 5 + known
        entries = await run_sql(
            ana, doors, "SELECT id FROM interaction WHERE lead_id = :id AND type = 'MESSAGE'", id=a
        )
        assert len(entries) == 5
