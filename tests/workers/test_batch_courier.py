"""A batch's lane: the first intent writes the message, the record of one and the intent of the next go together."""

import asyncio
from typing import Any

import pytest

from app.channels.domain.ports import OutboundMessage, Rejected, Retry, Unknown
from app.common.leases import Claim
from app.common.work import Doors
from app.conversations.domain.batch import BatchStatus
from app.conversations.domain.batch_turn import Draft
from app.conversations.domain.delivery import MAX_CALLS
from app.conversations.infrastructure.batch_ledger import BatchLedger
from app.conversations.infrastructure.pacing import spend, used_up
from app.settings import Settings
from tests.fixtures.batches import BatchDesk, says
from tests.fixtures.replies import reply


async def test_each_recipient_gets_its_own_message_in_a_dormant_conversation(desk: BatchDesk) -> None:
    assert await desk.deliver() == 3
    rows = await desk.rows()
    assert [(row.status, row.shown, row.attempts, row.place) for row in rows] == [("sent", "SENT", 1, 1)] * 3
    assert [row.subject for row in rows] == ["Oi Bia 0", "Oi Bia 1", "Oi Bia 2"]
    assert {row.body for row in rows} == {"Olá Bia!"}
    assert {(row.conversation_status, row.is_dormant, row.message_count) for row in rows} == {
        ("CLOSED", True, 1)
    }
    assert all(row.author_id == desk.user_id and row.waiting_since is None for row in rows)
    calls = desk.senders.sender.calls
    assert [call.to_address for call in calls] == [row.email for row in rows]
    assert [call.key for call in calls] == [str(row.id) for row in rows]
    assert all(call.unsubscribe_url and "/unsubscribe/" in call.unsubscribe_url for call in calls)


# ── what the intent refuses ───────────────────────────────────────────────────────────────────────────────────────────
async def _delete(desk: BatchDesk, row: Any) -> None:
    await desk.delete(row.lead_id)


async def _suppress(desk: BatchDesk, row: Any) -> None:
    await desk.suppress(row.email)


async def _suppress_domain(desk: BatchDesk, row: Any) -> None:
    await desk.sql("UPDATE lead SET email = 'bia@blocked.example' WHERE id = :id", id=row.lead_id)
    await desk.suppress("@blocked.example")


async def _forget_address(desk: BatchDesk, row: Any) -> None:
    await desk.sql("UPDATE lead SET email = NULL WHERE id = :id", id=row.lead_id)


async def _forget_name(desk: BatchDesk, row: Any) -> None:
    await desk.sql("UPDATE lead SET name = ' ', version = version + 1 WHERE id = :id", id=row.lead_id)


async def _give_address(desk: BatchDesk, row: Any) -> None:
    """To the next one, who has it now; the first of the batch was written to there."""
    first = (await desk.rows())[0]
    await desk.sql("UPDATE lead SET email = NULL WHERE id = :id", id=first.lead_id)
    await desk.sql("UPDATE lead SET email = :email WHERE id = :id", id=row.lead_id, email=first.email)


async def _reply(desk: BatchDesk, row: Any) -> None:
    await reply(desk, row.email)


async def _cancel(desk: BatchDesk, row: Any) -> None:
    await desk.switch(BatchStatus.CANCELED)


REFUSED = {
    "LEAD_DELETED": _delete,
    "SUPPRESSED": _suppress,
    "SUPPRESSED by its domain": _suppress_domain,
    "NO_ADDRESS": _forget_address,
    "MISSING_VARIABLE": _forget_name,
    "SAME_ADDRESS": _give_address,
    "REPLIED": _reply,
    "BULK_SEND_CANCELED": _cancel,
}


@pytest.mark.parametrize("reason", sorted(REFUSED))
async def test_what_comes_between_keeps_the_next_one_back(desk: BatchDesk, reason: str) -> None:
    """During the first call, after all three were read and rendered; the others go on, the one leaves no trace."""
    _, second, _ = await desk.rows()
    desk.meanwhile(lambda: REFUSED[reason](desk, second))
    await desk.deliver()
    first, kept_back, third = await desk.rows()
    assert first.status == "sent"
    assert (kept_back.status, kept_back.error) == ("canceled", reason.partition(" ")[0])
    assert (kept_back.message_id, kept_back.conversation_id, kept_back.attempts) == (None, None, 0)
    assert third.status == ("canceled" if reason == "BULK_SEND_CANCELED" else "sent")
    talks = await desk.sql(
        "SELECT count(*) FROM message m JOIN conversation c ON c.id = m.conversation_id "
        "WHERE m.workspace_id = :workspace_id AND m.direction = 'OUTBOUND'"
    )
    assert talks == len(desk.senders.sender.calls) == (1 if reason == "BULK_SEND_CANCELED" else 2)


async def _pause(desk: BatchDesk) -> None:
    await desk.switch(BatchStatus.PAUSED)


async def _disconnect(desk: BatchDesk) -> None:
    await desk.sql("UPDATE channel_account SET status = 'DISCONNECTED' WHERE id = :id", id=desk.account_id)


async def _be_quiet(desk: BatchDesk) -> None:
    """Every day but one that is not today."""
    await desk.sql(
        "UPDATE workspace SET quiet_weekdays = array[1 + (extract(isodow FROM now() AT TIME ZONE time_zone)::int) % 7] "
        "WHERE id = :workspace_id"
    )


WAITING = {"a pause": _pause, "an account that is disconnected": _disconnect, "quiet hours": _be_quiet}


@pytest.mark.parametrize("what", sorted(WAITING))
async def test_what_is_not_the_recipients_fails_nobody(desk: BatchDesk, what: str) -> None:
    desk.meanwhile(lambda: WAITING[what](desk))
    await desk.deliver()
    rows = await desk.rows()
    assert [(row.status, row.attempt, row.error) for row in rows] == [
        ("sent", 0, None),
        ("queued", 0, None),
        ("queued", 0, None),
    ]
    assert rows[1].message_id is None is rows[2].message_id
    assert rows[1].is_due == (what == "a pause")
    await desk.sql("UPDATE workspace SET quiet_weekdays = NULL WHERE id = :workspace_id")
    await desk.sql("UPDATE channel_account SET status = 'CONNECTED' WHERE id = :id", id=desk.account_id)
    await desk.switch(BatchStatus.RUNNING)
    await desk.due_now()
    assert await desk.deliver() == 2
    assert await desk.counts() == {"sent": 3}


async def test_a_zone_that_the_database_has_never_heard_of_stops_nobody(desk: BatchDesk) -> None:
    """The worker's tzdata may know names that the database's does not: of a lead, of a workspace."""
    first = (await desk.rows())[0]
    await desk.sql("UPDATE delivery SET time_zone = 'Asia/Atlantis' WHERE id = :id", id=first.id)
    await desk.sql(
        "UPDATE workspace SET time_zone = 'Mars/Olympus', quiet_weekdays = array[1, 2, 3, 4, 5, 6, 7] "
        "WHERE id = :workspace_id"
    )
    await desk.sql("UPDATE channel_account SET daily_limit = 2 WHERE id = :id", id=desk.account_id)
    assert await desk.deliver() == 2
    assert await desk.deliver() == 0
    assert await desk.counts() == {"sent": 2, "queued": 1}
    async with desk.doors.open_work(desk.workspace_id) as work:
        assert await spend(work, desk.workspace_id, desk.account_id) is not None
        assert await used_up(work, desk.workspace_id, desk.account_id) is not None


async def test_a_zone_that_is_set_after_the_launch_keeps_its_quiet_hours(desk: BatchDesk) -> None:
    """Its day is never that of the zone it was taken in with: 26 hours are between them."""
    first = (await desk.rows())[0]
    await desk.sql("UPDATE delivery SET time_zone = 'Etc/GMT+12' WHERE workspace_id = :workspace_id")
    await desk.sql(
        "UPDATE workspace SET quiet_weekdays = ("
        "SELECT array_remove(array_remove(array[1, 2, 3, 4, 5, 6, 7], d), 1 + d % 7) "
        "FROM (SELECT extract(isodow FROM now() AT TIME ZONE 'Etc/GMT-14')::int AS d) x) WHERE id = :workspace_id"
    )
    await desk.sql("UPDATE lead SET time_zone = 'Etc/GMT-14' WHERE id = :id", id=first.lead_id)
    assert await desk.deliver() == 2
    row = (await desk.rows())[0]
    assert (row.status, row.is_due, row.time_zone) == ("queued", False, "Etc/GMT-14")
    await desk.due_now()
    assert await desk.claims(desk.courier()) == [], "the claim goes by it too"


async def test_a_lead_that_changed_since_it_was_read_is_rendered_anew(desk: BatchDesk) -> None:
    _, second, _ = await desk.rows()
    desk.meanwhile(
        lambda: desk.sql(
            "UPDATE lead SET name = 'Cida', email = 'cida@example.com', version = version + 1 WHERE id = :id",
            id=second.lead_id,
        )
    )
    assert await desk.deliver() == 3
    row = (await desk.rows())[1]
    assert (row.subject, row.body, row.contact_address) == ("Oi Cida", "Olá Cida!", "cida@example.com")
    assert desk.senders.sender.calls[1].to_address == "cida@example.com"


async def test_a_merged_lead_is_written_to_as_the_one_it_is_now(desk: BatchDesk) -> None:
    """Its row follows; where the kept one is a recipient too, it gets one message."""
    _, second, third = await desk.rows()
    other = await desk.new_lead("Dora")

    async def merge() -> None:
        await desk.merge(second.lead_id, other)
        await desk.merge(third.lead_id, (await desk.rows())[0].lead_id)

    desk.meanwhile(merge)
    await desk.deliver()
    rows = await desk.rows()
    assert [(row.status, row.error) for row in rows] == [
        ("sent", None),
        ("queued", None),
        ("canceled", "LEAD_DELETED"),
    ]
    await desk.due_now()
    assert await desk.deliver() == 1
    row = (await desk.rows())[1]
    assert (row.status, row.lead_id) == ("sent", other)
    assert len(desk.senders.sender.calls) == 2


async def test_an_erased_lead_leaves_nothing_and_holds_up_nobody(desk: BatchDesk) -> None:
    first, second, third = await desk.rows()

    async def erase() -> None:
        await desk.erase(first.lead_id)
        await desk.erase(second.lead_id)

    desk.meanwhile(erase)
    assert await desk.deliver() == 2
    assert [(row.id, row.status) for row in await desk.rows()] == [(third.id, "sent")]


# ── what the provider says ────────────────────────────────────────────────────────────────────────────────────────────
async def test_greylisted_it_is_sent_again_as_the_same_message(desk: BatchDesk) -> None:
    says(desk, Retry("4.7.1", "451 4.7.1 Greylisted, please try again in 300 seconds"))
    assert await desk.deliver() == 3
    first = (await desk.rows())[0]
    assert (first.status, first.shown, first.attempts) == ("queued", "SENDING", 1)
    await desk.due_now()
    assert await desk.deliver() == 1
    again = (await desk.rows())[0]
    assert (again.status, again.shown, again.attempts) == ("sent", "SENT", 2)
    assert (again.message_id, again.message_count) == (first.message_id, 1)
    before, *_, after = desk.senders.sender.calls
    assert before == after, "every try sends the same"


async def test_an_account_that_is_too_fast_is_braked_and_nobody_fails(desk: BatchDesk) -> None:
    says(desk, Retry("4.7.0", "421 4.7.0 Too many messages from your account"))
    assert await desk.deliver() == 1
    rows = await desk.rows()
    assert [(row.status, row.attempts) for row in rows] == [("queued", 1), ("queued", 0), ("queued", 0)]
    courier = desk.courier()
    assert await desk.claims(courier) == []
    assert await desk.sql(
        "SELECT brake_until > now() FROM send_pace WHERE workspace_id = :workspace_id AND kind = 'ACCOUNT'"
    )


@pytest.mark.parametrize(
    "said",
    [
        "452 Mailbox full, quota exceeded",
        "452 4.2.2 Over quota",
        "450 The recipient is over quota",
        "450 The user you are trying to contact is receiving mail at a rate that prevents delivery",
    ],
    ids=["mailbox", "code", "recipient", "rate"],
)
async def test_a_full_mailbox_brakes_nobody_and_is_given_up(desk: BatchDesk, said: str) -> None:
    desk.senders.sender.script = lambda message: Retry(said[:3], said)
    for _ in range(MAX_CALLS):
        assert await desk.deliver() == 3
        await desk.due_now()
    assert await desk.counts() == {"failed": 3}


async def test_a_login_that_is_refused_ends_the_turn_and_fails_nobody(desk: BatchDesk) -> None:
    await desk.sql("UPDATE channel_account SET smtp_secret = 'x' WHERE id = :id", id=desk.account_id)
    says(desk, Retry("LOGIN_REFUSED", "535 Authentication failed", is_account_broken=True))
    await desk.deliver()
    assert await desk.counts() == {"queued": 3}
    assert (
        await desk.sql("SELECT status FROM channel_account WHERE id = :id", id=desk.account_id)
        == "NEEDS_REAUTH"
    )


async def test_what_the_provider_refuses_or_leaves_open_is_so_recorded(desk: BatchDesk) -> None:
    says(desk, Rejected("5.1.1", "No such user", is_address_bad=True), Unknown("NO_ANSWER", "Lost"))
    assert await desk.deliver() == 3
    rows = await desk.rows()
    assert [(row.status, row.shown) for row in rows] == [
        ("failed", "FAILED"),
        ("unknown", "UNKNOWN"),
        ("sent", "SENT"),
    ]
    assert await desk.sql("SELECT value FROM suppression WHERE workspace_id = :workspace_id") == rows[0].email


# ── what becomes of a lane ────────────────────────────────────────────────────────────────────────────────────────────
DAY_COUNT = "SELECT day_count FROM send_pace WHERE workspace_id = :workspace_id AND kind = 'ACCOUNT'"


async def _failed(claim: Claim, error: Exception) -> None:
    raise AssertionError from error


class Killed(BaseException):
    """The worker dies here."""


async def test_a_worker_that_is_asked_to_stop_ends_its_call_and_gives_the_rest_back(desk: BatchDesk) -> None:
    courier = desk.courier()
    assert await desk.deliver(courier, is_stopping=lambda: bool(desk.senders.sender.calls)) == 1
    rows = await desk.rows()
    assert [(row.status, row.attempt) for row in rows] == [("sent", 0), ("queued", 0), ("queued", 0)]
    assert await desk.deliver(courier) == 2


async def test_a_worker_that_dies_in_a_call_leaves_one_unknown(desk: BatchDesk) -> None:
    """Its record of the one before had gone with the intent of this one."""
    courier = desk.courier()

    async def second_call(message: OutboundMessage) -> None:
        if len(desk.senders.sender.calls) == 2:
            raise Killed

    desk.senders.sender.before = second_call
    with pytest.raises(Killed):
        await desk.deliver(courier)
    assert [row.status for row in await desk.rows()] == ["sent", "sending", "claimed"]
    assert await desk.reaped(courier) == 2
    desk.senders.sender.before = None
    await desk.start()
    assert await desk.deliver(courier) == 1
    rows = await desk.rows()
    assert [(row.status, row.shown) for row in rows] == [
        ("sent", "SENT"),
        ("unknown", "UNKNOWN"),
        ("sent", "SENT"),
    ]
    assert len({call.key for call in desk.senders.sender.calls}) == 3 == len(desk.senders.sender.calls)


async def test_a_worker_that_dies_with_claims_loses_none(desk: BatchDesk) -> None:
    courier = desk.courier()
    assert len(await desk.claims(courier)) == 3
    assert await desk.reaped(courier) == 3
    await desk.start()
    assert await desk.deliver(courier) == 3
    assert await desk.counts() == {"sent": 3}


async def test_what_was_taken_from_a_stalled_worker_is_given_back_once(desk: BatchDesk) -> None:
    """Who took it gives back what it would have used of the day; the worker, awake again, has nothing to give."""
    async with desk.doors.open_work(desk.workspace_id) as work:
        for _ in range(3):
            await spend(work, desk.workspace_id, desk.account_id)
    courier = desk.courier()
    claims = await desk.claims(courier)
    assert await desk.sql(DAY_COUNT) == 6
    assert await desk.reaped(courier) == 3
    assert await courier.deliver_all(desk.doors, claims, lambda: False, _failed) == 0
    assert await desk.sql(DAY_COUNT) == 3


async def test_what_cannot_begin_takes_nothing_of_the_one_before_with_it(
    desk: BatchDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = (await desk.rows())[1]
    usual = BatchLedger._found

    def refuse(self: BatchLedger, draft: Draft, *row: Any) -> Any:
        """The statement has run: it has written the record of the one before."""
        if draft.lead_id == second.lead_id:
            raise RuntimeError("no intent")
        return usual(self, draft, *row)

    monkeypatch.setattr(BatchLedger, "_found", refuse)
    failed: list[Claim] = []

    async def fail(claim: Claim, error: Exception) -> None:
        failed.append(claim)

    assert await desk.deliver(fail=fail) == 2
    assert [claim.id for claim in failed] == [second.id]
    assert [row.status for row in await desk.rows()] == ["sent", "claimed", "sent"]
    assert await desk.sql(DAY_COUNT) == 2


async def test_two_lanes_share_a_batch_and_send_nothing_twice(own: tuple[Settings, Doors]) -> None:
    settings, doors = own
    desk = await BatchDesk.with_batch(doors, settings, recipients=40)
    courier = desk.courier()

    async def lane() -> int:
        sent = 0
        while done := await desk.deliver(courier, limit=5):
            sent += done
        return sent

    assert sum(await asyncio.gather(*(lane() for _ in range(4)))) == 40
    assert await desk.counts() == {"sent": 40}
    assert len({call.to_address for call in desk.senders.sender.calls}) == 40
