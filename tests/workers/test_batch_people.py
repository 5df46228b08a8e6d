"""A batch's recipients and what people and leads do meanwhile: send again, call back, answer."""

import pytest

from app.channels.domain.ports import Accepted, Rejected, Retry, Unknown
from app.conversations.domain.batch import BatchStatus
from tests.fixtures.batches import BatchDesk, says
from tests.fixtures.replies import reply


@pytest.mark.parametrize("status", [BatchStatus.PAUSED, BatchStatus.CANCELED])
async def test_what_a_person_sends_again_leaves_whatever_became_of_the_batch(
    desk: BatchDesk, status: BatchStatus
) -> None:
    says(desk, Rejected("5.7.1", "Not now"), Unknown("NO_ANSWER", "Lost"))
    await desk.deliver()
    await desk.switch(status)
    first, second, _ = await desk.rows()
    await desk.resend(first.message_id)
    await desk.resend(second.message_id)
    assert await desk.claims(desk.courier()) == [], "it goes before what is sent in bulk"
    claims = await desk.claim(limit=9)
    assert {claim.id for claim in claims} == {first.id, second.id}
    for claim in claims:
        intent = await desk.intend(claim)
        assert intent is not None
        assert (intent.send_batch_id, intent.resend) == (desk.batch_id, 1)
        assert await desk.record(claim, intent, Accepted("p"))
    assert await desk.counts() == {"sent": 3}


async def test_a_cancel_leaves_what_a_person_sends_again(desk: BatchDesk) -> None:
    """Before it, or while the worker still cancels the rest."""
    says(desk, Rejected("5.7.1", "Not now"))
    await desk.deliver(limit=1)
    await desk.switch(BatchStatus.CANCELED)
    first = (await desk.rows())[0]
    await desk.resend(first.message_id)
    await desk.cancel_rest()
    rows = await desk.rows()
    assert [(row.status, row.error) for row in rows] == [("queued", None)] + [
        ("canceled", "BULK_SEND_CANCELED")
    ] * 2
    (claim,) = await desk.claim(limit=9)
    intent = await desk.intend(claim)
    assert intent is not None
    assert await desk.record(claim, intent, Accepted("p"))
    assert await desk.counts() == {"sent": 1, "canceled": 2}


async def test_a_reply_before_they_were_taken_in_stops_them_too(desk: BatchDesk) -> None:
    """It came after the launch; the row that its transaction would have canceled was not there yet, or not seen."""
    first, second, third = await desk.rows()
    await desk.sql("DELETE FROM delivery WHERE workspace_id = :workspace_id AND id = :id", id=first.id)
    await reply(desk, first.email)
    await reply(desk, second.email, is_automatic=True)
    await desk.add(first.lead_id)
    await desk.deliver()
    rows = {row.lead_id: (row.status, row.error) for row in await desk.rows()}
    assert rows == {
        first.lead_id: ("canceled", "REPLIED"),
        second.lead_id: ("sent", None),
        third.lead_id: ("sent", None),
    }


async def test_who_wrote_before_the_launch_is_written_to(desk: BatchDesk) -> None:
    first = (await desk.rows())[0]
    await reply(desk, first.email)
    await desk.sql("DELETE FROM delivery WHERE workspace_id = :workspace_id AND id = :id", id=first.id)
    await desk.sql(
        "UPDATE conversation SET last_inbound_at = (SELECT created_at FROM send_batch WHERE id = :batch_id)"
        " - interval '1 second' WHERE workspace_id = :workspace_id",
        batch_id=desk.batch_id,
    )
    await desk.add(first.lead_id)
    assert await desk.deliver() == 3


async def test_a_batchs_message_that_waits_for_another_try_can_be_called_back(desk: BatchDesk) -> None:
    says(desk, Retry("451", "Try later"))
    await desk.deliver()
    first = (await desk.rows())[0]
    await desk.cancel(first.message_id)
    await desk.due_now()
    assert await desk.deliver() == 0
    row = (await desk.rows())[0]
    assert (row.status, row.error, row.shown) == ("canceled", "CANCELED_BY_USER", "CANCELED")


async def test_one_that_waits_in_a_paused_batch_holds_up_no_message_of_a_person(desk: BatchDesk) -> None:
    says(desk, Retry("451", "Try later"))
    await desk.deliver()
    await desk.switch(BatchStatus.PAUSED)
    desk.conversation_ids = [(await desk.rows())[0].conversation_id]
    message_id = await desk.accept()
    (claim,) = await desk.claim(limit=9)
    assert (await desk.intend(claim)).message_id == message_id  # type: ignore[union-attr]


async def test_a_reply_opens_the_conversation_and_stops_what_was_to_come(desk: BatchDesk) -> None:
    """On whatever channel: what another batch still had for it, and a try that was to be repeated."""
    says(desk, Accepted("p"), Retry("451", "Try later"))
    await desk.deliver()
    first, second, third = await desk.rows()
    batch_id, desk.batch_id = desk.batch_id, await desk.new_batch()
    await desk.add(first.lead_id)
    await desk.add(second.lead_id)
    await reply(desk, first.email)
    await reply(desk, second.email)
    await reply(desk, third.email, is_automatic=True)
    assert [(row.status, row.error) for row in await desk.rows()] == [("canceled", "REPLIED")] * 2
    desk.batch_id = batch_id
    rows = await desk.rows()
    assert [(row.status, row.has_replied, row.error) for row in rows] == [
        ("sent", True, None),
        ("canceled", False, "REPLIED"),
        ("sent", False, None),
    ]
    assert rows[1].shown == "CANCELED"
    assert [(row.conversation_status, row.is_dormant) for row in rows] == [
        ("OPEN", False),
        ("OPEN", False),
        ("CLOSED", True),
    ]
    told = await desk.sql(
        "SELECT count(*) FROM feed_event WHERE workspace_id = :workspace_id AND kind = 'conversation.updated' "
        "AND after ->> 'status' = 'OPEN'"
    )
    assert told == 2


async def test_a_reply_during_the_call_keeps_the_next_try_back(desk: BatchDesk) -> None:
    says(desk, Retry("451", "Try later"))
    first = (await desk.rows())[0]
    desk.meanwhile(lambda: reply(desk, first.email))
    await desk.deliver()
    await desk.due_now()
    assert await desk.deliver() == 0
    row = (await desk.rows())[0]
    assert (row.status, row.error, row.shown) == ("canceled", "REPLIED", "CANCELED")


async def test_a_batch_writes_into_a_conversation_that_is_there_and_moves_it_nowhere(desk: BatchDesk) -> None:
    first = (await desk.rows())[0]
    await reply(desk, first.email)
    await desk.sql("UPDATE send_batch SET created_at = now() WHERE id = :id", id=desk.batch_id)
    await desk.sql("UPDATE delivery SET status = 'queued', error = NULL WHERE id = :id", id=first.id)
    before = await desk.sql(
        "SELECT activity_at || waiting_since::text FROM conversation WHERE contact_address = :email",
        email=first.email,
    )
    assert await desk.deliver() == 3
    row = (await desk.rows())[0]
    assert (row.place, row.message_count, row.conversation_status, row.is_dormant) == (2, 2, "OPEN", False)
    after = await desk.sql(
        "SELECT activity_at || waiting_since::text FROM conversation WHERE contact_address = :email",
        email=first.email,
    )
    assert before == after
    assert desk.senders.sender.calls[0].in_reply_to is not None
