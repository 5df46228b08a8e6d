"""An address that is suppressed while its person is erased: whoever comes first, it is left nowhere."""

import asyncio
from typing import Any

from app.common.domain import Channel
from app.common.work import Doors
from app.leads.domain.contact import SuppressionReason
from app.leads.wiring import suppress
from app.people.infrastructure.erasing import erase_person
from tests.api.people.test_erase_lead import SUPPRESS, erased
from tests.factories.accounts import Person
from tests.factories.merging import run_sql
from tests.factories.people import Known, created
from tests.factories.sending import codes
from tests.fixtures.processes import eventually
from tests.fixtures.traces import rows_with

WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def until_it_waits(person: Person, doors: Doors, task: "asyncio.Task[Any]") -> None:
    """For the other, or has not."""

    async def waits_or_is_done() -> bool:
        return task.done() or (await run_sql(person, doors, WAITING))[0].count > 0

    await eventually(waits_or_is_done, what="one of two to wait")


async def bounced(doors: Doors, person: Person, address: str) -> bool:
    async with doors.open_work(person.workspace_id) as work:
        return await _suppressed(work, person, address)


async def _suppressed(work: Any, person: Person, address: str) -> bool:
    return await suppress(
        work,
        person.workspace_id,
        value=address,
        channel=Channel.EMAIL,
        reason=SuppressionReason.HARD_BOUNCE,
    )


async def test_a_suppression_that_came_first_goes_with_the_person(ana: Person, doors: Doors) -> None:
    known = Known.somebody()
    lead_id = await created(ana, known)
    async with doors.open_work(ana.workspace_id) as work:
        assert await _suppressed(work, ana, known.email)
        erasing = asyncio.create_task(erased(ana, lead_id, known.name))
        await until_it_waits(ana, doors, erasing)
    assert await erasing == [str(lead_id)]
    assert await rows_with(doors, [known.email]) == {}


async def test_a_suppression_that_came_second_is_refused(ana: Person, doors: Doors) -> None:
    known = Known.somebody()
    lead_id = await created(ana, known)
    async with doors.open_work(ana.workspace_id) as work:
        await erase_person(work, ana.workspace_id, lead_id, known.name)
        by_hand = asyncio.create_task(ana.run(SUPPRESS, {"input": {"value": known.email}}))
        by_bounce = asyncio.create_task(bounced(doors, ana, known.email))
        await until_it_waits(ana, doors, by_hand)
        await until_it_waits(ana, doors, by_bounce)
    assert codes((await by_hand)["suppress"]) == [("CONFLICT", ["value"])]
    assert not await by_bounce
    assert await rows_with(doors, [known.email]) == {}


async def test_at_once_whoever_comes_first(ana: Person, doors: Doors) -> None:
    for _ in range(5):
        known = Known.somebody()
        lead_id = await created(ana, known)
        await asyncio.gather(
            ana.run(SUPPRESS, {"input": {"value": known.email}}),
            erased(ana, lead_id, known.name),
            bounced(doors, ana, known.email),
        )
        assert await rows_with(doors, [known.email]) == {}
