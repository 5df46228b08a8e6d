"""What is a member's own: markConversationRead and saveDraft, through HTTP."""

import asyncio
from typing import Any

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import inbound, open_conversation, outbound
from tests.fixtures.feed import feed_cursor
from tests.fixtures.graphql import open_socket
from tests.fixtures.processes import Api

READ = """mutation ($input: MarkConversationReadInput!) { markConversationRead(input: $input) {
  conversation { id unreadCount } errors { code path } } }"""
DRAFT = """mutation ($input: SaveDraftInput!) { saveDraft(input: $input) {
  conversation { id draft } errors { code path } } }"""
STATE = "query ($id: ID!) { conversation(id: $id) { unreadCount draft } }"
FEED = """subscription ($after: String) { feed(after: $after, kinds: [CONVERSATION_UPDATED, TAG_CHANGED]) {
  kind ids conversation { unreadCount } } }"""


async def read(person: Person, id: object, up_to: object = None) -> dict[str, Any]:
    given = {"id": str(id)} | ({"upToMessageId": str(up_to)} if up_to else {})
    return (await person.run(READ, {"input": given}))["markConversationRead"]  # type: ignore[no-any-return]


async def save(person: Person, id: object, body: str) -> dict[str, Any]:
    given = {"conversationId": str(id), "body": body}
    return (await person.run(DRAFT, {"input": given}))["saveDraft"]  # type: ignore[no-any-return]


async def state(person: Person, id: object) -> dict[str, Any]:
    return (await person.run(STATE, {"id": str(id)}))["conversation"]  # type: ignore[no-any-return]


async def test_what_came_between_look_and_click_stays_unread(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    first = await inbound(ana, doors, opened.id)
    answer = await outbound(ana, doors, opened.id)
    third = await inbound(ana, doors, opened.id)
    assert (await read(ana, opened.id, first))["conversation"]["unreadCount"] == 1
    assert (await read(ana, opened.id, answer))["conversation"]["unreadCount"] == 1
    assert (await read(ana, opened.id, third))["conversation"]["unreadCount"] == 0
    assert (await read(ana, opened.id, first))["conversation"]["unreadCount"] == 0, "it never goes back"
    await inbound(ana, doors, opened.id)
    assert (await read(ana, opened.id))["conversation"]["unreadCount"] == 0


async def test_readers_at_once_end_at_the_furthest(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    ids = [await inbound(ana, doors, opened.id) for _ in range(8)]
    await asyncio.gather(*(read(ana, opened.id, id) for id in ids[::-1]))
    assert (await state(ana, opened.id))["unreadCount"] == 0


async def test_others_messages_are_not_found(ana: Person, eve: Person, doors: Doors) -> None:
    opened, other = await open_conversation(ana, doors), await open_conversation(ana, doors)
    await inbound(ana, doors, opened.id)
    elsewhere = await inbound(ana, doors, other.id)
    theirs = await open_conversation(eve, doors)
    foreign = await inbound(eve, doors, theirs.id)
    for up_to in (elsewhere, foreign, "nonsense"):
        refused = await read(ana, opened.id, up_to)
        assert refused == {
            "conversation": None,
            "errors": [{"code": "NOT_FOUND", "path": ["upToMessageId"]}],
        }
    assert (await state(ana, opened.id))["unreadCount"] == 1
    for id in (theirs.id, "nonsense"):
        assert (await read(ana, id))["errors"] == [{"code": "NOT_FOUND", "path": ["id"]}]


async def test_reading_is_told_on_ones_own_screens_only(ana: Person, doors: Doors, api_server: Api) -> None:
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    opened = await open_conversation(ana, doors)
    await inbound(ana, doors, opened.id)
    after = await feed_cursor(ana)
    assert (await read(viewer, opened.id))["errors"] == []
    await read(viewer, opened.id)  # nothing moves, nothing is told
    await ana.run('mutation { createTag(input: {name: "later"}) { tag { id } } }')

    async def told(person: Person) -> list[dict[str, Any]]:
        items = []
        async with open_socket(api_server.ws_url, person.token) as socket:
            async for item in socket.subscribe(FEED, {"after": after}):
                if item["data"]["feed"]["kind"] != "HEARTBEAT":
                    items.append(item["data"]["feed"])
                if items and items[-1]["kind"] == "TAG_CHANGED":
                    break
        return items

    mine, theirs = await asyncio.gather(told(viewer), told(ana))
    assert [item["kind"] for item in mine] == ["CONVERSATION_UPDATED", "TAG_CHANGED"]
    assert mine[0]["ids"] == [str(opened.id)]
    assert mine[0]["conversation"] == {"unreadCount": 0}
    assert [item["kind"] for item in theirs] == ["TAG_CHANGED"]


async def test_a_draft_is_ones_own_and_the_last_write_wins(ana: Person, doors: Doors) -> None:
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    opened = await open_conversation(ana, doors)
    assert (await save(ana, opened.id, "  Olá,\n"))["conversation"]["draft"] == "  Olá,\n"
    assert (await save(viewer, opened.id, "mine"))["conversation"]["draft"] == "mine"
    assert (await save(ana, opened.id, "Bom dia"))["conversation"]["draft"] == "Bom dia"
    assert (await state(viewer, opened.id))["draft"] == "mine"
    for empty in ("", "  \n"):
        await save(ana, opened.id, "again")
        assert (await save(ana, opened.id, empty))["conversation"]["draft"] is None
    assert (await state(viewer, opened.id))["draft"] == "mine"


async def test_drafts_that_are_refused(ana: Person, eve: Person, doors: Doors) -> None:
    opened, theirs = await open_conversation(ana, doors), await open_conversation(eve, doors)
    assert (await save(ana, opened.id, "x" * 100_000))["errors"] == []
    refused = await save(ana, opened.id, "x" * 100_001)
    assert refused == {"conversation": None, "errors": [{"code": "INVALID", "path": ["body"]}]}
    for id in (theirs.id, "nonsense"):
        assert (await save(ana, id, "x"))["errors"] == [{"code": "NOT_FOUND", "path": ["conversationId"]}]
    assert (await state(ana, opened.id))["draft"] == "x" * 100_000
    assert (await state(eve, theirs.id))["draft"] is None
