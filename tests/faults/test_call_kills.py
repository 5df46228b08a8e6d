"""kill -9 of the worker during a webhook's call, and between its answer and its receipt: it is called again under the
same id, and what comes after it is done once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from app.automations.domain.rule import Action, ActionKind, Match, Rule, Trigger
from app.automations.infrastructure.secrets import sealed_secret
from app.common.work import Doors
from app.embedded.config import OFF
from app.settings import Settings
from tests.fixtures.databases import bare_database
from tests.fixtures.processes import Worker, eventually
from tests.fixtures.receivers import Receiver, hang, status
from tests.fixtures.run_desk import RunDesk

SET_SECRET = "UPDATE automation SET webhook_secret = :secret WHERE workspace_id = :workspace_id AND id = :id"
WAITERS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND :pid = ANY (pg_blocking_pids(pid))"
END_LEASE = "UPDATE automation_run SET lease_until = now() WHERE workspace_id = :workspace_id"


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[RunDesk]:
    own = await bare_database(settings)
    doors = Doors(own)
    yield await RunDesk.with_leads(doors, own, count=1)
    await doors.close()


def worker_of(desk: RunDesk) -> Worker:
    assert desk.settings.database_url is not None
    environment = {
        "SALESPAD_DATABASE_URL": desk.settings.database_url,
        "SALESPAD_REDIS_URL": OFF,
        "SALESPAD_POLL_S": "0.1",
        "SALESPAD_WEBHOOK_NETWORKS": "127.0.0.0/8",
    }
    return Worker(environment=environment)


async def lock_runs(desk: RunDesk, killed: Worker, go_on: asyncio.Event) -> None:
    """The answer comes while the run is locked, and the worker dies as it waits to write the receipt."""
    async with desk.doors.open_system() as system:
        locked = await system.execute(text("SELECT pg_backend_pid() FROM automation_run FOR UPDATE"))
        pid = locked.scalar_one()
        go_on.set()

        async def waits() -> bool:
            return bool(await desk.sql(WAITERS, pid=pid))

        await eventually(waits, what="a receipt that waits for the lock")
        await killed.kill()


async def test_a_killed_worker_leaves_a_call_that_is_made_again(desk: RunDesk) -> None:
    go_on = asyncio.Event()

    async def then_accepts(_: object, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(status(200))

    worker = worker_of(desk)
    async with Receiver.started(hang, then_accepts, status(200)) as receiver:
        actions = (
            Action(ActionKind.CALL_WEBHOOK, text=receiver.url),
            Action(ActionKind.ADD_NOTE, text="Chamado"),
        )
        rule = Rule(
            trigger=Trigger.LEAD_CREATED,
            no_reply_after_s=None,
            once_per_lead=False,
            match=Match.ALL,
            conditions=(),
            actions=actions,
        )
        rule_id = await desk.add_rule(rule)
        await desk.sql(SET_SECRET, id=rule_id, secret=sealed_secret(desk.settings, desk.workspace_id))
        (run_id,) = await desk.start(rule_id)
        try:
            await worker.start()
            await eventually(lambda: len(receiver.called) == 1, what="the first call")
            await worker.kill()
            assert await desk.steps(run_id) == []
            await desk.sql(END_LEASE)

            await worker.start()
            await eventually(lambda: len(receiver.called) == 2, what="the second call")
            await lock_runs(desk, worker, go_on)
            assert await desk.steps(run_id) == []
            await desk.sql(END_LEASE)

            await worker.start()

            async def is_over() -> bool:
                return await desk.ends() == {("SUCCEEDED", None)}

            await eventually(is_over, what="the end of the run")
        finally:
            await worker.stop()
    assert [one.headers["webhook-id"] for one in receiver.called] == [f"run_{run_id.hex}_0"] * 3
    assert await desk.steps(run_id) == [(0, "CALL_WEBHOOK", "CALLED"), (1, "ADD_NOTE", "DONE")]
    notes = [one for one in await desk.timeline(desk.lead_ids[0]) if one.type == "NOTE"]
    assert len(notes) == 1
