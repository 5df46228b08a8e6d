"""A conversation's messages, a page at a time."""

from typing import Any

import pytest
from sqlalchemy import text

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.conversations import inbound, open_conversation, outbound

MESSAGES = """query ($id: ID!, $last: Int! = 30, $before: String) { conversation(id: $id) {
  messages(last: $last, before: $before) {
    edges { cursor node { id body direction author { id } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } feedCursor } } }"""


async def page(person: Person, id: object, **variables: Any) -> dict[str, Any]:
    found = await person.run(MESSAGES, {"id": str(id), **variables})
    return found["conversation"]["messages"]  # type: ignore[no-any-return]


def bodies(found: dict[str, Any]) -> list[str]:
    return [edge["node"]["body"] for edge in found["edges"]]


async def test_oldest_first_within_a_page_newest_page_first(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    for n in range(7):
        await (inbound if n % 2 else outbound)(ana, doors, opened.id, body=f"m{n}")
    newest = await page(ana, opened.id, last=3)
    assert bodies(newest) == ["m4", "m5", "m6"]
    assert newest["edges"][0]["node"]["author"] == {"id": str(ana.user_id)}
    assert (newest["pageInfo"]["hasPreviousPage"], newest["pageInfo"]["hasNextPage"]) == (True, False)
    await inbound(ana, doors, opened.id, body="came meanwhile")
    older = await page(ana, opened.id, last=3, before=newest["pageInfo"]["startCursor"])
    assert bodies(older) == ["m1", "m2", "m3"]
    oldest = await page(ana, opened.id, last=3, before=older["pageInfo"]["startCursor"])
    assert bodies(oldest) == ["m0"]
    assert (oldest["pageInfo"]["hasPreviousPage"], oldest["pageInfo"]["hasNextPage"]) == (False, True)
    assert newest["feedCursor"] < oldest["feedCursor"]


async def test_an_empty_conversation_has_a_feed_cursor(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    found = await page(ana, opened.id)
    assert found["edges"] == []
    assert found["feedCursor"].startswith("1.")


async def test_pages_of_different_sizes_in_one_document(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    for n in range(4):
        await inbound(ana, doors, opened.id, body=f"m{n}")
    fields = "{ edges { node { body } } }"
    both = f"a: messages(last: 1) {fields} b: messages(last: 3) {fields}"
    query = f"query ($id: ID!) {{ conversation(id: $id) {{ {both} }} }}"
    found = (await ana.run(query, {"id": str(opened.id)}))["conversation"]
    assert bodies(found["a"]) == ["m3"]
    assert bodies(found["b"]) == ["m1", "m2", "m3"]


@pytest.mark.parametrize("last", [0, -1, 101])
async def test_a_page_has_1_to_100(ana: Person, doors: Doors, last: int) -> None:
    opened = await open_conversation(ana, doors)
    assert await ana.refused(MESSAGES, {"id": str(opened.id), "last": last}) == "BAD_USER_INPUT"


async def test_another_conversations_cursor_is_refused(ana: Person, doors: Doors) -> None:
    one, other = await open_conversation(ana, doors), await open_conversation(ana, doors)
    for opened in (one, other):
        await inbound(ana, doors, opened.id)
    cursor = (await page(ana, one.id))["pageInfo"]["startCursor"]
    assert bodies(await page(ana, one.id, before=cursor)) == []
    for before in (cursor, "garbage", ""):
        assert await ana.refused(MESSAGES, {"id": str(other.id), "before": before}) == "BAD_USER_INPUT"


async def test_more_messages_than_an_answer_should_hold_are_refused(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    aliases = " ".join(f"m{n}: messages(last: 100) {{ feedCursor }}" for n in range(30))
    query = f"query ($id: ID!) {{ conversation(id: $id) {{ {aliases} }} }}"
    assert (await ana.run(query, {"id": str(opened.id)}))["conversation"]["m0"]
    more = query.replace("m0: ", "messages(last: 1) { feedCursor } m0: ")
    assert await ana.refused(more, {"id": str(opened.id)}) == "BAD_USER_INPUT"


async def test_files_are_told_with_their_message_in_order(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    id = await inbound(ana, doors, opened.id)
    add = """
        WITH made AS (
            INSERT INTO file (workspace_id, name, media_type, size, stored_at, used_at)
            VALUES (:workspace, :name, 'text/plain', 3, now(), now()) RETURNING id
        )
        INSERT INTO attachment (workspace_id, message_id, file_id, position)
        SELECT :workspace, :message, id, :position FROM made
    """
    async with doors.open_work(ana.workspace_id) as work:
        for position, name in ((1, "b.txt"), (0, "a.txt")):
            await work.execute(
                text(add),
                {"workspace": ana.workspace_id, "message": id, "name": name, "position": position},
            )
    fields = "attachments { id fileName mediaType size url }"
    query = f"""query ($id: ID!) {{
      conversation(id: $id) {{ lastMessage {{ {fields} }} messages {{ edges {{ node {{ {fields} }} }} }} }}
      conversations {{ edges {{ node {{ lastMessage {{ {fields} }} }} }} }} }}"""
    found = await ana.run(query, {"id": str(opened.id)})
    places = [
        found["conversation"]["lastMessage"],
        found["conversation"]["messages"]["edges"][0]["node"],
        found["conversations"]["edges"][0]["node"]["lastMessage"],
    ]
    for place in places:
        told = [(one["fileName"], one["mediaType"], one["size"]) for one in place["attachments"]]
        assert told == [("a.txt", "text/plain", 3), ("b.txt", "text/plain", 3)]
        assert all("/files/" in one["url"] for one in place["attachments"])
