"""One hostile input at a live API with a worker: whatever comes back passes the same checks (`Scene.post`)."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from app.common.work import Doors
from app.settings import Settings
from tests.api.hostile.target import Target, assert_quiet
from tests.factories.accounts import Person

Check = Callable[["Scene"], Awaitable[None]]


@dataclass
class Scene:
    """Two workspaces of their own: whoever attacks is the victim, signed in, or a stranger; Eve's is never told of."""

    target: Target
    victim: Person
    eve: Person
    doors: Doors
    settings: Settings
    fixture: Callable[[str], Any]
    """Of the test's own process, by name."""
    answers: int = 0
    """So many were looked at."""

    async def post(
        self,
        document: str,
        token: str | None = None,
        /,
        *,
        http: httpx.AsyncClient | None = None,
        headers: Mapping[str, str] | None = None,
        **variables: object,
    ) -> httpx.Response:
        """As a client elsewhere in the world: attempts are counted by address. JSON, short, no 5xx, no leak."""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await (http or self.victim.http).post(
            "/graphql",
            json={"query": document, "variables": variables},
            headers={"X-Forwarded-For": new_address(), **bearer, **(headers or {})},
        )
        return self.seen(answer)

    def seen(self, answer: httpx.Response) -> httpx.Response:
        assert_quiet(answer, self.eve)
        self.answers += 1
        return answer

    async def ask(self, document: str, token: str | None = None, /, **variables: object) -> Any:
        """The root field's value."""
        body = (await self.post(document, token, **variables)).json()
        assert "errors" not in body, body
        (value,) = body["data"].values()
        return value

    async def codes(self, document: str, token: str | None = None, /, **variables: object) -> list[str]:
        """What it was refused for, at the top or in the payload."""
        return codes_of((await self.post(document, token, **variables)).json())

    @asynccontextmanager
    async def cheaply(self, what: str, *, statements: int = 0) -> AsyncIterator[None]:
        """At most so many statements; a refusal needs no more."""
        async with self.target.watched(what) as watch:
            yield
        assert watch.statements <= statements, f"{what}: {watch.statements} statements"
        assert watch.faults == []


@dataclass(frozen=True)
class Row:
    number: int
    what: str
    check: Check

    def __str__(self) -> str:
        return f"{self.number}: {self.what}"


class Rows(list[Row]):
    """Rows of the table of hostile inputs, each with what is done and looked at."""

    def __call__(self, number: int, what: str) -> Callable[[Check], Check]:
        def add(check: Check) -> Check:
            self.append(Row(number, what, check))
            return check

        return add

    async def play(self, row: Row, scene: Scene) -> None:
        async with scene.target.watched(str(row)) as watch:
            await row.check(scene)
        assert scene.answers > 0
        watch.assert_harmless(statements=None)


def codes_of(body: Mapping[str, Any]) -> list[str]:
    codes = [error["extensions"]["code"] for error in body.get("errors", ())]
    for payload in (body.get("data") or {}).values():
        codes += [error["code"] for error in payload.get("errors") or ()] if isinstance(payload, dict) else []
    return codes


def new_address() -> str:
    return ".".join(str(secrets.randbelow(254) + 1) for _ in range(4))
