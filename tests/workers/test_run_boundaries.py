"""A run of five actions whose worker dies before each of its statements in turn: each action is done once."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.automations.infrastructure.calling import Caller
from app.automations.infrastructure.runs import calls
from app.automations.infrastructure.runs import runs as turns
from app.automations.infrastructure.secrets import sealed_secret
from app.common.egress import Egress
from tests.fixtures.boundaries import Death, Died, met_by, watch
from tests.fixtures.five_actions import STEPS, check_each_once, five_actions
from tests.fixtures.processes import eventually
from tests.fixtures.receivers import LOOPBACK, Receiver
from tests.fixtures.run_desk import RunDesk, rule_of

SET_SECRET = "UPDATE automation SET webhook_secret = :secret WHERE workspace_id = :workspace_id AND id = :id"
END_LEASES = (
    "UPDATE automation_run SET lease_until = now() - interval '1 second' WHERE workspace_id = :workspace_id"
)
STATUS = "SELECT status FROM automation_run WHERE workspace_id = :workspace_id AND id = :id"


async def all_turns(runs: RunDesk) -> None:
    """As far as a worker's lanes get with what is due."""
    await runs.turn()
    caller = Caller(runs.settings, egress=Egress(True, networks=LOOPBACK), timeout_s=60)
    for claim in await runs.claim_runs(is_call=True):
        await caller.call(runs.doors, runs.settings, claim, lambda: False)


async def until_it_ends(runs: RunDesk, run_id: UUID) -> None:
    """By another worker, once the leases are over. The server may still be about the dead one's connection."""

    async def has_ended() -> bool:
        await runs.sql(END_LEASES)
        async with runs.doors.open_system() as system:
            await turns.reap(system)
            await calls.reap(system)
        await all_turns(runs)
        return await runs.sql(STATUS, id=run_id) not in ("WAITING", "RUNNING")

    await eventually(has_ended, what="the end of the run")


async def test_dying_before_each_statement(runs: RunDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    watch(monkeypatch.setattr)
    settings = runs.settings.model_copy(update={"webhook_lease_s": 600.0})
    runs.settings = settings
    assert settings.database_url is not None
    behind: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        settings.database_url, server_settings={"role": "sp_system"}
    )

    async def fetch(query: str, *arguments: object) -> Sequence[Any]:
        return await behind.fetch(query, *arguments)

    async with Receiver.started() as receiver:
        actions = five_actions(
            tag_id=await runs.new_tag(),
            stage_id=await runs.new_stage(),
            template_id=await runs.new_template("Olá {{ lead.name }}"),
            account_id=runs.account_id,
            url=receiver.url,
        )
        rule_id = await runs.add_rule(rule_of(*actions))
        await runs.sql(SET_SECRET, id=rule_id, secret=sealed_secret(settings, runs.workspace_id))
        death, done_before = Death(after=-1), []
        while death.after < 0 or death.has_come:
            death = Death(after=death.after + 1)
            lead_id = await runs.new_lead(email=f"{secrets.token_hex(6)}@example.com")
            (run_id,) = await runs.start(rule_id, [lead_id], seq=death.after)
            with met_by(death), suppress(Died):
                await all_turns(runs)
            done_before.append(len(await runs.steps(run_id)))
            await until_it_ends(runs, run_id)
            assert await runs.steps(run_id) == STEPS, death.after
            where = f"died before statement {death.after}"
            await check_each_once(fetch, receiver, runs.workspace_id, lead_id, run_id, where)
    await behind.close()
    assert set(done_before) == {0, 1, 2, 3, 4, 5}, "it died between any two actions"
    assert done_before == sorted(done_before)
    print(f"a run of 5 actions died before each of its {death.after} statements: each action once")
