"""Workers that die, or meet an outage, with many runs in hand: whose attempt it was, and what becomes of the others."""

from collections import Counter
from contextlib import suppress
from uuid import UUID

import pytest
from sqlalchemy import text

from app.automations.domain.rule import Action
from app.automations.infrastructure import running
from app.automations.infrastructure.acting import Turn
from app.automations.infrastructure.receipts import Receipt
from app.automations.infrastructure.running import Runner
from app.automations.infrastructure.runs import runs as due_runs
from app.common.leases import BACKOFF_S
from app.common.work import Unavailable, Work
from tests.fixtures.boundaries import Died
from tests.fixtures.run_desk import RunDesk, note, rule_of

END_LEASES = "UPDATE automation_run SET lease_until = now() - interval '1 second' WHERE status = 'RUNNING'"


async def test_what_takes_its_worker_with_it_is_given_up(runs: RunDesk) -> None:
    await runs.start(await runs.add_rule(rule_of(note())), runs.lead_ids[:1])
    await runs.sql("UPDATE automation_run SET attempt = 5 WHERE workspace_id = :workspace_id")
    await runs.turn()
    (run,) = await runs.runs()
    assert (run.status, run.reason) == ("FAILED", "INTERNAL_ERROR")
    assert run.error == "No worker outlived it in 5 attempts."


async def test_what_takes_its_worker_with_it_is_given_up_alone(
    runs: RunDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all that its workers had in hand: of its set, of another rule's, of another workspace's."""
    act, poison, kills = running.act, runs.lead_ids[0], 0

    async def kill(work: Work, turn: Turn, action: Action) -> list[Receipt]:
        nonlocal kills
        if poison in turn.lead_ids:
            kills += 1
            raise Died
        return await act(work, turn, action)

    monkeypatch.setattr(running, "act", kill)
    other = await RunDesk.with_leads(runs.doors, runs.settings, count=2)
    await runs.start(await runs.add_rule(rule_of(note())))
    await runs.start(await runs.add_rule(rule_of(note())), runs.lead_ids[1:])
    await other.start(await other.add_rule(rule_of(note())))
    while claims := await runs.claim_runs():
        with suppress(Died):
            await runs.turn(claims)
        async with runs.doors.open_system() as system:
            await system.execute(text(END_LEASES))
            await due_runs.reap(system)

    assert kills == len(BACKOFF_S)
    ends = Counter((one.lead_id, one.status) for one in await runs.runs() + await other.runs())
    done = Counter((id, "SUCCEEDED") for id in [*runs.lead_ids[1:] * 2, *other.lead_ids])
    assert ends == {(poison, "FAILED"): 1, **done}


async def test_who_meets_an_outage_gives_back_what_it_has_not_begun(
    runs: RunDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database may answer others: who runs into the time-out keeps nobody waiting for a lease's end."""
    tried: list[UUID] = []

    async def away(_: Work, turn: Turn, __: Action) -> list[Receipt]:
        tried.extend(turn.lead_ids)
        raise Unavailable

    monkeypatch.setattr(running, "act", away)
    for seq in (1, 2, 3):
        await runs.start(await runs.add_rule(rule_of(note())), runs.lead_ids[:1], seq=seq)
    await runs.sql(
        "UPDATE automation_run SET attempt = 2 WHERE workspace_id = :workspace_id AND trigger_seq = 4"
    )
    claims = await runs.claim_runs()

    async def fail(*_: object) -> None:
        raise AssertionError("nothing failed")

    with pytest.raises(Unavailable):
        await Runner(runs.settings).run_all(runs.doors, claims, lambda: bool(tried), fail)
    rows = sorted((one.status, one.attempt) for one in await runs.runs())
    assert rows == [("RUNNING", 1), ("WAITING", 0), ("WAITING", 2)]
