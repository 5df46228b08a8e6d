"""Presence while Redis dies and comes back: each process shows its own, and all of them as soon as they can."""

from contextlib import AsyncExitStack

import pytest

from app.common.domain import Role
from tests.factories.accounts import add_member
from tests.fixtures.installation import Installation
from tests.fixtures.presence import Watcher

pytestmark = pytest.mark.xdist_group("presence")


async def test_redis_is_killed_stays_away_and_comes_back() -> None:
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(
            Installation.started(workers=0, SALESPAD_PRESENCE_TTL_S="2")
        )
        here, there = installation.apis
        ana = await stack.enter_async_context(installation.new_person())
        doors = await stack.enter_async_context(installation.doors())
        bruno, carla, dora = [
            await add_member(doors, ana, role=Role.VIEWER, name=name) for name in ("Bruno", "Carla", "Dora")
        ]
        a, b, c, d = (str(one.user_id) for one in (ana, bruno, carla, dora))
        anas = await stack.enter_async_context(Watcher.open(here, ana))
        brunos = await stack.enter_async_context(Watcher.open(there, bruno))
        for watcher in (anas, brunos):
            await watcher.until(lambda watcher=watcher: watcher.users() == {a, b})  # type: ignore[misc]

        await installation.kill_redis()
        await anas.until(lambda: anas.users() == {a})
        await brunos.until(lambda: brunos.users() == {b})
        carlas = await stack.enter_async_context(Watcher.open(here, carla))
        async with Watcher.open(there, dora):  # comes and goes unseen here
            await brunos.until(lambda: brunos.users() == {b, d})
            await anas.until(lambda: anas.users() == {a, c})
        await brunos.until(lambda: brunos.users() == {b})

        await installation.start_redis()
        for watcher in (anas, brunos, carlas):
            await watcher.until(lambda watcher=watcher: watcher.users() == {a, b, c})  # type: ignore[misc]
        assert d not in {told["user"]["id"] for told in anas.told}
    print("Presence: Redis killed and back, each API showed its own meanwhile, then both showed all three")
