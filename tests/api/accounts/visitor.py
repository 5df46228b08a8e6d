"""A visitor at the public door, each from an address of their own (sign-ins are counted by address)."""

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from app.common.work import Doors
from app.settings import Settings

SESSION = """
    session {
        accessToken expiresAt refreshToken
        viewer {
            role user { id name email locale }
            workspace { id name locale timeZone phoneRegion }
            memberships { role workspace { id name } }
        }
    }
    errors { code message path retryAt }
"""
SIGN_UP = f"mutation ($input: SignUpInput!) {{ signUp(input: $input) {{ {SESSION} }} }}"
SIGN_IN = f"mutation ($input: SignInInput!) {{ signIn(input: $input) {{ {SESSION} }} }}"
REFRESH = f"mutation ($input: RefreshSessionInput!) {{ refreshSession(input: $input) {{ {SESSION} }} }}"
SIGN_OUT = "mutation ($input: SignOutInput!) { signOut(input: $input) { ok errors { code } } }"
VIEWER = "{ viewer { role user { id email } workspace { id name } memberships { workspace { id } } } }"
PASSWORD = "correct horse battery"


@dataclass
class Visitor:
    """Somebody at one address with one browser."""

    client: httpx.AsyncClient
    origin: str

    async def post(self, document: str, token: str | None = None, /, **input: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": document, "variables": {"input": input} if input else {}}
        return await self.client.post("/graphql", json=body, headers=headers)

    async def ask(self, document: str, token: str | None = None, /, **input: Any) -> Any:
        """The root field's value; fails on a top-level error."""
        answer = (await self.post(document, token, **input)).json()
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        return value

    async def sign_up(self, **changes: Any) -> dict[str, Any]:
        """The session of somebody new."""
        payload = await self.ask(SIGN_UP, **registration(**changes))
        assert payload["errors"] == []
        session: dict[str, Any] = payload["session"]
        return session

    async def auth(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.post(f"/auth/{path}", json={}, headers={"Origin": self.origin, **headers})


def registration(**changes: Any) -> dict[str, Any]:
    return {
        "email": f"ana.{secrets.token_hex(8)}@example.com",
        "password": PASSWORD,
        "name": "Ana",
        "workspaceName": "Acme",
    } | changes


def visitor_of(app: Any, settings: Settings, user_agent: str = "browser") -> Visitor:
    ip = f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.1"
    transport = httpx.ASGITransport(app=app, client=(ip, 1))
    client = httpx.AsyncClient(
        transport=transport, base_url="https://localhost", headers={"User-Agent": user_agent}
    )
    return Visitor(client, settings.base_url)


async def execute(doors: Doors, sql: str, **values: object) -> Any:
    """Straight to the tables, as the system: what no API does (ageing a session, joining a workspace)."""
    async with doors.open_system() as system:
        return await system.execute(text(sql), values)


def ids(session: dict[str, Any]) -> dict[str, UUID]:
    viewer = session["viewer"]
    return {"user_id": UUID(viewer["user"]["id"]), "workspace_id": UUID(viewer["workspace"]["id"])}
