"""The worker's steps of a bulk send: its audience, its start, its watch, its end."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.common.leases import LostLease
from app.common.work import Doors
from app.conversations.infrastructure.outgoing import OutgoingRepository
from app.outreach.application import running
from app.outreach.infrastructure.erasing import REASON as SEARCH_ERASED
from app.outreach.infrastructure.ledger import BulkSendLedger
from app.outreach.wiring import bulk_sends, fail_bulk_send
from app.settings import Settings
from tests.factories.outreach import Outreach
from tests.fixtures.databases import bare_database
from tests.fixtures.processes import eventually

RECIPIENTS = """
SELECT count(*), count(DISTINCT lead_id), count(*) FILTER (WHERE status = 'queued') FROM delivery
WHERE workspace_id = :workspace_id
"""
LOOK_AT = "SELECT look_at FROM send_pace WHERE workspace_id = :workspace_id AND kind = 'BATCH'"
# The message that its first intent made of the one recipient, and that failed.
WRITTEN = """
WITH talk AS (
    INSERT INTO conversation (workspace_id, lead_id, account_id, channel, contact_address)
    SELECT workspace_id, lead_id, account_id, 'EMAIL', 'bia@lead.example' FROM delivery
    WHERE workspace_id = :workspace_id
    RETURNING *
), written AS (
    INSERT INTO message (workspace_id, conversation_id, position, account_id, direction, author_kind, body, status)
    SELECT workspace_id, id, 1, account_id, 'OUTBOUND', 'HUMAN', 'Hello', 'FAILED' FROM talk
    RETURNING *
)
UPDATE delivery d SET message_id = w.id, conversation_id = w.conversation_id, position = 1
FROM written w WHERE d.workspace_id = w.workspace_id
RETURNING w.id
"""
# As an erase ends one that looks for somebody.
ERASED = "UPDATE bulk_send SET state = 'CANCELED', pause_reason = :reason, filter = NULL WHERE id = :id"
LEADS = 25
CHUNK = 4


@pytest.fixture(scope="module")
async def own(settings: Settings) -> AsyncIterator[tuple[Doors, Settings]]:
    """A database that no worker is on."""
    bare = await bare_database(settings)
    doors = Doors(bare)
    yield doors, bare.model_copy(update={"bulk_send_chunk_leads": CHUNK})
    await doors.close()


@pytest.fixture
async def outreach(own: tuple[Doors, Settings]) -> Outreach:
    return await Outreach.begun(*own)


async def recipients(outreach: Outreach) -> tuple[int, int]:
    """How many, and how many different leads."""
    async with outreach.doors.open_work(outreach.crowd.workspace_id) as work:
        row = (await work.execute(text(RECIPIENTS), {"workspace_id": outreach.crowd.workspace_id})).one()
    return row[0], row[1]


async def batch_status(outreach: Outreach, id: UUID) -> str:
    return str(
        await outreach.crowd.sql(
            "SELECT b.status FROM send_batch b JOIN bulk_send s ON s.send_batch_id = b.id WHERE s.id = :id",
            id=id,
        )
    )


async def crowded(outreach: Outreach, count: int = LEADS) -> None:
    """Of these, a tenth have no address."""
    await outreach.crowd.add_many(count)


async def test_its_audience_is_taken_in_by_chunks(outreach: Outreach) -> None:
    await crowded(outreach)
    id = await outreach.launched()
    await outreach.turn()
    assert await recipients(outreach) == (23, 23)
    state = await outreach.state(id)
    assert (state.state, state.filter, state.attempt) == ("RUNNING", None, 0)
    assert state.expanded_at is not None
    assert json.loads(state.exclusions) == {"NO_ADDRESS": 2}
    assert json.loads(state.told)["queued"] == 23
    assert await outreach.told(id) == ["DRAFT", "RUNNING", "RUNNING"]
    await outreach.turn()
    assert await outreach.told(id) == ["DRAFT", "RUNNING", "RUNNING"], "nothing has moved"


@pytest.mark.parametrize("step", range(LEADS // CHUNK + 2))
async def test_killed_at_any_step_nobody_is_added_twice_or_lost(
    outreach: Outreach, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    await crowded(outreach)
    id = await outreach.launched()
    record, calls = BulkSendLedger.record, iter(range(100))

    async def killed(self: BulkSendLedger, watched: Any) -> None:
        await record(self, watched)
        if next(calls) == step:
            raise RuntimeError("killed before its commit")

    monkeypatch.setattr(BulkSendLedger, "record", killed)
    claim = await outreach.claimed()
    with pytest.raises(RuntimeError):
        await outreach.turn(claim)
    await outreach.turn(claim)
    assert await recipients(outreach) == (23, 23)
    assert json.loads((await outreach.state(id)).exclusions) == {"NO_ADDRESS": 2}


async def test_run_twice_at_once_nobody_is_added_twice_or_lost(outreach: Outreach) -> None:
    await crowded(outreach)
    id = await outreach.launched()
    claim = await outreach.claimed()
    turns = await asyncio.gather(*(outreach.turn(claim) for _ in range(3)), return_exceptions=True)
    assert all(one is None or isinstance(one, LostLease) for one in turns), turns
    assert await recipients(outreach) == (23, 23)
    assert json.loads((await outreach.state(id)).exclusions) == {"NO_ADDRESS": 2}


async def test_whose_lease_was_lost_writes_nothing(outreach: Outreach) -> None:
    await crowded(outreach)
    await outreach.launched()
    stale = await outreach.claimed(lease_s=0)
    async with outreach.doors.open_system() as system:
        assert await bulk_sends.reap(system) >= 1
    claim = await outreach.claimed()
    with pytest.raises(LostLease):
        await outreach.turn(stale)
    assert await recipients(outreach) == (0, 0)
    await outreach.turn(claim)
    assert await recipients(outreach) == (23, 23)


async def test_leads_made_after_the_launch_are_not_in_it(outreach: Outreach) -> None:
    await crowded(outreach, 5)
    await outreach.launched()
    await crowded(outreach, 5)
    await outreach.turn()
    assert await recipients(outreach) == (5, 5)


async def test_it_has_completed_when_nobody_is_left(outreach: Outreach) -> None:
    await crowded(outreach, 6)
    id = await outreach.launched()
    await outreach.turn()
    await outreach.settle("sent", 3)
    await outreach.settle("failed", 1)
    await outreach.settle("unknown", 1)
    await outreach.turn()
    assert (await outreach.state(id)).state == "RUNNING"
    await outreach.settle("canceled", 1)
    await outreach.turn()
    state = await outreach.state(id)
    assert (state.state, state.status) == ("COMPLETED", "idle")
    assert state.finished_at is not None
    assert json.loads(state.told) == {
        "queued": 0,
        "sent": 3,
        "failed": 1,
        "unknown": 1,
        "canceled": 1,
        "replied": 0,
        "bounced": 0,
        "complained": 0,
        "excluded": 0,
    }
    assert await outreach.told(id) == ["DRAFT", *["RUNNING"] * 3, "COMPLETED"]


async def test_one_sent_again_at_the_last_moment_is_not_left_behind(
    outreach: Outreach, monkeypatch: pytest.MonkeyPatch
) -> None:
    await crowded(outreach, 3)
    id = await outreach.launched()
    await outreach.turn()
    await outreach.settle("failed", 3)
    close = BulkSendLedger.close

    async def beaten(self: BulkSendLedger, watched: Any) -> bool:
        await outreach.crowd.sql("UPDATE delivery SET status = 'queued' WHERE workspace_id = :workspace_id")
        return await close(self, watched)

    monkeypatch.setattr(BulkSendLedger, "close", beaten)
    await outreach.turn()
    assert (await outreach.state(id)).state == "RUNNING"
    assert await outreach.crowd.sql(LOOK_AT) is not None


async def test_one_sent_again_after_the_end_has_no_claim_look_for_more(outreach: Outreach) -> None:
    """It leaves by the claims of people's messages; a batch that has ended would be looked at for ever."""
    await crowded(outreach, 1)
    id = await outreach.launched()
    await outreach.turn()
    message_id = await outreach.crowd.sql(WRITTEN)
    await outreach.settle("failed", 1)
    await outreach.turn()
    assert (await outreach.state(id)).state == "COMPLETED"
    assert await outreach.crowd.sql(LOOK_AT) is None
    async with outreach.doors.open_work(outreach.crowd.workspace_id) as work:
        assert await OutgoingRepository(work).resend(outreach.crowd.workspace_id, message_id) == "FAILED"
    assert await outreach.crowd.sql(LOOK_AT) is None
    batch_id = (await outreach.state(id)).send_batch_id
    assert (await outreach.crowd.tally(batch_id)).queued == 1
    assert (await outreach.state(id)).state == "COMPLETED"


async def test_it_pauses_by_its_errors_and_again_only_by_new_ones(outreach: Outreach) -> None:
    await crowded(outreach, 60)
    id = await outreach.launched()
    await outreach.turn()
    await outreach.settle("sent", 15)
    await outreach.settle("failed", 5)
    await outreach.turn()
    state = await outreach.state(id)
    assert state.state == "PAUSED"
    assert state.pause_reason.startswith("ERROR_RATE|5|20")
    assert await batch_status(outreach, id) == "PAUSED"
    await outreach.moved("resume", id)
    await outreach.settle("sent", 19)
    await outreach.turn()
    assert (await outreach.state(id)).state == "RUNNING"
    assert (await outreach.state(id)).pause_reason is None
    await outreach.settle("unknown", 6)
    await outreach.turn()
    assert (await outreach.state(id)).pause_reason.startswith("ERROR_RATE|6|25")


async def test_what_came_while_it_was_paused_pauses_it_no_more(outreach: Outreach) -> None:
    """What was on its way, and what providers told of it: whoever resumed had seen that."""
    await crowded(outreach, 60)
    id = await outreach.launched()
    await outreach.turn()
    await outreach.moved("pause", id)
    await outreach.turn()
    await outreach.settle("failed", 20)
    await outreach.moved("resume", id)
    await outreach.turn()
    assert (await outreach.state(id)).state == "RUNNING"
    await outreach.settle("failed", 20)
    await outreach.turn()
    assert (await outreach.state(id)).pause_reason.startswith("ERROR_RATE|20|20")


@pytest.mark.parametrize(
    ("kind", "count", "reason"), [("has_bounced", 3, "BOUNCE_RATE"), ("has_complained", 2, "COMPLAINT_RATE")]
)
async def test_it_pauses_by_what_comes_back(outreach: Outreach, kind: str, count: int, reason: str) -> None:
    await crowded(outreach, 400)
    id = await outreach.launched()
    await outreach.turn()
    await outreach.settle("sent", 50 if kind == "has_bounced" else 310)
    await outreach.turn()
    assert (await outreach.state(id)).state == "RUNNING"
    await outreach.settle("sent", count, **{kind: True})
    await outreach.turn()
    assert (await outreach.state(id)).pause_reason.startswith(f"{reason}|{count}|")


async def test_canceled_once_more_it_says_as_before_why_it_ended(outreach: Outreach) -> None:
    await crowded(outreach, 5)
    id = await outreach.launched()
    await outreach.turn()
    await outreach.crowd.sql(ERASED, reason=SEARCH_ERASED, id=id)
    await outreach.moved("cancel", id)
    state = await outreach.state(id)
    assert (state.state, state.pause_reason) == ("CANCELED", SEARCH_ERASED)


async def test_what_is_left_of_a_canceled_one_is_canceled_bit_by_bit(
    outreach: Outreach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "CANCEL_ROWS", 5)
    await crowded(outreach, 19)
    id = await outreach.launched()
    await outreach.turn()
    await outreach.settle("sent", 2)
    await outreach.settle("claimed", 1)
    await outreach.moved("cancel", id)
    assert await batch_status(outreach, id) == "CANCELED"
    await outreach.turn()
    state = await outreach.state(id)
    assert (state.state, state.finished_at, state.status) == ("CANCELED", None, "queued")
    assert json.loads(state.told) | {"excluded": 1, "queued": 1, "sent": 2, "canceled": 15} == json.loads(
        state.told
    )
    await outreach.crowd.sql(
        "UPDATE delivery SET status = 'queued' WHERE workspace_id = :workspace_id AND status = 'claimed'"
    )
    await outreach.turn()
    state = await outreach.state(id)
    assert (state.state, state.status, json.loads(state.told)["canceled"]) == ("CANCELED", "idle", 16)
    assert state.finished_at is not None
    reasons = "SELECT DISTINCT error FROM delivery WHERE workspace_id = :workspace_id AND status = 'canceled'"
    assert await outreach.crowd.sql(reasons) == "BULK_SEND_CANCELED"


async def test_canceled_in_the_middle_of_its_audience_takes_in_nobody_more(
    outreach: Outreach, monkeypatch: pytest.MonkeyPatch
) -> None:
    await crowded(outreach)
    id = await outreach.launched()
    record = BulkSendLedger.record

    async def killed(self: BulkSendLedger, watched: Any) -> None:
        await record(self, watched)
        if watched.after_id.int and not killed_once:
            killed_once.append(True)
            raise RuntimeError("killed before its commit")

    killed_once: list[bool] = []
    monkeypatch.setattr(BulkSendLedger, "record", killed)
    claim = await outreach.claimed()
    with pytest.raises(RuntimeError):
        await outreach.turn(claim)
    await outreach.moved("cancel", id)
    await outreach.turn(claim)
    assert await recipients(outreach) == (0, 0)
    state = await outreach.state(id)
    assert (state.state, state.filter, state.status) == ("CANCELED", None, "idle")
    assert state.finished_at is not None


@pytest.mark.parametrize("how", ["pause", "cancel"])
async def test_who_stops_it_waits_for_what_is_about_to_leave(outreach: Outreach, how: str) -> None:
    await crowded(outreach, 3)
    id = await outreach.launched()
    await outreach.turn()
    async with outreach.doors.open_work(outreach.crowd.workspace_id) as intent:
        await intent.execute(
            text("SELECT FROM send_batch WHERE workspace_id = :workspace_id FOR SHARE"),
            {"workspace_id": outreach.crowd.workspace_id},
        )
        stopping = asyncio.create_task(outreach.moved(how, id))

        async def waits() -> bool:
            async with outreach.doors.open_system() as system:
                found = await system.execute(
                    text(
                        "SELECT count(*) FROM pg_locks WHERE NOT granted AND database IS NOT NULL OR NOT granted"
                    )
                )
                return bool(found.scalar_one())

        await eventually(waits, what="the wait")
        assert not stopping.done()
    await stopping
    assert await batch_status(outreach, id) == ("PAUSED" if how == "pause" else "CANCELED")


async def test_one_that_cannot_be_run_stands_still_and_says_so(outreach: Outreach) -> None:
    await crowded(outreach, 3)
    id = await outreach.launched()
    await fail_bulk_send(outreach.doors, await outreach.claimed(), "Unexpected error 7: KeyError")
    state = await outreach.state(id)
    assert (state.state, state.status) == ("PAUSED", "idle")
    assert state.pause_reason.startswith("INTERNAL_ERROR|Unexpected error 7")
    assert await batch_status(outreach, id) == "PAUSED"
    await outreach.moved("resume", id)
    await outreach.turn()
    assert await recipients(outreach) == (3, 3)
