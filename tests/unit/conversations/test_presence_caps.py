"""A workspace shows so many people, each at so many places; whoever is past that still sees the others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from uuid import UUID, uuid4

import pytest

from app.conversations.application.presence import MAX_PLACES, MAX_PRESENCES, Presence
from app.conversations.infrastructure.presence import Presences

WORKSPACE = uuid4()


class NoBell:
    def ring_presence(self, workspace_id: UUID) -> None:
        pass

    def hear_presence(self, look: Callable[[UUID | None], None]) -> None:
        pass


@pytest.fixture
async def presences() -> AsyncIterator[Presences]:
    """Of one process, without Redis."""
    presences = Presences(None, NoBell(), ttl_s=10)
    yield presences
    await presences.stop()


async def seen_by(presences: Presences, who: Presence) -> set[Presence]:
    """Whom somebody sees who comes now: it is told at once."""
    seen: set[Presence] = set()
    async with aclosing(presences.follow(WORKSPACE, who)) as changes:
        while True:
            try:
                async with asyncio.timeout(0.2):
                    seen.add((await anext(changes)).who)
            except TimeoutError:
                return seen


async def come(stack: AsyncExitStack, presences: Presences, who: Presence) -> None:
    changes = await stack.enter_async_context(aclosing(presences.follow(WORKSPACE, who)))
    await anext(changes)


async def test_one_person_is_shown_at_so_many_places(presences: Presences) -> None:
    person, looker = uuid4(), Presence(uuid4())
    places = [Presence(person, conversation_id=uuid4()) for _ in range(MAX_PLACES)]
    more = Presence(person, lead_id=uuid4())
    async with AsyncExitStack() as stack:
        for place in places[1:]:
            await come(stack, presences, place)
        async with AsyncExitStack() as first:
            await come(first, presences, places[0])
            assert await seen_by(presences, more) == set(), "past the limit, at a place where nobody is"
            assert await seen_by(presences, looker) == {*places, looker}
        assert await seen_by(presences, more) == {more}, "one of the places is free again"


async def test_a_workspace_shows_so_many_people(presences: Presences) -> None:
    people, more = [Presence(uuid4()) for _ in range(MAX_PRESENCES)], Presence(uuid4())
    async with AsyncExitStack() as stack:
        for one in people[1:]:
            await come(stack, presences, one)
        async with AsyncExitStack() as first:
            await come(first, presences, people[0])
            assert await seen_by(presences, more) == set(people), "past the limit one only looks"
        assert await seen_by(presences, more) == {*people[1:], more}
