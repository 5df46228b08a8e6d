"""People and workspaces."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select, text

from app.accounts.domain.events import MemberChanged
from app.accounts.infrastructure.tables import audit_event
from app.common.domain import ClientKind, Role
from app.common.feed_log import feed_event
from app.common.work import Doors
from tests.fixtures.graphql import post
from tests.fixtures.logs import remember

PASSWORD = "a long enough password"
SIGN_UP = """
mutation ($input: SignUpInput!) {
  signUp(input: $input) {
    session { accessToken refreshToken viewer { user { id email } workspace { id } } }
    errors { code message path }
  }
}
"""
SIGN_IN = """
mutation ($input: SignInInput!) {
  signIn(input: $input) {
    session { accessToken refreshToken viewer { user { id email } workspace { id } } }
    errors { code message path }
  }
}
"""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Someone signed in to one workspace."""

    http: httpx.AsyncClient
    token: str
    refresh_token: str
    email: str
    user_id: UUID
    workspace_id: UUID

    async def post(self, query: str, variables: Mapping[str, Any] | None = None) -> httpx.Response:
        return await post(self.http, query, variables, self.token)

    async def run(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The data of an operation that must not fail at the top level."""
        body = (await self.post(query, variables)).json()
        assert "errors" not in body, body["errors"]
        return body["data"]  # type: ignore[no-any-return]

    async def refused(self, query: str, variables: Mapping[str, Any] | None = None) -> str:
        """The code of the top-level error it must meet."""
        body = (await self.post(query, variables)).json()
        assert body.get("errors"), body
        return str(body["errors"][0]["extensions"]["code"])


def new_email(name: str = "ana") -> str:
    return f"{name.lower()}-{secrets.token_hex(6)}@example.com"


def _person(http: httpx.AsyncClient, session: dict[str, Any]) -> Person:
    viewer = session["viewer"]
    remember(session["refreshToken"])
    return Person(
        http=http,
        token=session["accessToken"],
        refresh_token=session["refreshToken"],
        email=viewer["user"]["email"],
        user_id=UUID(viewer["user"]["id"]),
        workspace_id=UUID(viewer["workspace"]["id"]),
    )


async def sign_up(http: httpx.AsyncClient, *, name: str = "Ana", locale: str = "pt-BR") -> Person:
    """The owner of a new workspace, through the public door."""
    given = {
        "email": new_email(name),
        "password": PASSWORD,
        "name": name,
        "workspaceName": f"{name}'s workspace",
        "locale": locale,
    }
    body = (await post(http, SIGN_UP, {"input": given})).json()
    assert body["data"]["signUp"]["session"], body
    return _person(http, body["data"]["signUp"]["session"])


async def sign_in(person: Person, *, workspace_id: UUID, client: ClientKind = ClientKind.WEB) -> Person:
    """The same person in a workspace they are a member of, from a client of this kind."""
    given = {"email": person.email, "password": PASSWORD, "workspaceId": str(workspace_id), "client": client}
    # Sign-ins are counted by address: each test's come from one of its own.
    address = ".".join(str(secrets.randbelow(254) + 1) for _ in range(4))
    response = await person.http.post(
        "/graphql",
        json={"query": SIGN_IN, "variables": {"input": given}},
        headers={"X-Forwarded-For": address},
    )
    body = response.json()
    assert body["data"]["signIn"]["session"], body
    return _person(person.http, body["data"]["signIn"]["session"])


async def add_member(
    doors: Doors, owner: Person, *, role: Role, client: ClientKind = ClientKind.WEB, name: str = "Bruno"
) -> Person:
    """A second member of the owner's workspace. Written behind the API, which has no invitations yet."""
    person = await sign_up(owner.http, name=name)
    async with doors.open_system() as system:
        await system.execute(
            text("INSERT INTO member (workspace_id, user_id, role) VALUES (:workspace_id, :user_id, :role)"),
            {"workspace_id": owner.workspace_id, "user_id": person.user_id, "role": role.value},
        )
    return await sign_in(person, workspace_id=owner.workspace_id, client=client)


async def audited(doors: Doors, workspace_id: UUID) -> list[Any]:
    """The workspace's audit log, oldest first."""
    c = audit_event.c
    async with doors.open_work(workspace_id) as work:
        found = await work.execute(
            select(audit_event).where(c.workspace_id == workspace_id).order_by(c.at, c.id)
        )
        return list(found)


async def told(doors: Doors, workspace_id: UUID) -> list[Any]:
    """The events `member.changed` of the workspace's feed, oldest first."""
    c = feed_event.c
    is_asked_for = (c.workspace_id == workspace_id) & (c.kind == MemberChanged.name)
    async with doors.open_work(workspace_id) as work:
        return list(await work.execute(select(feed_event).where(is_asked_for).order_by(c.seq)))
