"""assignConversation, snoozeConversation, closeConversation, reopenConversation, through HTTP."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.conversations import change, open_conversation

FIELDS = "{ conversation { id status snoozedUntil assignee { id name } } errors { code path } }"
MUTATIONS = {
    name: f"mutation ($input: {kind}Input!) {{ answer: {name}(input: $input) {FIELDS} }}"
    for name, kind in {
        "assignConversation": "AssignConversation",
        "snoozeConversation": "SnoozeConversation",
        "closeConversation": "ConversationId",
        "reopenConversation": "ConversationId",
    }.items()
}


def given_to(name: str) -> dict[str, Any]:
    return {"until": soon()} if name == "snoozeConversation" else {}


def soon() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def act(person: Person, name: str, id: object, **given: Any) -> dict[str, Any]:
    answer = await person.run(MUTATIONS[name], {"input": {"id": str(id), **given}})
    return answer["answer"]  # type: ignore[no-any-return]


async def changes(doors: Doors, person: Person) -> list[Sequence[str]]:
    query = "SELECT changed FROM feed_event WHERE workspace_id = :id AND kind = 'conversation.updated' ORDER BY seq"
    async with doors.open_work(person.workspace_id) as work:
        return list((await work.execute(text(query), {"id": person.workspace_id})).scalars())


async def test_assigning_and_the_leads_timeline(ana: Person, doors: Doors) -> None:
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    opened = await open_conversation(ana, doors)
    given = await act(ana, "assignConversation", opened.id, userId=str(bruno.user_id))
    assert given["errors"] == []
    assert given["conversation"]["assignee"] == {"id": str(bruno.user_id), "name": "Bruno"}
    assert await act(ana, "assignConversation", opened.id, userId=str(bruno.user_id)) == given
    assert (await act(bruno, "assignConversation", opened.id))["conversation"]["assignee"] is None
    assert await changes(doors, ana) == [["assignee"], ["assignee"]]
    entries = (
        "SELECT type, content, actor_id, actor_kind, conversation_id FROM interaction "
        "WHERE lead_id = :id ORDER BY id"
    )
    async with doors.open_work(ana.workspace_id) as work:
        found = (await work.execute(text(entries), {"id": opened.lead_id})).all()
    assert [tuple(row) for row in found] == [
        ("ASSIGNED", "Bruno", ana.user_id, "HUMAN", opened.id),
        ("ASSIGNED", "", bruno.user_id, "HUMAN", opened.id),
    ]


async def test_only_members_are_assigned(ana: Person, eve: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    for user_id in (str(eve.user_id), "nonsense", str(opened.id)):
        refused = await act(ana, "assignConversation", opened.id, userId=user_id)
        assert refused == {"conversation": None, "errors": [{"code": "NOT_FOUND", "path": ["userId"]}]}
    assert await changes(doors, ana) == []
    assert (await act(ana, "assignConversation", opened.id, userId=str(ana.user_id)))["errors"] == []


async def test_snoozing_closing_and_reopening(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    until = soon()
    snoozed = (await act(ana, "snoozeConversation", opened.id, until=until))["conversation"]
    assert snoozed["status"] == "SNOOZED"
    assert datetime.fromisoformat(snoozed["snoozedUntil"]) == datetime.fromisoformat(until)
    closed = (await act(ana, "closeConversation", opened.id))["conversation"]
    assert (closed["status"], closed["snoozedUntil"]) == ("CLOSED", None)
    assert (await act(ana, "closeConversation", opened.id))["conversation"] == closed
    assert (await act(ana, "reopenConversation", opened.id))["conversation"]["status"] == "OPEN"
    assert await changes(doors, ana) == [["status"]] * 3


@pytest.mark.parametrize("hours", [-1, 24 * 400])
async def test_a_moment_that_is_over_or_far_away_is_refused(ana: Person, doors: Doors, hours: int) -> None:
    opened = await open_conversation(ana, doors)
    until = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    refused = await act(ana, "snoozeConversation", opened.id, until=until)
    assert refused == {"conversation": None, "errors": [{"code": "INVALID", "path": ["until"]}]}
    assert (await act(ana, "snoozeConversation", opened.id, until=soon()))["errors"] == []


async def test_reopening_a_dormant_one_shows_it(ana: Person, doors: Doors) -> None:
    opened = await open_conversation(ana, doors)
    await change(ana, doors, opened.id, status="CLOSED", is_dormant=True)
    query = "{ conversations { edges { node { id } } } }"
    assert (await ana.run(query))["conversations"]["edges"] == []
    await act(ana, "reopenConversation", opened.id)
    assert (await ana.run(query))["conversations"]["edges"] == [{"node": {"id": str(opened.id)}}]


@pytest.mark.parametrize("name", MUTATIONS)
async def test_others_conversations_are_not_found_and_viewers_may_not(
    name: str, ana: Person, eve: Person, doors: Doors
) -> None:
    opened, given = await open_conversation(ana, doors), given_to(name)
    for id in (opened.id, "nonsense", "01890000-0000-7000-8000-000000000000"):
        refused = await act(eve, name, id, **given)
        assert refused == {"conversation": None, "errors": [{"code": "NOT_FOUND", "path": ["id"]}]}
    viewer = await add_member(doors, ana, role=Role.VIEWER)
    assert (await act(viewer, name, opened.id, **given))["errors"][0]["code"] == "FORBIDDEN"
    assert await changes(doors, ana) == []
    assert (await act(ana, name, opened.id, **given))["errors"] == []
