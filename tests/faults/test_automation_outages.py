"""Rules under outages: a wait of three days through restarts of everything and a changed rule; several workers of which
one is killed while Redis is gone; switching off in the middle of many runs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from app.embedded.config import OFF
from app.leads.domain.lead import LeadSource, created
from tests.factories.accounts import Person
from tests.factories.board import stage_ids
from tests.factories.conversations import make_lead
from tests.fixtures.feed import create_tags
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually

pytestmark = pytest.mark.xdist_group("automation outages")
CREATE = """mutation ($input: CreateAutomationInput!) { createAutomation(input: $input) {
  automation { id version } errors { code message path } } }"""
UPDATE = """mutation ($input: UpdateAutomationInput!) { updateAutomation(input: $input) {
  automation { version } errors { code message path } } }"""
SWITCH = """mutation ($input: SetAutomationEnabledInput!) { setAutomationEnabled(input: $input) {
  automation { enabled } errors { code message path } } }"""
GIVE = """
INSERT INTO lead (workspace_id, name, stage_id, rank, source)
SELECT $1, 'Bia', (SELECT id FROM stage WHERE workspace_id = $1 ORDER BY position LIMIT 1), 'i', 'CSV'
FROM generate_series(1, $2::int) RETURNING id
"""
RUNS = "SELECT lead_id, status, reason, position, run_at - now() AS due_in FROM automation_run WHERE workspace_id = $1"
RECEIPTS = """
SELECT r.lead_id, s.position
FROM automation_step s JOIN automation_run r ON (r.workspace_id, r.id) = (s.workspace_id, s.run_id)
WHERE s.workspace_id = $1
"""
NOTES = "SELECT lead_id, content FROM interaction WHERE workspace_id = $1 AND type = 'NOTE' ORDER BY id"
COME = "UPDATE automation_run SET run_at = now() WHERE workspace_id = $1 AND status = 'WAITING'"
LIVE = ("WAITING", "RUNNING")


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    """Its servers are killed: each test has its own."""
    async with Installation.started(
        apis=1, workers=0, SALESPAD_AUTOMATION_LEASE_S="1", SALESPAD_AUTOMATION_CLAIM_RUNS="20"
    ) as installation:
        yield installation


async def created_rule(owner: Person, *actions: dict[str, object]) -> str:
    given = {"name": "Regra", "trigger": "LEAD_CREATED", "enabled": True, "actions": list(actions)}
    payload = (await owner.run(CREATE, {"input": given}))["createAutomation"]
    assert payload["errors"] == [], payload
    return str(payload["automation"]["id"])


async def give_leads(installation: Installation, owner: Person, count: int, *, together: int) -> list[UUID]:
    """The feed tells of so many in each event."""
    ids = [row["id"] for row in await installation.sql(GIVE, owner.workspace_id, count)]
    async with installation.doors() as doors, doors.open_work(owner.workspace_id) as work:
        for start in range(0, count, together):
            work.announce(created(ids[start : start + together], LeadSource.CSV))
    return ids


async def all_ended(installation: Installation, owner: Person, count: int) -> list[Any]:
    async def ended() -> list[Any] | None:
        rows = await installation.sql(RUNS, owner.workspace_id)
        return rows if len(rows) == count and not any(row["status"] in LIVE for row in rows) else None

    rows = await eventually(ended, timeout_s=90, what="the end of all runs")
    assert isinstance(rows, list)
    return rows


async def test_a_wait_of_three_days_outlives_everything_and_goes_on_as_it_began(
    installation: Installation,
) -> None:
    async with installation.new_person() as owner:
        days = {"waitSeconds": 3 * 86_400}
        rule_id = await created_rule(owner, {"addNote": "antes"}, days, {"addNote": "depois"})
        worker = installation.new_worker()
        await worker.start()
        lead_id = await make_lead(owner)

        async def waits() -> bool:
            rows = await installation.sql(RUNS, owner.workspace_id)
            return [(row["status"], row["position"]) for row in rows] == [("WAITING", 2)]

        await eventually(waits, what="the wait")
        (row,) = await installation.sql(RUNS, owner.workspace_id)
        assert 71 * 3600 < row["due_in"].total_seconds() <= 72 * 3600
        given = {"id": rule_id, "version": 1, "actions": [{"addNote": "agora outra coisa"}]}
        assert (await owner.run(UPDATE, {"input": given}))["updateAutomation"]["errors"] == []

        await worker.kill()
        (api,) = installation.apis
        await api.kill()
        await installation.kill_redis()
        await installation.kill_postgres()
        await installation.start_postgres()
        await installation.start_redis()
        await installation.restart(api)
        await installation.sql(COME, owner.workspace_id)
        others = [installation.new_worker() for _ in range(2)]
        await asyncio.gather(*(one.start() for one in others))
        try:
            await all_ended(installation, owner, 1)
            later = await make_lead(owner)
            assert {row["status"] for row in await all_ended(installation, owner, 2)} == {"SUCCEEDED"}
        finally:
            for one in (worker, *others):
                await one.stop()
        notes = [tuple(row) for row in await installation.sql(NOTES, owner.workspace_id)]
    assert notes == [(lead_id, "antes"), (lead_id, "depois"), (later, "agora outra coisa")]


async def test_several_workers_of_which_one_is_killed_without_redis(installation: Installation) -> None:
    count = 600
    async with installation.new_person() as owner:
        (tag_id,) = await create_tags(owner, ["Novo"])
        stage_id = (await stage_ids(owner))[1]
        await created_rule(owner, {"addTag": tag_id}, {"moveStage": stage_id}, {"addNote": "Ligar"})
        workers = [installation.new_worker() for _ in range(3)]
        await asyncio.gather(*(one.start() for one in workers))
        try:
            leads = await give_leads(installation, owner, count, together=50)
            await installation.kill_redis()

            async def has_begun() -> bool:
                return len(await installation.sql(RECEIPTS, owner.workspace_id)) > 0

            await eventually(has_begun, timeout_s=60, what="the first receipt")
            await workers[0].kill()
            rows = await all_ended(installation, owner, count)
        finally:
            for one in workers:
                await one.stop()
        assert {(row["status"], row["reason"]) for row in rows} == {("SUCCEEDED", None)}
        once = dict.fromkeys(leads, 1)
        assert Counter(row["lead_id"] for row in rows) == once
        assert Counter(row["lead_id"] for row in await installation.sql(NOTES, owner.workspace_id)) == once
        receipts = Counter(tuple(row) for row in await installation.sql(RECEIPTS, owner.workspace_id))
        assert receipts == {(id, n): 1 for id in leads for n in range(3)}
    print(f"{count} runs of 3 actions by 3 workers, one killed, Redis gone: each action once")


async def test_switched_off_in_the_middle_nothing_more_is_done(installation: Installation) -> None:
    """Once the mutation has answered; what had ended by then has, all else is canceled and says why."""
    count = 300
    async with installation.new_person() as owner:
        rule_id = await created_rule(owner, *({"addNote": f"{n}"} for n in range(12)))
        worker = installation.new_worker(SALESPAD_REDIS_URL=OFF)
        await worker.start()
        try:
            await give_leads(installation, owner, count, together=count)

            async def has_begun() -> bool:
                return len(await installation.sql(RECEIPTS, owner.workspace_id)) > 0

            await eventually(has_begun, timeout_s=60, what="the first receipt")
            payload = (await owner.run(SWITCH, {"input": {"id": rule_id, "enabled": False}}))[
                "setAutomationEnabled"
            ]
            assert payload == {"automation": {"enabled": False}, "errors": []}
            done = len(await installation.sql(RECEIPTS, owner.workspace_id))
            rows = await all_ended(installation, owner, count)
        finally:
            await worker.stop()
        ends = Counter((row["status"], row["reason"]) for row in rows)
        assert set(ends) <= {("SUCCEEDED", None), ("CANCELED", "DISABLED")}
        assert ends["CANCELED", "DISABLED"] > 0
        receipts = await installation.sql(RECEIPTS, owner.workspace_id)
        assert len(receipts) == done < count * 12
        assert len(await installation.sql(NOTES, owner.workspace_id)) == done
        assert len(await installation.sql(RUNS, owner.workspace_id)) == count
    print(f"{count} runs of 12 actions switched off after {done} actions: {dict(ends)}, no action after it")
