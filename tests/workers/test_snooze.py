"""Snoozed conversations come back in time, each told once, whoever wakes them and whatever kills it."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.common.work import Doors
from app.conversations.wiring import wake_snoozed
from app.embedded.config import OFF
from app.settings import Settings
from tests.factories.accounts import Person
from tests.factories.conversations import change, make_lead, open_account, open_conversation
from tests.fixtures.ledger import Desk
from tests.fixtures.processes import Worker, eventually

SNOOZE = """mutation ($id: ID!, $until: DateTime!) { snoozeConversation(input: {id: $id, until: $until}) {
  conversation { status } errors { code } } }"""
LIST = "{ conversations { edges { node { id status snoozedUntil } } } }"
COUNT = 40
DUE = (
    "UPDATE conversation SET status = 'SNOOZED', snoozed_until = now() - interval '1 hour'"
    " WHERE workspace_id = :workspace_id"
)


@pytest.fixture
async def desk(own: tuple[Settings, Doors]) -> Desk:
    """Due conversations, in a database of their own: nobody else wakes them, and who is killed holds no other's."""
    settings, doors = own
    desk = await Desk.opened(doors, settings, conversations=COUNT)
    await desk.sql(DUE)
    return desk


async def snoozed(person: Person, doors: Doors, count: int, *, hours: float) -> list[UUID]:
    """Conversations that are to come back in so many hours; before now: they are due."""
    lead_id, account_id = await make_lead(person), await open_account(person, doors)
    until = datetime.now(UTC) + timedelta(hours=hours)
    ids = []
    for _ in range(count):
        opened = await open_conversation(person, doors, lead_id=lead_id, account_id=account_id)
        await change(person, doors, opened.id, status="SNOOZED", snoozed_until=until)
        ids.append(opened.id)
    return ids


async def statuses(doors: Doors, person: Person | Desk) -> Counter[str]:
    async with doors.open_work(person.workspace_id) as work:
        return Counter((await work.execute(text("SELECT status FROM conversation"))).scalars())


async def told(doors: Doors, person: Person | Desk) -> Counter[UUID]:
    """How often each is told to have been woken."""
    query = "SELECT unnest(entity_ids) FROM feed_event WHERE kind = 'conversation.updated' AND actor_kind = 'SYSTEM'"
    async with doors.open_work(person.workspace_id) as work:
        return Counter((await work.execute(text(query))).scalars())


async def test_it_comes_back_to_the_top_when_its_time_has_come(
    ana: Person, doors: Doors, worker: Worker
) -> None:
    opened, later = await open_conversation(ana, doors), await open_conversation(ana, doors)
    until = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    answer = await ana.run(SNOOZE, {"id": str(opened.id), "until": until})
    assert answer["snoozeConversation"] == {"conversation": {"status": "SNOOZED"}, "errors": []}

    async def first() -> dict[str, object]:
        return (await ana.run(LIST))["conversations"]["edges"][0]["node"]  # type: ignore[no-any-return]

    async def is_back() -> bool:
        return (await first())["status"] == "OPEN" and (await first())["id"] == str(opened.id)

    await eventually(is_back)
    assert (await first())["snoozedUntil"] is None
    assert (await told(doors, ana))[opened.id] == 1
    assert (await told(doors, ana))[later.id] == 0


async def test_what_is_not_due_stays(ana: Person, doors: Doors) -> None:
    await snoozed(ana, doors, 2, hours=1)
    await wake_snoozed(doors)
    assert await statuses(doors, ana) == {"SNOOZED": 2}
    assert await told(doors, ana) == {}


async def test_workers_at_once_wake_each_once(ana: Person, eve: Person, doors: Doors) -> None:
    mine, theirs = await snoozed(ana, doors, 20, hours=-1), await snoozed(eve, doors, 3, hours=-1)

    async def all_woken() -> bool:
        await asyncio.gather(*(wake_snoozed(doors) for _ in range(6)))
        return (await statuses(doors, ana)).total() == (await statuses(doors, ana))["OPEN"]

    await eventually(all_woken)
    assert await told(doors, ana) == dict.fromkeys(mine, 1)

    async def theirs_too() -> bool:
        await wake_snoozed(doors)
        return await statuses(doors, eve) == {"OPEN": 3}

    await eventually(theirs_too)
    assert await told(doors, eve) == dict.fromkeys(theirs, 1)


async def test_a_worker_that_dies_leaves_nothing_half_done(desk: Desk) -> None:
    async with desk.doors.open_system() as system:  # a worker that took them, and dies before its commit
        locked = "SELECT id FROM conversation WHERE workspace_id = :id FOR UPDATE"
        taken = (await system.execute(text(locked), {"id": desk.workspace_id})).all()
        assert len(taken) == COUNT
        assert await wake_snoozed(desk.doors) == 0
        assert await statuses(desk.doors, desk) == {"SNOOZED": COUNT}
    assert await wake_snoozed(desk.doors) == COUNT
    assert await statuses(desk.doors, desk) == {"OPEN": COUNT}
    assert await told(desk.doors, desk) == dict.fromkeys(desk.conversation_ids, 1)


async def test_a_worker_killed_at_it_is_followed_by_another(desk: Desk) -> None:
    assert desk.settings.database_url is not None
    environment = {"SALESPAD_DATABASE_URL": desk.settings.database_url, "SALESPAD_REDIS_URL": OFF}
    async with Worker.started(**environment) as doomed:
        await doomed.kill()
    async with Worker.started(**environment):

        async def woken() -> bool:
            return await statuses(desk.doors, desk) == {"OPEN": COUNT}

        await eventually(woken)
    assert await told(desk.doors, desk) == dict.fromkeys(desk.conversation_ids, 1)
