"""A role changes while its owner's sessions are being refreshed: every token says the role it may."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from sqlalchemy import text

from app.accounts.infrastructure.endings import void_tokens
from app.common.jobs import create_bells
from app.common.work import Doors
from app.settings import Settings
from tests.api.accounts.visitor import PASSWORD, REFRESH, SIGN_IN, VIEWER, Visitor, ids
from tests.fixtures.processes import eventually

PEOPLE, SESSIONS = 6, 4


def role_of(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["role"])


@asynccontextmanager
async def another_process(settings: Settings) -> AsyncIterator[Doors]:
    """Doors whose doorbells ring for others, as those of an API process do."""
    bells = create_bells(settings)
    doors = Doors(settings, bells)
    await bells.start()
    try:
        yield doors
    finally:
        await bells.stop()
        await doors.close()


async def change_role(doors: Doors, session: dict[str, Any], role: str) -> None:
    workspace_id, user_id = ids(session)["workspace_id"], ids(session)["user_id"]
    async with doors.open_work(workspace_id) as work:
        await work.execute(
            text("UPDATE member SET role = :role WHERE workspace_id = :workspace_id AND user_id = :user_id"),
            {"role": role, "workspace_id": workspace_id, "user_id": user_id},
        )
        await void_tokens(work, workspace_id, user_id)


class Refresher:
    """Refreshes one session over and over, and uses each token at once."""

    def __init__(self, visitor: Visitor, session: dict[str, Any]) -> None:
        self._visitor, self._refresh_token = visitor, session["refreshToken"]
        self.tokens: list[tuple[str, str, bool]] = []
        """Each with its role, and whether it was taken."""
        self.is_over = False

    async def run(self) -> None:
        while not self.is_over:
            payload = await self._visitor.ask(REFRESH, refreshToken=self._refresh_token)
            assert payload["session"], payload
            self._refresh_token = payload["session"]["refreshToken"]
            token = payload["session"]["accessToken"]
            self.tokens.append((token, role_of(token), await is_taken(self._visitor, token)))

    def saw(self, role: str) -> int:
        return sum(said == role for _, said, _ in self.tokens)


async def is_taken(visitor: Visitor, token: str) -> bool:
    return (await visitor.post(VIEWER, token)).status_code == 200


async def test_no_token_with_the_old_role_outlives_the_change_and_no_other_is_refused(
    visitor: Visitor, settings: Settings
) -> None:
    old, new = 0, 0
    async with another_process(settings) as elsewhere:
        for _ in range(PEOPLE):
            session, refreshers = await refreshing(visitor)
            tasks = [asyncio.create_task(refresher.run()) for refresher in refreshers]
            await seen(refreshers, "OWNER")
            await change_role(elsewhere, session, "VIEWER")
            await seen(refreshers, "VIEWER")
            for refresher in refreshers:
                refresher.is_over = True
            await asyncio.gather(*tasks)
            for token, role, was_taken in (found for refresher in refreshers for found in refresher.tokens):
                if role == "VIEWER":
                    new += 1
                    assert was_taken, "a fresh token with the new role was refused"
                else:
                    old += 1
                    assert await is_refused(visitor, token)
    print(f"roles: {PEOPLE} changes, {old} tokens of the old role void, {new} of the new one taken")


async def refreshing(visitor: Visitor) -> tuple[dict[str, Any], list[Refresher]]:
    """The sessions of one person."""
    session = await visitor.sign_up()
    email = session["viewer"]["user"]["email"]
    payloads = [await visitor.ask(SIGN_IN, email=email, password=PASSWORD) for _ in range(SESSIONS - 1)]
    return session, [Refresher(visitor, one) for one in (session, *(p["session"] for p in payloads))]


async def seen(refreshers: list[Refresher], role: str) -> None:
    await eventually(lambda: all(one.saw(role) >= 3 for one in refreshers), what=f"tokens of the role {role}")


async def is_refused(visitor: Visitor, token: str) -> object:
    """Soon after the change: the bell may still be on its way."""

    async def refused() -> bool:
        return not await is_taken(visitor, token)

    return await eventually(refused, timeout_s=10, what="the end of a token with the old role")
