"""The query `conversation` and what the feed tells of conversations and messages."""

from app.common.work import Doors
from tests.factories.accounts import Person
from tests.factories.conversations import inbound, open_conversation, outbound

CONVERSATION = """query ($id: ID!) { conversation(id: $id) {
  id channel account { id name address status inboundUrl } status snoozedUntil unreadCount draft lastMessageAt
  lead { id name email stage { name } identities { kind value } }
  assignee { id }
  lastMessage { body direction status authorKind author { id name } conversation { id unreadCount } } } }"""


async def test_a_conversation_shows_its_lead_and_its_last_message(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    empty = (await ana.run(CONVERSATION, {"id": str(opened.id)}))["conversation"]
    assert (empty["status"], empty["lastMessage"], empty["unreadCount"]) == ("OPEN", None, 0)
    assert empty["account"]["id"] == str(opened.account_id)
    assert empty["lead"]["identities"] == [{"kind": "EMAIL", "value": opened.address}]
    await inbound(ana, doors, opened.id, body="Quanto custa?")
    found = (await ana.run(CONVERSATION, {"id": str(opened.id)}))["conversation"]
    assert found["unreadCount"] == 1
    assert found["lastMessage"] | {"conversation": None} == {
        "body": "Quanto custa?",
        "direction": "INBOUND",
        "status": "RECEIVED",
        "authorKind": "CONTACT",
        "author": None,
        "conversation": None,
    }
    assert found["lastMessage"]["conversation"] == {"id": str(opened.id), "unreadCount": 1}
    await outbound(ana, doors, opened.id)
    found = (await ana.run(CONVERSATION, {"id": str(opened.id)}))["conversation"]
    assert found["lastMessage"]["author"] == {"id": str(ana.user_id), "name": "Ana"}


async def test_unknown_foreign_and_malformed_ids_are_null(ana: Person, eve: Person, doors: Doors) -> None:
    theirs = await open_conversation(eve, doors)
    for id in (str(theirs.id), str(theirs.lead_id), "nonsense", "", "01890000-0000-7000-8000-000000000000"):
        assert (await ana.run(CONVERSATION, {"id": id}))["conversation"] is None
    assert (await eve.run(CONVERSATION, {"id": str(theirs.id)}))["conversation"] is not None
