"""Reacting to the feed: each event once, in order, whoever does it; what fails holds up nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.common.domain import EVENT_IDS_MAX
from app.common.reaction_log import ATTEMPTS, events_set_aside, reactions_behind
from app.common.reactions import BATCH, Consumer, Occurrence, Reactor
from app.common.work import Doors, Unavailable, Work
from tests.factories.accounts import Person
from tests.fixtures.processes import eventually
from tests.fixtures.reactions import Echo, Echoed, Poked, echo, events, head, poke
from tests.fixtures.statements import OwnStatements


@pytest.fixture
async def consumer(doors: Doors) -> AsyncIterator[Echo]:
    async with echo(doors) as one:
        yield one


class Broken(Exception):
    """What a reaction may raise; its text must get nowhere."""


async def test_each_event_once_and_in_order(ana: Person, doors: Doors, consumer: Echo) -> None:
    ids = await poke(doors, ana.workspace_id, BATCH * 2 + 3)
    await consumer.caught_up(ana.workspace_id)
    later = await poke(doors, ana.workspace_id)
    await consumer.caught_up(ana.workspace_id)
    await consumer.reactor().react([ana.workspace_id])
    assert await consumer.echoed(ana.workspace_id) == ids + later


async def test_what_it_announces_names_its_cause(ana: Person, doors: Doors, consumer: Echo) -> None:
    await poke(doors, ana.workspace_id, 3)
    await consumer.caught_up(ana.workspace_id)
    causes = {row.entity_ids[0]: row for row in await events(doors, ana.workspace_id, Poked.name)}
    for row in await events(doors, ana.workspace_id, Echoed.name):
        cause = causes[row.entity_ids[0]]
        assert (row.cause_seq, row.depth, row.actor, row.actor_kind) == (cause.seq, 1, None, "SYSTEM")
        assert (cause.cause_seq, cause.depth) == (None, 0)


async def test_workers_at_once_share_the_workspaces(
    ana: Person, eve: Person, doors: Doors, consumer: Echo
) -> None:
    of = {one.workspace_id: await poke(doors, one.workspace_id, 120) for one in (ana, eve)}
    await asyncio.gather(*(consumer.caught_up(*of) for _ in range(6)))
    for workspace_id, ids in of.items():
        assert await consumer.echoed(workspace_id) == ids


async def test_one_that_is_reacted_in_is_left_alone(ana: Person, doors: Doors, consumer: Echo) -> None:
    """Another worker finds nothing to do, and waits for nobody."""
    (id,) = await poke(doors, ana.workspace_id)
    other = replace(consumer, calls=[], meanwhile=None)

    async def look(event: Occurrence) -> None:
        async with asyncio.timeout(10):
            await other.reactor().react([ana.workspace_id])

    consumer.meanwhile = look
    await consumer.reactor().react([ana.workspace_id])
    assert (len(consumer.calls), other.calls) == (1, [])
    assert await consumer.echoed(ana.workspace_id) == [id]


async def test_a_poison_event_is_set_aside_and_holds_up_nothing(
    ana: Person, eve: Person, doors: Doors, consumer: Echo
) -> None:
    ids = await poke(doors, ana.workspace_id, 9)
    theirs = await poke(doors, eve.workspace_id, 3)
    consumer.fails = lambda event: Broken("a secret") if event.entity_ids[0] == ids[4] else None
    await consumer.reactor().react([ana.workspace_id, eve.workspace_id])
    assert await consumer.echoed(ana.workspace_id) == ids[:4], "those before it are done, those after it wait"
    assert await consumer.echoed(eve.workspace_id) == theirs
    seq, failures = await consumer.cursor(ana.workspace_id)
    assert failures == 1
    await consumer.reactor().react([ana.workspace_id])
    assert await consumer.cursor(ana.workspace_id) == (seq, 1), "not before its time"

    await consumer.caught_up(ana.workspace_id)
    assert await consumer.echoed(ana.workspace_id) == ids[:4] + ids[5:]
    assert Counter(consumer.calls)[seq + 1] == ATTEMPTS + 1, "once in a batch, then alone"
    async with doors.open_system() as system:
        (failed,) = [
            row for row in await events_set_aside(system, limit=1000) if row["consumer"] == consumer.name
        ]
    assert (failed["workspace_id"], failed["seq"], failed["kind"]) == (ana.workspace_id, seq + 1, Poked.name)
    assert failed["error_type"] == "Broken"
    assert "secret" not in str(dict(failed))


async def test_a_failure_at_the_commit_is_one_too(ana: Person, doors: Doors) -> None:
    """More ids than an event may carry: only the last statement finds out."""
    async with echo(doors) as consumer:

        async def too_much(work: Work, event: Occurrence) -> bool:
            work.announce(Echoed(entity_ids=[uuid4() for _ in range(EVENT_IDS_MAX + 1)]))
            return True

        await poke(doors, ana.workspace_id, 2)
        consumer.react = too_much  # type: ignore[method-assign]
        await consumer.caught_up(ana.workspace_id)
        async with doors.open_system() as system:
            aside = await events_set_aside(system, limit=1000)
        assert [row["error_type"] for row in aside if row["consumer"] == consumer.name] == [
            "CheckViolationError"
        ] * 2


async def test_an_outage_is_no_failure(ana: Person, doors: Doors, consumer: Echo) -> None:
    ids = await poke(doors, ana.workspace_id, 2)
    consumer.fails = lambda _: Unavailable("away")
    for _ in range(ATTEMPTS + 1):
        with pytest.raises(Unavailable):
            await consumer.reactor().react([ana.workspace_id])
    assert (await consumer.cursor(ana.workspace_id))[1] == 0
    consumer.fails = lambda _: None
    await consumer.caught_up(ana.workspace_id)
    assert await consumer.echoed(ana.workspace_id) == ids


async def test_what_always_takes_too_long_is_set_aside_as_well(
    ana: Person, doors: Doors, consumer: Echo
) -> None:
    ids = await poke(doors, ana.workspace_id, 5)

    async def slow(work: Work, event: Occurrence) -> bool:
        if event.entity_ids[0] == ids[2]:
            await work.execute(text("SET LOCAL statement_timeout = 1"))
            await work.execute(text("SELECT pg_sleep(60)"))
        return await Echo.react(consumer, work, event)

    consumer.react = slow  # type: ignore[method-assign]
    await consumer.reactor().react([ana.workspace_id])
    assert await consumer.echoed(ana.workspace_id) == ids[:2]
    assert (await consumer.cursor(ana.workspace_id))[1] == 1
    await consumer.caught_up(ana.workspace_id)
    assert await consumer.echoed(ana.workspace_id) == ids[:2] + ids[3:]
    async with doors.open_system() as system:
        aside = await events_set_aside(system, limit=1000)
    assert [row["error_type"] for row in aside if row["consumer"] == consumer.name] == ["TookTooLong"]


async def test_who_meets_an_outage_keeps_no_other_consumer_waiting(
    ana: Person, doors: Doors, consumer: Echo
) -> None:
    ids = await poke(doors, ana.workspace_id, 2)
    async with echo(doors) as away:
        away.fails = lambda _: Unavailable("away")
        both = [Consumer(one.name, {Poked.name: one.react}) for one in (away, consumer)]
        with pytest.raises(Unavailable):
            await Reactor(doors, both, poll_s=0.2).react([ana.workspace_id])
    assert await consumer.echoed(ana.workspace_id) == ids


async def test_a_long_effect_is_committed_in_parts(ana: Person, doors: Doors) -> None:
    """Called again while it is not done; each part is there for good, and the event counts as one."""
    async with echo(doors) as consumer:
        parts, seen = [uuid4() for _ in range(4)], []

        async def one_part(work: Work, event: Occurrence) -> bool:
            seen.append(await consumer.cursor(ana.workspace_id))
            done = await consumer.echoed(ana.workspace_id)
            if len(done) == len(parts):
                return True
            work.announce(Echoed(entity_ids=[parts[len(done)]], changed=[consumer.name]))
            return False

        consumer.react = one_part  # type: ignore[method-assign]
        await poke(doors, ana.workspace_id)
        await consumer.caught_up(ana.workspace_id)
        assert await consumer.echoed(ana.workspace_id) == parts
    assert len(seen) == len(parts) + 1
    assert len(set(seen)) == 1, "the cursor stays until it is done"


async def test_several_together_and_as_many_as_it_says(ana: Person, doors: Doors) -> None:
    """The first ones, a part of one, all: the cursor stands behind those it has reacted to; at most twice as many as it
    managed are read again."""
    async with echo(doors) as echoes:
        counts: list[int | None] = [2, 0, 1, None]
        met: list[list[UUID]] = []

        async def some(work: Work, events: Sequence[Occurrence]) -> int | None:
            met.append([event.entity_ids[0] for event in events])
            count = counts.pop(0) if counts else None
            for id in met[-1][:count]:
                work.announce(Echoed(entity_ids=[id], changed=[echoes.name]))
            return count

        consumer = Consumer(echoes.name, together=some, names=[Poked.name], batch=5)
        ids = await poke(doors, ana.workspace_id, 9)
        await Reactor(doors, [consumer], poll_s=0.2).react([ana.workspace_id])
        assert met == [ids[:5], ids[2:6], ids[2:3], ids[3:8], ids[8:]]
        assert await echoes.echoed(ana.workspace_id) == ids


async def test_what_does_not_concern_it_costs_next_to_nothing(
    ana: Person, doors: Doors, consumer: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5,000 events of an import before a message: a few statements, and no body is read."""
    async with doors.open_work(ana.workspace_id) as work:
        for _ in range(5000):
            work.announce(Echoed(entity_ids=[]))
    ids = await poke(doors, ana.workspace_id)
    reactor, counted = consumer.reactor(), OwnStatements(monkeypatch)

    async def reacted() -> bool:
        await reactor.react([ana.workspace_id])
        return consumer.calls != []

    await eventually(reacted)
    assert (await consumer.echoed(ana.workspace_id))[-1:] == ids
    print(f"reactions: past 5,000 events of no concern in {counted.sent} statements")
    assert 0 < counted.sent <= 12


async def test_events_that_were_let_go_of_are_passed_over(ana: Person, doors: Doors, consumer: Echo) -> None:
    """Where a consumer has never looked, or was away for longer than the feed is kept."""
    drop = text("DELETE FROM feed_event WHERE workspace_id = :id AND seq <= :seq")
    for keeps in (2, 0):
        ids = await poke(doors, ana.workspace_id, 5)
        async with doors.open_system() as system:
            seq = await head(doors, ana.workspace_id) - keeps
            await system.execute(drop, {"id": ana.workspace_id, "seq": seq})
        consumer.calls.clear()
        await consumer.caught_up(ana.workspace_id)
        assert len(consumer.calls) == keeps
        assert set(await consumer.echoed(ana.workspace_id)) == set(ids[len(ids) - keeps :] if keeps else [])


async def test_the_doorbell_and_the_poll_find_everything(ana: Person, eve: Person, doors: Doors) -> None:
    async with echo(doors) as consumer:
        reactor = consumer.reactor()
        running = asyncio.create_task(reactor.run())
        try:
            polled = await poke(doors, eve.workspace_id)
            await eventually(lambda: _has(consumer, eve.workspace_id, polled))
            reactor._poll_at = float("inf")
            rung = await poke(doors, ana.workspace_id)
            reactor.look(ana.workspace_id, 1)
            await eventually(lambda: _has(consumer, ana.workspace_id, rung))
            missed = await poke(doors, ana.workspace_id)
            reactor.look(None)
            await eventually(lambda: _has(consumer, ana.workspace_id, rung + missed))
        finally:
            reactor.stop()
            await running


async def _has(consumer: Echo, workspace_id: UUID, ids: list[UUID]) -> bool:
    return await consumer.echoed(workspace_id) == ids


async def test_how_far_it_is_behind_can_be_asked(ana: Person, doors: Doors, consumer: Echo) -> None:
    async def events_behind() -> int:
        async with doors.open_system() as system:
            (one,) = [one for one in await reactions_behind(system) if one.consumer == consumer.name]
        assert (one.oldest_s > 0) == (one.workspaces > 0) == (one.events > 0)
        return one.events

    await poke(doors, ana.workspace_id)
    await consumer.caught_up(ana.workspace_id)  # from now on it is known
    await poke(doors, ana.workspace_id, 7)
    assert await events_behind() >= 7, "in all workspaces: other tests' too"
