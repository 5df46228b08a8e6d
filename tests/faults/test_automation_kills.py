"""kill -9 of the worker between the statements of a run of five actions, without Redis: each action is done once."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.automations.infrastructure.secrets import sealed_secret
from app.embedded.config import OFF
from tests.factories.accounts import Person
from tests.factories.automation_rows import add_rule, rule
from tests.factories.board import stage_ids
from tests.factories.conversations import make_lead, open_account
from tests.factories.templates import template
from tests.fixtures.fatal import FOLDER, arm, is_armed
from tests.fixtures.feed import create_tags
from tests.fixtures.five_actions import STEPS, check_each_once, five_actions
from tests.fixtures.installation import Installation
from tests.fixtures.processes import Worker, eventually
from tests.fixtures.receivers import Receiver
from tests.workers.test_delivery_machine import installation_settings

pytestmark = pytest.mark.xdist_group("automation kills")
FIRST = 5
RUN = "SELECT id, status FROM automation_run WHERE workspace_id = $1 AND lead_id = $2"
RECEIPTS = "SELECT position, action, result FROM automation_step WHERE run_id = $1 ORDER BY position"
END_LEASES = "UPDATE automation_run SET lease_until = now() WHERE status = 'RUNNING'"
SET_SECRET = "UPDATE automation SET webhook_secret = $3 WHERE workspace_id = $1 AND id = $2"


@pytest.fixture(scope="module")
async def installation() -> AsyncIterator[Installation]:
    async with Installation.started(
        apis=1, workers=0, SALESPAD_WEBHOOK_NETWORKS="127.0.0.0/8", SALESPAD_AUTOMATION_LEASE_S="20"
    ) as installation:
        yield installation


async def given_rule(installation: Installation, owner: Person, url: str) -> UUID:
    (tag_id,) = await create_tags(owner, ["Novo"])
    stage_id = (await stage_ids(owner))[1]
    async with installation.doors() as doors:
        account_id = await open_account(owner, doors)
    words = await template(owner, subject="Oi")
    actions = five_actions(
        tag_id=UUID(tag_id),
        stage_id=UUID(stage_id),
        template_id=UUID(words["id"]),
        account_id=account_id,
        url=url,
    )
    async with installation.doors() as doors:
        rule_id = await add_rule(owner, doors, rule(*actions))
    secret = sealed_secret(installation_settings(installation), owner.workspace_id)
    await installation.sql(SET_SECRET, owner.workspace_id, rule_id, secret)
    return rule_id


async def ended_or_dead(installation: Installation, owner: Person, lead_id: UUID, worker: Worker) -> bool:
    async def is_over() -> bool:
        rows = await installation.sql(RUN, owner.workspace_id, lead_id)
        return not worker.is_running() or any(row["status"] == "SUCCEEDED" for row in rows)

    await eventually(is_over, timeout_s=60, what="the kill, or the end of the run")
    return worker.is_running()


async def finished(installation: Installation, owner: Person, lead_id: UUID) -> UUID:
    async def has_ended() -> Any:
        (row,) = await installation.sql(RUN, owner.workspace_id, lead_id)
        return row["id"] if row["status"] == "SUCCEEDED" else None

    run_id = await eventually(has_ended, timeout_s=60, what="the end of the run")
    assert isinstance(run_id, UUID)
    return run_id


@pytest.mark.parametrize("every", [14, pytest.param(1, marks=pytest.mark.full)])
async def test_killed_before_a_statement(installation: Installation, tmp_path: Path, every: int) -> None:
    """Each of a run's, or every so many of them; then the run goes on in a new worker."""
    worker = installation.new_worker("fatal", **{FOLDER: str(tmp_path), "SALESPAD_REDIS_URL": OFF})
    killed_at: list[int] = []
    receipts: list[int] = []
    """That there were by then."""

    async def fetch(query: str, *arguments: object) -> Sequence[Any]:
        return await installation.sql(query, *arguments)

    async with Receiver.started() as receiver, installation.new_person() as owner:
        await given_rule(installation, owner, receiver.url)
        await worker.start()
        try:
            number = FIRST if every > 1 else 1
            while True:
                arm(tmp_path, f"statement-{number}")
                lead_id = await make_lead(owner)
                if await ended_or_dead(installation, owner, lead_id, worker):
                    break
                killed_at.append(number)
                of_lead = [row["id"] for row in await installation.sql(RUN, owner.workspace_id, lead_id)]
                receipts.append(len(await installation.sql(RECEIPTS, of_lead[0])))
                await installation.sql(END_LEASES)
                await worker.start()
                run_id = await finished(installation, owner, lead_id)
                steps = [tuple(row) for row in await installation.sql(RECEIPTS, run_id)]
                assert steps == STEPS, number
                where = f"killed before statement {number}"
                await check_each_once(fetch, receiver, owner.workspace_id, lead_id, run_id, where)
                number += every
            assert is_armed(tmp_path)
        finally:
            await worker.stop()
    assert receipts == sorted(receipts)
    assert receipts[-1] >= 4, "it was killed up to the last action"
    print(f"a run of 5 actions killed before its statements {killed_at}: each action once")
