"""The lanes of calls: woken by a ring, and shared by workspaces whose receivers take their time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from app.automations.domain.rule import Action, ActionKind, Match, Rule, Trigger
from app.automations.domain.run import CALL_DUE
from app.automations.infrastructure.secrets import sealed_secret
from app.common.work import Doors
from app.settings import Settings
from tests.fixtures.processes import eventually
from tests.fixtures.receivers import LOOPBACK, Receiver, status
from tests.fixtures.run_desk import RunDesk
from workers.main import Drainer

SET_SECRET = "UPDATE automation SET webhook_secret = :secret WHERE workspace_id = :workspace_id AND id = :id"


def calling(own: tuple[Settings, Doors], *, poll_s: float) -> Settings:
    settings, _ = own
    return settings.model_copy(update={"webhook_networks": LOOPBACK, "poll_s": poll_s})


@asynccontextmanager
async def ticking(settings: Settings, doors: Doors) -> AsyncIterator[Drainer]:
    drainer = Drainer(settings, doors)
    tick = asyncio.create_task(drainer.tick())
    try:
        yield drainer
    finally:
        drainer.stop()
        await tick
        await drainer.close()


async def to_call(doors: Doors, settings: Settings, url: str, *, leads: int) -> RunDesk:
    """A workspace with so many runs that are to call there."""
    desk = await RunDesk.with_leads(doors, settings, count=leads)
    rule = Rule(
        trigger=Trigger.LEAD_CREATED,
        no_reply_after_s=None,
        once_per_lead=False,
        match=Match.ALL,
        conditions=(),
        actions=[Action(ActionKind.CALL_WEBHOOK, text=url)],
    )
    rule_id = await desk.add_rule(rule)
    await desk.sql(SET_SECRET, id=rule_id, secret=sealed_secret(settings, desk.workspace_id))
    await desk.start(rule_id)
    await desk.turn()
    return desk


async def test_a_ring_wakes_a_lane(own: tuple[Settings, Doors]) -> None:
    """Which looks for itself once an hour."""
    _, doors = own
    settings = calling(own, poll_s=3600)
    async with Receiver.started() as receiver, ticking(settings, doors) as drainer:
        desk = await to_call(doors, settings, receiver.url, leads=1)
        await drainer.drain(CALL_DUE, desk.workspace_id)
        await eventually(lambda: receiver.called, what="the call")

        async def is_over() -> bool:
            return await desk.ends() == {("SUCCEEDED", None)}

        await eventually(is_over, what="the receipt")


async def test_who_takes_their_time_holds_up_no_other_workspace(own: tuple[Settings, Doors]) -> None:
    _, doors = own
    settings = calling(own, poll_s=0.1)
    go_on = asyncio.Event()

    async def slow(_: object, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(status(200))

    async with Receiver.started(slow) as slowly, Receiver.started() as receiver:
        many = await to_call(doors, settings, slowly.url, leads=30)
        await to_call(doors, settings, receiver.url, leads=1)
        async with ticking(settings, doors):
            await eventually(lambda: receiver.called, what="the other's call")
            assert len(slowly.called) < 30
            go_on.set()

            async def are_over() -> bool:
                return await many.ends() == {("SUCCEEDED", None)}

            await eventually(are_over, what="the end of all of them")
    ids: set[UUID | str] = {one.headers["webhook-id"] for one in slowly.called}
    assert len(ids) == 30
