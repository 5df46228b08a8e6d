"""A workspace shows so many people, each at so many places; whoever is past that still sees the others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from uuid import UUID, uuid4

import pytest

from app.conversations.application.presence import MAX_PLACES, MAX_PRESENCES, Presence
from app.conversations.infrastructure import presence
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


async def test_who_stops_typing_between_two_looks_is_seen_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look that nobody asks for is a quarter of an hour away."""
    for name in ("TYPING_S", "TYPING_AGAIN_S"):
        monkeypatch.setattr(presence, name, presence.GAP_S * 1.5)  # a look, and its end in the gap after it
    presences, ana, bruno, chat = Presences(None, NoBell(), ttl_s=2700), uuid4(), uuid4(), uuid4()
    async with asyncio.timeout(20), aclosing(presences.follow(WORKSPACE, Presence(ana))) as changes:
        assert (await anext(changes)).who == Presence(ana)
        presences.type(WORKSPACE, bruno, chat)
        told = [await anext(changes), await anext(changes)]
        assert [(one.who, one.is_online) for one in told] == [
            (Presence(bruno, chat), True),
            (Presence(bruno, chat), False),
        ]
    await presences.stop()
