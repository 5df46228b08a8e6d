"""unmergeLeads through HTTP: exactly back, but for what people did meanwhile."""

from uuid import UUID, uuid4

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import change, inbound, make_lead, open_conversation
from tests.factories.inbound import letter, receive
from tests.factories.mail import add_mailbox
from tests.factories.merging import (
    asked_to_unmerge,
    exports,
    id_in,
    lead_of,
    merged,
    refusals,
    run_sql,
    unmerged,
)
from tests.fixtures.processes import Worker

NOTE = "mutation ($input: AddNoteInput!) { addNote(input: $input) { errors { code path } } }"
EDIT = (
    "UPDATE lead SET {} , version = version + 1 WHERE workspace_id = :workspace_id AND id = :id RETURNING id"
)

SCORE_RULES = """
INSERT INTO score_rule (workspace_id, position, event, points)
VALUES (:workspace_id, 0, 'MESSAGE_RECEIVED', 20), (:workspace_id, 1, 'HAS_EMAIL', 5) RETURNING position
"""
REPLIED = """
INSERT INTO score_event (workspace_id, lead_id, kind, channel, conversation_id, at)
VALUES (:workspace_id, :id, 'MESSAGE_RECEIVED', 'EMAIL', uuidv7(), now()) RETURNING id
"""


async def add_note(person: Person, lead_id: object, body: str, **fields: object) -> None:
    answer = await person.run(NOTE, {"input": {"leadId": str(lead_id), "body": body, **fields}})
    assert answer["addNote"]["errors"] == []


async def notes(person: Person, doors: Doors, lead_id: UUID) -> list[str]:
    rows = await run_sql(
        person,
        doors,
        "SELECT content FROM interaction WHERE lead_id = :id AND type = 'NOTE' ORDER BY created_at, id",
        id=lead_id,
    )
    return [row.content for row in rows]


async def test_merges_are_undone_newest_first(ana: Person, doors: Doors) -> None:
    a, b, c, d = [await make_lead(ana, name=name, company=name * 2) for name in "abcd"]
    before = await exports(ana, doors, a, b, c, d)
    first = await merged(ana, a, b)
    second = await merged(ana, a, d)
    third = await merged(ana, c, a)
    lead = await lead_of(ana, c)
    assert len(lead["identities"]) == 4, "what came with a comes along"

    for merge_id, blocking in ((first, third), (second, third)):
        payload = await asked_to_unmerge(ana, merge_id)
        assert refusals(payload) == [("CONFLICT", ["mergeId"])]
        assert id_in(payload["errors"][0]["message"]) == blocking
    await unmerged(ana, third)
    payload = await asked_to_unmerge(ana, first)
    assert id_in(payload["errors"][0]["message"]) == second
    await unmerged(ana, second)
    await unmerged(ana, first)
    assert await exports(ana, doors, a, b, c, d) == before


async def test_it_is_undone_once_by_members_of_its_workspace(ana: Person, eve: Person, doors: Doors) -> None:
    keep, away = await make_lead(ana), await make_lead(ana)
    merge_id = await merged(ana, keep, away)
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert refusals(await asked_to_unmerge(viewer, merge_id)) == [("FORBIDDEN", [])]
    for stranger, id in ((eve, merge_id), (ana, uuid4()), (ana, "no id")):
        assert refusals(await asked_to_unmerge(stranger, id)) == [("NOT_FOUND", ["mergeId"])]
    payload = await asked_to_unmerge(ana, merge_id)
    assert payload == {
        "leads": [{"id": str(id), "deletedAt": None} for id in (keep, away)],
        "errors": [],
    }
    assert refusals(await asked_to_unmerge(ana, merge_id)) == [("CONFLICT", ["mergeId"])]


async def test_while_the_kept_lead_is_deleted_nothing_is_undone(ana: Person, doors: Doors) -> None:
    keep, away = await make_lead(ana), await make_lead(ana)
    merge_id = await merged(ana, keep, away)
    await run_sql(ana, doors, "UPDATE lead SET deleted_at = now() WHERE id = :id RETURNING id", id=keep)
    assert refusals(await asked_to_unmerge(ana, merge_id)) == [("CONFLICT", ["mergeId"])]


async def test_what_was_edited_since_stays(ana: Person, doors: Doors) -> None:
    keep = await make_lead(ana, name="Ana", metadata={"own": 1})
    away = await make_lead(ana, name="Bia", company="Acme", title="Boss", metadata={"a": 1, "b": 2})
    merge_id = await merged(ana, keep, away)
    await run_sql(
        ana, doors, EDIT.format("title = 'Chief', metadata = metadata || '{\"b\": 3, \"new\": 4}'"), id=keep
    )
    await unmerged(ana, merge_id)
    lead = await lead_of(ana, keep)
    assert (lead["company"], lead["title"]) == (None, "Chief")
    assert lead["metadata"] == {"own": 1, "b": 3, "new": 4}
    back = await lead_of(ana, away)
    assert (back["company"], back["title"], back["metadata"]) == ("Acme", "Boss", {"a": 1, "b": 2})


async def test_what_came_since_stays_with_the_kept_lead_or_goes_with_its_conversation(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    mailbox = await add_mailbox(doors, ana)
    keep = await make_lead(ana, email="ana@example.org")
    away = await make_lead(ana, email="bia@example.org")
    talk = await open_conversation(ana, doors, lead_id=away, account_id=mailbox.id, address="bia@example.org")
    merge_id = await merged(ana, keep, away)
    await receive(
        ana,
        doors,
        mailbox,
        letter(mailbox.address, sender="bia@example.org"),
        letter(mailbox.address, sender="ana@example.org"),
    )
    await add_note(ana, keep, "About her")
    await add_note(ana, keep, "In the talk", conversationId=str(talk.id))
    other = await add_mailbox(doors, ana)
    await receive(ana, doors, other, letter(other.address, sender="bia@example.org"))
    await unmerged(ana, merge_id)

    rows = await run_sql(
        ana,
        doors,
        "SELECT contact_address, lead_id, message_count FROM conversation WHERE workspace_id = :workspace_id "
        "ORDER BY created_at, id",
    )
    assert [tuple(row) for row in rows] == [
        ("bia@example.org", away, 1),
        ("ana@example.org", keep, 1),
        ("bia@example.org", away, 1),
    ]
    assert await notes(ana, doors, keep) == ["About her"]
    assert await notes(ana, doors, away) == ["In the talk"]
    entries = await run_sql(
        ana,
        doors,
        "SELECT lead_id FROM interaction WHERE workspace_id = :workspace_id AND type = 'MESSAGE' "
        "ORDER BY created_at, id",
    )
    assert [row.lead_id for row in entries] == [away, keep, away]


async def test_identities_and_tags_that_people_changed_since(ana: Person, doors: Doors) -> None:
    tag = await ana.run('mutation { createTag(input: {name: "T"}) { tag { id } } }')
    tag_id = tag["createTag"]["tag"]["id"]
    keep = await make_lead(ana, email="ana@example.org")
    away = await make_lead(ana, email="bia@example.org", phone="+5511987654321", tagIds=[tag_id])
    merge_id = await merged(ana, keep, away)
    (removed,) = [one for one in (await lead_of(ana, keep))["identities"] if one["kind"] == "PHONE"]
    await run_sql(ana, doors, "DELETE FROM lead_identity WHERE id = :id RETURNING id", id=removed["id"])
    await run_sql(ana, doors, "DELETE FROM lead_tag WHERE lead_id = :id RETURNING tag_id", id=keep)
    await run_sql(
        ana,
        doors,
        "UPDATE lead_identity SET is_primary = false WHERE lead_id = :id AND is_primary RETURNING id",
        id=keep,
    )
    await run_sql(
        ana,
        doors,
        "UPDATE lead_identity SET is_primary = true WHERE lead_id = :id AND value = 'bia@example.org' RETURNING id",
        id=keep,
    )
    await run_sql(
        ana,
        doors,
        "INSERT INTO lead_identity (workspace_id, lead_id, kind, value, is_primary) "
        "VALUES (:workspace_id, :id, 'EMAIL', 'new@example.org', false) RETURNING id",
        id=keep,
    )
    await unmerged(ana, merge_id)
    kept, back = await lead_of(ana, keep), await lead_of(ana, away)
    assert (kept["email"], kept["phone"], kept["tags"]) == ("ana@example.org", None, [])
    assert [one["value"] for one in kept["identities"]] == ["ana@example.org", "new@example.org"]
    assert (back["email"], back["phone"], back["tags"]) == ("bia@example.org", None, [{"name": "T"}])


async def test_a_tag_and_an_engagement_that_are_gone_since(ana: Person, doors: Doors) -> None:
    tag = await ana.run('mutation { createTag(input: {name: "T"}) { tag { id } } }')
    tag_id = tag["createTag"]["tag"]["id"]
    keep, away = await make_lead(ana), await make_lead(ana, tagIds=[tag_id])
    await run_sql(ana, doors, SCORE_RULES)
    await run_sql(ana, doors, EDIT.format("engagement = 'REPLIED', score = 25"), id=away)
    await run_sql(ana, doors, REPLIED, id=away)
    merge_id = await merged(ana, keep, away)
    lead = await lead_of(ana, keep)
    assert (lead["engagement"], lead["score"]) == ("REPLIED", 25)
    await ana.run("mutation ($id: ID!) { deleteTag(input: {id: $id}) { deletedIds } }", {"id": tag_id})
    await run_sql(ana, doors, EDIT.format("engagement = 'ENGAGED'"), id=keep)
    await unmerged(ana, merge_id)
    kept, back = await lead_of(ana, keep), await lead_of(ana, away)
    assert (kept["engagement"], kept["score"], kept["tags"]) == ("ENGAGED", 5, [])
    assert (back["engagement"], back["score"], back["tags"]) == ("REPLIED", 25, [])


async def test_a_conversation_that_was_the_kept_leads_stays(ana: Person, doors: Doors) -> None:
    """Though its address is one that goes back: it was there before the merge."""
    keep = await make_lead(ana, email="ana@example.org")
    away = await make_lead(ana, email="bia@example.org")
    talk = await open_conversation(ana, doors, lead_id=keep, address="bia@example.org")
    await inbound(ana, doors, talk.id)
    await change(ana, doors, talk.id, subject="Offer")
    before = await exports(ana, doors, keep, away)
    merge_id = await merged(ana, keep, away)
    await unmerged(ana, merge_id)
    assert await exports(ana, doors, keep, away) == before
