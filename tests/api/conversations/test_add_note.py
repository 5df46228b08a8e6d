"""addNote, through HTTP."""

from typing import Any

from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import make_lead, open_conversation

NOTE = """mutation ($input: AddNoteInput!) { addNote(input: $input) {
  interaction { id type content channel direction actor { id } actorKind cause createdAt } errors { code path } } }"""


async def add(person: Person, lead_id: object, body: str, **given: Any) -> dict[str, Any]:
    answer = await person.run(NOTE, {"input": {"leadId": str(lead_id), "body": body, **given}})
    return answer["addNote"]  # type: ignore[no-any-return]


async def events(doors: Doors, person: Person) -> list[Any]:
    query = (
        "SELECT entity_ids, after::text FROM feed_event "
        "WHERE workspace_id = :id AND kind = 'note.added' ORDER BY seq"
    )
    async with doors.open_work(person.workspace_id) as work:
        return list((await work.execute(text(query), {"id": person.workspace_id})).all())


async def test_a_note_stands_in_the_timeline_and_its_text_in_no_event(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    made = await add(ana, opened.lead_id, " Ligar amanhã. ", conversationId=str(opened.id))
    assert made["errors"] == []
    assert made["interaction"] | {"id": None, "createdAt": None} == {
        "id": None,
        "type": "NOTE",
        "content": "Ligar amanhã.",
        "channel": None,
        "direction": None,
        "actor": {"id": str(ana.user_id)},
        "actorKind": "HUMAN",
        "cause": None,
        "createdAt": None,
    }
    assert (await add(ana, opened.lead_id, "x" * 10_000))["errors"] == []
    first, _ = await events(doors, ana)
    assert first.entity_ids == [opened.lead_id]
    assert made["interaction"]["id"] in first.after
    assert "Ligar" not in first.after


async def test_notes_that_are_refused(ana: Person, eve: Person, doors: Doors) -> None:
    opened, theirs = await open_conversation(ana, doors), await open_conversation(eve, doors)
    other, gone = await make_lead(ana), await make_lead(ana)
    async with doors.open_work(ana.workspace_id) as work:
        await work.execute(text("UPDATE lead SET deleted_at = now() WHERE id = :id"), {"id": gone})

    async def refused(person: Person, lead_id: object, body: str = "x", **given: Any) -> Any:
        answer = await add(person, lead_id, body, **given)
        assert answer["interaction"] is None
        return answer["errors"][0]["code"], answer["errors"][0]["path"]

    for body in ("", "  ", "x" * 10_001, "a\x00"):
        assert await refused(ana, opened.lead_id, body) == ("INVALID", ["body"])
    for lead_id in (theirs.lead_id, gone, "nonsense"):
        assert await refused(ana, lead_id) == ("NOT_FOUND", ["leadId"])
    for id in (theirs.id, "nonsense", opened.lead_id):
        assert await refused(ana, opened.lead_id, conversationId=str(id)) == ("NOT_FOUND", ["conversationId"])
    assert await refused(ana, other, conversationId=str(opened.id)) == ("NOT_FOUND", ["conversationId"])
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert (await refused(viewer, opened.lead_id))[0] == "FORBIDDEN"
    assert await events(doors, ana) == []
    assert (await add(ana, opened.lead_id, "x", conversationId=str(opened.id)))["errors"] == []


MENTIONING = """mutation ($input: AddNoteInput!) { addNote(input: $input) {
  interaction { id mentions { id name } } errors { code path } } }"""


async def mention(person: Person, lead_id: object, ids: list[str]) -> dict[str, Any]:
    given = {"leadId": str(lead_id), "body": "x", "mentionUserIds": ids}
    return (await person.run(MENTIONING, {"input": given}))["addNote"]  # type: ignore[no-any-return]


async def test_a_note_mentions_members_each_once_in_their_order(ana: Person, doors: Doors) -> None:
    lead_id = await make_lead(ana)
    bruno = await add_member(doors, ana, role=Role.VIEWER)
    ids = [str(bruno.user_id), str(ana.user_id), str(bruno.user_id)]
    made = await mention(ana, lead_id, ids)
    assert made["errors"] == []
    assert [one["id"] for one in made["interaction"]["mentions"]] == ids[:2]
    (event,) = await events(doors, ana)
    assert event.after.count(str(bruno.user_id)) == 1
    assert '"mentionedUserIds"' in event.after
    query = "query ($id: ID!) { lead(id: $id) { timeline { edges { node { mentions { name } } } } } }"
    told = (await ana.run(query, {"id": str(lead_id)}))["lead"]["timeline"]["edges"][0]["node"]["mentions"]
    assert told == [{"name": "Bruno"}, {"name": "Ana"}]
    await ana.run(
        "mutation ($id: ID!) { removeMember(input: {userId: $id}) { errors { code } } }", {"id": ids[0]}
    )
    told = (await ana.run(query, {"id": str(lead_id)}))["lead"]["timeline"]["edges"][0]["node"]["mentions"]
    assert told == [{"name": "Ana"}]


async def test_mentions_that_are_refused(ana: Person, eve: Person, doors: Doors) -> None:
    lead_id, me = await make_lead(ana), str(ana.user_id)
    for strange in (str(eve.user_id), "nonsense", str(lead_id)):
        refused = await mention(ana, lead_id, [me, strange])
        assert refused["interaction"] is None
        assert refused["errors"] == [{"code": "NOT_FOUND", "path": ["mentionUserIds", "1"]}]
    assert (await mention(ana, lead_id, [me] * 21))["errors"] == [
        {"code": "INVALID", "path": ["mentionUserIds"]}
    ]
    assert await events(doors, ana) == []
    assert (await mention(ana, lead_id, [me] * 20))["errors"] == []
