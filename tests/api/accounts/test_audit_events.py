from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.common.domain import Role
from app.common.work import Doors
from tests.api.accounts.visitor import (
    PASSWORD,
    REFRESH,
    SIGN_IN,
    SIGN_OUT,
    SIGN_UP,
    Visitor,
    execute,
    ids,
    registration,
)
from tests.factories.accounts import Person, add_member
from tests.factories.channels import connected

AUDIT = """
query ($filter: AuditEventFilter, $first: Int! = 20, $after: String) {
  auditEvents(filter: $filter, first: $first, after: $after) {
    edges { cursor node { id at action objectId sessionId client ipPrefix before after actorId actor { id name } } }
    pageInfo { hasNextPage hasPreviousPage endCursor }
  }
}
"""
DISCONNECT = "mutation ($id: ID!) { disconnectChannelAccount(input: {id: $id}) { errors { message } } }"


def nodes(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge["node"] for edge in answer["auditEvents"]["edges"]]


async def audit(visitor: Visitor, token: str, **variables: Any) -> list[dict[str, Any]]:
    answer = await visitor.client.post(
        "/graphql",
        json={"query": AUDIT, "variables": variables},
        headers={"Authorization": f"Bearer {token}"},
    )
    return nodes(answer.json()["data"])


async def test_tells_of_sessions_opened_closed_and_stolen(
    visitor: Visitor, stranger: Visitor, doors: Doors
) -> None:
    mine = await visitor.sign_up()
    email, me = mine["viewer"]["user"]["email"], mine["viewer"]["user"]
    here, stolen = [(await visitor.ask(SIGN_IN, email=email, password=PASSWORD))["session"] for _ in range(2)]
    assert (await visitor.ask(SIGN_OUT, refreshToken=here["refreshToken"]))["ok"]
    assert (await visitor.ask(SIGN_OUT, refreshToken=here["refreshToken"]))["ok"]  # nothing ends: no row
    assert (await visitor.ask(REFRESH, refreshToken=stolen["refreshToken"]))["session"]
    refused = await stranger.ask(REFRESH, refreshToken=stolen["refreshToken"])
    assert [error["code"] for error in refused["errors"]] == ["UNAUTHENTICATED"]
    told = await audit(visitor, mine["accessToken"])
    assert [event["action"] for event in told] == [
        "session.replayed",
        "session.closed",
        "session.opened",
        "session.opened",
        "session.opened",
        "workspace.created",
    ]
    assert told[0]["objectId"] == told[2]["objectId"] == told[0]["sessionId"]
    assert told[1]["objectId"] == told[3]["objectId"]
    assert told[5]["objectId"] == mine["viewer"]["workspace"]["id"]
    assert {event["actor"]["id"] for event in told} == {event["actorId"] for event in told} == {me["id"]}
    assert told[0]["ipPrefix"] != told[1]["ipPrefix"]
    assert [event["client"] for event in told] == [*["WEB"] * 5, None]


async def test_a_refused_sign_in_opens_nothing(visitor: Visitor) -> None:
    mine = await visitor.sign_up()
    email = mine["viewer"]["user"]["email"]
    await visitor.ask(SIGN_IN, email=email, password="wrong password")
    assert (await visitor.ask(SIGN_UP, **registration(email=email)))["errors"]
    assert len(await audit(visitor, mine["accessToken"])) == 2


async def test_pages_and_filters(ana: Person, doors: Doors) -> None:
    bruno = await add_member(doors, ana, role=Role.ADMIN)
    account = await connected(ana)
    assert not (await bruno.run(DISCONNECT, {"id": account["id"]}))["disconnectChannelAccount"]["errors"]
    every = nodes(await ana.run(AUDIT))
    assert [event["action"] for event in every[:2]] == [
        "channel_account.disconnected",
        "channel_account.connected",
    ]
    assert every[0]["before"] == {"status": "CONNECTED"}
    assert every[0]["after"] == {"changed": ["disconnected", "status"], "status": "DISCONNECTED"}
    assert (every[0]["objectId"], every[0]["actor"]["name"]) == (account["id"], "Bruno")
    paged: list[dict[str, Any]] = []
    after = None
    while True:
        page = await ana.run(AUDIT, {"first": 2, "after": after})
        paged += nodes(page)
        after = page["auditEvents"]["pageInfo"]["endCursor"]
        if not page["auditEvents"]["pageInfo"]["hasNextPage"]:
            break
    assert paged == every

    async def found(**filter: Any) -> list[dict[str, Any]]:
        return nodes(await ana.run(AUDIT, {"filter": filter}))

    assert await found(action="channel_account.disconnected") == every[:1]
    by_bruno = await found(actorId=str(bruno.user_id))
    assert by_bruno == [event for event in every if event["actor"]["id"] == str(bruno.user_id)]
    assert by_bruno
    assert await found(actorId="no id") == []
    assert await found(**{"from": every[1]["at"], "to": every[0]["at"]}) == every[1:2]
    assert await found(to=(datetime.now(UTC) - timedelta(days=1)).isoformat()) == []


async def test_bad_filters_and_cursors_are_told(ana: Person) -> None:
    for given in (
        {"first": 0},
        {"after": "garbage"},
        {"filter": {"action": "a\x00"}},
        {"filter": {"from": "yesterday"}},
        {"filter": {"to": "0001-01-01T00:00:00+14:00"}},
    ):
        assert await ana.refused(AUDIT, given) == "BAD_USER_INPUT", given


async def test_is_for_admins(ana: Person, doors: Doors) -> None:
    bruno = await add_member(doors, ana, role=Role.MEMBER)
    assert await bruno.refused(AUDIT) == "FORBIDDEN"


async def test_no_door_may_change_what_was_written(visitor: Visitor, doors: Doors) -> None:
    workspace_id = ids(await visitor.sign_up())["workspace_id"]
    for change in ("UPDATE audit_event SET action = 'x'", "DELETE FROM audit_event"):
        with pytest.raises(DBAPIError, match="permission denied"):
            await execute(doors, change)
        with pytest.raises(DBAPIError, match="permission denied"):
            async with doors.open_work(workspace_id) as work:
                await work.execute(text(change))
